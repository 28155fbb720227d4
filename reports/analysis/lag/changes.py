"""Changes of one deployment during a run by somebody else than its autoscaler."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from reports.analysis.lag.log_times import agrees, moment
from reports.model.intervals import Instant, Window
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import scaling_of
from scalelag.record.evidence_rows import LogEvent, LogKind
from scalelag.record.rows import (
    UPDATE_STARTED,
    CapacityChange,
    ConfigChange,
    ControllerRestart,
    DeploymentKey,
    DeploymentPoll,
    Poll,
    StatusChange,
    Transition,
)
from scalelag.record.run_dir import RecordedRun

_DELETES = "DELETING"
_READY = ("HEALTHY", "UPSCALING", "DOWNSCALING")
_AUTOSCALES = "AUTOSCALING"
_FOREVER_S = math.inf


class Update(msgspec.Struct, frozen=True):
    """A new version came: `over` is None if it was not there by the last poll.

    `replaced` are the replicas of the old version that were stopped for it; `taken_away` is how many
    more of them went meanwhile, since the target fell. `failed` is the status with which it ended in
    place of HEALTHY, `ready_s` when it was that after all. `from_start`: it was coming already when
    watching began.
    """

    begun: Instant
    over: Instant | None
    replaced: frozenset[str] = frozenset()
    failed: str | None = None
    ready_s: float = _FOREVER_S
    from_start: bool = False
    taken_away: int = 0

    @property
    def window(self) -> Window:
        """From the last poll before it to the first one that shows it HEALTHY."""
        return Window(-_FOREVER_S if self.from_start else self.begun.lo_s, self.ready_s)


class Absence(msgspec.Struct, frozen=True):
    """The deployment was deleted; `back` when it was deployed again, None if it was not.

    From `ready_s` on, the first poll that shows it HEALTHY, it counts as there; `never_ready` if it
    was gone again before that, at `ready_s`. `from_start`: it was
    not there yet when watching began, at `gone`.
    """

    gone: Instant
    back: Instant | None = None
    ready_s: float = _FOREVER_S
    from_start: bool = False
    never_ready: bool = False

    def what(self, zero_s: float) -> str:
        """`was deleted at 39.8 s`, in seconds after `zero_s`."""
        if self.from_start:
            until = f"until {self.back.mid_s - zero_s:.1f} s" if self.back else "from the start"
            return f"was not there {until}"
        return f"was deleted at {self.gone.mid_s - zero_s:.1f} s"

    @property
    def window(self) -> Window:
        """From the last poll that showed it to the first one that shows it HEALTHY again."""
        return Window(self.gone.lo_s, self.ready_s)


class Changes(msgspec.Struct, frozen=True):
    """All changes of one deployment, each kind by time. `deployed` is its first configuration."""

    zero_s: float
    deployed: DeploymentInfo | None = None
    configs: tuple[ConfigChange, ...] = ()
    updates: tuple[Update, ...] = ()
    absences: tuple[Absence, ...] = ()
    capacities: tuple[CapacityChange, ...] = ()

    def info_at(self, at_s: float) -> DeploymentInfo | None:
        """Configuration in force at a moment, as far as polls had shown it by then.

        How long an ingress drains is the cluster's environment, which only the start of a run knows.
        """
        shown = [row.info for row in self.configs if row.hi_s <= at_s]
        if not shown:
            return self.deployed
        return shown[-1] if shown[-1].is_ingress is False else _with_drain(shown[-1], self.deployed)

    def absence_at(self, at_s: float) -> Absence | None:
        """Absence that a moment lies in; None if the deployment was there."""
        return next((a for a in self.absences if a.gone.lo_s <= at_s < a.ready_s), None)

    def absence_between(self, since_s: float, until_s: float) -> Absence | None:
        """The first absence that began between two moments; None if there is none."""
        return next((a for a in self.absences if since_s < a.gone.lo_s <= until_s), None)

    def there_around(self, at_s: float) -> Window:
        """Time around a moment in which the deployment was there without an absence."""
        from_s = max((a.ready_s for a in self.absences if a.ready_s <= at_s), default=-_FOREVER_S)
        ended = [a.gone.lo_s for a in self.absences if a.gone.lo_s > at_s]
        return Window(from_s, min(ended, default=_FOREVER_S))

    def unlike_between(self, from_s: float, to_s: float) -> str | None:
        """Sentence on the first change in a time, after which its figures cannot be told."""
        found = [
            (row.lo_s, row.hi_s, "its configuration changed")
            for row in self.configs
            if row.lo_s < to_s and row.hi_s > from_s
        ]
        found += [
            (update.begun.lo_s, update.begun.hi_s, "a new version of it came")
            for update in self.updates
            if update.window.from_s < to_s and update.window.to_s > from_s
        ]
        if not found:
            return None
        lo_s, hi_s, what = min(found)
        return f"{what} at {_middle_s(lo_s, hi_s) - self.zero_s:.1f} s"


def _middle_s(lo_s: float, hi_s: float) -> float:
    return (lo_s + hi_s) / 2 if math.isfinite(lo_s) else hi_s


def changes_of(run: RecordedRun, key: DeploymentKey) -> Changes:
    """All changes of the watched deployment `key`.

    Absences are read from the polls, which older records have too.
    """
    statuses = [row for row in run.statuses if row.deployment == key]
    events = [event for event in run.events if event.deployment == key]
    absences = tuple(_absences(run.polls, key, statuses, events))
    deployed = run.info.target.deployments.get(key)
    configs = tuple(
        ConfigChange(key, row.lo_s, row.hi_s, _with_drain(row.info, deployed), row.changed)
        for row in run.configs
        if row.deployment == key
    )
    found = _updates(statuses, absences, _moves(run, key))
    return Changes(
        zero_s=run.info.zero_s,
        deployed=deployed,
        configs=configs,
        updates=tuple(
            msgspec.structs.replace(
                one,
                begun=_narrowed(one.begun, events, "version_deployed"),
                over=_last_started(one.over, events) if one.over and not one.failed else one.over,
            )
            for one in found
            if one.replaced or not (_is_told(one, configs) or _is_recovery(one, run.restarts))
        ),
        absences=absences,
        capacities=run.capacities,
    )


def _narrowed(seen: Instant, events: Sequence[LogEvent], kind: LogKind) -> Instant:
    """The moment of the log's line of this kind within what polling saw; else what polling saw."""
    logged = [moment(event) for event in events if event.kind == kind]
    return next((at for at in logged if agrees(seen, at)), seen)


