"""Faults during a run: one function for each kind.

Each is called once the run is under way, and is back when its fault is over. Times count from the
load step that the fault belongs to.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec
import psutil

from probes.dashboard import Dashboard
from scalelag.record.run_dir import RUN_FILE
from tools.diagnosis.processes import (
    controller_pid,
    gcs_server_pid,
    replica_pid,
    slowed,
    stopped,
)
from tools.diagnosis.ray_start import FaultToolError
from tools.diagnosis.second_node import TwoNodes
from tools.diagnosis.tcp_proxy import TcpProxy

BEGIN_DEADLINE_S: Final = 150.0
LOOK_EVERY_S: Final = 0.02


class LoadBegin(msgspec.Struct, frozen=True):
    """The part of `run.json` that a hook needs; it is written before the plan starts."""

    zero_s: float


class Scene:
    """A run under way in `process`, whose record appears in `out`, and what can be done to it.

    `files` is a folder that the replicas see as well. `tcp` and `nodes` are there in the places
    that have them.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        out: Path,
        step_at_s: float,
        dashboard: Dashboard,
        files: Path,
        tcp: TcpProxy | None = None,
        nodes: TwoNodes | None = None,
    ) -> None:
        self._process = process
        self._out = out
        self._step_at_s = step_at_s
        self._begun_s: float | None = None
        self.dashboard = dashboard
        self.files = files
        self.tcp = tcp
        self.nodes = nodes

    def until(self, after_step_s: float) -> None:
        """Wait until then. Raises FaultToolError where the run has ended, or never begins."""
        if self._begun_s is None:
            self._begun_s = self._await_begun() + self._step_at_s
        at_s = self._begun_s + after_step_s
        while time.time() < at_s:
            self._check()
            time.sleep(min(LOOK_EVERY_S, max(0.0, at_s - time.time())))

    def _await_begun(self) -> float:
        deadline_s = time.monotonic() + BEGIN_DEADLINE_S
        while time.monotonic() < deadline_s:
            self._check()
            for file in self._out.glob(f"*/{RUN_FILE}"):
                return msgspec.json.decode(file.read_bytes(), type=LoadBegin).zero_s
            time.sleep(LOOK_EVERY_S)
        raise FaultToolError(f"no run began in {self._out} within {BEGIN_DEADLINE_S:g} s")

    def _check(self) -> None:
        if self._process.poll() is not None:
            raise FaultToolError(f"the run ended with {self._process.returncode} before its fault")


Hook = Callable[[Scene], None]


def stop_controller(scene: Scene, *, at_s: float, for_s: float) -> None:
    """Halt the Serve controller's process."""
    pid = controller_pid(scene.dashboard)
    scene.until(at_s)
    with stopped(pid):
        scene.until(at_s + for_s)


def slow_controller(
    scene: Scene, *, at_s: float, for_s: float, stopped_s: float, running_s: float
) -> None:
    """Give the Serve controller's process only a part of the time."""
    pid = controller_pid(scene.dashboard)
    scene.until(at_s)
    with slowed(pid, stopped_s, running_s):
        scene.until(at_s + for_s)


def kill_controller(scene: Scene, *, at_s: float) -> None:
    """Kill the Serve controller; Ray starts it again."""
    controller = psutil.Process(controller_pid(scene.dashboard))
    scene.until(at_s)
    controller.kill()


def stop_replica(scene: Scene, *, key: str, at_s: float, for_s: float) -> None:
    """Halt the process of a replica of deployment `key` that is RUNNING."""
    scene.until(at_s - 1)  # the application is deployed by the run
    pid = replica_pid(scene.dashboard, key)
    scene.until(at_s)
    with stopped(pid):
        scene.until(at_s + for_s)


def stop_gcs(scene: Scene, *, at_s: float, for_s: float) -> None:
    """Halt Ray's GCS, which places actors and tells of nodes."""
    pid = gcs_server_pid(scene.dashboard)
    scene.until(at_s)
    with stopped(pid):
        scene.until(at_s + for_s)


def make_sick(scene: Scene, *, at_s: float, for_s: float) -> None:
    """Let health checks fail (`sick_health`)."""
    scene.until(at_s)
    sick = scene.files / "sick"
    sick.touch()
    try:
        scene.until(at_s + for_s)
    finally:
        sick.unlink()


def break_network(
    scene: Scene, *, mode: Literal["reset", "refuse", "blackhole"], at_s: float, for_s: float
) -> None:
    """Make the way to Serve bad."""
    if scene.tcp is None:
        raise FaultToolError("this place has no TcpProxy before Serve")
    scene.until(at_s)
    getattr(scene.tcp, mode)()
    try:
        scene.until(at_s + for_s)
    finally:
        scene.tcp.forward()


def cut_node(scene: Scene, *, at_s: float) -> None:
    """Cut off the second node, for good."""
    if scene.nodes is None:
        raise FaultToolError("this place has no second node")
    scene.until(at_s)
    scene.nodes.cut()


def nothing(_scene: Scene) -> None:
    """Leave the run alone: the application has the fault in it, or there is none."""
