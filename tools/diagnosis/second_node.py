"""A Ray cluster of two nodes with a cable between them: the second is in a network namespace."""

import contextlib
import json
import secrets
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final, Literal

from probes.dashboard import Dashboard
from tests.support.ports import free_port
from tools.diagnosis.network import Cable, cabled_namespace
from tools.diagnosis.ray_start import (
    Node,
    alive_nodes,
    common_options,
    environment,
    head_options,
    look,
    private_folder,
    ray_start,
    start_serve,
)

# A node that does not answer is dead after about 6 s (2 x (1 + 2)) instead of about 30.
HEALTH_CHECKS: Final = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 2,
}
NEAR_RESOURCES: Final = {"near": 8}
FAR_RESOURCES: Final = {"far": 8}

Proxies = Literal["HeadOnly", "EveryNode"]


class TwoNodes:
    """A running cluster; pin a deployment with the resource `near` (the head) or `far`.

    `dashboard` and `host` (Serve's proxy on the head) are on 127.0.0.1 and want `token`, as any
    cluster with token auth.
    """

    def __init__(self, dashboard_port: int, host_port: int, token: str, cable: Cable) -> None:
        self.dashboard = f"http://127.0.0.1:{dashboard_port}"
        self.host = f"http://127.0.0.1:{host_port}"
        self.token = token
        self.near_ip = cable.near
        self.far_ip = cable.far
        self.namespace = cable.name
        self._cable = cable

    def cut(self) -> None:
        """Pull out the cable: neither node hears of the other."""
        self._cable.cut()

    def mend(self) -> None:
        """Put it back. A node that has been declared dead by then does not come back."""
        self._cable.mend()

    @contextlib.contextmanager
    def severed(self) -> Generator[None]:
        """Cut until the block ends."""
        self.cut()
        try:
            yield
        finally:
            self.mend()


@contextlib.contextmanager
def two_nodes(proxies: Proxies = "HeadOnly", cpus: int = 4) -> Generator[TwoNodes]:
    """A cluster of two nodes with Serve on it, no application yet; all of it is gone afterwards.

    Both have `cpus` CPUs. Serve listens on each node's own 127.0.0.1, so only the head's proxy is
    reached from here. Raises FaultToolError where it cannot be made.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(private_folder())
        cable = stack.enter_context(cabled_namespace())
        cluster = TwoNodes(free_port(), free_port(), secrets.token_hex(32), cable)
        nodes = start_nodes(stack, cluster, cable, folder, cpus)
        dashboard = Dashboard(cluster.dashboard, time.time, cluster.token)
        stack.callback(dashboard.close)
        start_serve(dashboard, int(cluster.host.rpartition(":")[2]), proxies, nodes)
        look(lambda: len(alive_nodes(dashboard)) == 2, "the second node", nodes)
        yield cluster


def start_nodes(
    stack: contextlib.ExitStack, cluster: TwoNodes, cable: Cable, folder: Path, cpus: int
) -> list[Node]:
    """Start both at once; the second waits by itself until it finds the head."""
    gcs_port = free_port()
    # Multi-node clusters: `ray start --address` refuses where this says no.
    environ = environment(cluster.token, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="1")
    head = [
        *head_options(folder, cable.near, gcs_port, int(cluster.dashboard.rpartition(":")[2])),
        f"--num-cpus={cpus}",
        f"--resources={json.dumps(NEAR_RESOURCES)}",
        f"--system-config={json.dumps(HEALTH_CHECKS)}",
    ]
    far = [
        f"--address={cable.near}:{gcs_port}",
        f"--node-ip-address={cable.far}",
        *common_options(),
        f"--num-cpus={cpus}",
        f"--resources={json.dumps(FAR_RESOURCES)}",
    ]
    return [
        stack.enter_context(ray_start(head, environ, folder)),
        stack.enter_context(ray_start(far, environ, folder, cable.inside())),
    ]
