"""Clusters for runs with a fault: the shared one, or one that can be broken."""

import contextlib
import os
from collections.abc import Generator
from typing import Final

import msgspec

from scalelag.cluster.embedded import EmbeddedCluster
from scalelag.cluster.haproxy import VARIABLE as HAPROXY_VARIABLE
from tools.diagnosis.injection import CPUS, Injection
from tools.diagnosis.node_autoscaler import node_autoscaler
from tools.diagnosis.second_node import TwoNodes, two_nodes
from tools.diagnosis.tcp_proxy import TcpProxy

SLOW_LOOP: Final = {"RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5"}


class Reach(msgspec.Struct, frozen=True):
    """Addresses of a run's cluster, and the parts of it that can be broken."""

    dashboard: str
    host: str
    token: str
    tcp: TcpProxy | None = None
    nodes: TwoNodes | None = None


@contextlib.contextmanager
def place(injection: Injection, shared: Reach) -> Generator[Reach]:
    """Yield the cluster for `injection`: the shared one, or one of its own."""
    if injection.place == "proxied":
        with TcpProxy("127.0.0.1", int(shared.host.rpartition(":")[2])) as tcp:
            yield msgspec.structs.replace(shared, host=tcp.url, tcp=tcp)
    elif injection.place == "slow_loop":
        with with_environment(SLOW_LOOP), embedded_reach() as reach:
            yield reach
    elif injection.place == "haproxy":
        with with_environment({HAPROXY_VARIABLE: "1"}), embedded_reach() as reach:
            yield reach
    elif injection.place == "two_nodes":
        with two_nodes("EveryNode") as nodes:
            yield Reach(nodes.dashboard, nodes.host, nodes.token, nodes=nodes)
    elif injection.place == "node_autoscaler":
        with node_autoscaler() as cluster:
            yield Reach(cluster.dashboard, cluster.host, cluster.token)
    else:
        yield shared


@contextlib.contextmanager
def embedded_reach() -> Generator[Reach]:
    """A cluster of our own."""
    with EmbeddedCluster(CPUS) as cluster:
        assert cluster.urls is not None
        yield Reach(cluster.urls.dashboard, cluster.urls.host, cluster.token)


@contextlib.contextmanager
def with_environment(variables: dict[str, str]) -> Generator[None]:
    """Set for the processes that are started within the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
