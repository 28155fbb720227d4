"""The moments at which an event was noticed, and was over, for each kind of event."""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet

import msgspec

from reports.analysis.events.subject import Crossing, Subject, first_poll, is_shown_running
from reports.analysis.lag.log_times import moment
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll
from reports.model.intervals import Instant
from scalelag.record.evidence_rows import LogKind
from scalelag.wording import count

_SICK: frozenset[LogKind] = frozenset(
    {"health_check_failed", "health_check_timed_out", "unhealthy_stopped", "stopping"}
)


class Ends(msgspec.Struct, frozen=True):
    """Moments of an event: `over` is None if it was not seen, for `reason`.

    `critical` is the replica that was the last to come, or to go. `lost` are those that it cost, or
    that a new version replaced.
    """

    detected: Instant | None = None
    over: Instant | None = None
    critical: ReplicaLife | None = None
    lost: frozenset[str] = frozenset()
    updates: bool = False
    reason: str | None = None


def ends_of(subject: Subject) -> Ends | None:
    """Moments of an event for one deployment; None if it does not concern it."""
    return _ENDS[subject.row.kind](subject)


def _of_loss(subject: Subject) -> Ends | None:
    lost = lost_of(subject)
    if not lost:
        return None
    seen = [*_signs(subject, lost)]
    detected = min(seen, key=lambda at: at.mid_s, default=None)
    return _whole_again(subject, lost, detected)


def lost_of(subject: Subject) -> frozenset[str]:
    """Replicas that a kill took: those that its job named, and those on the node that went."""
    row, names = subject.row, {life.replica for life in subject.timeline.replicas}
    found = names & set(row.lost)
    if row.kind == "kill_node":
        old = subject.lives(subject.old())
        found |= {one.replica for one in old if one.node == row.node and one.running is not None}
    return frozenset(found)


def _signs(subject: Subject, lost: AbstractSet[str]) -> Iterator[Instant]:
    """Moments at which Serve's state or log shows that replicas are lost."""
    begun_s = subject.begun.lo_s
    for life in subject.lives(lost):
        for at in (life.stopping, life.gone):
            if at is not None and at.hi_s > begun_s:
                yield at.not_before(begun_s)
    for event in subject.run.events:
        of_them = event.deployment == subject.key and event.replica in lost
        if of_them and event.kind in _SICK and event.at_s + event.skew_s > begun_s:
            yield moment(event)


def _whole_again(subject: Subject, lost: frozenset[str], detected: Instant | None) -> Ends:
    """Until as many replicas as wanted are RUNNING without those that were lost."""
    gone = subject.lives(lost)
    before = subject.before

    def whole(poll: ReplicaPoll) -> bool:
        still = sum(is_shown_running(life, poll.received_s) for life in gone)
        target = poll.target if poll.target is not None else (before.running if before else 1)
        return poll.running - still >= target and not still

    found = first_poll(subject, whole)
    if found is None:
        return Ends(detected, lost=lost, reason=_not_over(subject, lost))
    critical = _last(subject, found, lambda life: (life.running, life.shown_running_s), lost)
    return Ends(detected, _exact(found, critical and critical.running), critical, lost)


def _not_over(subject: Subject, lost: AbstractSet[str]) -> str:
    polls = subject.timeline.polls
    if not polls:
        return "no poll showed the deployment"
    last = polls[-1]
    still = sum(is_shown_running(life, last.received_s) for life in subject.lives(lost))
    return f"{last.running - still} of {last.target} RUNNING when watching ended"


def _last(
    subject: Subject,
    found: Crossing,
    of: Callable[[ReplicaLife], tuple[Instant | None, float | None]],
    without: AbstractSet[str],
) -> ReplicaLife | None:
    """The replica whose change completed what the poll of `found` shows; None if none did."""
    came = [
        (at.mid_s, life.replica, life)
        for life in subject.timeline.replicas
        for at, shown_s in (of(life),)
        if at is not None and life.replica not in without and shown_s == found.poll.received_s
    ]
    return max(came, key=lambda one: one[:2])[2] if came else None


