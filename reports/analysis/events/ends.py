"""The moments at which an event was noticed, and was over, for each kind of event."""

import math
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet

import msgspec

from reports.analysis.events.subject import (
    Crossing,
    Subject,
    TakenOver,
    first_poll,
    is_shown_running,
)
from reports.analysis.lag.log_times import agrees, moment
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll
from reports.analysis.restarts import logged_start
from reports.model.intervals import Instant, Window
from scalelag.record.evidence_rows import LogKind
from scalelag.wording import count

_SICK: frozenset[LogKind] = frozenset(
    {"health_check_failed", "health_check_timed_out", "unhealthy_stopped", "stopping"}
)

# A poll is answered no sooner than this after it was sent.
_JUST_S = 1e-6


class Ends(msgspec.Struct, frozen=True):
    """Moments of an event: `over` is None if it was not seen, for `reason`.

    `critical` is the replica that was the last to come, or to go. `lost` are those that it cost, or
    that a new version replaced. Since `unseen_s`, while Serve hid the deployment, it may be over.
    """

    detected: Instant | None = None
    over: Instant | None = None
    critical: ReplicaLife | None = None
    lost: frozenset[str] = frozenset()
    updates: bool = False
    reason: str | None = None
    unseen_s: float | None = None


def ends_of(subject: Subject) -> Ends | None:
    """Moments of an event for one deployment; None if it does not concern it.

    What was not over when a later event took over ends there.
    """
    ends, taken = _ENDS[subject.row.kind](subject), subject.taken_over
    if ends is None or taken is None or _is_over_by(ends, taken.at.hi_s):
        return ends
    left = _not_over(subject, ends.lost, taken)
    return msgspec.structs.replace(
        ends,
        detected=ends.detected if ends.detected and ends.detected.lo_s <= taken.at.hi_s else None,
        over=None,
        critical=None,
        reason=left if ends.unseen_s is None else f"{left}; {ends.reason}",
        unseen_s=min(taken.at.lo_s, ends.unseen_s or math.inf),
    )


def _is_over_by(ends: Ends, at_s: float) -> bool:
    """Return True if it was over by a moment; an end that nobody saw counts from when it was shown."""
    if ends.over is None:
        return False
    return (ends.over.lo_s if ends.unseen_s is None else ends.over.hi_s) <= at_s


def taken_over(subject: Subject) -> TakenOver | None:
    """The event as one that takes over from those before; None if it leaves the deployment be.

    A new version, a deletion and a new target do so, once Serve shows them.
    """
    if subject.row.kind not in ("deploy", "delete", "scale"):
        return None
    ends = ends_of(subject)
    if ends is None or ends.detected is None or (subject.row.kind == "deploy" and not ends.lost):
        return None
    return TakenOver(subject.row, ends.detected)


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

    def wanted(poll: ReplicaPoll | None) -> int:
        if poll is not None and poll.target is not None:
            return poll.target
        return before.running if before else 1

    def whole(poll: ReplicaPoll) -> bool:
        still = sum(is_shown_running(life, poll.received_s) for life in gone)
        return poll.running - still >= wanted(poll) and not still

    found = first_poll(subject, whole)
    until_s = math.inf if found is None else found.at.lo_s
    unseen = _perhaps_whole(subject, lost, wanted, until_s)
    logged = _whole_by_log(subject, lost, wanted, until_s if unseen is None else unseen.from_s)
    if logged is not None:
        return Ends(detected, logged.running, logged, lost)
    if found is None:
        reason = _not_over(subject, lost)
        if unseen is None:
            return Ends(detected, lost=lost, reason=reason)
        hidden = _hidden_words(subject, unseen)
        return Ends(detected, lost=lost, reason=f"{reason}; {hidden}", unseen_s=unseen.from_s)
    if unseen is not None:
        at = Instant(unseen.from_s, found.at.hi_s).not_before(subject.begun.lo_s)
        hidden = _hidden_words(subject, unseen)
        return Ends(detected, at, lost=lost, reason=hidden, unseen_s=unseen.from_s)
    critical = _last(subject, found, lambda life: (life.running, life.shown_running_s), lost)
    return Ends(detected, _exact(found, critical and critical.running), critical, lost)


def _whole_by_log(
    subject: Subject,
    lost: AbstractSet[str],
    wanted: Callable[[ReplicaPoll | None], int],
    until_s: float,
) -> ReplicaLife | None:
    """The replica with which it surely was whole before a moment, though no poll showed it so."""
    lives, gone = subject.timeline.replicas, subject.lives(lost)
    came = [life for life in lives if life.running is not None and life.running.clock]
    for life in sorted(came, key=lambda one: one.running.mid_s if one.running else 0.0):
        at_s = life.running.mid_s if life.running else 0.0
        if not subject.begun.hi_s < at_s < until_s or life.replica in lost:
            continue
        if any(_may_run(one, at_s) for one in gone):
            continue
        sure = sum(_surely_runs(one, at_s) for one in lives)
        if sure >= wanted(subject.timeline.poll_before(at_s)):
            return life
    return None


