"""Nodes started with `ray start`, each under a guard that ends all of its processes."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from probes.dashboard import APPLICATIONS_PATH, VERSION_PATH, Dashboard, DashboardError
from scalelag.cluster.embedded import cluster_environment
from tests.support.ports import free_port
from tests.support.waiting import wait_for

ROOT: Final = Path(__file__).resolve().parents[2]
START_DEADLINE_S: Final = 90.0
STOP_DEADLINE_S: Final = 20.0
OBJECT_STORE_BYTES: Final = 100_000_000

T = TypeVar("T")


class FaultToolError(Exception):
    """A fault could not be made; the message says what is missing."""


class Node:
    """One `ray start --block` under way."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def check(self) -> None:
        """Raise FaultToolError, with the end of what it printed, where it has ended."""
        if self._process.poll() is not None:
            said = self._log.read_text(encoding="utf-8", errors="replace").strip()
            raise FaultToolError(f"`ray start` ended: {said[-1500:] or 'it said nothing'}")


@contextlib.contextmanager
def ray_start(
    options: Sequence[str],
    environ: Mapping[str, str],
    folder: Path,
    prefix: Sequence[str] = (),
) -> Generator[Node]:
    """Start a node; on exit all of its processes are gone. `prefix` goes before the command."""
    command = [*prefix, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options]
    log = folder / f"ray-start-{'head' if '--head' in options else 'worker'}.txt"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.diagnosis.guard", *command],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            cwd=ROOT,
            start_new_session=True,
        )
    assert process.stdin is not None
    try:
        yield Node(process, log)
    finally:
        process.stdin.close()
        process.wait(STOP_DEADLINE_S)


@contextlib.contextmanager
def private_folder() -> Generator[Path]:
    """A new folder for one cluster; short, since a Unix socket's path has 107 characters at most."""
    folder = Path(tempfile.mkdtemp(prefix="scalelag-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def head_options(folder: Path, address: str, gcs_port: int, dashboard_port: int) -> list[str]:
    """Options of a head whose dashboard listens on 127.0.0.1 only."""
    return [
        "--head",
        f"--node-ip-address={address}",
        f"--port={gcs_port}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard_port}",
        f"--ray-client-server-port={free_port()}",
        f"--temp-dir={folder}",
        *common_options(),
    ]


def common_options() -> list[str]:
    """Options of every node: little memory, and no port that another cluster may have."""
    return [
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--dashboard-agent-listen-port=0",
        "--disable-usage-stats",
    ]


def environment(token: str, **more: str) -> dict[str, str]:
    """Environment of every process of a cluster: our packages are importable, `token` is needed."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    ours = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(paths)}
    # Its metrics page has a fixed port, one for all clusters, where nothing else is said.
    return cluster_environment(ours, token) | {"AUTOSCALER_METRIC_PORT": str(free_port())} | more


def start_serve(dashboard: Dashboard, port: int, proxies: str, nodes: Sequence[Node]) -> None:
    """Start Serve without an application, once the dashboard answers, and wait for its proxy."""
    look(lambda: dashboard.get(VERSION_PATH), "the dashboard", nodes)
    options = {"host": "127.0.0.1", "port": port}
    body = {"proxy_location": proxies, "http_options": options, "applications": []}
    look(lambda: dashboard.put(APPLICATIONS_PATH, body), "Serve", nodes)
    look(lambda: "HEALTHY" in proxy_states(dashboard), "Serve's proxy", nodes)


def proxy_states(dashboard: Dashboard) -> list[str]:
    """Status of each node's proxy."""
    return [proxy["status"] for proxy in serve_payload(dashboard)["proxies"].values()]


def serve_payload(dashboard: Dashboard) -> dict[str, Any]:
    """Serve's state as the dashboard gives it."""
    return msgspec.json.decode(dashboard.get(APPLICATIONS_PATH).body)


def alive_nodes(dashboard: Dashboard) -> list[dict[str, Any]]:
    """The nodes that Ray takes to be alive, as in `ray list nodes`."""
    reply = msgspec.json.decode(dashboard.get("/api/v0/nodes").body)
    return [node for node in reply["data"]["result"]["result"] if node["state"] == "ALIVE"]


def look(find: Callable[[], T], what: str, nodes: Sequence[Node] = ()) -> T:
    """Wait for the first truthy result of `find`; a dashboard that does not answer counts as none.

    Raises FaultToolError where one of `nodes` has ended, and AssertionError when time is over.
    """

    def find_while_they_run() -> T:
        for node in nodes:
            node.check()
        return find()

    return wait_for(find_while_they_run, what, START_DEADLINE_S, forgiven=DashboardError)
