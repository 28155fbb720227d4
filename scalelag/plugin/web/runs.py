"""Runs of this process as a page shows them: the one under way, and those before it."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from probes.replica_probe import ReplicaProbe
from reports.model.report import Report
from scalelag.plugin.leader.run import Session
from scalelag.record.run_dir import (
    EVIDENCE_FILE,
    HTML_FILE,
    REPLICAS_FILE,
    REPORT_FILE,
    REQUESTS_FILE,
    RUN_FILE,
)

RECORD_FILES = (RUN_FILE, REQUESTS_FILE, REPLICAS_FILE, EVIDENCE_FILE, REPORT_FILE)
REPORT_FILES = (REPORT_FILE, HTML_FILE)

State = Literal["running", "watching", "closing", "closed"]


class WebRun:
    """One run; `message` says why it has no report."""

    def __init__(self, number: int, session: Session) -> None:
        self.number = number
        self.path: Path = session.path
        self.message: str | None = None
        self.report: Report | None = None
        self._plan = session.options.plan.text[:200]
        self._started_s = session.zero_s
        self._session: Session | None = session
        self._closed_s: float | None = None

    @property
    def state(self) -> State:
        """Progress of the run: `watching` is the scale-down after the load, `closing` its record."""
        if self._closed_s is not None or self._session is None:
            return "closed"
        if not self._session.running:
            return "closing"
        return "watching" if self._session.load_over else "running"

    def close(self, report: Report | None, message: str | None) -> None:
        """Note its report, or why it has none."""
        self.report, self.message = report, message
        self._closed_s = self._session.elapsed_s if self._session else 0.0

    def forget(self) -> None:
        """Release all but the report: another run has begun."""
        self._session = None

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
        session = self._session
        if session is None or session.live_view is None:
            raise RuntimeError("only the last run, on a page, has a feed")
        elapsed_s = session.elapsed_s if self._closed_s is None else self._closed_s
        return {
            "run": self.number,
            "state": self.state,
            "message": self.message,
            "verdict": self.report.verdict if self.report else None,
            "elapsedS": round(elapsed_s, 2),
            "counts": _counts(session),
            "probe": _probe(session.probe, session.zero_s + elapsed_s),
            **session.live_view.answer(epoch, after),
        }


class WebRuns:
    """All runs, oldest first; `refusal` says why the last start was refused."""

    def __init__(self) -> None:
        self.runs: list[WebRun] = []
        self.refusal: str | None = None

    def refuse(self, text: str) -> None:
        """Note why a run was not started, or has no report."""
        self.refusal = text

    def open(self, session: Session) -> None:
        """Add a run that has begun."""
        self.refusal = None
        for run in self.runs:
            run.forget()
        self.runs.append(WebRun(len(self.runs) + 1, session))

    def close(self, report: Report | None) -> None:
        """Close the last run; `report` is None if there is none."""
        if self.runs:
            self.runs[-1].close(report, None if report else self.refusal)

    def run(self, number: int) -> WebRun | None:
        """Return the run of that number, if there is one."""
        return self.runs[number - 1] if 0 < number <= len(self.runs) else None

    def answer(self, number: int, epoch: int, after: int) -> dict[str, Any]:
        """Return what is new to a page that has seen the rows of run `number` up to `after`."""
        if not self.runs:
            return {"run": 0, "state": "none", "message": self.refusal}
        latest = self.runs[-1]
        answer = latest.answer(epoch if number == latest.number else -1, after)
        return answer | ({"message": self.refusal} if self.refusal else {})


def _counts(session: Session) -> dict[str, Any]:
    fleet, counts = session.fleet, session.collector.counts
    return {
        "requests": counts.rows,
        "failed": counts.failed,
        "workers": len(fleet.members),
        "lost": len(fleet.members) - len(fleet.living),
    }


def _probe(probe: ReplicaProbe, now_s: float) -> dict[str, Any]:
    watched_s = max(now_s - probe.started_s, 1e-3)
    return {
        "polls": probe.polls,
        "gaps": probe.gaps + (1 if probe.blind_reason else 0),
        "blind": probe.blind_reason,
        "intervalS": round(probe.pacing.interval_s, 3),
        "share": round(probe.pacing.busy_s / watched_s, 5),
        "costS": round(probe.pacing.cost_s, 3),
    }


def as_json(answer: object) -> bytes:
    """Return `answer` as JSON."""
    return msgspec.json.encode(answer)
