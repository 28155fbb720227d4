"""Serve's controller, the cluster's nodes, and RUNNING over target, out of polls and snapshots."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise

import numpy as np

from reports.analysis.lag.control_loop import loop_marks
from reports.analysis.lag.timeline import ReplicaPoll
from reports.model.controller import ControllerPoint, ControllerReport, NodesReport, OverTarget
from reports.model.intervals import Window, covered_s
from scalelag.ray_versions import CONTROLLER_HEALTH, lacking
from scalelag.record.evidence_rows import CLUSTER_STATUS
from scalelag.record.rows import ControllerHealth, Poll
from scalelag.record.run_dir import RecordedRun

_HEALTH = "the health of its controller"
_MOST_POINTS = 200

_Figure = Callable[[ControllerHealth], float | None]


def controller_report(run: RecordedRun) -> ControllerReport:
    """Figures of the controller over the polls from the plan's start, or the warm-up's end, on."""
    from_s = max(run.info.zero_s, run.info.counted_from_s)
    polls = [poll for poll in run.polls if poll.received_s >= from_s]
    health = [poll.controller for poll in polls if poll.controller is not None]
    if not health:
        reason = "no poll was answered" if not polls else None
        ray = run.info.versions.ray
        return ControllerReport(reason=reason or lacking(ray, _HEALTH, CONTROLLER_HEALTH))
    loops = _values(health, lambda one: one.loop_mean_s)
    delays = _values(health, lambda one: one.event_loop_delay_s)
    late_ms = [
        *_values(health, lambda one: one.handle_metrics_delay_ms),
        *_values(health, lambda one: one.replica_metrics_delay_ms),
    ]
    return ControllerReport(
        loop_p50_s=_quantile(loops, 0.5),
        loop_p95_s=_quantile(loops, 0.95),
        loop_max_s=_most(health, lambda one: one.loop_max_s),
        loops_per_s=_rate(loop_marks(polls)),
        event_loop_delay_p95_s=_quantile(delays, 0.95),
        event_loop_delay_max_s=max(delays, default=None),
        metrics_delay_max_s=max(late_ms) / 1000 if late_ms else None,
        memory_growth_mb=_growth(health, lambda one: one.memory_mb),
        memory_max_mb=_most(health, lambda one: one.memory_mb),
        asyncio_tasks_max=_most(health, lambda one: one.asyncio_tasks),
        ingest_cpu_max_ratio=_most(health, lambda one: one.ingest_cpu_ratio),
        ingest_max_ms=_most(health, _ingest_ms),
        reports_per_s=_rate(_reported(polls)),
        deployments_update_max_s=_most(health, lambda one: one.deployments_update_s),
        applications_update_max_s=_most(health, lambda one: one.applications_update_s),
        proxies_update_max_s=_most(health, lambda one: one.proxies_update_s),
        nodes_update_max_s=_most(health, lambda one: one.nodes_update_s),
    )


def _values(health: Iterable[ControllerHealth], of: _Figure) -> list[float]:
    return [value for one in health if (value := of(one)) is not None]


def _quantile(values: Sequence[float], q: float) -> float | None:
    return float(np.quantile(values, q)) if values else None


def _most(health: Iterable[ControllerHealth], of: _Figure) -> float | None:
    return max(_values(health, of), default=None)


def _ingest_ms(one: ControllerHealth) -> float | None:
    """Mean time to take in a report of a handle or replica, whichever is longer."""
    known = [ms for ms in (one.handle_ingest_ms, one.replica_ingest_ms) if ms is not None]
    return max(known, default=None)


def _growth(health: Sequence[ControllerHealth], of: _Figure) -> float | None:
    """Sum over the controllers of the last value minus the first; a restart is a new controller."""
    stretches = [_values(own, of) for _, own in groupby(health, key=lambda one: one.start_time_s)]
    grown = [values[-1] - values[0] for values in stretches if len(values) > 1]
    return sum(grown) if grown else None


_Told = tuple[float, float, float | None]
"""Moment, value of a counter, and the start of the controller that told it."""


def _reported(polls: Iterable[Poll]) -> Iterator[_Told]:
    """Metrics of handles and replicas that the controller has taken in, at each poll."""
    for poll in polls:
        if (health := poll.controller) is None:
            continue
        known = [n for n in (health.handle_reports, health.replica_reports) if n is not None]
        if known:
            yield poll.received_s, sum(known), health.start_time_s


def _rate(told: Iterable[_Told]) -> float | None:
    """Growth of a counter per second, over the time in which one controller told it."""
    grown = seconds = 0.0
    for (from_s, first, start), (to_s, then, later) in pairwise(told):
        if start == later:
            grown += then - first
            seconds += to_s - from_s
    return grown / seconds if seconds else None


def controller_points(run: RecordedRun) -> tuple[ControllerPoint, ...]:
    """The controller over time for a chart, of very many polls some."""
    told = [(poll, health) for poll in run.polls if (health := poll.controller) is not None]
    every = max(1, -(-len(told) // _MOST_POINTS))
    return tuple(
        ControllerPoint(
            at_s=poll.received_s - run.info.zero_s,
            loop_s=health.loop_mean_s,
            event_loop_delay_s=health.event_loop_delay_s,
            memory_mb=health.memory_mb,
        )
        for poll, health in told[::every]
        if poll.received_s >= run.info.zero_s
    )


def nodes_report(run: RecordedRun) -> NodesReport:
    """Nodes by the cluster status, as it was during the run."""
    if not run.snapshots:
        unread = (row.reason for row in run.unread if row.file == CLUSTER_STATUS)
        return NodesReport(reason=next(unread, "the cluster status was not read"))
    active = [sum(one.active.values()) for one in run.snapshots]
    return NodesReport(
        min=min(active),
        max=max(active),
        final=active[-1],
        pending_max=max(len(one.pending) for one in run.snapshots),
        failed=len({text for one in run.snapshots for text in one.failed}),
    )


def over_target(
    polls: Sequence[ReplicaPoll], unseen: Sequence[Window], window: Window
) -> OverTarget:
    """RUNNING over target of a deployment within `window` (Unix seconds), but for `unseen` times."""
    found = list(_pieces(polls, unseen, window))
    seconds = sum(length for length, _ in found)
    if not seconds:
        return OverTarget(reason="no target above 0 was seen")
    mean = sum(length * ratio for length, ratio in found) / seconds
    return OverTarget(min=min(ratio for _, ratio in found), mean=mean)


def _pieces(
    polls: Sequence[ReplicaPoll], unseen: Sequence[Window], window: Window
) -> Iterator[tuple[float, float]]:
    """Seconds that each poll's state held, and its ratio; the state holds until the next poll."""
    for poll, then in pairwise(polls):
        if not poll.target:
            continue
        from_s, to_s = max(poll.received_s, window.from_s), min(then.received_s, window.to_s)
        length_s = to_s - from_s - covered_s((from_s, to_s), unseen) if to_s > from_s else 0.0
        if length_s > 0:
            yield length_s, min(1.0, poll.running / poll.target)
