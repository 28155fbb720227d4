"""Metrics ports of a cluster: those that the dashboard lists, on hosts of the cluster's own nodes."""

from collections.abc import Callable
from typing import Any

import msgspec

from probes.dashboard import NODES_PATH, Dashboard, DashboardError
from scalelag.errors import UNREADABLE, TargetError

PORTS_PATH = "/api/prometheus/sd"
_STATE_PATH = "/api/v0/nodes"
_KEPT_S = 30.0
MOST_PORTS = 200


class _Raylet(msgspec.Struct, frozen=True):
    address: str | None = msgspec.field(default=None, name="nodeManagerAddress")
    port: int | None = msgspec.field(default=None, name="metricsExportPort")
    state: str = "ALIVE"


class _Node(msgspec.Struct, frozen=True):
    ip: str | None = None
    raylet: _Raylet = _Raylet()


class _Summary(msgspec.Struct, frozen=True):
    summary: list[_Node] = []


class _Nodes(msgspec.Struct, frozen=True):
    data: _Summary = _Summary()


class _StateNode(msgspec.Struct, frozen=True):
    node_ip: str
    state: str = "ALIVE"


class _StateResult(msgspec.Struct, frozen=True):
    result: list[_StateNode] = []


class _StateData(msgspec.Struct, frozen=True):
    result: _StateResult = _StateResult()


class _State(msgspec.Struct, frozen=True):
    data: _StateData = _StateData()


class _Group(msgspec.Struct, frozen=True):
    targets: list[str] = []


class PortList:
    """Addresses HOST:PORT of the metrics ports, asked for every 30 s.

    Where Ray does not list them (`GET /api/prometheus/sd` answers 404), each node of the summary has
    its port. Ports on hosts that are no nodes of the cluster are left out. Where the summary has the
    ports of the nodes, so are all others: the dashboard's and the node autoscaler's have no gauge of
    Serve's, and belong to whichever cluster on the machine came first.
    """

    def __init__(self, dashboard: Dashboard, now: Callable[[], float]) -> None:
        self._dashboard = dashboard
        self._now = now
        self._known: tuple[str, ...] = ()
        self._asked_s = float("-inf")

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses. Raises TargetError, with a reason, if there are none."""
        if not self._known or self._now() - self._asked_s > _KEPT_S:
            self._known = self._ask()
            self._asked_s = self._now()
        return self._known

    def _ask(self) -> tuple[str, ...]:
        nodes = _parsed(self._dashboard.get(NODES_PATH).body, _Nodes).data.summary
        alive = [node for node in nodes if node.raylet.state == "ALIVE"]
        own = [
            _joined(node.raylet.address, node.raylet.port)
            for node in alive
            if node.raylet.address and node.raylet.port
        ]
        listed = self._listed()
        listed = own if listed is None else listed
        hosts = {host for node in alive for host in _hosts(node)} or self._hosts_by_state()
        ours = [one for one in dict.fromkeys(listed) if _host(one) in hosts]
        if not ours:
            raise TargetError(_why_none(listed))
        return tuple(([one for one in ours if one in own] or ours)[:MOST_PORTS])

    def _hosts_by_state(self) -> set[str]:
        """Addresses of the nodes as Ray's state tells them, where the summary has none."""
        nodes = _parsed(self._dashboard.get(_STATE_PATH).body, _State).data.result.result
        return {node.node_ip for node in nodes if node.state == "ALIVE"}

    def _listed(self) -> list[str] | None:
        try:
            body = self._dashboard.get(PORTS_PATH).body
        except DashboardError as error:
            if error.status == 404:
                return None
            raise
        return [target for group in _parsed(body, list[_Group]) for target in group.targets]


def _parsed(body: bytes, kind: Any) -> Any:  # noqa: ANN401  what `kind` is
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise TargetError("the dashboard's list of metrics ports makes no sense") from error


def _why_none(listed: list[str]) -> str:
    if not listed:
        return "the dashboard lists no metrics port"
    return "the dashboard lists metrics ports only on hosts that are no nodes of the cluster"


def _hosts(node: _Node) -> set[str]:
    return {name for name in (node.ip, node.raylet.address) if name}


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host(address: str) -> str:
    """Host of HOST:PORT; empty for anything else, such as an address with a path."""
    host, _, port = address.rpartition(":")
    is_port = port.isascii() and port.isdecimal() and 0 < int(port) < 65536
    bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    return bare if is_port and not set(bare) & set("/?#@\\ ") else ""
