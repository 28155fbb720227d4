"""Runs of this process as a page shows them: the one under way, and those before it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from probes.replica_probe import ProbeState
from reports.model.formats import HTML_FILE
from reports.model.report import Report
from scalelag.plugin.leader.run import LeaderRun
from scalelag.plugin.leader.run_state import RunState
from scalelag.record.run_dir import (
    EVIDENCE_FILE,
    REPLICAS_FILE,
    REPORT_FILE,
    REQUESTS_FILE,
    RUN_FILE,
    SEEN_FILE,
)

RECORD_FILES = (RUN_FILE, REQUESTS_FILE, REPLICAS_FILE, EVIDENCE_FILE, SEEN_FILE, REPORT_FILE)
REPORT_FILES = (REPORT_FILE, HTML_FILE)

State = Literal["running", "watching", "closing", "closed"]

_PAGE_STATES: dict[RunState, State] = {
    RunState.LOADING: "running",
    RunState.DRAINING: "watching",
    RunState.FINISHING: "closing",
}
"""States in which the last run is open, by the words of the page."""


class WebRun:
    """One run; `message` says why it has no report."""

    def __init__(self, number: int, run: LeaderRun, state: Callable[[], RunState]) -> None:
        self.number = number
        self.path: Path = run.path
        self.message: str | None = None
        self.report: Report | None = None
        self._plan = run.options.plan.text[:200]
        self._started_s = run.zero_s
        self._run: LeaderRun | None = run
        self._state = state
        self._closed_s: float | None = None

    @property
    def state(self) -> State:
        """Progress of the run: `watching` is the scale-down after the load, `closing` its record."""
        if self._closed_s is not None or self._run is None:
            return "closed"
        return _PAGE_STATES.get(self._state(), "closed")

    def close(self, report: Report | None, message: str | None) -> None:
        """Note its report, or why it has none."""
        self.report, self.message = report, message
        self._closed_s = self._run.elapsed_s if self._run else 0.0

    def forget(self) -> None:
        """Release all but the report: another run has begun."""
        self._run = None

    def line(self) -> dict[str, Any]:
        """Return its line in the list of runs."""
        report = self.report
        return {
            "number": self.number,
            "folder": self.path.name,
            "plan": self._plan,
            "state": self.state,
            "verdict": report.verdict if report else None,
            "status": report.run.status if report else None,
            "startedS": self._started_s,
            "message": self.message,
            "files": [name for name in REPORT_FILES if (self.path / name).is_file()],
        }

    def answer(self, epoch: int, after: int) -> dict[str, Any]:
        """Return its progress, and what is new in its feed: see `LiveView.answer`."""
        run = self._run
        if run is None or run.live_view is None:
            raise RuntimeError("only the last run, on a page, has a feed")
        elapsed_s = run.elapsed_s if self._closed_s is None else self._closed_s
        return {
            "run": self.number,
            "state": self.state,
            "message": self.message,
            "verdict": self.report.verdict if self.report else None,
            "elapsedS": round(elapsed_s, 2),
            "counts": _counts(run),
            "probe": _probe(run.probe, run.zero_s + elapsed_s),
            **run.live_view.answer(epoch, after),
        }


class WebRuns:
    """All runs, oldest first; `refusal` says why the last start was refused."""

    def __init__(self, state: Callable[[], RunState]) -> None:
        self._state = state
        self.runs: list[WebRun] = []
        self.refusal: str | None = None

    def refuse(self, text: str) -> None:
        """Note why a run was not started, or has no report."""
        self.refusal = text

    def open(self, run: LeaderRun) -> None:
        """Add a run that has begun."""
        self.refusal = None
        for earlier in self.runs:
            earlier.forget()
        self.runs.append(WebRun(len(self.runs) + 1, run, self._state))

    def close(self, report: Report | None) -> None:
        """Close the last run; `report` is None if there is none."""
        if self.runs:
            self.runs[-1].close(report, None if report else self.refusal)

    def run(self, number: int) -> WebRun | None:
        """Return the run of that number, if there is one."""
        return self.runs[number - 1] if 0 < number <= len(self.runs) else None

    def answer(self, number: int, epoch: int, after: int) -> dict[str, Any]:
        """Return what is new to a page that has seen the rows of run `number` up to `after`."""
        if (state := self._state()).is_unopened:
            waits = state is RunState.CHECKING
            return {"run": 0, "state": "waiting" if waits else "starting", "message": None}
        if not self.runs:
            return {"run": 0, "state": "none", "message": self.refusal}
        latest = self.runs[-1]
        answer = latest.answer(epoch if number == latest.number else -1, after)
        return answer | ({"message": self.refusal} if self.refusal else {})


def _counts(run: LeaderRun) -> dict[str, Any]:
    workers, counts = run.workers, run.collector.counts
    return {
        "requests": counts.rows,
        "failed": counts.failed,
        "workers": len(workers.all),
        "lost": len(workers.all) - len(workers.living),
    }


def _probe(probe: ProbeState, now_s: float) -> dict[str, Any]:
    watched_s = max(now_s - probe.started_s, 1e-3)
    return {
        "polls": probe.polls,
        "gaps": probe.gaps + (1 if probe.blind_reason else 0),
        "blind": probe.blind_reason,
        "intervalS": round(probe.interval_s, 3),
        "share": round(probe.busy_s / watched_s, 5),
        "costS": round(probe.cost_s, 3),
    }


def as_json(answer: object) -> bytes:
    """Return `answer` as JSON."""
    return msgspec.json.encode(answer)
