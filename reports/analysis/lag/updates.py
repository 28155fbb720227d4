"""New versions of one deployment during a run, from its statuses and the lives of its replicas."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from reports.analysis.lag.log_times import agrees, moment, narrowed
from reports.model.intervals import Instant, Window
from scalelag.record.event_rows import EventRow
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import (
    BUILD_FAILED,
    OF_APPLICATION,
    UPDATE_STARTED,
    ConfigChange,
    ControllerRestart,
    DeploymentKey,
    StatusChange,
    Transition,
)
from scalelag.record.run_dir import RecordedRun

DELETES = "DELETING"
NEXT_CAME = "another new version came"
DELETED = "it was deleted"
_HEALTHY = "HEALTHY"
_UPDATES = "UPDATING"
_AUTOSCALES = "AUTOSCALING"
_FAILED = (BUILD_FAILED, "UNHEALTHY")
_FOREVER_S = math.inf


class Update(msgspec.Struct, frozen=True):
    """A new version of a deployment; `over` is None if it had not come fully by the last poll.

    `rolls`: new replicas replace the old ones; otherwise the old ones take the new version.
    `replaced` are the old ones stopped for it; `taken_away` counts those that went meanwhile
    because the target fell. It may end at `over` without being whole: with status `failed`, or for
    the reason `cut`. `ready_s` is when Serve called it HEALTHY after all. `from_start`: it was
    coming when watching began. `unsure_s`: the autoscaler's status replaced UPDATING then, so it is
    not known when the old replicas had the new version. `told`: a changed configuration says all
    there is to say of it.
    """

    begun: Instant
    over: Instant | None
    rolls: bool = False
    replaced: frozenset[str] = frozenset()
    failed: str | None = None
    cut: str | None = None
    ready_s: float = _FOREVER_S
    from_start: bool = False
    taken_away: int = 0
    unsure_s: float | None = None
    told: bool = False

    @property
    def window(self) -> Window:
        """From the last poll before it to the first one that shows it HEALTHY."""
        return Window(-_FOREVER_S if self.from_start else self.begun.lo_s, self.ready_s)

    @property
    def done(self) -> Instant | None:
        """Moment at which it was whole; None if it never was."""
        return None if self.failed or self.cut else self.over


def updates_of(
    run: RecordedRun,
    key: DeploymentKey,
    configs: Sequence[ConfigChange],
    coming: Sequence[Window],
    gone: Sequence[Instant],
) -> tuple[Update, ...]:
    """New versions of `key`, by time, except those with which it came in the times `coming`.

    `gone` are the moments at which it was deleted.
    """
    moves = _moves(run, key)
    lines = [one for one in run.events if one.deployment == key]
    deploys = [
        row
        for row in run.run_events
        if row.kind == "deploy" and not row.error and key.rpartition("/")[0] in row.apps
    ]
    found: list[Update] = []
    for part in _parts([row for row in run.statuses if row.deployment == key], lines):
        if _within(part.seen, coming):
            continue
        for each in _split(part, moves, gone, lines, deploys):
            if _within(each.begun, coming):
                # Deleted in mid-update, and back before a poll showed another status.
                continue
            one = _exact(each, lines)
            quiet = not one.replaced
            if quiet and any(_overlap(one.begun, row) for row in run.restarts):
                # A new controller calls each deployment UPDATING at first.
                continue
            whole = not (one.rolls or one.failed or one.cut)
            told = quiet and whole and any(_overlap(one.begun, row) for row in configs)
            found.append(msgspec.structs.replace(one, told=told))
    return tuple(found)


def _within(at: Instant, windows: Sequence[Window]) -> bool:
    return any(w.from_s <= at.lo_s < w.to_s for w in windows)


def _overlap(at: Instant, row: ConfigChange | ControllerRestart) -> bool:
    return row.lo_s <= at.hi_s and row.hi_s >= at.lo_s


class _Part(msgspec.Struct, frozen=True):
    """One new version in the statuses: `rows` are those until the next one, `after` all later ones."""

    seen: Instant
    begun: Instant
    status: str
    rows: tuple[StatusChange, ...]
    after: tuple[StatusChange, ...]
    next_came: Instant | None
    from_start: bool = False

    @property
    def healthy(self) -> StatusChange | None:
        """The status that ends it well."""
        return next((row for row in self.rows if row.status == _HEALTHY), None)

    def until(self, at: Instant) -> "_Part":
        """The part before another version that came at a moment."""
        rows = tuple(row for row in self.rows if row.hi_s <= at.hi_s)
        return msgspec.structs.replace(self, rows=rows, next_came=at)

    def since(self, at: Instant) -> "_Part":
        """The part from another version on."""
        rows, after = (tuple(r for r in of if r.hi_s > at.hi_s) for of in (self.rows, self.after))
        return _Part(at, at, _UPDATES, rows, after, self.next_came)


def _parts(statuses: Sequence[StatusChange], lines: Sequence[LogEvent]) -> Iterator[_Part]:
    numbers = list(_begins(statuses))
    for number, following in pairwise([*numbers, None]):
        if number is None:
            return
        first = statuses[number]
        seen = _moment(first)
        yield _Part(
            seen=seen,
            begun=narrowed(seen, lines, "version_deployed"),
            status=first.status,
            rows=tuple(statuses[number + 1 : following]),
            after=tuple(statuses[number + 1 :]),
            next_came=None if following is None else _moment(statuses[following]),
            from_start=first.lo_s is None,
        )


def _begins(statuses: Sequence[StatusChange]) -> Iterator[int]:
    """Indices of the statuses that begin a new version; a new number of replicas may come before it."""
    under_way: StatusChange | None = None
    for number, row in enumerate(statuses):
        if row.trigger != UPDATE_STARTED:
            under_way = None
        elif under_way is None or (row.status == _UPDATES and under_way.status != _UPDATES):
            under_way = row
            yield number


def _moment(row: StatusChange, from_s: float | None = None) -> Instant:
    lo_s = (row.hi_s if from_s is None else from_s) if row.lo_s is None else row.lo_s
    return Instant(lo_s, row.hi_s)


class _Moves(msgspec.Struct, frozen=True):
    """Polls at which each replica was first listed, first RUNNING, and at which it began to stop."""

    listed_s: dict[str, float]
    running_s: dict[str, float]
    stopped_s: dict[str, float]

    def old(self, at: Instant) -> set[str]:
        """Replicas of the version before the one that came at a moment."""
        return {name for name, listed_s in self.listed_s.items() if listed_s < at.hi_s}

    def new(self, at: Instant, until_s: float) -> set[str]:
        """Replicas that were listed between a new version and a later moment."""
        old = self.old(at)
        return {n for n, s in self.listed_s.items() if n not in old and at.lo_s < s <= until_s}

    def left(self, names: set[str], at_s: float) -> set[str]:
        """Those of some replicas that had not begun to stop by a moment."""
        return {name for name in names if self.stopped_s.get(name, _FOREVER_S) > at_s}

    def went(self, at: Instant, until_s: float) -> list[str]:
        """Replicas of the old version that stopped by a moment, in order of time.

        As many of them were replaced as new ones came. The others went by a bound or the
        autoscaler.
        """
        stopped_s = self.stopped_s
        names = [n for n in self.old(at) if at.lo_s < stopped_s.get(n, -_FOREVER_S) <= until_s]
        return sorted(names, key=lambda name: (stopped_s[name], name))

    def rolled_by(self, at: Instant, moved_s: float) -> bool:
        """Return True if new replicas ran in place of all old ones when the autoscaler moved.

        Replicas first listed at that moment do not count: the autoscaler may have asked for them.
        """
        new = {n for n in self.new(at, moved_s) if self.listed_s[n] < moved_s}
        starting = {n for n in new if self.running_s.get(n, _FOREVER_S) > moved_s}
        return (
            bool(new) and not self.left(self.old(at), moved_s) and not self.left(starting, moved_s)
        )


def _moves(run: RecordedRun, key: DeploymentKey) -> _Moves:
    moves = _Moves({}, {}, {})
    for row in run.transitions:
        if row.deployment == key:
            moves.listed_s.setdefault(row.replica, _there_s(row, run.info.clock.offset_s))
            if row.to_state == "RUNNING":
                moves.running_s.setdefault(row.replica, row.hi_s)
            if row.to_state in ("STOPPING", None):
                moves.stopped_s.setdefault(row.replica, row.hi_s)
    return moves


def _there_s(first: Transition, offset_s: float | None) -> float:
    """Moment from which a replica was there; `first` is the row that shows it first.

    Serve lists some replicas only when they stop. Those were there at the poll before, or since
    their start by Serve's own clock.
    """
    if first.to_state != "STOPPING" or first.lo_s is None:
        return first.hi_s
    started_s = first.start_time_s
    return first.lo_s if started_s is None else min(first.lo_s, started_s - (offset_s or 0.0))


def _split(
    part: _Part,
    moves: _Moves,
    gone: Sequence[Instant],
    lines: Sequence[LogEvent],
    deploys: Sequence[EventRow],
) -> Iterator[Update]:
    """The new version, or several that came one after another while the status stayed UPDATING."""
    whole = _update(part, moves, gone)
    until_s = whole.done.lo_s if whole.done else _FOREVER_S
    if part.next_came is not None:
        until_s = min(until_s, part.next_came.lo_s)
    again = _deployed_again(part, until_s, moves, lines, deploys)
    if again is None:
        yield whole
        return
    yield _update(part.until(again), moves, gone)
    yield from _split(part.since(again), moves, gone, lines, deploys)


def _deployed_again(
    part: _Part,
    until_s: float,
    moves: _Moves,
    lines: Sequence[LogEvent],
    deploys: Sequence[EventRow],
) -> Instant | None:
    """Moment of another version before `until_s`, by the log or by an event of this run.

    A log that tells of the first version tells of all. An event counts if what came before it is
    replaced as well, and if it did not bring the next version in the statuses.
    """
    if part.begun.clock:
        told = [moment(line) for line in lines if line.kind == "version_deployed"]
        later = (at for at in told if part.begun.hi_s < at.lo_s and at.hi_s < until_s)
        return min(later, key=lambda at: at.lo_s, default=None)
    end_s = part.healthy.hi_s if part.healthy else until_s
    if part.next_came is not None:
        deploys = [row for row in deploys if row.begun_s < part.next_came.hi_s][:-1]
    for row in deploys:
        at_s = row.begun_s - row.skew_s
        before = moves.new(part.begun, at_s)
        if part.begun.hi_s < at_s < until_s and before and not moves.left(before, end_s):
            signs = [s for s in (*moves.listed_s.values(), *moves.stopped_s.values()) if s > at_s]
            return Instant(at_s, min(signs, default=at_s))
    return None


def _update(part: _Part, moves: _Moves, gone: Sequence[Instant]) -> Update:
    """The new version of a part.

    In mid-update the status UPDATING may give way to that of the autoscaler, or of a failed health
    check. The update goes on then.
    """
    begun = part.begun
    moved = next((row for row in part.rows if row.trigger == _AUTOSCALES), None)
    rolls = part.status == _UPDATES and _rolls(part, moves, moved)
    over, ready_s = _rolled(part, moves) if rolls else _taken(part, moved)
    failed = cut = None
    if over is None:
        over, failed, cut = _broken_off(part, gone)
        ready_s = next((row.hi_s for row in part.after if row.status == _HEALTHY), _FOREVER_S)
    last_s = over.hi_s if over else _FOREVER_S
    went = moves.went(begun, last_s)
    replaced = went[: len(moves.new(begun, last_s))]
    return Update(
        begun,
        over,
        rolls,
        frozenset(replaced),
        failed=failed,
        cut=cut,
        ready_s=ready_s,
        from_start=part.from_start,
        taken_away=len(went) - len(replaced) if replaced else 0,
        unsure_s=None if rolls or moved is None else _moment(moved, begun.lo_s).lo_s,
    )


def _rolls(part: _Part, moves: _Moves, moved: StatusChange | None) -> bool:
    """Return True if replicas came in place of the old ones.

    Once Serve says HEALTHY, all running replicas are of the new version: old ones that still run
    took it.
    """
    begun, healthy = part.begun, part.healthy
    next_s = part.next_came.hi_s if part.next_came else _FOREVER_S
    end_s = healthy.hi_s if healthy else next_s
    new = moves.new(begun, end_s)
    if not new:
        return False
    if healthy is not None:
        return not moves.left(moves.old(begun), end_s)
    early = moved is None or any(moves.listed_s[name] < moved.hi_s for name in new)
    return early or bool(moves.went(begun, end_s))


def _rolled(part: _Part, moves: _Moves) -> tuple[Instant | None, float]:
    """Moment at which new replicas ran in place of all old ones, and from which it counts as ready.

    HEALTHY may have been missed between two polls, if another status or version follows.
    """
    begun, healthy, following = part.begun, part.healthy, part.next_came
    for row in part.rows:
        hid = row.trigger == _AUTOSCALES or row.status == "UNHEALTHY"
        if row is healthy or (hid and moves.rolled_by(begun, row.hi_s)):
            return _moment(row, begun.lo_s), row.hi_s
    if following is not None and moves.rolled_by(begun, following.lo_s):
        return Instant(begun.lo_s, following.lo_s), following.lo_s
    return None, _FOREVER_S


def _taken(part: _Part, moved: StatusChange | None) -> tuple[Instant | None, float]:
    """Moment at which the old replicas had taken the new version, and from which it counts as ready.

    HEALTHY may have been missed between two polls, before the autoscaler moved.
    """
    begun, healthy = part.begun, part.healthy
    if healthy is None:
        return None, _FOREVER_S
    at = _moment(healthy, begun.lo_s)
    if moved is None or moved.hi_s > healthy.hi_s:
        return at, healthy.hi_s
    return Instant(_moment(moved, begun.lo_s).lo_s, at.hi_s), moved.hi_s


def _broken_off(
    part: _Part, gone: Sequence[Instant]
) -> tuple[Instant | None, str | None, str | None]:
    """Moment at which it ended before it was whole, with its status or with words for the reason."""
    ended = [
        (_moment(row, part.begun.lo_s), row.status, None)
        for row in part.rows
        if row.status in _FAILED and row.trigger != OF_APPLICATION
    ]
    ended += [
        (_moment(row, part.begun.lo_s), None, DELETED)
        for row in part.rows
        if row.trigger == DELETES
    ]
    ended += [(at, None, DELETED) for at in gone if at.lo_s > part.begun.hi_s]
    if part.next_came is not None:
        ended.append((part.next_came, None, NEXT_CAME))
    return min(ended, key=lambda one: one[0].hi_s, default=(None, None, None))


def _exact(one: Update, lines: Sequence[LogEvent]) -> Update:
    """The update, ended by the log's last line on a started replica, if that agrees with polling."""
    if one.done is None or one.unsure_s is not None:
        return one
    logged = [moment(line) for line in lines if line.kind == "started"]
    agreeing = [at for at in logged if agrees(one.done, at)]
    return msgspec.structs.replace(
        one, over=max(agreeing, key=lambda at: at.mid_s, default=one.done)
    )