def _may_run(life: ReplicaLife, at_s: float) -> bool:
    return life.running is not None and (life.stopping is None or life.stopping.hi_s > at_s)


def _surely_runs(life: ReplicaLife, at_s: float) -> bool:
    return (
        life.running is not None
        and life.running.hi_s <= at_s
        and (life.stopping is None or life.stopping.lo_s > at_s)
    )


def _perhaps_whole(
    subject: Subject,
    lost: AbstractSet[str],
    wanted: Callable[[ReplicaPoll | None], int],
    until_s: float,
) -> Window | None:
    """The first time, begun by a moment, in which the deployment was hidden and may have been whole."""
    for window in subject.timeline.hidden:
        if window.to_s <= subject.begun.lo_s or window.from_s >= until_s:
            continue
        able = [
            life
            for life in subject.timeline.replicas
            if life.replica not in lost
            and life.running is not None
            and life.running.lo_s < window.to_s
            and (life.stopping is None or life.stopping.hi_s > window.from_s)
        ]
        if len(able) >= wanted(subject.timeline.poll_before(window.to_s - _JUST_S)):
            return window
    return None


def _hidden_words(subject: Subject, window: Window) -> str:
    from_s, to_s = (at_s - subject.run.info.zero_s for at_s in window)
    return (
        f"Serve did not show it from {from_s:.1f} to {to_s:.1f} s, while it built its application: it "
        "may have been whole then"
    )


def _not_over(subject: Subject, lost: AbstractSet[str], taken: TakenOver | None = None) -> str:
    """Sentence on how many were RUNNING at the end, or when a later event took over."""
    until_s, when = math.inf, "watching ended"
    if taken is not None:
        until_s, when = taken.at.lo_s, f"event {taken.row.index} ({taken.row.text}) took over"
    last = subject.timeline.poll_before(until_s)
    if last is None:
        return "no poll showed the deployment"
    still = sum(is_shown_running(life, last.received_s) for life in subject.lives(lost))
    return f"{last.running - still} of {last.target} RUNNING when {when}"


def _last(
    subject: Subject,
    found: Crossing,
    of: Callable[[ReplicaLife], tuple[Instant | None, float | None]],
    without: AbstractSet[str],
) -> ReplicaLife | None:
    """The replica whose change completed what the poll of `found` shows; None if none did."""
    came = [
        (at.hi_s, at.mid_s, life.replica, life)
        for life in subject.timeline.replicas
        for at, shown_s in (of(life),)
        if at is not None and life.replica not in without and shown_s == found.poll.received_s
    ]
    return max(came, key=lambda one: one[:3])[3] if came else None


def _exact(found: Crossing, logged: Instant | None) -> Instant:
    """The logged moment, if there is one; else what polls show."""
    return logged if logged is not None and logged.clock else found.at


def _of_controller(subject: Subject) -> Ends | None:
    begun_s = subject.begun.lo_s
    restarts = [row for row in subject.run.restarts if row.hi_s > begun_s]
    if not restarts:
        return Ends(reason="neither polls nor logs showed that the controller restarted")
    first = restarts[0]
    logged = logged_start(first, subject.run.events, subject.timeline.off)
    detected = (logged or Instant(first.lo_s, first.hi_s)).not_before(begun_s)

    def whole(poll: ReplicaPoll) -> bool:
        return not poll.recovering and poll.running >= (poll.target or 0)

    # The poll that shows the new controller may show its replicas RUNNING, too.
    found = first_poll(subject, whole, from_s=first.hi_s - _JUST_S)
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
        return msgspec.structs.replace(_whole_again(subject, old, _came(subject)), updates=True)
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


def _came(subject: Subject) -> Instant | None:
    """Moment at which a deployment of an event was there: by its line in the log, or between polls."""
    back = (one.back for one in subject.changes.absences)
    seen = next((at for at in back if at and at.hi_s > subject.begun.lo_s), None)
    if seen is None:
        come = first_poll(subject, lambda _: True)
        return come and come.at
    logged = [
        moment(event)
        for event in subject.run.events
        if event.deployment == subject.key and event.kind == "version_deployed"
    ]
    found = next((at for at in logged if agrees(seen, at)), seen)
    return found.not_before(subject.begun.lo_s)


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
