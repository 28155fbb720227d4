"""A hold of a load step: what polls saw of it, and what that proves."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from reports.analysis.lag.movements import Movement
from reports.analysis.lag.reach import Level, Reach, first_reach
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll, Timeline
from reports.model.steps import BLIND_S
from scalelag.plan.stages import LoadStep


class Hold(msgspec.Struct, frozen=True):
    """A step, and what polls saw of its hold; the first poll may be the one before the step."""

    step: LoadStep
    begun_s: float
    ended_s: float
    before: ReplicaPoll
    after: ReplicaPoll
    polls: Sequence[ReplicaPoll]
    movements: tuple[Movement, ...]
    timeline: Timeline


def serving_in(poll: ReplicaPoll | None) -> int | None:
    """Replicas that serve: RUNNING, or RECOVERING while a restarted controller looks for them."""
    return None if poll is None else poll.running + poll.recovering


def reach_of(hold: Hold, level: Level, movement: Movement) -> Reach | None:
    """Reach of the movement's level before the target turned and the hold ended."""
    turned = movement.turned
    until_s = min(hold.ended_s, turned.hi_s if turned else hold.ended_s)
    reached = first_reach(hold.timeline, level, movement.way(until_s))
    if reached is None or (turned is not None and reached.end.lo_s > turned.hi_s):
        return None
    if reached.at_once:
        return Reach(movement.last, None)
    end = reached.end.not_before(movement.first.lo_s)
    return Reach(end, reached.critical, rivals=reached.rivals)


def proven_s(hold: Hold, level: Level) -> float:
    """The hold's end if the next poll still misses the level; else when the last poll began."""
    later = next((p for p in hold.timeline.polls if p.received_s > hold.ended_s), None)
    return hold.ended_s if later and not level.is_reached(later) else hold.polls[-1].sent_s


def missing_s(hold: Hold, level: Level, movement: Movement, seen_s: float) -> float:
    """Moment until which the level was certainly not reached, `seen_s` at the latest.

    Between two distant polls it may have been reached and left again, if the target moved or
    replicas went.
    """
    seen = hold.timeline.polls_within(movement.first.lo_s, seen_s)
    after = next((poll for poll in hold.timeline.polls if poll.received_s > seen_s), None)
    polls = [hold.timeline.poll_before(movement.first.lo_s), *seen, after]
    for last, then in pairwise([poll for poll in polls if poll is not None]):
        if then.sent_s - last.received_s <= BLIND_S:
            continue
        if last.target != then.target or _left_between(hold, level, last, then):
            return min(seen_s, last.sent_s)
    return seen_s


def _left_between(hold: Hold, level: Level, last: ReplicaPoll, then: ReplicaPoll) -> bool:
    """Return True if a replica moved away from the level between two polls."""
    moved = [
        life.stopping if level.direction == "up" else life.listed for life in hold.timeline.replicas
    ]
    return any(at is not None and last.sent_s < at.hi_s <= then.received_s for at in moved)


def edge(hold: Hold, movement: Movement) -> str | None:
    """Sentence on a first decision that may have come before the step; None if it did not."""
    if not movement.at_edge:
        return None
    first = movement.first
    early_s = hold.begun_s - first.lo_s + first.skew_s
    why = "the log's clock is" if first.clock else "polls are"
    return f"its decision may have come up to {early_s:.2f} s before the step: {why} not that exact"


def joined(*sentences: str | None) -> str | None:
    """The sentences that are not None, as one text; None if there are none."""
    return "; ".join(text for text in sentences if text) or None


def slowest(hold: Hold, level: Level) -> ReplicaLife | None:
    """Of the replicas still on their way at the hold's end, the one that got the least far.

    None if fewer are known than the level needs: the slowest may be one of those not known.
    """
    if level.direction == "up":
        there = [life for life in hold.timeline.replicas if _is_there(life, hold.ended_s)]
        if len(there) < level.replicas:
            return None
        return max(
            (life for life in there if life.running is None or life.running.hi_s > hold.ended_s),
            key=lambda r: (
                r.allocated.hi_s if r.allocated else float("inf"),
                r.listed.hi_s,
                r.replica,
            ),
            default=None,
        )
    return max(
        (life for life in hold.timeline.replicas if _is_stopping(life, hold)),
        key=lambda r: (r.stopping.hi_s if r.stopping else 0.0, r.replica),
        default=None,
    )


def _is_there(life: ReplicaLife, at_s: float) -> bool:
    return life.listed.hi_s <= at_s and (life.stopping is None or life.stopping.hi_s > at_s)


def _is_stopping(life: ReplicaLife, hold: Hold) -> bool:
    return (
        life.stopping is not None
        and hold.begun_s < life.stopping.hi_s <= hold.ended_s
        and (life.gone is None or life.gone.hi_s > hold.ended_s)
    )
