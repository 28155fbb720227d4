"""Turns log lines of several nodes into events on our clock. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from probes.logs.log_lines import LogLine
from probes.logs.node_clocks import (
    Bound,
    clock_bound,
    node_clock,
    own_zone_s,
    poll_bounds,
    start_bound,
    zone_s,
)
from probes.logs.replica_heads import NewReplica
from scalelag.record.clock import ClockOffset
from scalelag.record.evidence_rows import EvidenceRow, LogEvent, LogKind, NodeClock, NoLog
from scalelag.record.rows import Transition
from scalelag.record.secrets import hide_url_secrets
from scalelag.wording import count

_STARTS: tuple[LogKind, ...] = (
    "starting",
    "started",
    "init_entered",
    "init_done",
    "first_request",
)
_MAX_ALIKE = 100
_MAX_REPEATS = 5


class ReplicaLog(msgspec.Struct, frozen=True):
    """Lines of the log of one replica."""

    new: NewReplica
    node: str
    lines: tuple[LogLine, ...]


class LogsRead(msgspec.Struct, frozen=True):
    """All lines that were read. `pings` bound the clocks of nodes, from requests that they logged."""

    controller_node: str | None = None
    controller: tuple[LogLine, ...] = ()
    replicas: tuple[ReplicaLog, ...] = ()
    proxies: tuple[tuple[str, LogLine], ...] = ()
    pings: Mapping[str, tuple[Bound, ...]] = {}
    missing: tuple[NoLog, ...] = ()


def evidence_rows(
    logs: LogsRead,
    transitions: Sequence[Transition],
    window: tuple[float, float],
    clock: ClockOffset | None,
    margin_s: float,
) -> list[EvidenceRow]:
    """Rows for clocks, for events by time, and for missing logs.

    An event is kept if it lies in the window or a margin around it, and belongs to a deployment of
    `transitions` or to none. So is the start of a replica that was starting when the window began.
    """
    home = _home_clock(logs, transitions, clock)
    own_bounds = _own_bounds(logs, home)
    clocks = _clocks(logs, home, own_bounds)
    events = _events(logs, clocks, own_bounds)
    wanted = _wanted(transitions, window, margin_s)
    kept, left_out = _without_alike(
        sorted((event for event in events if wanted(event)), key=lambda event: event.at_s)
    )
    missing = _without_repeats([*logs.missing, *_unaligned(logs, clocks), *left_out])
    return [*clocks.values(), *kept, *missing]


def _without_repeats(missing: Sequence[NoLog]) -> list[NoLog]:
    """Replace many rows with the same node and reason by a single one."""
    together: dict[tuple[str, str | None], list[NoLog]] = {}
    for row in missing:
        together.setdefault((row.reason, row.node), []).append(row)
    rows: list[NoLog] = []
    for (reason, node), alike in together.items():
        many = [NoLog(f"{reason} ({len(alike)} logs)", node)]
        rows += many if len(alike) > _MAX_REPEATS else alike
    return rows


def _unaligned(logs: LogsRead, clocks: Mapping[str, NodeClock]) -> list[NoLog]:
    nodes = {log.node for log in logs.replicas} | {node for node, _ in logs.proxies}
    if logs.controller and logs.controller_node:
        nodes.add(logs.controller_node)
    return [
        NoLog("the offset of the node's clock is unknown", node)
        for node in sorted(nodes - clocks.keys())
    ]


def _home_clock(
    logs: LogsRead, transitions: Sequence[Transition], clock: ClockOffset | None
) -> NodeClock | None:
    """Clock of the controller's node."""
    if logs.controller_node is None:
        return None
    bounds = [
        *logs.pings.get(logs.controller_node, ()),
        *poll_bounds(logs.controller, transitions),
    ]
    starts_s: dict[str, set[float]] = {}
    for change in transitions:
        if change.start_time_s is not None:
            starts_s.setdefault(change.replica, set()).add(change.start_time_s)
    zone = zone_s(logs.controller, starts_s)
    if zone is not None and clock is not None:
        bounds.append(clock_bound(zone, clock))
    return node_clock(logs.controller_node, bounds)


