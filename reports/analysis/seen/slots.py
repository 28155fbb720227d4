"""Slots of a deployment's replicas that are in use (docs/metrics.md#what-the-autoscaler-saw)."""

from collections.abc import Callable, Sequence

from reports.analysis.lag.timeline import Timeline
from reports.analysis.seen.series import gauge_series
from reports.model.intervals import Window
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

FULL = 0.95
"""Part of the slots from which on they count as all in use."""


def slots_used(
    run: RecordedRun, key: DeploymentKey, timeline: Timeline, slots: int | None, hold: Window
) -> float | None:
    """Share of the slots of all RUNNING replicas in use in a hold's last quarter, on average.

    At most 1, though gauges also count requests on their way to a full replica. None if they do not
    show the requests at replicas, or if no replica was RUNNING.
    """
    within = Window(hold.to_s - (hold.to_s - hold.from_s) / 4, hold.to_s)
    polls = timeline.polls_within(within.from_s, within.to_s)
    running = sum(poll.running for poll in polls) / len(polls) if polls else 0.0
    used = gauge_series(run.seen, key, lambda gauges: gauges.running).within(hold).mean(*within)
    if used is None or not running or not slots:
        return None
    return min(used / (running * slots), 1.0)


def most_slots_used(
    run: RecordedRun,
    key: DeploymentKey,
    timeline: Timeline,
    slots_at: Callable[[float], int | None],
    holds: Sequence[Window],
) -> float | None:
    """Largest part of the slots that was in use through the last quarter of a hold.

    `slots_at` tells how many each replica has at a moment.
    """
    found = [slots_used(run, key, timeline, slots_at(hold.to_s), hold) for hold in holds]
    return max((one for one in found if one is not None), default=None)
