"""The moment at which the replicas reached a level, and the replica that completed it."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from reports.analysis.lag.log_times import ORDER_TOLERANCE_S
from reports.analysis.lag.movements import Way
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll, Timeline
from reports.model.intervals import Instant
from scalelag.plan.stages import Direction


class Level(msgspec.Struct, frozen=True):
    """A number of replicas to reach: RUNNING on the way up, listed in any state on the way down."""

    direction: Direction
    replicas: int

    def count(self, poll: ReplicaPoll) -> int:
        """Replicas that count towards the level."""
        return poll.running if self.direction == "up" else poll.listed

    def is_reached(self, poll: ReplicaPoll) -> bool:
        """Return whether `poll` shows the level reached."""
        count = self.count(poll)
        return count >= self.replicas if self.direction == "up" else count <= self.replicas

    def end_of(self, life: ReplicaLife) -> Instant | None:
        """Moment from which `life` counts: RUNNING on the way up, gone on the way down."""
        return life.running if self.direction == "up" else life.gone

    def shown_s(self, life: ReplicaLife) -> float | None:
        """Receive time of the poll that first showed that moment; None if no poll did."""
        return life.shown_running_s if self.direction == "up" else life.shown_gone_s


class Reach(msgspec.Struct, frozen=True):
    """The end of the way to a level. `critical` is None if no single replica can be named.

    `at_once` says that the level was reached already when the way began. `rivals` are other replicas
    that may have been the critical one, as far as polling tells.
    """

    end: Instant
    critical: ReplicaLife | None
    at_once: bool = False
    rivals: tuple[ReplicaLife, ...] = ()


class _Crossing(msgspec.Struct, frozen=True):
    """Two polls between which a level was reached, and the count at the first of them."""

    lo_s: float
    hi_s: float
    count_before: int


def first_reach(timeline: Timeline, level: Level, way: Way) -> Reach | None:
    """First reach of `level` by the polls of `way` from its last decision on; None without one."""
    before = timeline.poll_before(way.from_s)
    if before is None:
        return None
    if _at_once(level, before, way):
        return Reach(Instant(way.from_s, way.from_s), None, at_once=True)
    last = before
    for poll in timeline.polls_within(way.from_s, way.until_s):
        if poll.received_s >= way.decided_s and level.is_reached(poll):
            return _completed(timeline, level, _crossing(level, last, poll))
        last = poll
    return None


def last_reach(timeline: Timeline, level: Level, way: Way) -> Reach | None:
    """Reach of `level` after which it held until the end of `way`; None if the last poll misses it.

    Afterwards, a poll that hides the autoscaler's work is no miss.
    """
    polls = timeline.polls_within(way.from_s, way.until_s)
    before = timeline.poll_before(way.from_s)
    if before is None or not polls:
        return None
    missing = [n for n, poll in enumerate(polls) if not (poll.hidden or level.is_reached(poll))]
    if not missing and _at_once(level, before, way):
        return Reach(Instant(way.from_s, way.from_s), None, at_once=True)
    first = missing[-1] + 1 if missing else 0
    decided = (n for n in range(first, len(polls)) if polls[n].received_s >= way.decided_s)
    there = next((n for n in decided if level.is_reached(polls[n])), None)
    if there is None:
        return None
    last = polls[there - 1] if there else before
    return _completed(timeline, level, _crossing(level, last, polls[there]))


def _at_once(level: Level, before: ReplicaPoll, way: Way) -> bool:
    """Return whether the level was reached already when the way began.

    A poll from before the target's last move does not count.
    """
    return level.is_reached(before) and before.sent_s >= way.preceded_s


def _crossing(level: Level, last: ReplicaPoll, then: ReplicaPoll) -> _Crossing:
    return _Crossing(last.sent_s, then.received_s, level.count(last))


def _completed(timeline: Timeline, level: Level, crossing: _Crossing) -> Reach:
    """The reach at `crossing`, by the replica with which the level was complete."""
    order = _running_order if level.direction == "up" else _gone_order
    counted = sorted(
        (
            life
            for life in timeline.replicas
            if (at := level.end_of(life)) and _within(at, level.shown_s(life), crossing)
        ),
        key=order,
    )
    needed = abs(level.replicas - crossing.count_before)
    critical = _nth(counted, needed, level.end_of)
    end = level.end_of(critical) if critical else None
    mixed = _end_of_mixed([at for life in counted if (at := level.end_of(life))], needed)
    return Reach(
        end=mixed or end or Instant(crossing.lo_s, crossing.hi_s),
        critical=critical,
        rivals=tuple(_rivals(counted, critical, level.end_of)),
    )


def _rivals(
    lives: Sequence[ReplicaLife],
    critical: ReplicaLife | None,
    at: Callable[[ReplicaLife], Instant | None],
) -> Iterator[ReplicaLife]:
    """Other replicas that may have completed the level, as far as polling tells."""
    end = at(critical) if critical else None
    for life in lives:
        own = at(life)
        if end is None or own is None or life is critical or (end.clock and own.clock):
            continue
        slack_s = end.skew_s + own.skew_s
        if own.lo_s - slack_s <= end.hi_s and end.lo_s <= own.hi_s + slack_s:
            yield life


def _end_of_mixed(moments: Sequence[Instant], needed: int) -> Instant | None:
    """Moment at which `needed` had come, if logs tell of some and polls of the others; else None."""
    logged = sum(1 for at in moments if at.clock)
    if not 0 < logged < len(moments):
        return None
    place = min(needed, len(moments)) - 1 if needed > 0 else len(moments) - 1
    lo_s = sorted(at.lo_s - at.skew_s for at in moments)[place]
    return Instant(lo_s, sorted(at.hi_s + at.skew_s for at in moments)[place])


def _within(at: Instant, shown_s: float | None, crossing: _Crossing) -> bool:
    """Return True if `at` lies between the polls of `crossing`.

    Once a poll has shown it, that poll has counted it. Its logged time decides only if no poll did.
    """
    if shown_s is not None:
        return shown_s == crossing.hi_s
    slack_s = at.skew_s + ORDER_TOLERANCE_S
    return crossing.lo_s - slack_s <= at.mid_s <= crossing.hi_s + slack_s


def _nth(
    lives: Sequence[ReplicaLife], needed: int, at: Callable[[ReplicaLife], Instant | None]
) -> ReplicaLife | None:
    """The replica that completed the needed number; the last of all if polling cannot tell."""
    if not lives:
        return None
    exact = all(moment is not None and moment.clock for moment in map(at, lives))
    return lives[min(needed, len(lives)) - 1] if exact and needed > 0 else lives[-1]


def _running_order(life: ReplicaLife) -> tuple[float, float, float, str]:
    """Sort key: RUNNING; within one poll, the replica that was allocated and listed last comes last."""
    running = life.running.mid_s if life.running else float("-inf")
    allocated = life.allocated.hi_s if life.allocated else float("-inf")
    return (running, allocated, life.listed.hi_s, life.replica)


def _gone_order(life: ReplicaLife) -> tuple[float, float, float, str]:
    """Sort key: gone; within one poll, the beginning of its stop."""
    gone = life.gone.mid_s if life.gone else float("-inf")
    stopping = life.stopping.hi_s if life.stopping else 0.0
    return (gone, stopping, life.listed.hi_s, life.replica)
