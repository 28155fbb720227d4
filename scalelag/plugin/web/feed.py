"""Incremental feed of a running test for the web page."""

from collections.abc import Callable, Iterable, Sequence
from textwrap import shorten
from typing import Any, TypeVar

import gevent
import numpy as np
from gevent.queue import Queue

from scalelag.options.run_options import RunOptions
from scalelag.plan.stages import LoadPlan
from scalelag.plugin.web.live_lags import LiveLag, LiveLags
from scalelag.plugin.web.series import DueArrivals, LoadSeries, Numbers, ReplicaSeries
from scalelag.plugin.web.totals import Totals
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import scaling_of
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import ControllerRestart, DeploymentKey, Gap, Poll, Row

_BROKEN_OFF = (
    "The live view stopped because of a bug in scalelag; see the traceback in Locust's output. The "
    "measurement goes on, and the report will hold all of it."
)


_T = TypeVar("_T")

MOST_ROWS = 700
"""Rows of load and replicas in one answer: it stays below 40 kB, whatever is asked for."""
_MOST_STAGES = 200
_MOST_FINDINGS = 10
_MOST_LETTERS = 600  # of a finding, which may name a dozen deployments
_MOST_DEPLOYMENTS = 100
_MOST_MARKS = 50


class Feed:
    """Takes the rows of a run as they come, and answers with those that are new to a page."""

    def __init__(
        self,
        options: RunOptions,
        deployments: dict[DeploymentKey, DeploymentInfo],
        zero_s: float,
        findings: Sequence[str],
        now: Callable[[], float],
    ) -> None:
        """`now` returns Unix seconds; `zero_s` is the plan's start in them."""
        self._zero_s = zero_s
        self._now = now
        self._stopped_s: float | None = None
        self._numbers = Numbers()
        self._load = LoadSeries(self._numbers)
        self._arrivals = DueArrivals(options.schedule, self._load)
        keys = tuple(sorted(deployments))[:_MOST_DEPLOYMENTS]
        self._replicas = ReplicaSeries(self._numbers, keys, zero_s)
        self._lags = LiveLags(self._numbers, options.plan, zero_s, keys)
        self._restarts: list[float] = []
        self._gaps: list[tuple[float, float]] = []
        self._gap_s = 0.0
        self._seen_s: float | None = None
        self._keys = keys
        self.totals = Totals()
        self._head = _head(options, deployments, findings)

    def revise(self, options: RunOptions) -> None:
        """Follow the plan as it is now: a stage of it ends earlier. A page gets all rows again."""
        self._arrivals.revise(options.schedule)
        self._lags.revise(options.plan)
        self._head |= _plan_head(options.plan)
        self._numbers.epoch += 1

    def add_requests(self, rows: RequestColumns) -> None:
        """Take requests that were answered, failed or could not be sent."""
        self.totals.add(rows)
        due_s = rows.intended_s - self._zero_s
        failed = rows.error >= 0
        if not self._arrivals.are_known:
            self._load.add(due_s, 0)
        self._load.add(due_s[~failed] + rows.latency_s[~failed].astype(np.float64), 1)
        self._load.add(due_s[failed], 2)

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Take the rows of one poll of the probe."""
        for row in rows:
            if isinstance(row, Poll):
                self._seen_s = row.received_s - self._zero_s
                self._replicas.add(row)
            elif isinstance(row, Gap):
                self._gap_s += row.to_s - row.from_s
                self._gaps.append((self._since_zero(row.from_s), self._since_zero(row.to_s)))
            elif isinstance(row, ControllerRestart):
                self._restarts.append(self._since_zero(row.hi_s))
        del self._gaps[:-_MOST_MARKS], self._restarts[:-_MOST_MARKS]
        self._lags.add(rows)

    def _since_zero(self, at_s: float) -> float:
        return round(at_s - self._zero_s, 2)

    def stop(self) -> None:
        """Note that the load has ended."""
        self._stopped_s = self._now() - self._zero_s
        self._lags.stop()

    def finish(self) -> None:
        """Note that nothing more comes."""
        self._lags.finish()

    def lags(self) -> list[tuple[DeploymentKey, LiveLag]]:
        """Return the lags of all steps as far as they are known, that which changed last at the end."""
        return [(self._keys[lag.deployment], lag) for _, lag in self._lags.since(0)]

    def answer(self, epoch: int, after: int) -> dict[str, Any]:
        """Return all rows with a number above `after`, or all rows if `epoch` is over.

        `more` says that there is more than fits into one answer: ask again at once.
        """
        now_s = self._now() - self._zero_s
        self._arrivals.count_until(now_s if self._stopped_s is None else self._stopped_s)
        whole = epoch != self._numbers.epoch or not 0 <= after <= self._numbers.last
        after = 0 if whole else after
        found = [("load", *one) for one in self._load.since(after)]
        found += [("replicas", *one) for one in self._replicas.since(after)]
        found += [("lags", *one) for one in self._lags.since(after)]
        found.sort(key=lambda one: one[1])
        sent = found[:MOST_ROWS]
        # A lag takes as much room as four rows.
        while (
            len(sent) > 1 and len(sent) + 3 * sum(kind == "lags" for kind, *_ in sent) > MOST_ROWS
        ):
            del sent[-max(1, len(sent) // 10) :]
        more = len(sent) < len(found)
        answer: dict[str, Any] = {
            "epoch": self._numbers.epoch,
            "number": sent[-1][1] if more else self._numbers.last,
            "more": more,
            "whole": whole,
            "seenS": None if self._seen_s is None else round(self._seen_s, 2),
            "gaps": self._gaps,
            "gapS": round(self._gap_s, 2),
            "restarts": self._restarts,
            "load": _of("load", sent),
            "replicas": _of("replicas", sent),
            "lags": _of("lags", sent),
        }
        return answer | self._head if whole else answer


def _of(kind: str, found: Iterable[tuple[str, int, _T]]) -> list[_T]:
    return [row for name, _, row in found if name == kind]


def _head(
    options: RunOptions, deployments: dict[DeploymentKey, DeploymentInfo], findings: Sequence[str]
) -> dict[str, Any]:
    plan = options.plan
    return _plan_head(plan) | {
        "name": options.name,
        "plan": plan.text[:500],
        "repeat": plan.repeat,
        "unit": plan.unit,
        "drainS": options.drain_s,
        "deployments": [
            (key[:100], *_bounds(deployments[key]))
            for key in sorted(deployments)[:_MOST_DEPLOYMENTS]
        ],
        "deploymentsLeftOut": max(0, len(deployments) - _MOST_DEPLOYMENTS),
        "probeRate": options.probe_rate_per_s,
        "budget": options.observer_budget_ratio,
        "findings": [
            shorten(text, _MOST_LETTERS, placeholder=" ...") for text in findings[:_MOST_FINDINGS]
        ],
    }


def _plan_head(plan: LoadPlan) -> dict[str, Any]:
    return {
        "durationS": plan.duration_s,
        "stages": [
            (round(stage.at_s, 3), round(stage.end_s, 3), stage.start_level, stage.end_level)
            for stage in plan.stages[:_MOST_STAGES]
        ],
        "stagesLeftOut": max(0, len(plan.stages) - _MOST_STAGES),
        "steps": _steps(plan),
    }


def _steps(plan: LoadPlan) -> list[tuple[int, float, float, float]]:
    """Number, moment and levels of each step that changes the load."""
    steps = [step for step in plan.steps(plan.duration_s) if step.direction != "none"]
    return [
        (step.index, round(step.at_s, 3), step.from_level, step.to_level)
        for step in steps[:_MOST_STAGES]
    ]


def _bounds(info: DeploymentInfo) -> tuple[int | None, int | None]:
    """Bounds in effect; None for a number of replicas that is fixed, or somebody else's."""
    scaling = scaling_of(info)
    return (scaling.least, scaling.most) if scaling.autoscales else (None, None)


