"""A timeline without the effects of others than the autoscaler: new versions, deletions, settings."""

import math
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from reports.analysis.lag.changes import Absence, Changes
from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll, Timeline
from reports.model.intervals import Window
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import scaling_of


def own_timeline(timeline: Timeline, changes: Changes) -> Timeline:
    """`timeline` with only the autoscaler's decisions, and marks on the effects of changes."""
    replaced = {name for update in changes.updates for name in update.replaced}
    moved = [d for d in timeline.decisions if was_set(d, changes)]
    foreign = [
        *(u.window for u in changes.updates if u.replaced or u.from_start),
        *(absence.window for absence in changes.absences),
        *(_followed(timeline, decision) for decision in moved),
    ]

    def is_foreign(poll: ReplicaPoll) -> bool:
        return any(w.from_s <= poll.sent_s and poll.received_s <= w.to_s for w in foreign)

    away = tuple(_away(absence) for absence in changes.absences)
    return marked(timeline, is_foreign, moved, replaced, away)


def marked(
    timeline: Timeline,
    is_foreign: Callable[[ReplicaPoll], bool],
    moved: Sequence[Decision],
    replaced: AbstractSet[str],
    away: Sequence[Window] = (),
) -> Timeline:
    """`timeline` with marks on everything that the autoscaler did not do.

    The marked items are some of its polls, the decisions `moved`, and replicas that were
    `replaced`. In `away` the deployment did not exist.
    """
    return msgspec.structs.replace(
        timeline,
        polls=tuple(
            msgspec.structs.replace(poll, foreign=True) if is_foreign(poll) else poll
            for poll in timeline.polls
        ),
        decisions=tuple(one for one in timeline.decisions if one not in moved),
        moved_s=(*timeline.moved_s, *(one.at.lo_s for one in moved)),
        away=(*timeline.away, *away),
        replicas=tuple(
            msgspec.structs.replace(life, replaced=True) if life.replica in replaced else life
            for life in timeline.replicas
        ),
    )


def _away(absence: Absence) -> Window:
    """Times in which polls do not show a deployment: it is deleted, or not there yet."""
    return Window(
        -math.inf if absence.from_start else absence.gone.lo_s,
        absence.back.hi_s if absence.back else math.inf,
    )


def _followed(timeline: Timeline, decision: Decision) -> Window:
    """Time in which replicas follow a target that a change moved."""
    later = (poll for poll in timeline.polls if poll.received_s >= decision.at.hi_s)
    there = (p.received_s for p in later if p.running == p.listed or p.target != decision.after)
    return Window(decision.at.lo_s, next(there, math.inf))


def was_set(decision: Decision, changes: Changes) -> bool:
    """Return True if a change moved the target, and not a decision of the autoscaler.

    A decision in the log is always the autoscaler's. A changed configuration moves the target into
    its bounds.
    """
    at = decision.at
    if at.clock:
        return False
    if any(a.window.from_s < at.hi_s and a.window.to_s >= at.lo_s for a in changes.absences):
        return True
    overlapping = [row for row in changes.configs if row.lo_s < at.hi_s and row.hi_s > at.lo_s]
    return any(bounded(decision.before, row.info) == decision.after for row in overlapping)


def bounded(target: int, info: DeploymentInfo) -> int:
    """Target of a deployment once `info` becomes its configuration."""
    scaling = scaling_of(info)
    most = max(target, scaling.least) if scaling.most is None else scaling.most
    return min(max(target, scaling.least), most)


def within(timeline: Timeline, window: Window) -> Timeline:
    """The part of a timeline that lies in a time."""
    from_s, to_s = window
    return msgspec.structs.replace(
        timeline,
        polls=tuple(p for p in timeline.polls if from_s <= p.received_s and p.sent_s <= to_s),
        decisions=tuple(d for d in timeline.decisions if from_s <= d.at.hi_s and d.at.lo_s <= to_s),
        replicas=tuple(r for r in timeline.replicas if _lives(r, from_s, to_s)),
    )


def _lives(life: ReplicaLife, from_s: float, to_s: float) -> bool:
    return life.listed.lo_s <= to_s and (life.gone is None or life.gone.hi_s >= from_s)
