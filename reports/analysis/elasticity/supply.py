"""RUNNING replicas over time, each change known to an interval (docs/metrics.md#time, #elasticity)."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from reports.analysis.elasticity.staircase import Staircase, stairs
from reports.analysis.lag.gap_logs import unseen_windows
from reports.analysis.lag.log_times import ORDER_TOLERANCE_S
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll, Timeline
from reports.model.intervals import Instant, Window, union, without
from scalelag.record.rows import Gap


class Change(msgspec.Struct, frozen=True):
    """The number of RUNNING replicas changed by `delta`; `foreign`: not through the autoscaler."""

    at: Instant
    delta: int
    foreign: bool = False


class Supply(msgspec.Struct, frozen=True):
    """RUNNING replicas: `before` the first of `changes`, which are in the order of their middles.

    `seen` lasts from the first poll to the last; its `unseen` part is not judged. In the `blind`
    part of that, nobody saw how many there were. At `foreign` times something other than the
    autoscaler moved them. In `away` the deployment was deleted, or not there yet.
    """

    before: int
    changes: tuple[Change, ...]
    seen: Window
    unseen: tuple[Window, ...] = ()
    blind: tuple[Window, ...] = ()
    foreign: tuple[Window, ...] = ()
    away: tuple[Window, ...] = ()

    def middle(self) -> Staircase:
        """The curve with each change in the middle of its interval."""
        return self._stairs([change.at.mid_s for change in self.changes])

    def fewest(self) -> Staircase:
        """The lower bound: each rise as late, and each fall as early, as it may have been."""
        return self._stairs([c.at.hi_s if c.delta > 0 else c.at.lo_s for c in self.changes])

    def most(self) -> Staircase:
        """The upper bound."""
        return self._stairs([c.at.lo_s if c.delta > 0 else c.at.hi_s for c in self.changes])

    def _stairs(self, times_s: Sequence[float]) -> Staircase:
        return stairs(self.before, times_s, [change.delta for change in self.changes])

    def watched(self, window: Window) -> tuple[Window, ...]:
        """Parts of `window` in which somebody watched."""
        outside = (Window(-math.inf, self.seen.from_s), Window(self.seen.to_s, math.inf))
        return without(window, (*outside, *self.unseen))

    def blind_in(self, window: Window) -> tuple[Window, ...]:
        """Parts of `window` in which nobody saw how many there were; while deleted there are none."""
        outside = (Window(-math.inf, self.seen.from_s), Window(self.seen.to_s, math.inf))
        parts = (*outside, *self.blind)
        unknown = (one for part in union(parts) for one in without(Window(*part), self.away))
        clipped = ((max(a, window.from_s), min(b, window.to_s)) for a, b in unknown)
        return tuple(Window(a, b) for a, b in clipped if b > a)

    def running_before(self, at_s: float) -> int:
        """RUNNING up to a moment, changes in the middle of their intervals."""
        return self.before + sum(c.delta for c in self.changes if c.at.mid_s < at_s)

    def changes_within(self, window: Window) -> list[Change]:
        """Changes whose middles lie in `window`; its end is not in it."""
        return [c for c in self.changes if window.from_s <= c.at.mid_s < window.to_s]


def supply_of(timeline: Timeline, gaps: Sequence[Gap] = ()) -> Supply | None:
    """RUNNING replicas of a deployment; None if it was never seen.

    A change lies between two polls, or at logged points if these account for all of it. Polls that
    hide the effect of the autoscaler do not count as seen.
    """
    polls = [poll for poll in timeline.polls if not poll.hidden]
    if not polls:
        return None
    logged = _LoggedChanges(timeline.replicas)
    foreign_s = [poll.received_s for poll in timeline.polls if poll.foreign]
    changes = [
        change for old, new in pairwise(polls) for change in _between(old, new, logged, foreign_s)
    ]
    blind = (*unseen_windows(timeline, gaps), *timeline.hidden)
    return Supply(
        before=polls[0].running,
        changes=tuple(sorted(changes, key=lambda change: change.at.mid_s)),
        seen=Window(polls[0].sent_s, polls[-1].received_s),
        unseen=(*blind, *timeline.moved_by_others()),
        blind=blind,
        foreign=timeline.foreign(),
        away=timeline.away,
    )


def whole_supply_of(timeline: Timeline, gaps: Sequence[Gap] = ()) -> Supply | None:
    """RUNNING replicas whatever caused them, including updates and events."""
    polls = tuple(msgspec.structs.replace(poll, foreign=False) for poll in timeline.polls)
    return supply_of(msgspec.structs.replace(timeline, polls=polls), gaps)


class _LoggedChanges:
    """Changes at logged points, each of which is used once."""

    def __init__(self, lives: Sequence[ReplicaLife]) -> None:
        points: list[Change] = []
        for life in lives:
            if life.running is None:
                continue
            points.append(Change(life.running, 1))
            if life.stopping is not None:
                points.append(Change(life.stopping, -1))
        exact = [point for point in points if point.at.clock]
        self._points = sorted(exact, key=lambda point: point.at.mid_s)

    def take(self, lo_s: float, hi_s: float, delta: int) -> list[Change]:
        """Those between two moments, if their sum is `delta`; otherwise none."""
        found = [p for p in self._points if _lies(p.at, lo_s, hi_s)]
        if not found or sum(point.delta for point in found) != delta:
            return []
        self._points = [p for p in self._points if p not in found]
        return [Change(_clipped(p.at, lo_s, hi_s), p.delta) for p in found]


def _between(
    old: ReplicaPoll, new: ReplicaPoll, logged: _LoggedChanges, foreign_s: Sequence[float]
) -> list[Change]:
    delta = new.running - old.running
    if not delta:
        return []
    whole = Instant(old.sent_s, new.received_s)
    if bisect_right(foreign_s, old.received_s) < bisect_right(foreign_s, new.received_s):
        return [Change(whole, delta, foreign=True)]
    return logged.take(old.sent_s, new.received_s, delta) or [Change(whole, delta)]


def _lies(at: Instant, lo_s: float, hi_s: float) -> bool:
    slack_s = at.skew_s + ORDER_TOLERANCE_S
    return lo_s - slack_s <= at.mid_s <= hi_s + slack_s


def _clipped(at: Instant, lo_s: float, hi_s: float) -> Instant:
    """A log's moment, give or take its clock's error, within what polling saw."""
    lo, hi = (min(max(t, lo_s), hi_s) for t in (at.lo_s - at.skew_s, at.hi_s + at.skew_s))
    return Instant(lo, hi)