def _exact(found: Crossing, logged: Instant | None) -> Instant:
    """The logged moment, if there is one; else what polls show."""
    return logged if logged is not None and logged.clock else found.at


def _of_controller(subject: Subject) -> Ends | None:
    begun_s = subject.begun.lo_s
    restarts = [row for row in subject.run.restarts if row.hi_s > begun_s]
    if not restarts:
        return Ends(reason="neither polls nor logs showed that the controller restarted")
    detected = Instant(max(begun_s, restarts[0].lo_s), restarts[0].hi_s)

    def whole(poll: ReplicaPoll) -> bool:
        return not poll.recovering and poll.running >= (poll.target or 0)

    # The poll that shows the new controller may show its replicas RUNNING, too.
    found = first_poll(subject, whole, from_s=detected.hi_s - 1e-6)
    if found is None:
        return Ends(detected, reason=_not_over(subject, frozenset()))
    return Ends(detected, found.at)


def _of_scale(subject: Subject) -> Ends | None:
    if subject.key != subject.row.name:
        return None
    wanted, before = subject.row.count or 0, subject.before
    up = before is None or before.listed <= wanted
    told = first_poll(subject, lambda poll: poll.target == wanted)
    if told is None:
        return Ends(reason="no poll showed the new target")

    def there(poll: ReplicaPoll) -> bool:
        return poll.running >= wanted if up else poll.listed <= wanted

    found = first_poll(subject, there, from_s=told.poll.received_s - 1e-6)
    if found is None:
        return Ends(told.at, reason=_not_over(subject, frozenset()))
    if up:
        critical = _last(
            subject, found, lambda life: (life.running, life.shown_running_s), frozenset()
        )
        return Ends(told.at, _exact(found, critical and critical.running), critical)
    critical = _last(subject, found, lambda life: (life.gone, life.shown_gone_s), frozenset())
    return Ends(told.at, _exact(found, critical and critical.gone), critical)


def _of_deploy(subject: Subject) -> Ends | None:
    if not any(subject.key.startswith(f"{app}/") for app in subject.row.apps):
        return None
    begun_s, old = subject.begun.lo_s, subject.old()
    if not old:
        come = first_poll(subject, lambda _: True)
        return msgspec.structs.replace(_whole_again(subject, old, come and come.at), updates=True)
    update = next((one for one in subject.changes.updates if one.begun.hi_s > begun_s), None)
    if update is not None and update.replaced:
        found = _whole_again(subject, old, update.begun.not_before(begun_s))
        return msgspec.structs.replace(found, updates=True)
    configs = [row for row in subject.changes.configs if row.hi_s > begun_s]
    if update is not None:
        # The same replicas take the new version.
        over = update.over and update.over.not_before(begun_s)
        return Ends(update.begun.not_before(begun_s), over, updates=True)
    if configs:
        changed = Instant(max(begun_s, configs[0].lo_s), configs[0].hi_s)
        return Ends(changed, changed, updates=True)
    return Ends(updates=True, reason="nothing of it changed")


def _of_delete(subject: Subject) -> Ends | None:
    if not subject.key.startswith(f"{subject.row.name}/"):
        return None
    begun_s = subject.begun.lo_s
    gone = next((one for one in subject.changes.absences if one.gone.hi_s > begun_s), None)
    detected = gone and gone.gone.not_before(begun_s)
    lives = subject.lives(subject.old())
    left = [life for life in lives if life.gone is None]
    if left or not lives:
        return Ends(
            detected,
            reason=f"{count(len(left), 'replica was', 'replicas were')} left when watching ended",
        )
    last = max(lives, key=lambda life: life.gone.mid_s if life.gone else 0.0)
    return Ends(detected, last.gone and last.gone.not_before(begun_s), last)


_ENDS: dict[str, Callable[[Subject], Ends | None]] = {
    "kill_replicas": _of_loss,
    "kill_node": _of_loss,
    "kill_controller": _of_controller,
    "kill_proxy": lambda _: None,
    "scale": _of_scale,
    "deploy": _of_deploy,
    "delete": _of_delete,
}
