"""The moments at which an event was noticed, and was over, by kind of event."""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet

import msgspec

from reports.analysis.events.deployed import is_deployed, of_deploy, update_by
from reports.analysis.events.subject import Subject, TakenOver, first_poll
from reports.analysis.events.whole import (
    JUST_S,
    Ends,
    exact,
    last_changed,
    not_over,
    wanted,
    whole_again,
)
from reports.analysis.lag.log_times import moment
from reports.analysis.lag.timeline import ReplicaPoll
from reports.analysis.lag.updates import DELETED, NEXT_CAME
from reports.analysis.restarts import logged_start
from reports.model.intervals import Instant
from scalelag.record.event_rows import EventRow
from scalelag.record.evidence_rows import LogKind
from scalelag.wording import count

_SICK: frozenset[LogKind] = frozenset(
    {"health_check_failed", "health_check_timed_out", "unhealthy_stopped", "stopping"}
)


def ends_of(subject: Subject) -> Ends | None:
    """Moments of an event for one deployment; None if it does not concern it.

    If a later event took over before the end, the event ends there.
    """
    ends, taken = _ENDS[subject.row.kind](subject), subject.taken_over
    if ends is None or taken is None or (ends.over and ends.over.hi_s <= taken.at.hi_s):
        return ends
    left = not_over(subject, ends.lost, taken)
    perhaps = (taken.at.lo_s, ends.unseen_s, ends.over and ends.over.lo_s)
    return msgspec.structs.replace(
        ends,
        detected=ends.detected if ends.detected and ends.detected.lo_s <= taken.at.hi_s else None,
        over=None,
        critical=None,
        reason=left if ends.unseen_s is None else f"{left}; {ends.reason}",
        unseen_s=min(at_s for at_s in perhaps if at_s is not None),
    )


def taken_over(subject: Subject) -> TakenOver | None:
    """The later event that takes over from those before; None if it does not change the deployment.

    A new version, a deletion and a new target take over once Serve shows them.
    """
    if subject.row.kind not in ("deploy", "delete", "scale"):
        return None
    ends = ends_of(subject)
    if ends is None or ends.detected is None or (subject.row.kind == "deploy" and not ends.lost):
        return None
    return TakenOver(f"event {subject.row.index} ({subject.row.text}) took over", ends.detected)


def taken_by_others(subject: Subject) -> Iterator[TakenOver]:
    """Deletions and new versions after an event that no event caused."""
    changes, begun_s = subject.changes, subject.begun.hi_s
    every = [
        msgspec.structs.replace(subject, row=row) for row in subject.run.run_events if not row.error
    ]
    deleted = [one for one in every if one.row.kind == "delete" and one.is_of(one.row.name)]
    brought = [update_by(one) for one in every if one.row.kind == "deploy" and is_deployed(one)]
    for absence in changes.absences:
        own = any(one.begun.lo_s < absence.gone.hi_s for one in deleted)
        if absence.gone.lo_s > begun_s and not own:
            yield TakenOver(DELETED, absence.gone)
    for update in changes.updates:
        if update.rolls and update not in brought and update.begun.lo_s > begun_s:
            yield TakenOver(NEXT_CAME, update.begun)


def _of_loss(subject: Subject) -> Ends | None:
    lost = lost_of(subject)
    if not lost:
        return None
    seen = [*_signs(subject, lost)]
    detected = min(seen, key=lambda at: at.mid_s, default=None)
    return whole_again(subject, lost, detected)


def lost_of(subject: Subject) -> frozenset[str]:
    """Replicas that a kill took: those named by its job, and those on the node that went."""
    row, names = subject.row, {life.replica for life in subject.timeline.replicas}
    found = names & set(row.lost)
    if row.kind == "kill_node":
        old = subject.lives(subject.old())
        found |= {one.replica for one in old if one.node == row.node and one.running is not None}
    return frozenset(found)


def later_loss(subject: Subject) -> EventRow | None:
    """The first later event that took other replicas of the deployment; None without one."""
    own = lost_of(subject)
    later = (
        row
        for row in subject.run.run_events
        if row.kind in ("kill_replicas", "kill_node")
        if row.error is None and row.begun_s > subject.row.begun_s
        if lost_of(msgspec.structs.replace(subject, row=row)) - own
    )
    return next(later, None)


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


def _of_controller(subject: Subject) -> Ends | None:
    begun_s = subject.begun.lo_s
    restarts = [row for row in subject.run.restarts if row.hi_s > begun_s]
    if not restarts:
        return Ends(reason="neither polls nor logs showed that the controller restarted")
    first = restarts[0]
    logged = logged_start(first, subject.run.events, subject.timeline.off)
    detected = (logged or Instant(first.lo_s, first.hi_s)).not_before(begun_s)

    def whole(poll: ReplicaPoll) -> bool:
        return not poll.recovering and poll.running >= wanted(subject, poll)

    # The poll that shows the new controller may show its replicas RUNNING, too.
    found = first_poll(subject, whole, from_s=first.hi_s - JUST_S)
    if found is None:
        return Ends(detected, reason=not_over(subject, frozenset()))
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
        return Ends(told.at, reason=not_over(subject, frozenset()))
    if up:
        critical = last_changed(
            subject, found, lambda life: (life.running, life.shown_running_s), frozenset()
        )
        return Ends(told.at, exact(found, critical and critical.running), critical)
    critical = last_changed(
        subject, found, lambda life: (life.gone, life.shown_gone_s), frozenset()
    )
    return Ends(told.at, exact(found, critical and critical.gone), critical)


def _of_delete(subject: Subject) -> Ends | None:
    if not subject.is_of(subject.row.name):
        return None
    begun_s = subject.begun.lo_s
    gone = next((one for one in subject.changes.absences if one.gone.hi_s > begun_s), None)
    detected = _first_sign(subject, gone and gone.gone.not_before(begun_s))
    lives = subject.lives(subject.old())
    left = [life for life in lives if life.gone is None]
    if left or not lives:
        return Ends(
            detected,
            reason=f"{count(len(left), 'replica was', 'replicas were')} left when watching ended",
        )
    last = max(lives, key=lambda life: life.gone.mid_s if life.gone else 0.0)
    return Ends(detected, last.gone and last.gone.not_before(begun_s), last)


def _first_sign(subject: Subject, gone: Instant | None) -> Instant | None:
    """Moment at which a deletion was noticed: the target may fall to 0 before it is gone."""
    before = subject.before
    none = first_poll(subject, lambda poll: poll.target == 0)
    if none is None or before is None or not before.target:
        return gone
    return none.at if gone is None or none.at.hi_s < gone.hi_s else gone


_ENDS: dict[str, Callable[[Subject], Ends | None]] = {
    "kill_replicas": _of_loss,
    "kill_node": _of_loss,
    "kill_controller": _of_controller,
    "kill_proxy": lambda _: None,
    "scale": _of_scale,
    "deploy": of_deploy,
    "delete": _of_delete,
}