class LiveView:
    """Passes the rows of a run to its `feed`, in a greenlet of its own.

    Probe and collector only put them here. An error in the feed ends this greenlet, with its
    traceback, and nothing else.
    """

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self._queue: Queue[Callable[[], object]] = Queue()
        self._greenlet: gevent.Greenlet[[], None] = gevent.spawn(self._pass_on)

    def add_requests(self, rows: RequestColumns) -> None:
        """Take requests that were answered, failed or could not be sent."""
        self._put(lambda: self.feed.add_requests(rows))

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Take the rows of one poll of the probe."""
        self._put(lambda: self.feed.add_rows(rows))

    def revise(self, options: RunOptions) -> None:
        """Follow the plan as it is now: a stage of it ends earlier."""
        self._put(lambda: self.feed.revise(options))

    def stop(self) -> None:
        """Note that the load has ended."""
        self._put(self.feed.stop)

    def finish(self) -> None:
        """Note that nothing more comes, and wait until the feed has all of it."""
        self._put(self.feed.finish)
        self._queue.put(StopIteration)  # ends the loop over the queue
        self._greenlet.join()

    def answer(self, epoch: int, after: int) -> dict[str, Any]:
        """Return what is new in the feed (see `Feed.answer`), and a message if it broke off."""
        answer = self.feed.answer(epoch, after)
        broken = self._greenlet.dead and not self._greenlet.successful()
        return answer | ({"message": _BROKEN_OFF} if broken else {})

    def _put(self, step: Callable[[], None]) -> None:
        # After an error in the feed nobody takes them any more: they would only pile up.
        if not self._greenlet.dead:
            self._queue.put(step)

    def _pass_on(self) -> None:
        for step in self._queue:
            step()
