"""Ray's processes on this machine: which they are, and how to stop them for a while."""

import contextlib
import threading
from collections.abc import Generator
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import psutil

from probes.dashboard import VERSION_PATH, Dashboard
from tests.support.waiting import wait_for
from tools.diagnosis.ray_start import FaultToolError, serve_payload

STOP_DEADLINE_S: Final = 10.0


def controller_pid(dashboard: Dashboard) -> int:
    """Pid of the Serve controller; `controller_info` has its actor id only."""
    actor_id = serve_payload(dashboard)["controller_info"]["actor_id"]
    query = {"filter_keys": "actor_id", "filter_predicates": "=", "filter_values": actor_id}
    reply = msgspec.json.decode(dashboard.get(f"/api/v0/actors?{urlencode(query)}").body)
    (actor,) = reply["data"]["result"]["result"]
    return actor["pid"]


def replicas(dashboard: Dashboard, key: str) -> list[dict[str, Any]]:
    """Replicas of the deployment `key` (app/Deployment) as the dashboard has them.

    Those with a process have a `pid`. Empty where there is no such deployment (yet).
    """
    app, _, name = key.partition("/")
    deployments = serve_payload(dashboard)["applications"].get(app, {}).get("deployments", {})
    return deployments.get(name, {}).get("replicas", [])


def replica_pid(dashboard: Dashboard, key: str) -> int:
    """Pid of a RUNNING replica of the deployment `key`. Raises FaultToolError without one."""
    for replica in replicas(dashboard, key):
        if replica["state"] == "RUNNING":
            return replica["pid"]
    raise FaultToolError(f"no replica of {key} is RUNNING at {dashboard.url}")


def session_name(dashboard: Dashboard) -> str:
    """Name of the cluster's session, which no other cluster has."""
    return msgspec.json.decode(dashboard.get(VERSION_PATH).body)["session_name"]


def gcs_server_pid(dashboard: Dashboard) -> int:
    """Pid of the gcs_server of the dashboard's cluster, which must run on this machine."""
    session = session_name(dashboard)
    # The session is in the command line of many of its processes, the name only in this one's.
    for process in psutil.process_iter(["name", "cmdline"]):
        arguments = process.info["cmdline"] or []
        if process.info["name"] == "gcs_server" and f"--session-name={session}" in arguments:
            return process.pid
    raise FaultToolError(f"no gcs_server of {dashboard.url} (session {session}) on this machine")


def dashboard_pid(dashboard: Dashboard) -> int:
    """Pid of the process that answers as the dashboard, which must run on this machine."""
    session = session_name(dashboard)
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        if any(one.endswith("dashboard/dashboard.py") for one in arguments) and any(
            session in one for one in arguments
        ):
            return process.pid
    raise FaultToolError(f"no dashboard of session {session} on this machine")


@contextlib.contextmanager
def stopped(pid: int) -> Generator[None]:
    """SIGSTOP until the block ends; the process goes on afterwards, whatever happens.

    It has come to its halt when the block begins. Raises psutil.NoSuchProcess without such a process.
    """
    process = psutil.Process(pid)  # knows it by its start time too: a pid may be given anew
    process.suspend()
    try:
        wait_for(lambda: _has_halted(process), f"halt of {pid}", STOP_DEADLINE_S)
        yield
    finally:
        _continue(process)


@contextlib.contextmanager
def slowed(pid: int, stopped_s: float, running_s: float) -> Generator[None]:
    """Stop and continue it by turns until the block ends; it goes on afterwards.

    Of each `stopped_s + running_s` seconds it has `running_s`. It begins with a stop, and ends
    early where the process ends.
    """
    process = psutil.Process(pid)
    done = threading.Event()
    thread = threading.Thread(target=_alternate, args=(process, stopped_s, running_s, done))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _alternate(
    process: psutil.Process, stopped_s: float, running_s: float, done: threading.Event
) -> None:
    try:
        while not done.is_set():
            process.suspend()
            done.wait(stopped_s)
            process.resume()
            done.wait(running_s)
    except psutil.NoSuchProcess:
        return
    finally:
        _continue(process)


def _has_halted(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_STOPPED


def _continue(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.resume()
