"""A script being played: its clock, its faults, and what watching it costs."""

import threading
import time
from typing import Any, Final

import msgspec

from tests.support.standin.payload import payload_at
from tests.support.standin.script import Fault, Script, state_at

_HEALTH: Final = "controller_health_metrics"


class Stats(msgspec.Struct, frozen=True):
    """Requests for the applications that were evaluated, and the time their handling took.

    `busy_s` leaves out waiting: for faults, for other requests, and for the network.
    """

    requests: int
    busy_s: float
    elapsed_s: float


class Control(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of `POST /standin/control`: what to change from now on."""

    fault: Fault | None = None
    clear: bool = False
    script: Script | None = None


class Cluster:
    """A script and the instant at which it began. Safe to use from many threads."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.zero_s = time.time()
        self._zero_monotonic_s = time.monotonic()
        self._controller = threading.Lock()  # it answers one request at a time
        self._changes = threading.Lock()
        self._requests = 0
        self._busy_s = 0.0
        self._steady: dict[str, msgspec.Raw] | None = None

    def now_s(self) -> float:
        """Seconds since time zero; a step of the machine's clock does not move it."""
        return time.monotonic() - self._zero_monotonic_s

    def applications(self) -> bytes:
        """The state at this instant, after the script's cost was spent."""
        with self._controller:
            began_s = time.perf_counter()
            t_s = self.now_s()
            script = self.script
            body = msgspec.json.encode(self._payload(script, t_s))
            time.sleep(_cost_s(script, t_s))
            self._requests += 1
            self._busy_s += time.perf_counter() - began_s
        return body

    def _payload(self, script: Script, t_s: float) -> dict[str, Any]:
        if not script.steady:
            return payload_at(script, t_s, self.zero_s)
        if self._steady is None:
            whole = payload_at(script, t_s, self.zero_s)
            self._steady = {name: msgspec.Raw(msgspec.json.encode(whole[name])) for name in whole}
        empty = payload_at(msgspec.structs.replace(script, applications={}), t_s, self.zero_s)
        return self._steady | {name: empty[name] for name in (_HEALTH,) if name in empty}

    def stats(self) -> Stats:
        """Counts up to now."""
        with self._controller:
            return Stats(self._requests, self._busy_s, self.now_s())

    def fault(self, path: str) -> Fault | None:
        """The fault that a request for this path meets now; the first of the script wins."""
        t_s = self.now_s()
        active = (fault for fault in self.script.faults if fault.active(t_s))
        return next((f for f in active if f.kind == "refuse" or path.startswith(f.path)), None)

    def refusing(self) -> bool:
        """Return True if connections are refused now."""
        t_s = self.now_s()
        return any(fault.kind == "refuse" and fault.active(t_s) for fault in self.script.faults)

    def control(self, change: Control) -> None:
        """Apply a change; faults without a time begin now."""
        with self._changes:
            t_s = self.now_s()
            script = change.script or self.script
            faults = _ended(script.faults, t_s) if change.clear else script.faults
            if change.fault is not None:
                faults = (*faults, _begun(change.fault, t_s))
            self.script = msgspec.structs.replace(script, faults=faults)
            self._steady = None


def _begun(fault: Fault, t_s: float) -> Fault:
    return msgspec.structs.replace(fault, at_s=t_s) if fault.at_s is None else fault


def _ended(faults: tuple[Fault, ...], t_s: float) -> tuple[Fault, ...]:
    """The faults that began by `t_s`, over by then; restarts are not faults that end."""
    return tuple(
        msgspec.structs.replace(f, lasts_s=t_s - f.start_s) if f.active(t_s) else f
        for f in faults
        if f.kind == "restart" or f.start_s <= t_s
    )


def _cost_s(script: Script, t_s: float) -> float:
    if not script.handler_cost_per_replica_s:
        return script.handler_cost_s
    deployments = [d for app in script.applications.values() for d in app.values()]
    listed = sum(state_at(r, t_s) is not None for d in deployments for r in d.replicas)
    return script.handler_cost_s + listed * script.handler_cost_per_replica_s
