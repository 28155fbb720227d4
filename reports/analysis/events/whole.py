"""The moment at which a deployment was whole again after an event: as many RUNNING as wanted."""

import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet

import msgspec

from reports.analysis.events.subject import (
    Crossing,
    Subject,
    TakenOver,
    first_poll,
    is_shown_running,
)
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll
from reports.model.intervals import Instant, Window

# A poll is answered no sooner than this after it was sent.
JUST_S = 1e-6


class Ends(msgspec.Struct, frozen=True):
    """Moments of an event; `over` is None if the end was not seen, for `reason`.

    `critical` is the last replica to come, or to go. `lost` are those that the event took, or that
    a new version replaced. Since `unseen_s`, while Serve hid the deployment, it may have been over.
    """

    detected: Instant | None = None
    over: Instant | None = None
    critical: ReplicaLife | None = None
    lost: frozenset[str] = frozenset()
    updates: bool = False
    reason: str | None = None
    unseen_s: float | None = None


def whole_again(subject: Subject, lost: frozenset[str], detected: Instant | None) -> Ends:
    """Ends when as many replicas as wanted are RUNNING, without those that were lost."""
    gone = subject.lives(lost)

    def whole(poll: ReplicaPoll) -> bool:
        still = sum(is_shown_running(life, poll.received_s) for life in gone)
        return poll.running - still >= wanted(subject, poll) and not still

    found = first_poll(subject, whole)
    until_s = math.inf if found is None else found.at.lo_s
    unseen = _perhaps_whole(subject, lost, until_s)
    logged = _whole_by_log(subject, lost, until_s if unseen is None else unseen.from_s)
    if logged is not None:
        return Ends(detected, logged.running, logged, lost)
    if found is None:
        reason = not_over(subject, lost)
        if unseen is None:
            return Ends(detected, lost=lost, reason=reason)
        hidden = _hidden_words(subject, unseen)
        return Ends(detected, lost=lost, reason=f"{reason}; {hidden}", unseen_s=unseen.from_s)
    if unseen is not None:
        at = Instant(unseen.from_s, found.at.hi_s).not_before(subject.begun.lo_s)
        hidden = _hidden_words(subject, unseen)
        return Ends(detected, at, lost=lost, reason=hidden, unseen_s=unseen.from_s)
    critical = last_changed(subject, found, lambda life: (life.running, life.shown_running_s), lost)
    return Ends(detected, exact(found, critical and critical.running), critical, lost)


def wanted(subject: Subject, poll: ReplicaPoll | None) -> int:
    """Target at a poll; after a later event took over, the target before it, since it heals nothing."""
    taken, before = subject.taken_over, subject.before
    if poll is not None and taken is not None and poll.received_s >= taken.at.hi_s:
        poll = subject.timeline.poll_before(taken.at.lo_s)
    if poll is not None and poll.target is not None:
        return poll.target
    return before.running if before else 1


def _whole_by_log(subject: Subject, lost: AbstractSet[str], until_s: float) -> ReplicaLife | None:
    """The replica that surely made it whole before a moment, though no poll showed it so."""
    lives, gone = subject.timeline.replicas, subject.lives(lost)
    came = [life for life in lives if life.running is not None and life.running.clock]
    for life in sorted(came, key=lambda one: one.running.mid_s if one.running else 0.0):
        at_s = life.running.mid_s if life.running else 0.0
        if not subject.begun.hi_s < at_s < until_s or life.replica in lost:
            continue
        if any(_may_run(one, at_s) for one in gone):
            continue
        sure = sum(_surely_runs(one, at_s) for one in lives)
        if sure >= wanted(subject, subject.timeline.poll_before(at_s)):
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


def _perhaps_whole(subject: Subject, lost: AbstractSet[str], until_s: float) -> Window | None:
    """The first hidden time, begun by a moment, in which the deployment may have become whole."""
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
        if len(able) >= wanted(subject, subject.timeline.poll_before(window.to_s - JUST_S)):
            return window
    return None


def _hidden_words(subject: Subject, window: Window) -> str:
    from_s, to_s = (at_s - subject.run.info.zero_s for at_s in window)
    return (
        f"Serve did not show it from {from_s:.1f} to {to_s:.1f} s, while it built its application: it "
        "may have been whole then"
    )


def not_over(subject: Subject, lost: AbstractSet[str], taken: TakenOver | None = None) -> str:
    """Sentence on how many were RUNNING at the end, or on when something else took over."""
    until_s, when = math.inf, "watching ended"
    if taken is not None:
        until_s, when = taken.at.lo_s, taken.what
    last = subject.timeline.poll_before(until_s)
    if last is None:
        return "no poll showed the deployment"
    still = sum(is_shown_running(life, last.received_s) for life in subject.lives(lost))
    return f"{last.running - still} of {last.target} RUNNING when {when}"


def last_changed(
    subject: Subject,
    found: Crossing,
    of: Callable[[ReplicaLife], tuple[Instant | None, float | None]],
    without: AbstractSet[str],
) -> ReplicaLife | None:
    """The replica whose change completed what the poll of `found` shows; None without one."""
    came = [
        (at.hi_s, at.mid_s, life.replica, life)
        for life in subject.timeline.replicas
        for at, shown_s in (of(life),)
        if at is not None and life.replica not in without and shown_s == found.poll.received_s
    ]
    return max(came, key=lambda one: one[:3])[3] if came else None


def exact(found: Crossing, logged: Instant | None) -> Instant:
    """The logged moment, if there is one; else what polls show."""
    return logged if logged is not None and logged.clock else found.at
