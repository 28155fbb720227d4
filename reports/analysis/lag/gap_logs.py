"""Gaps of the probe that logs fill: they tell all that a deployment did, as polls would have."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from reports.analysis.lag.log_times import (
    ORDER_TOLERANCE_S,
    Decision,
    ReplicaLog,
    agrees,
    replica_logs,
)
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll, Timeline
from reports.model.intervals import Instant, Window, union, without
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import DeploymentKey, Gap

_POLL_S = 1.0
"""Longest time between two polls made from logs: few, and shorter than a hold may miss."""

_CARRIED_OUT_S = 1.0
"""Longest time until a decision is carried out: by the next turn of the loop, on a busy machine."""


class _Move(msgspec.Struct, frozen=True):
    """A moment in a gap at which the number of listed or of RUNNING replicas changed."""

    at: Instant
    listed: int = 0
    running: int = 0


class _Hole(msgspec.Struct, frozen=True):
    """The polls before and after a gap."""

    before: ReplicaPoll
    after: ReplicaPoll

    @property
    def whole(self) -> Instant:
        """The time in which no poll saw the deployment change."""
        return Instant(self.before.sent_s, self.after.received_s)

    @property
    def window(self) -> Window:
        """The same as a window."""
        return Window(self.before.sent_s, self.after.received_s)

    def has(self, at: Instant | None) -> bool:
        """Return True if the moment, by a clock, lies in it."""
        return at is not None and bool(at.clock) and agrees(self.whole, at)

    def hides(self, at: Instant | None, shown_s: float | None) -> bool:
        """Return True if the poll after it showed a moment first, or none did and it lies in it."""
        return shown_s == self.after.received_s or (shown_s is None and self.has(at))


def through_gaps(
    key: DeploymentKey, timeline: Timeline, gaps: Sequence[Gap], events: Sequence[LogEvent]
) -> Timeline:
    """`timeline` with polls in those gaps for which logs account for all changes.

    Logs do so if three things hold: a line lies in the gap; each change between the two polls
    around it is in a log; the target and the numbers of replicas agree with the second poll. A gap
    in which the controller restarted stays a gap.
    """
    started_s = [event.at_s for event in events if event.kind == "controller_started"]
    logs = replica_logs(key, events)
    for hole in _holes(timeline.polls, gaps):
        if any(hole.window.from_s < at_s < hole.window.to_s for at_s in started_s):
            continue
        timeline = _told(timeline, hole, _unlisted(timeline, hole, logs))
    return timeline


def _holes(polls: Sequence[ReplicaPoll], gaps: Sequence[Gap]) -> Iterator[_Hole]:
    for before, after in pairwise(polls):
        hides = any(g.from_s < after.sent_s and g.to_s > before.received_s for g in gaps)
        if hides and not (before.hidden or after.hidden or before.target is None):
            yield _Hole(before, after)


def _unlisted(
    timeline: Timeline, hole: _Hole, logs: dict[str, ReplicaLog]
) -> tuple[ReplicaLife, ...]:
    """Replicas that came and went within a gap, known only from the log."""
    known = {life.replica for life in timeline.replicas}
    return tuple(
        ReplicaLife(
            name,
            listed=log.submitted,
            submitted=log.submitted,
            entered=log.entered,
            initialized=log.initialized,
            running=log.running,
            stopping=log.stopping,
            gone=log.gone,
        )
        for name, log in logs.items()
        if name not in known
        and log.submitted is not None
        and hole.has(log.submitted)
        and hole.has(log.gone)
    )


def _told(timeline: Timeline, hole: _Hole, unlisted: Sequence[ReplicaLife]) -> Timeline:
    """`timeline` with polls in a gap, made from logs; unchanged if logs do not have all of it."""
    lives = (*timeline.replicas, *unlisted)
    moves = [move for life in lives for move in _moves(life, hole)]
    decided = _decided(timeline.decisions, hole)
    if decided is None or None in moves:
        return timeline
    known = [move for move in moves if move is not None]
    if not (known or decided) or not _comes_out(hole, known):
        return timeline
    if not _carried_out(hole, decided, lives):
        return timeline
    place = timeline.polls.index(hole.after)
    log_polls = _LogPolls(hole, _unsure(hole, [one.at for one in (*known, *decided)]))
    return msgspec.structs.replace(
        timeline,
        polls=(*timeline.polls[:place], *log_polls.polls(known, decided), *timeline.polls[place:]),
        replicas=tuple(_shown(life, log_polls) for life in lives),
        told=(*timeline.told, hole.window),
    )


def _carried_out(hole: _Hole, decided: Sequence[Decision], lives: Sequence[ReplicaLife]) -> bool:
    """Return True if as many replicas began and stopped as the decisions in the gap ask for.

    If the log lacks lines of one kind, replicas that came and went in the gap are not known. A
    decision just before the end of the gap may be carried out after it.
    """
    by_s = hole.after.sent_s - _CARRIED_OUT_S
    moved = [one.after - one.before for one in decided if one.at.mid_s <= by_s]
    began = sum(1 for life in lives if hole.has(life.submitted))
    stopped = [life for life in lives if hole.has(life.stopping)]
    tells_running = any(life.running and life.running.clock for life in lives)
    if not tells_running and any(life.running is None for life in stopped):
        return False
    up, down = sum(n for n in moved if n > 0), -sum(n for n in moved if n < 0)
    return began >= up and len(stopped) >= down


def _unsure(hole: _Hole, moments: Sequence[Instant]) -> tuple[Window, ...]:
    """Times between the two polls in which a moment lies, though it is not known where."""
    slacks_s = [at.skew_s + ORDER_TOLERANCE_S for at in moments]
    around = ((a.mid_s - s, a.mid_s + s) for a, s in zip(moments, slacks_s, strict=True))
    from_s, to_s = hole.before.received_s, hole.after.received_s
    least_s = from_s + ORDER_TOLERANCE_S
    return union((max(lo, from_s), min(max(hi, least_s), to_s)) for lo, hi in around)


class _LogPolls(msgspec.Struct, frozen=True):
    """Polls in a gap, made from logs: at both ends of each `unsure` time, and often enough between."""

    hole: _Hole
    unsure: tuple[Window, ...]

    def shows_s(self, at: Instant) -> float:
        """Time of the first poll, from logs or after the gap, that shows what came at `at`."""
        ends = (window.to_s for window in self.unsure if at.mid_s <= window.to_s)
        end_s = next(ends, self.hole.after.received_s)
        return end_s if end_s < self.hole.after.sent_s else self.hole.after.received_s

    def polls(self, moves: Sequence[_Move], decided: Sequence[Decision]) -> Iterator[ReplicaPoll]:
        """Yield the polls: the deployment as it was at each of their times."""
        before = self.hole.before
        targets = [(self.shows_s(one.at), one.after) for one in decided]
        shown = [(self.shows_s(move.at), move) for move in moves]
        for at_s in self._times_s():
            done = [move for shown_s, move in shown if shown_s <= at_s]
            yield ReplicaPoll(
                sent_s=at_s,
                received_s=at_s,
                running=before.running + sum(move.running for move in done),
                listed=before.listed + sum(move.listed for move in done),
                target=([before.target, *(n for s, n in targets if s <= at_s)])[-1],
            )

    def _times_s(self) -> list[float]:
        from_s, to_s = self.hole.before.received_s, self.hole.after.sent_s
        number = math.ceil((to_s - from_s) / _POLL_S)
        regular = (from_s + (to_s - from_s) * n / number for n in range(1, number))
        times_s = {at for at in regular if not any(w.from_s < at < w.to_s for w in self.unsure)}
        times_s |= {at_s for window in self.unsure for at_s in window if at_s < to_s}
        return sorted(times_s)


def _moves(life: ReplicaLife, hole: _Hole) -> Iterator[_Move | None]:
    """Yield the changes of a replica in the gap; None for one that only the poll after it shows."""
    began, listed_s = _listing(life)
    if life.vanished and hole.after.received_s == life.shown_gone_s:
        yield None
    if hole.hides(began, listed_s):
        yield _Move(began, listed=1) if began is not None and hole.has(began) else None
    if hole.hides(life.running, life.shown_running_s):
        yield _Move(life.running, running=1) if life.running and hole.has(life.running) else None
    if life.running is not None and hole.hides(life.stopping, life.shown_stopping_s):
        at = life.stopping
        yield _Move(at, running=-1) if at is not None and hole.has(at) else None
    if hole.hides(life.gone, life.shown_gone_s):
        yield _Move(life.gone, listed=-1) if life.gone and hole.has(life.gone) else None


def _listing(life: ReplicaLife) -> tuple[Instant | None, float | None]:
    """Beginning of a replica by a clock, and the poll that listed it first; None if only a log did."""
    return life.submitted, None if life.listed.clock else life.listed.hi_s


def _decided(decisions: Sequence[Decision], hole: _Hole) -> list[Decision] | None:
    """Logged decisions that lead from the target before the gap to the one after; None if none do."""
    if any(not d.at.clock and hole.hides(d.at, d.at.hi_s) for d in decisions):
        return None
    own = [d for d in decisions if hole.has(d.at)]
    if own and own[0].at.mid_s <= hole.before.received_s and own[0].after == hole.before.target:
        own = own[1:]  # the poll before the gap shows it
    if own and own[-1].at.mid_s >= hole.after.sent_s and own[-1].before == hole.after.target:
        own = own[:-1]  # the poll after the gap does not show it yet
    target = hole.before.target
    for decision in own:
        if decision.before != target:
            return None
        target = decision.after
    return own if target == hole.after.target else None


def _comes_out(hole: _Hole, moves: Sequence[_Move]) -> bool:
    running = hole.before.running + sum(move.running for move in moves)
    listed = hole.before.listed + sum(move.listed for move in moves)
    return (running, listed) == (hole.after.running, hole.after.listed)


def _shown(life: ReplicaLife, log_polls: _LogPolls) -> ReplicaLife:
    """The replica as the polls in the gap show it."""
    began, listed_s = _listing(life)
    new: dict[str, object] = {}
    if began is not None and log_polls.hole.hides(began, listed_s):
        slack_s = began.skew_s + ORDER_TOLERANCE_S
        new["listed"] = Instant(began.mid_s - slack_s, log_polls.shows_s(began))
    for name in ("running", "stopping", "gone"):
        at: Instant | None = getattr(life, name)
        if at is not None and log_polls.hole.hides(at, getattr(life, f"shown_{name}_s")):
            new[f"shown_{name}_s"] = log_polls.shows_s(at)
    return msgspec.structs.replace(life, **new)


def unseen_windows(timeline: Timeline, gaps: Sequence[Gap]) -> list[Window]:
    """Parts of gaps in which logs do not tell what the deployment did."""
    return [part for gap in gaps for part in without(Window(gap.from_s, gap.to_s), timeline.told)]
