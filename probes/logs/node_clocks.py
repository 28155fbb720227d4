"""Offset of each node's clock, as the interval on which most of many bounds agree.

Each bound is certain unless a clock was set during the run. A clock here is what the log shows: local
time read as if it were UTC. The offset therefore includes the time zone, which need not be known.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from probes.logs.log_lines import RESOLUTION_S, LogLine
from scalelag.record.clock import ClockOffset
from scalelag.record.evidence_rows import LogKind, NodeClock
from scalelag.record.rows import Transition

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_ZONE_S = 900.0
"""Time zones are whole quarters of an hour apart."""
_PAIR_S = 1.0
"""Largest distance of a replica's `start_time_s` from its line, zone aside (seen: 1 ms)."""


class Bound(msgspec.Struct, frozen=True):
    """Two limits between which a node's clock minus ours lies."""

    lo_s: float
    hi_s: float


class Ping(msgspec.Struct, frozen=True):
    """A request that the node logged at its `local_s`; the other times are ours."""

    sent_s: float
    received_s: float
    local_s: float

    @property
    def bound(self) -> Bound:
        """Bound of the clock: the node wrote the line between our request and its answer."""
        return Bound(self.local_s - self.received_s, self.local_s + RESOLUTION_S - self.sent_s)


class Agreement(msgspec.Struct, frozen=True):
    """The bound on which most agree, and their number."""

    bound: Bound
    votes: int


def agree(bounds: Iterable[Bound]) -> Agreement | None:
    """Return the interval in which most bounds overlap (Marzullo 1984); None without bounds.

    If several intervals are equally good, the result spans all of them: a large error, but an honest
    one.
    """
    edges: list[tuple[float, int]] = []
    for bound in bounds:
        if bound.lo_s <= bound.hi_s:
            edges += [(bound.lo_s, -1), (bound.hi_s, 1)]
    edges.sort()
    votes = most = 0
    lo_s = hi_s = 0.0
    for index, (at_s, step) in enumerate(edges):
        votes -= step
        if step == -1 and votes >= most:
            if votes > most:
                lo_s = at_s
            most = votes
            hi_s = edges[index + 1][0]
    return Agreement(Bound(lo_s, hi_s), most) if most else None


def node_clock(node: str, bounds: Sequence[Bound]) -> NodeClock | None:
    """Clock of a node from all its bounds; None without bounds."""
    agreed = agree(bounds)
    if agreed is None:
        return None
    lo_s, hi_s = agreed.bound.lo_s, agreed.bound.hi_s
    return NodeClock(node, (lo_s + hi_s) / 2, (hi_s - lo_s) / 2 + RESOLUTION_S, agreed.votes)


def zone_s(lines: Iterable[LogLine], starts_s: Mapping[str, Iterable[float]]) -> float | None:
    """Time zone of a controller's log, in seconds; None if it cannot be told.

    It is found from lines that also carry Unix time, or else from the starting lines of replicas and
    `starts_s`, their start times as the controller gave them. A start from before a controller's
    restart fits no zone and is left out. The zone on which most agree counts.
    """
    zones: Counter[float] = Counter()
    for line in lines:
        unix: Iterable[float] = ()
        if line.record.unix_s is not None:
            unix = (line.record.unix_s,)
        elif line.kind == "starting" and line.replica:
            unix = starts_s.get(line.replica, ())
        for unix_s in unix:
            zone = round((line.local_s - unix_s) / _ZONE_S) * _ZONE_S
            if abs(line.local_s - unix_s - zone) <= _PAIR_S:
                zones[zone] += 1
    return zones.most_common(1)[0][0] if zones else None


def clock_bound(zone: float, clock: ClockOffset) -> Bound:
    """Bound of the controller node's clock, from the time that the controller itself reports."""
    offset_s = zone + clock.offset_s
    return Bound(offset_s - clock.error_s, offset_s + clock.error_s)


def poll_bounds(lines: Iterable[LogLine], transitions: Iterable[Transition]) -> list[Bound]:
    """Bounds from lines of the controller about changes that polling saw too.

    Changes and lines that occur more than once are left out: a restart repeats lines.
    """
    seen = _once(
        ((change.replica, kind), (change.lo_s, change.hi_s))
        for change in transitions
        if change.lo_s is not None
        for kind in _kinds(change)
    )
    written = _once(((line.replica, line.kind), line.local_s) for line in lines if line.replica)
    return [
        Bound(written[key] - hi_s, written[key] + RESOLUTION_S - lo_s)
        for key, (lo_s, hi_s) in seen.items()
        if key in written
    ]


def start_bound(
    own: Sequence[LogLine],
    controller: Sequence[LogLine],
    controller_clock: NodeClock | None,
    changes: Sequence[Transition],
) -> Bound | None:
    """Bound of a node's clock from one replica's log; None if a limit is missing.

    A replica's initialisation begins after the controller's "starting" line, and ends before its
    "started" line. Without these lines polling gives the limits.
    """
    entered = [line.local_s for line in own if line.kind == "init_entered"]
    done = [line.local_s for line in own if line.kind == "init_done"]
    not_before = [c.lo_s for c in changes if c.lo_s is not None and c.from_state is None]
    not_after = [c.hi_s for c in changes if c.to_state == "RUNNING"]
    if controller_clock is not None:
        # A restarted controller writes a second "started" line; the first one counts.
        at_s = {line.kind: line.local_s - controller_clock.offset_s for line in controller[::-1]}
        error_s = controller_clock.error_s
        if "starting" in at_s:
            not_before.append(at_s["starting"] - error_s)
        if "started" in at_s:
            not_after.append(at_s["started"] + error_s)
    if not (entered and done and not_before and not_after):
        return None
    return Bound(done[0] - min(not_after), entered[0] + RESOLUTION_S - max(not_before))


def own_zone_s(bound: Bound | None, clock: NodeClock) -> float:
    """Offset of a replica's time zone from its node's, since `TZ` may be set for it alone.

    0 unless the node's clock contradicts the replica's own bound, and another zone resolves that.
    """
    if bound is None or _fits(bound, clock, 0.0):
        return 0.0
    middle_s = (bound.lo_s + bound.hi_s) / 2
    shift_s = round((middle_s - clock.offset_s) / _ZONE_S) * _ZONE_S
    return shift_s if _fits(bound, clock, shift_s) else 0.0


def _fits(bound: Bound, clock: NodeClock, shift_s: float) -> bool:
    at_s = clock.offset_s + shift_s
    return bound.lo_s <= at_s + clock.error_s and at_s - clock.error_s <= bound.hi_s


def _kinds(change: Transition) -> list[LogKind]:
    kinds: list[LogKind] = []
    if change.from_state is None:
        kinds.append("starting")
    if change.to_state == "RUNNING" and change.from_state in (None, "STARTING"):
        kinds.append("started")
    if change.to_state == "STOPPING":
        kinds.append("stopping")
    # A deleted deployment disappears from the list while its replicas still run.
    if change.to_state is None and change.from_state == "STOPPING":
        kinds.append("stopped")
    return kinds


def _once(items: Iterable[tuple[_Key, _Value]]) -> dict[_Key, _Value]:
    """Items whose key occurs only once."""
    listed = list(items)
    times = Counter(key for key, _ in listed)
    return {key: value for key, value in listed if times[key] == 1}
