"""Movements of a hold: rows of those that do not answer its step, and the end of the last one."""

import math

from reports.analysis.lag.hold import Hold, edge, joined, missing_s, proven_s, reach_of
from reports.analysis.lag.movements import Movement, Way
from reports.analysis.lag.reach import Level, last_reach
from reports.model.intervals import Instant, Span, between, longer_than, point
from reports.model.steps import BLIND_S, MovementReport


def movement_rows(hold: Hold, answer: Movement | None, zero_s: float) -> tuple[MovementReport, ...]:
    """Rows of the movements that are not the step's answer."""
    return tuple(
        _row(hold, number, movement, zero_s)
        for number, movement in enumerate(hold.movements, start=1)
        if movement is not answer
    )


def _row(hold: Hold, number: int, movement: Movement, zero_s: float) -> MovementReport:
    """Row of one movement that is not the step's answer."""
    level = Level(movement.direction, movement.after)
    reached = reach_of(hold, level, movement)
    decided = between(point(hold.begun_s), movement.first.not_before(hold.begun_s))
    if reached is not None:
        total_s, reason = between(movement.first, reached.end), None
    else:
        over_s = movement.turned.lo_s if movement.turned else proven_s(hold, level)
        seen_s = missing_s(hold, level, movement, min(over_s, hold.ended_s))
        total_s = longer_than(max(0.0, seen_s - movement.first.hi_s))
        last = "when last seen" if hold.ended_s - over_s > BLIND_S else "by the end of the hold"
        reason = "given up" if movement.turned else f"not over {last}"
    return MovementReport(
        index=number,
        at_s=movement.first.mid_s - zero_s,
        direction=movement.direction,
        before=movement.before,
        after=movement.after,
        decided=decided,
        total_s=total_s,
        reason=joined(reason, edge(hold, movement)),
    )


def settled(hold: Hold) -> Span | None:
    """From the step until the last target of the hold was reached and kept; censored if it was not.

    It counts as kept if only a change of the configuration ended it. None if the autoscaler did not
    move the target. After a way down the replicas that stay have to be RUNNING, too.
    """
    if not hold.movements:
        return None
    last = hold.movements[-1]
    moved_s = (at_s for at_s in hold.timeline.moved_s if at_s > last.last.hi_s)
    way = last.way(min(hold.ended_s, *moved_s, math.inf))
    ends: list[Instant] = []
    for level in _levels(last):
        reached = last_reach(hold.timeline, level, way)
        if reached is None:
            return longer_than(max(0.0, proven_s(hold, level) - hold.begun_s))
        ends.append(_there_since(hold, level, way) if reached.at_once else reached.end)
    end = max(ends, key=lambda at: (at.mid_s, at.hi_s))
    return between(point(hold.begun_s), end.not_before(hold.begun_s))


def _there_since(hold: Hold, level: Level, way: Way) -> Instant:
    """Moment of the hold since which RUNNING was at a level that a later decision only confirmed.

    RUNNING may have come from above or from below. The moment is the step itself if it never left.
    """
    since = Way(hold.begun_s, way.until_s)
    both = (Level(direction, level.replicas) for direction in ("up", "down"))
    reached = [last_reach(hold.timeline, one, since) for one in both]
    ends = [one.end for one in reached if one is not None and not one.at_once]
    return max(ends, key=lambda at: (at.mid_s, at.hi_s), default=point(hold.begun_s))


def _levels(movement: Movement) -> tuple[Level, ...]:
    """Levels to be reached and kept; after a way down, as many replicas also have to be RUNNING."""
    own = Level(movement.direction, movement.after)
    return (own,) if movement.direction == "up" else (own, Level("up", movement.after))
