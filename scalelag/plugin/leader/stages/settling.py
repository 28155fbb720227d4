"""End of stages that hold until replicas and latency have settled (`settle<=120s` in a plan).

The rule is in docs/commands.md. It reads only what the leader is shown anyway.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

import gevent
import numpy as np
from numpy.typing import NDArray

from probes.replica_probe import ProbeState
from reports.analysis.lag.policy import policy_of
from scalelag.console import say
from scalelag.options.run_options import RunOptions
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentKey, DeploymentPoll, Gap, Poll, Row

END_LEAD_S = 1.0
"""From the announcement of a stage's end to the end: every load process has it by then."""

_POLL_S = 0.2
_LEAST_QUIET_S = 5.0
_LEAST_POLLS = 5
_WINDOW_S = 5.0
_LEAST_ANSWERS = 5
_TOLERANCE = 0.05
_IQR_OF_NORMAL = 1.349
_MEDIAN_ERROR = 1.2533  # standard error of a median, in that of a mean, of a normal distribution


class Signs:
    """Latest signs of change in replicas and latency, from the rows of a run. Times: Unix seconds."""

    def __init__(self) -> None:
        self._states: dict[DeploymentKey, DeploymentPoll] = {}
        self._quiet_since_s = 0.0
        self._quiet_polls = 0
        self._answers: deque[tuple[NDArray[np.float64], NDArray[np.float64]]] = deque()

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Take the rows of one poll of the probe."""
        for row in rows:
            if isinstance(row, Poll):
                self._add_poll(row)
            elif isinstance(row, Gap):
                self._quiet_since_s, self._quiet_polls = row.to_s, 0

    def _add_poll(self, poll: Poll) -> None:
        if self._states != poll.deployments or not all(map(_is_whole, poll.deployments.values())):
            self._quiet_since_s, self._quiet_polls = poll.received_s, 0
        self._states = poll.deployments
        self._quiet_polls += 1

    def add_requests(self, rows: RequestColumns) -> None:
        """Take requests that were answered, or failed."""
        answered = rows.error < 0
        latency_s = rows.latency_s[answered].astype(np.float64)
        self._answers.append((rows.intended_s[answered] + latency_s, latency_s))

    def are_quiet(self, from_s: float, now_s: float, quiet_s: float) -> bool:
        """Return whether RUNNING is the target since `quiet_s` ago, all of it after `from_s`."""
        since_s = max(self._quiet_since_s, from_s)
        return self._quiet_polls >= _LEAST_POLLS and now_s - since_s >= quiet_s

    def is_latency_steady(self, from_s: float, now_s: float) -> bool:
        """Return whether the median of the last 5 s is that of the 5 s before, within their noise.

        Latency has no say where either has fewer than 5 answers.
        """
        if now_s - from_s < 2 * _WINDOW_S:
            return False
        while self._answers and self._answers[0][0].max(initial=0.0) < now_s - 2 * _WINDOW_S:
            self._answers.popleft()
        if not self._answers:
            return True
        at_s, latency_s = (np.concatenate(column) for column in zip(*self._answers, strict=True))
        return _are_alike(
            latency_s[(at_s >= now_s - 2 * _WINDOW_S) & (at_s < now_s - _WINDOW_S)],
            latency_s[at_s >= now_s - _WINDOW_S],
        )


def _is_whole(seen: DeploymentPoll) -> bool:
    """Return whether all replicas are RUNNING, and as many as wanted, if the target is known."""
    running = seen.counts.get("RUNNING", 0)
    return sum(seen.counts.values()) == running and seen.target in (None, running)


def _are_alike(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    """Return whether two medians are within two standard errors, and 5 %, of one another."""
    if min(before.size, after.size) < _LEAST_ANSWERS:
        return True
    medians = [float(np.median(part)) for part in (before, after)]
    noise = 2 * float(np.hypot(_median_error(before), _median_error(after)))
    return abs(medians[0] - medians[1]) <= noise + _TOLERANCE * min(medians)


def _median_error(values: NDArray[np.float64]) -> float:
    low, high = np.percentile(values, [25, 75])
    return float(_MEDIAN_ERROR * (high - low) / _IQR_OF_NORMAL / np.sqrt(values.size))


def quiet_s_of(
    deployments: Mapping[DeploymentKey, DeploymentInfo], before: float, after: float
) -> float:
    """Seconds without a change after which the autoscaler has answered a load step.

    It is 5 s, and after it the time in which the slowest autoscaler notices the step, and its delay in
    that direction; that of both if the load stays the same.
    """
    waits_s = [0.0]
    for policy in filter(None, map(policy_of, deployments.values())):
        delays = [policy.upscale_delay_s] if after >= before else []
        delays += [policy.downscale_delay_s] if after <= before else []
        waits_s.append(policy.noticed_s() + max(delays))
    return _LEAST_QUIET_S + max(waits_s)


class LeaderParts(Protocol):
    """The parts of a run that tell if its stages have settled."""

    options: RunOptions
    zero_s: float

    @property
    def elapsed_s(self) -> float:
        """Seconds since the plan's start."""
        ...

    @property
    def probe(self) -> ProbeState:
        """Probe that watches the replicas."""
        ...

    def end_stage(self, stage: int, at_s: float) -> None:
        """End a stage of the plan at `at_s` seconds after its start."""


def watch_for_ends(run: LeaderParts, signs: Signs) -> None:
    """End each stage of `run` that has settled by what `signs` show, until its plan is over."""
    ended = -1
    while (at_s := run.elapsed_s) < run.options.plan.duration_s:
        plan = run.options.plan
        stage = plan.stage_at(at_s)
        number = plan.stages.index(stage) if stage is not None else -1
        if stage is not None and number > ended and _has_settled(run, number, signs):
            ended, end_s = number, at_s + END_LEAD_S
            if end_s < stage.end_s:
                held_s = end_s - stage.at_s
                say(f"stage {number + 1} has settled, and ends {held_s:.1f} s after its start")
                run.end_stage(number, end_s)
        gevent.sleep(_POLL_S)


def _has_settled(run: LeaderParts, number: int, signs: Signs) -> bool:
    stages = run.options.plan.stages
    stage = stages[number]
    if stage.most_s is None:
        return False
    before = stages[number - 1].end_level if number else 0.0
    from_s, now_s = run.zero_s + stage.at_s, run.zero_s + run.elapsed_s
    quiet_s = quiet_s_of(run.probe.deployed, before, stage.end_level)
    return signs.are_quiet(from_s, now_s, quiet_s) and signs.is_latency_steady(from_s, now_s)