def _last_started(over: Instant, events: Sequence[LogEvent]) -> Instant:
    """The log's last line on a replica that started, within what polling saw as an update's end."""
    logged = [moment(event) for event in events if event.kind == "started"]
    return max((at for at in logged if agrees(over, at)), key=lambda at: at.mid_s, default=over)


def since(changes: Changes) -> tuple[str, ...]:
    """Facts, in words, on what was in effect at the end and not at the beginning: bounds, deletion."""
    found: list[str] = []
    if changes.deployed is not None and changes.configs:
        before, last = scaling_of(changes.deployed), changes.configs[-1]
        after = scaling_of(last.info)
        if (before.least, before.most) != (after.least, after.most):
            at_s = _middle_s(last.lo_s, last.hi_s) - changes.zero_s
            found.append(f"{after.least} to {after.most} since {at_s:.1f} s")
    gone = [absence for absence in changes.absences if absence.back is None]
    return (*found, *(absence.what(changes.zero_s) for absence in gone))


def last_infos(run: RecordedRun) -> dict[DeploymentKey, DeploymentInfo]:
    """The last configuration of each deployment."""
    infos = dict(run.info.target.deployments)
    return infos | {row.deployment: row.info for row in run.configs}


def _with_drain(info: DeploymentInfo, deployed: DeploymentInfo | None) -> DeploymentInfo:
    """Keep the draining period, which polls do not show in HAProxy mode."""
    if deployed is None or info.least_drain_s is not None:
        return info
    return msgspec.structs.replace(info, least_drain_s=deployed.least_drain_s)


def _absences(
    polls: Sequence[Poll],
    key: DeploymentKey,
    statuses: Sequence[StatusChange],
    events: Sequence[LogEvent],
) -> Iterator[Absence]:
    """Absences as polls show them, their beginnings narrowed by what the log says."""
    seen = [(poll, poll.deployments.get(key)) for poll in polls if key not in poll.hidden]
    if not seen:
        return
    begun_s = seen[0][0].sent_s
    first = next((i for i, (_, now) in enumerate(seen) if now is not None), None)
    since_start = _narrowed(Instant(begun_s, begun_s), events, "deleting")
    if first is None:
        yield Absence(since_start, from_start=True)
    elif first:
        deployed = Instant(seen[first - 1][0].sent_s, seen[first][0].received_s)
        yield _back(Absence(since_start, deployed, from_start=True), seen[first:])
    for number, ((last, was), (first, now)) in enumerate(pairwise(seen), start=1):
        if was is not None and now is None:
            seen_going = _deleting(statuses, last) or Instant(last.sent_s, first.received_s)
            gone = _narrowed(seen_going, events, "deleting")
            back = next((i for i in range(number, len(seen)) if seen[i][1] is not None), None)
            if back is None:
                yield Absence(gone)
            else:
                deployed = Instant(seen[back - 1][0].sent_s, seen[back][0].received_s)
                yield _back(Absence(gone, deployed), seen[back:])


def _deleting(statuses: Sequence[StatusChange], last: Poll) -> Instant | None:
    """Moment at which the status began to say so, if it did in the last poll that showed it."""
    shown = [row for row in statuses if row.hi_s <= last.received_s]
    if not shown or shown[-1].trigger != _DELETES or shown[-1].lo_s is None:
        return None
    return Instant(shown[-1].lo_s, shown[-1].hi_s)


