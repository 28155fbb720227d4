"""The moment at which a deployment that an event deployed was there, or had the new version."""

import math
from itertools import pairwise

import msgspec

from reports.analysis.events.subject import Subject, first_poll, moment_of
from reports.analysis.events.whole import Ends, not_over, whole_again
from reports.analysis.lag.log_times import narrowed
from reports.analysis.lag.updates import Update
from reports.model.intervals import Instant
from scalelag.record.rows import BUILD_FAILED, OF_APPLICATION
from scalelag.wording import last_line


def of_deploy(subject: Subject) -> Ends | None:
    """Moments of a deployment that came, or changed its version; None if the event left it alone."""
    if not is_deployed(subject):
        return None
    begun_s, old = subject.begun.lo_s, subject.old()
    if not old:
        return msgspec.structs.replace(whole_again(subject, old, _came(subject)), updates=True)
    update = update_by(subject)
    if update is not None:
        ends = _rolled(subject, update, old) if update.rolls else _taken(subject, update)
        return msgspec.structs.replace(
            ends, detected=update.begun.not_before(begun_s), updates=True
        )
    configs = [row for row in subject.changes.configs if row.hi_s > begun_s]
    unbuilt = _unbuilt(subject)
    if unbuilt is None and configs:
        changed = Instant(max(begun_s, configs[0].lo_s), configs[0].hi_s)
        return Ends(changed, changed, updates=True)
    return unbuilt or Ends(updates=True, reason="nothing of it changed")


def _unbuilt(subject: Subject) -> Ends | None:
    """A version that Serve could not build, while the one before goes on; None if nothing says so.

    It lasts until another status is shown, or watching ends, even while the deployment is hidden.
    """
    from_s, until_s = subject.begun.lo_s, min(_later_deploys(subject), default=math.inf)
    rows = [row for row in subject.run.statuses if row.deployment == subject.key]
    for row, following in pairwise([*rows, None]):
        failed = row is not None and row.status == BUILD_FAILED and row.trigger == OF_APPLICATION
        if row is not None and failed and from_s < row.hi_s <= until_s:
            seen = Instant(row.hi_s if row.lo_s is None else row.lo_s, row.hi_s)
            last_s = subject.run.polls[-1].received_s if subject.run.polls else row.hi_s
            return Ends(
                seen.not_before(from_s),
                updates=True,
                reason=f"failed ({row.status}): {last_line(row.message) or 'it could not be built'}",
                unseen_s=last_s if following is None else following.lo_s or last_s,
            )
    return None


def is_deployed(subject: Subject) -> bool:
    """Return True if the deployment is of an application that the event deployed."""
    return any(subject.is_of(app) for app in subject.row.apps)


def update_by(subject: Subject) -> Update | None:
    """The new version that an event brought: the first after it, unless a later deploy came first."""
    begun_s = subject.begun.lo_s
    found = next((one for one in subject.changes.updates if one.begun.hi_s > begun_s), None)
    if found is None or any(found.begun.hi_s > at_s for at_s in _later_deploys(subject)):
        return None
    return found


def _later_deploys(subject: Subject) -> list[float]:
    """Moments of later events that deploy its application."""
    return [
        moment_of(row).lo_s
        for row in subject.run.run_events
        if row.kind == "deploy" and not row.error and row.begun_s > subject.row.begun_s
        if is_deployed(msgspec.structs.replace(subject, row=row))
    ]


def _rolled(subject: Subject, update: Update, old: frozenset[str]) -> Ends:
    """Ends when all running replicas have the new version, which old replicas never take."""
    ends = whole_again(subject, old, None)
    if ends.over is not None or not update.failed:
        return ends
    last = not_over(subject, old).partition(" when ")[0]
    return msgspec.structs.replace(
        ends, reason=f"failed ({update.failed}): {last} are of the new version"
    )


def _taken(subject: Subject, update: Update) -> Ends:
    """Ends when Serve calls it HEALTHY, since the same replicas take the new version."""
    if update.done is not None:
        return Ends(over=update.done.not_before(subject.begun.lo_s))
    told = not_over(subject, frozenset())
    if update.failed:
        return Ends(reason=f"failed ({update.failed}): {told}")
    if update.unsure_s is not None:
        reason = f"{told}; the autoscaler moved the target before Serve called it HEALTHY"
        return Ends(reason=reason, unseen_s=update.unsure_s)
    return Ends(reason=f"{told}, and Serve did not call it HEALTHY")


def _came(subject: Subject) -> Instant | None:
    """Moment at which a deployment of an event was there: by its line in the log, or between polls."""
    back = (one.back for one in subject.changes.absences)
    seen = next((at for at in back if at and at.hi_s > subject.begun.lo_s), None)
    if seen is None:
        come = first_poll(subject, lambda _: True)
        return come and come.at
    events = [one for one in subject.run.events if one.deployment == subject.key]
    found = narrowed(seen, events, "version_deployed")
    return found.not_before(subject.begun.lo_s)
