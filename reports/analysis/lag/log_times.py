"""Logged facts of one deployment: exact moments of its replicas, and its decisions."""

from collections.abc import Iterable, Sequence

import msgspec

from reports.model.intervals import Instant
from scalelag.record.evidence_rows import LogEvent, LogKind
from scalelag.record.rows import DeploymentKey

# A line is written some milliseconds before or after polling sees the state, and is rounded to
# milliseconds.
ORDER_TOLERANCE_S = 0.01
# Replicas of one decision are submitted in one turn of the controller's loop.
_AT_ONCE_S = 0.1

_FIELDS = {
    "starting": "submitted",
    "init_entered": "entered",
    "init_done": "initialized",
    "started": "running",
    "first_request": "first_request",
    "stopping": "stopping",
    "stopped": "gone",
}


class ReplicaLog(msgspec.Struct, frozen=True):
    """Logged moments of one replica; None for those without a line."""

    submitted: Instant | None = None
    entered: Instant | None = None
    initialized: Instant | None = None
    running: Instant | None = None
    first_request: Instant | None = None
    stopping: Instant | None = None
    gone: Instant | None = None


class Decision(msgspec.Struct, frozen=True):
    """The autoscaler changed its target.

    `perhaps_several`: polling saw one change, and it may have been several decisions.
    """

    at: Instant
    before: int
    after: int
    perhaps_several: bool = False


def replica_logs(key: DeploymentKey, events: Sequence[LogEvent]) -> dict[str, ReplicaLog]:
    """Logged moments of each replica of `key`; the first line of each kind counts.

    A restarted controller says "started successfully" of replicas that were running all the time.
    That line counts only after one that says "Starting".
    """
    moments: dict[str, dict[str, Instant]] = {}
    for event in events:
        field = _FIELDS.get(event.kind)
        if field is None or event.replica is None or event.deployment != key:
            continue
        known = moments.setdefault(event.replica, {})
        if event.kind != "started" or "submitted" in known:
            known.setdefault(field, moment(event))
    return {replica: ReplicaLog(**known) for replica, known in moments.items()}


def logged_decisions(key: DeploymentKey, events: Sequence[LogEvent]) -> list[Decision]:
    """The decisions on `key`, by time."""
    return [
        Decision(moment(event), event.before, event.after)
        for event in events
        if event.kind in ("upscaling", "downscaling")
        and event.deployment == key
        and event.before is not None
        and event.after is not None
    ]


def moment(event: LogEvent) -> Instant:
    """The point at which the line was written."""
    return Instant(event.at_s, event.at_s, event.node, event.skew_s)


def agrees(seen: Instant, logged: Instant) -> bool:
    """Return True if the logged moment lies in the polled interval, within the errors of both."""
    slack_s = logged.skew_s + ORDER_TOLERANCE_S
    return seen.lo_s - slack_s <= logged.lo_s and logged.hi_s <= seen.hi_s + slack_s


def narrowed(seen: Instant, events: Sequence[LogEvent], kind: LogKind) -> Instant:
    """Moment of the log's line of this kind if it agrees with polling; else what polling saw."""
    logged = [moment(event) for event in events if event.kind == kind]
    return next((at for at in logged if agrees(seen, at)), seen)


def before_its_effects(seen: Decision, effects: Iterable[Sequence[Instant | None]]) -> Decision:
    """A decision that polling saw, moved to no later than the last of its logged effects.

    The first logged effect of each replica counts. The effects are known if as many replicas began
    or were stopped between the two polls as the target moved by. If their times differ, or are not
    all known, there may have been a decision for each replica.
    """
    moved = abs(seen.after - seen.before)
    known: list[Instant] = []
    at_once = True
    for moments in effects:
        told = [(place, at) for place, at in enumerate(moments) if at is not None and at.clock]
        if told and seen.at.lo_s < told[0][1].lo_s <= seen.at.hi_s:
            known.append(told[0][1])
            at_once = at_once and told[0][0] == 0
    if len(known) != moved:
        return msgspec.structs.replace(seen, perhaps_several=moved > 1)
    latest_s = max(at.hi_s + at.skew_s for at in known) + ORDER_TOLERANCE_S
    at = Instant(seen.at.lo_s, min(seen.at.hi_s, latest_s))
    spread_s = max(at.lo_s for at in known) - min(at.lo_s for at in known)
    several = spread_s > _AT_ONCE_S or (moved > 1 and not at_once)
    return msgspec.structs.replace(seen, at=at, perhaps_several=several)