def _back(absence: Absence, seen: Sequence[tuple[Poll, DeploymentPoll | None]]) -> Absence:
    """The absence until the first poll that shows it HEALTHY, or gone again."""
    for poll, now in seen:
        if now is None or now.status in _READY:
            return msgspec.structs.replace(
                absence, ready_s=poll.received_s, never_ready=now is None
            )
    return absence


class _Moves(msgspec.Struct, frozen=True):
    """Polls at which each replica was first listed, first RUNNING, and at which it began to stop."""

    listed_s: dict[str, float]
    running_s: dict[str, float]
    stopped_s: dict[str, float]


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

    Serve lists some replicas only when they stop: those were there at the poll before, or since their
    start by Serve's own clock.
    """
    if first.to_state != "STOPPING" or first.lo_s is None:
        return first.hi_s
    started_s = first.start_time_s
    return first.lo_s if started_s is None else min(first.lo_s, started_s - (offset_s or 0.0))


def _is_told(update: Update, configs: Sequence[ConfigChange]) -> bool:
    """Return True if a changed configuration says all that there is to say of an update."""
    return any(row.lo_s < update.begun.hi_s and row.hi_s > update.begun.lo_s for row in configs)


def _is_recovery(update: Update, restarts: Sequence[ControllerRestart]) -> bool:
    """Return True if it began with a new controller, which calls each deployment UPDATING at first."""
    return any(row.lo_s <= update.begun.hi_s and row.hi_s >= update.begun.lo_s for row in restarts)


def _updates(
    statuses: Sequence[StatusChange], absences: Sequence[Absence], moves: _Moves
) -> Iterator[Update]:
    """New versions, other than those with which the deployment came."""
    begun: StatusChange | None = None
    for number, row in enumerate(statuses):
        updating = row.trigger == UPDATE_STARTED
        if updating and begun is None:
            begun = row
        elif not updating and begun is not None:
            yield from _update(begun, statuses[number:], absences, moves)
            begun = None
    if begun is not None:
        yield from _update(begun, (), absences, moves)


def _update(
    first: StatusChange,
    later: Sequence[StatusChange],
    absences: Sequence[Absence],
    moves: _Moves,
) -> Iterator[Update]:
    """The update that begins with `first`; `later` are the statuses after UPDATING.

    If the autoscaler moves the target in mid-update, its own status takes that place, and the update
    goes on.
    """
    begun = Instant(first.hi_s if first.lo_s is None else first.lo_s, first.hi_s)
    if any(a.back and a.back.lo_s <= begun.lo_s < a.ready_s for a in absences):
        return
    while later and later[0].trigger == _AUTOSCALES and _goes_on(begun, later[0].hi_s, moves):
        later = later[1:]
    over = Instant(later[0].lo_s or begun.lo_s, later[0].hi_s) if later else None
    ready_s = next((row.hi_s for row in later if row.status in _READY), _FOREVER_S)
    went = _went(begun, over, moves)
    replaced = went[: _came(begun, over, moves)]
    yield Update(
        begun,
        over,
        frozenset(replaced),
        failed=later[0].status if later and later[0].status not in _READY else None,
        ready_s=ready_s,
        from_start=first.lo_s is None,
        taken_away=len(went) - len(replaced) if replaced else 0,
    )


def _goes_on(begun: Instant, at_s: float, moves: _Moves) -> bool:
    """Return True if some of the old version had gone by then, and others, or new ones, had not come.

    Replicas that are first listed by then may be those that the autoscaler asked for.
    """
    old = _old(begun, moves)
    stopped = [moves.stopped_s.get(name, _FOREVER_S) for name in old]
    new = [name for name, s in moves.listed_s.items() if name not in old and s < at_s]
    starting = any(moves.running_s.get(name, _FOREVER_S) > at_s for name in new)
    return any(begun.lo_s < s <= at_s for s in stopped) and (
        starting or (bool(new) and any(s >= at_s for s in stopped))
    )


def _old(begun: Instant, moves: _Moves) -> set[str]:
    """Replicas of the version before an update."""
    return {name for name, listed_s in moves.listed_s.items() if listed_s < begun.hi_s}


def _came(begun: Instant, over: Instant | None, moves: _Moves) -> int:
    """Number of replicas that came during an update."""
    old, last_s = _old(begun, moves), over.hi_s if over else _FOREVER_S
    return sum(begun.lo_s < s <= last_s for n, s in moves.listed_s.items() if n not in old)


def _went(begun: Instant, over: Instant | None, moves: _Moves) -> list[str]:
    """Replicas of the old version that stopped during an update, by time.

    So many of them were replaced as new ones came: a bound, or the autoscaler, took the last away.
    """
    last_s = over.hi_s if over else _FOREVER_S
    left = [
        name
        for name in _old(begun, moves)
        if begun.lo_s < moves.stopped_s.get(name, -_FOREVER_S) <= last_s
    ]
    return sorted(left, key=lambda name: (moves.stopped_s[name], name))
