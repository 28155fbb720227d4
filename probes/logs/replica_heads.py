"""Heads of the logs of new replicas: which to read, and where they are."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise, zip_longest

import msgspec

from probes.logs.log_files import Limits, LogFile, LogReader, UnreadableError
from probes.logs.log_lines import LogLine, parse, records
from scalelag.record.evidence_rows import NoLog
from scalelag.record.rows import DeploymentKey, Transition

_RISE_S = 3.0
_FOLDER = "serve/"
# Ray's own rule for file names.
_NOT_IN_NAMES = re.compile(r"[^\x20-\x7E]|[<>:\"/\\|?*]")


class NewReplica(msgspec.Struct, frozen=True):
    """A replica that came during the run; `changes` are all its transitions, by time."""

    replica: str
    deployment: DeploymentKey
    changes: tuple[Transition, ...]

    @property
    def node(self) -> str | None:
        """Node on which it was last seen; None if it never had one."""
        return next((change.node for change in self.changes[::-1] if change.node), None)

    @property
    def ran_s(self) -> float | None:
        """Moment by which it had become RUNNING; None if it never did."""
        return next((change.hi_s for change in self.changes if change.to_state == "RUNNING"), None)

    @property
    def log_name(self) -> str:
        """Name of its log below Ray's log folder: as Serve gives it, else by Ray's rule."""
        told = next((change.log_file for change in self.changes[::-1] if change.log_file), None)
        if told:
            return told.lstrip("/")
        # Names may have slashes in them, which become "_" like the one between them.
        component = _NOT_IN_NAMES.sub("_", self.deployment.removeprefix("/"))
        return f"{_FOLDER}replica_{component}_{self.replica}.log"


def new_replicas(transitions: Sequence[Transition]) -> list[NewReplica]:
    """Replicas that were first listed, or became RUNNING, during the run; the newest first.

    A replica that only stopped is not among them, since its start was before. Nor is one that a
    restarted controller found again.
    """
    changes: dict[str, list[Transition]] = {}
    for change in transitions:
        changes.setdefault(change.replica, []).append(change)
    found = [
        NewReplica(replica, own[0].deployment, tuple(own))
        for replica, own in changes.items()
        if any(_came(change) for change in own)
    ]
    return sorted(found, key=lambda new: new.changes[0].hi_s, reverse=True)


def by_weight(found: Sequence[NewReplica]) -> list[NewReplica]:
    """Sort new replicas by what their logs are worth, where there are too many to read all.

    First come those that ended a rise, of each deployment in turn: one of them is the critical replica,
    with which the target was reached. Then the others, the newest of each deployment in turn.
    """
    of_each: dict[DeploymentKey, list[NewReplica]] = {}
    for new in found:
        of_each.setdefault(new.deployment, []).append(new)
    ended = [_ended_rises(of_one) for of_one in of_each.values()]
    names = {new.replica for of_one in ended for new in of_one}
    others = [[new for new in of_one if new.replica not in names] for of_one in of_each.values()]
    return [
        new
        for groups in (ended, others)
        for in_turn in zip_longest(*groups)
        for new in in_turn
        if new is not None
    ]


def _ended_rises(of_one: Sequence[NewReplica]) -> list[NewReplica]:
    """Replicas of a deployment after which no other became RUNNING for a while, the last first."""
    ran = [(at_s, new) for new in of_one if (at_s := new.ran_s) is not None]
    moments_s = sorted({at_s for at_s, _ in ran})
    ends_s = {at_s for at_s, next_s in pairwise([*moments_s, math.inf]) if next_s - at_s >= _RISE_S}
    last_first = sorted(ran, key=lambda one: one[0], reverse=True)
    return [new for at_s, new in last_first if at_s in ends_s]


def _came(change: Transition) -> bool:
    if change.lo_s is None:
        return False
    if change.from_state is None:
        return change.to_state in ("STARTING", "RUNNING")
    return change.to_state == "RUNNING" and change.from_state == "STARTING"


def read_head(
    reader: LogReader, log: LogFile, limits: Limits
) -> tuple[list[LogLine], NoLog | None]:
    """Return the lines at the beginning of a replica's log, and a row if a part is missing.

    Of its requests only the one that began first is kept. Raises UnreadableError and SpentError.
    """
    lines = _head(reader, log, limits)
    if not any(line.kind == "init_entered" for line in lines):
        # The beginning of a rotated log is in the oldest file.
        older = reader.rotated(log)
        if older:
            lines = _head(reader, older[-1], limits)
            if not any(line.kind == "init_entered" for line in lines):
                missing = NoLog("its beginning was rotated away", log.node, log.name)
                return _first_of_each(lines), missing
    return _first_of_each(lines), None


def _head(reader: LogReader, log: LogFile, limits: Limits) -> list[LogLine]:
    found: list[LogLine] = []
    accesses = 0
    first_access_bytes = 0
    with reader.head(log, limits.replica_bytes) as raw:
        for record in records(raw):
            line = parse(record, "replica")
            if line is not None:
                found.append(line)
                if line.kind == "first_request":
                    first_access_bytes = first_access_bytes or reader.bytes_read
                    accesses += 1
            if accesses >= limits.access_lines:
                break
            if accesses and reader.bytes_read - first_access_bytes > limits.access_bytes:
                break
    return found


def _first_of_each(lines: Sequence[LogLine]) -> list[LogLine]:
    """Keep only the first start and the first end of initialising, and the first request."""
    kept = [
        line for line in lines if line.kind not in ("init_entered", "init_done", "first_request")
    ]
    for kind in ("init_entered", "init_done"):
        kept += [line for line in lines if line.kind == kind][:1]
    requests = [line for line in lines if line.kind == "first_request"]
    if requests:
        kept.append(min(requests, key=lambda line: line.local_s))
    return kept


def try_head(
    reader: LogReader, new: NewReplica, node: str | None, limits: Limits
) -> tuple[list[LogLine], NoLog | None]:
    """Do as `read_head` for a replica on `node`; failures become a row. Raises SpentError only."""
    if node is None:
        reason = "it was gone, or the run ended, before its node was known"
        return [], NoLog(reason, file=new.log_name, replica=new.replica)
    log = LogFile(node, new.log_name)
    try:
        lines, missing = read_head(reader, log, limits)
    except UnreadableError as error:
        return [], NoLog(str(error), node, log.name, new.replica)
    return lines, missing and msgspec.structs.replace(missing, replica=new.replica)
