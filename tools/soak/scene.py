"""Runs that go on for long, with the page to look at, and the processes of ours in them."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from tests.support.locust_page import LocustPage, running_page
from tests.support.locust_run import master_ports
from tests.support.ports import free_port
from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import ROOT, Standin, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import DeploymentScript, ReplicaScript, Script
from tests.support.waiting import wait_for

FEW: Final = 1
MANY: Final = 3
_STANDIN_HOLD_S: Final = 18
_RAY_HOLD_S: Final = 30
_WORKERS: Final = 2
_ROOMY: Final = (
    *("--app-arg", "service_time_s=0.1"),
    *("--app-arg", "target_ongoing_requests=1"),
)
"""One replica serves the load while others start: an overload would open hundreds of connections."""
_UP_DEADLINE_S: Final = 180.0
_END_DEADLINE_S: Final = 60.0
LOAD: Final = "load process"
_NAMES: Final = {
    "-m scalelag.observer.main": "probe process",
    "-m scalelag.cluster.embedded_main": "process of the cluster",
    "-m scalelag.cli run": "scalelag run",
    "-m locust": LOAD,
}


class Plan(NamedTuple):
    """Load that goes up and down again, `times` times; each level is held for `hold_s`."""

    low_rps: int
    high_rps: int
    hold_s: int
    times: int

    @property
    def steps(self) -> str:
        """One time, as `--steps` takes it."""
        return f"{self.low_rps}rps:{self.hold_s}s,{self.high_rps}rps:{self.hold_s}s"

    @property
    def seconds(self) -> int:
        """Length of all."""
        return 2 * self.hold_s * self.times


class Scene:
    """A page on which a test can be started, and the process that leads it."""

    def __init__(self, web: LocustPage, plan: Plan, standin: Standin | None = None) -> None:
        self.web = web
        self.plan = plan
        self._standin = standin

    def begin(self) -> None:
        """Start the load; replicas of a stand-in come and go with it from now on."""
        self.web.start(steps=self.plan.steps, repeat=str(self.plan.times))
        wait_for(self.web.is_sending, "load under way", _UP_DEADLINE_S)
        if self._standin is not None:
            self._standin.control(script=swinging(self.plan, self._standin.now_s()))

    def processes(self) -> dict[str, psutil.Process]:
        """All processes of ours, by name."""
        first = psutil.Process(self.web.process.pid)
        ours: dict[str, psutil.Process] = {}
        workers: list[psutil.Process] = []
        for one in (first, *first.children(recursive=True)):
            name = name_of(one)
            if name == LOAD and LOAD in ours:
                workers.append(one)
            elif name is not None:
                ours[name] = one
        if workers:
            ours = {"master": ours.pop(LOAD), **ours}
        return ours | {f"worker {number}": one for number, one in enumerate(workers, 1)}


def name_of(process: psutil.Process) -> str | None:
    """Return our name of a process; None if it is none of ours, or has ended."""
    try:
        command = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return None
    return next((name for mark, name in _NAMES.items() if mark in command), None)


def swinging(plan: Plan, zero_s: float) -> Script:
    """Replicas that follow the plan, which began at `zero_s`, as an autoscaler would have them."""
    targets, replicas = [(-60.0, FEW)], [steady_replica(f"old{n:05}") for n in range(FEW)]
    for number in range(plan.times):
        up_s = zero_s + plan.hold_s * (2 * number + 1) + 1.0
        down_s = up_s + plan.hold_s + 2.0
        targets += [(up_s, MANY), (down_s, FEW)]
        for n in range(MANY - FEW):
            began_s, ended_s = up_s + 0.1, down_s + 0.1
            name = f"r{n}{number:06}"
            running = (began_s + 0.4, began_s + 1.5 + n)
            replicas.append(ReplicaScript(name, began_s, *running, ended_s, ended_s + 1.0))
    deployment = DeploymentScript(
        targets=tuple(targets),
        replicas=tuple(replicas),
        autoscaling={"min_replicas": FEW, "max_replicas": MANY},
    )
    return Script(applications={"default": {"Model": deployment}})


@contextmanager
def on_standin(folder: Path, minutes: float) -> Generator[Scene]:
    """Locust's page with a master and two workers, against the stand-in."""
    plan = Plan(20, 40, _STANDIN_HOLD_S, max(1, round(minutes * 60 / (2 * _STANDIN_HOLD_S))))
    with (
        running_standin(one_deployment(steady_replica("old00000"), target=FEW)) as standin,
        running_echo() as echo,
        running_page(
            folder,
            *("--host", echo.url, "--dashboard", standin.url),
            *("--processes", str(_WORKERS), *master_ports()),
        ) as web,
    ):
        yield Scene(web, plan, standin)


@contextmanager
def on_ray(folder: Path, minutes: float) -> Generator[Scene]:
    """`scalelag run --web` with a cluster of its own."""
    plan = Plan(5, 40, _RAY_HOLD_S, max(1, round(minutes * 60 / (2 * _RAY_HOLD_S))))
    port = free_port()
    command = [sys.executable, "-m", "scalelag.cli", "run", "--web", "--app", "sleeper", *_ROOMY]
    with (folder / "output").open("wb") as said:
        process = subprocess.Popen(
            [*command, "--drain", "0", "--web-port", str(port), "--out", str(folder / "runs")],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        web = LocustPage(process, f"http://127.0.0.1:{port}", folder)
        wait_for(web.is_up, "the page is up", _UP_DEADLINE_S)
        yield Scene(web, plan)
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_DEADLINE_S)
        process.kill()
        process.wait()
