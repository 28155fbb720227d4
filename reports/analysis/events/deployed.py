"""The moment at which a deployment that an event brought was there, or was of the new version."""

import msgspec

from reports.analysis.events.subject import Subject, first_poll, moment_of
from reports.analysis.events.whole import Ends, not_over, whole_again
from reports.analysis.lag.log_times import narrowed
from reports.analysis.lag.updates import Update
from reports.model.intervals import Instant


def of_deploy(subject: Subject) -> Ends | None:
    """Moments of a deployment that came, or whose version changed; None if it is of no application."""
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
    if configs:
        changed = Instant(max(begun_s, configs[0].lo_s), configs[0].hi_s)
        return Ends(changed, changed, updates=True)
    return Ends(updates=True, reason="nothing of it changed")


def is_deployed(subject: Subject) -> bool:
    """Return True if the deployment is of an application that the event deployed."""
    return any(subject.is_of(app) for app in subject.row.apps)


def update_by(subject: Subject) -> Update | None:
    """The new version that an event brought: the first after it, and after no later such event."""
    later = [
        moment_of(row).lo_s
        for row in subject.run.run_events
        if row.kind == "deploy" and not row.error and row.begun_s > subject.row.begun_s
        if is_deployed(msgspec.structs.replace(subject, row=row))
    ]
    begun_s = subject.begun.lo_s
    found = next((one for one in subject.changes.updates if one.begun.hi_s > begun_s), None)
    if found is None or any(found.begun.hi_s > at_s for at_s in later):
        return None
    return found


def _rolled(subject: Subject, update: Update, old: frozenset[str]) -> Ends:
    """Until all that run are of the new version, which replicas of before never are."""
    ends = whole_again(subject, old, None)
    if ends.over is not None or not update.failed:
        return ends
    last = not_over(subject, old).partition(" when ")[0]
    return msgspec.structs.replace(
        ends, reason=f"failed ({update.failed}): {last} are of the new version"
    )


def _taken(subject: Subject, update: Update) -> Ends:
    """Until Serve calls it HEALTHY, since the same replicas take the new version."""
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