def _own_bounds(logs: LogsRead, home: NodeClock | None) -> dict[str, Bound | None]:
    """Bound of the node's clock from each replica's own log, by replica."""
    told: dict[str, list[LogLine]] = {}
    for line in logs.controller:
        if line.replica:
            told.setdefault(line.replica, []).append(line)
    return {
        log.new.replica: start_bound(
            log.lines, told.get(log.new.replica, ()), home, log.new.changes
        )
        for log in logs.replicas
    }


def _clocks(
    logs: LogsRead, home: NodeClock | None, own_bounds: Mapping[str, Bound | None]
) -> dict[str, NodeClock]:
    """Clocks of all nodes, by node id.

    The clock of the controller's node does not use its replicas: if their logs have another time zone,
    their bounds are wrong. On the other nodes the majority decides.
    """
    bounds = {node: list(pings) for node, pings in logs.pings.items()}
    for log in logs.replicas:
        bound = own_bounds[log.new.replica]
        if bound is not None:
            bounds.setdefault(log.node, []).append(bound)
    clocks: dict[str, NodeClock] = {}
    for node, own in bounds.items():
        known = home if home is not None and node == home.node else node_clock(node, own)
        if known is not None:
            clocks[node] = known
    if home is not None:
        clocks[home.node] = home
    return clocks


def _events(
    logs: LogsRead, clocks: Mapping[str, NodeClock], own_bounds: Mapping[str, Bound | None]
) -> list[LogEvent]:
    home = clocks.get(logs.controller_node or "")
    events = [_event(line, home) for line in logs.controller if home is not None]
    events += [_event(line, clocks[node]) for node, line in logs.proxies if node in clocks]
    for log in logs.replicas:
        if log.node in clocks:
            clock = clocks[log.node]
            zone = own_zone_s(own_bounds[log.new.replica], clock)
            events += [_event(line, clock, log.new, zone) for line in log.lines]
    return events


def _event(
    line: LogLine, clock: NodeClock, new: NewReplica | None = None, zone: float = 0.0
) -> LogEvent:
    return LogEvent(
        kind=line.kind,
        at_s=line.local_s - zone - clock.offset_s,
        skew_s=clock.error_s,
        node=clock.node,
        raw=hide_url_secrets(line.record.raw),
        # A replica's line may name another replica that it calls.
        deployment=line.deployment or (new.deployment if new else None),
        replica=line.replica or (new.replica if new else None),
        before=line.before,
        after=line.after,
        ongoing=line.ongoing,
        duration_s=line.duration_s,
    )


def _wanted(
    transitions: Sequence[Transition], window: tuple[float, float], margin_s: float
) -> Callable[[LogEvent], bool]:
    watched = {change.deployment for change in transitions}
    starting = {
        change.replica
        for change in transitions
        if change.lo_s is None and change.to_state == "STARTING"
    }
    from_s, to_s = window[0] - margin_s, window[1] + margin_s

    def wanted(event: LogEvent) -> bool:
        if event.deployment is not None and event.deployment not in watched:
            return False
        if event.at_s > to_s:
            return False
        return event.at_s >= from_s or (event.kind in _STARTS and event.replica in starting)

    return wanted


def _without_alike(events: Sequence[LogEvent]) -> tuple[list[LogEvent], list[NoLog]]:
    """Keep the first hundred events of each kind and subject."""
    times: Counter[tuple[LogKind, str, str | None, str | None]] = Counter()
    kept: list[LogEvent] = []
    for event in events:
        key = (event.kind, event.node, event.deployment, event.replica)
        times[key] += 1
        if times[key] <= _MAX_ALIKE:
            kept.append(event)
    return kept, [
        NoLog(
            f"{count(number - _MAX_ALIKE, 'more line')} of kind {kind} are left out",
            node,
            None,
            replica,
        )
        for (kind, node, _, replica), number in times.items()
        if number > _MAX_ALIKE
    ]
