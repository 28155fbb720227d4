"""A run without the effects of its own events, for figures that measure something else."""

from collections.abc import Mapping, Sequence

import msgspec

from reports.analysis.lag.changed_timeline import marked
from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.timeline import Timeline
from reports.model.events import EventReport
from reports.model.intervals import Window
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

_SICK = "UNHEALTHY"


def without_events(
    run: RecordedRun, reports: Sequence[EventReport], windows: Mapping[int, Window]
) -> RecordedRun:
    """The run without failures that were caused by its own events.

    These are health checks of killed replicas, the status that goes with them, and restarts of a
    killed controller. Polls and replicas stay.
    """
    if not windows:
        return run
    lost = {name for one in reports for effect in one.deployments.values() for name in effect.lost}
    killed = [windows[one.index] for one in reports if one.kind == "kill_controller"]
    harmed = [windows[one.index] for one in reports if one.kind.startswith("kill_")]
    proxies = [
        (windows[one.index], row.node)
        for one in reports
        for row in run.run_events
        if row.index == one.index and row.node is not None
    ]
    return msgspec.structs.replace(
        run,
        events=tuple(event for event in run.events if not _is_of(event, lost, harmed)),
        statuses=tuple(
            row for row in run.statuses if not (row.status == _SICK and _within(row.hi_s, harmed))
        ),
        restarts=tuple(row for row in run.restarts if not _within(row.hi_s, killed)),
        proxies=tuple(
            row
            for row in run.proxies
            if not any(row.node == node and _within(row.hi_s, [at]) for at, node in proxies)
        ),
    )


def _is_of(event: LogEvent, lost: set[str], harmed: Sequence[Window]) -> bool:
    sick = event.kind in ("health_check_failed", "health_check_timed_out", "unhealthy_stopped")
    return sick and (event.replica in lost or event.replica is None) and _within(event.at_s, harmed)


def _within(at_s: float, windows: Sequence[Window]) -> bool:
    return any(window.from_s <= at_s <= window.to_s for window in windows)


def own_timelines(
    timelines: Mapping[DeploymentKey, Timeline],
    reports: Sequence[EventReport],
    windows: Mapping[int, Window],
) -> dict[DeploymentKey, Timeline]:
    """Timelines in which the effects of events are not counted as the autoscaler's.

    A target that `scale` set is not one of its decisions, and killed replicas are `replaced`.
    """
    return {
        key: _own_timeline(key, timeline, reports, windows) for key, timeline in timelines.items()
    }


def _own_timeline(
    key: DeploymentKey,
    timeline: Timeline,
    reports: Sequence[EventReport],
    windows: Mapping[int, Window],
) -> Timeline:
    own = [one for one in reports if key in one.deployments]
    if not own:
        return timeline
    foreign = [windows[one.index] for one in own]
    lost = {name for one in own for name in one.deployments[key].lost}
    scaled = [windows[one.index] for one in own if one.kind == "scale"]
    moved = [one for one in timeline.decisions if _was_set(one, scaled)]
    return marked(timeline, lambda poll: _within(poll.received_s, foreign), moved, lost)


def _was_set(decision: Decision, scaled: Sequence[Window]) -> bool:
    return any(w.from_s <= decision.at.hi_s and decision.at.lo_s <= w.to_s for w in scaled)
