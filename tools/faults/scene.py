"""Runs under load, and the processes and files that a fault is done to."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import psutil

from scalelag.errors import RecordError
from scalelag.record.requests_reader import read_requests
from scalelag.record.run_dir import REQUESTS_FILE
from tests.support.locust_run import started
from tests.support.servers.http_echo import Echo, running_echo
from tests.support.servers.metrics_server import MetricsServer, controller_text, running_metrics
from tests.support.standin.process import Standin, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.waiting import wait_for
from tools.scalelag_run import begun

SECONDS: Final = 24
RATE: Final = 50
FAULT_AFTER_ROWS: Final = 4 * RATE
_ON_RAY_S: Final = 40
_DEADLINE_S: Final = 120.0
_DISK: Final = "8m"
_OBSERVER: Final = "scalelag.observer.main"
_WALL_CLOCK: Final = Path(__file__).with_name("wall_clock.c")


class MissingToolError(Exception):
    """A fault cannot be made on this machine."""


class Scene:
    """A run in its folder `out`, under load.

    `process` leads it. On real Ray there is no `standin`, `echo` or `metrics`. `clock` is the file by
    which the wall clock of the run is set, where there is one.
    """

    def __init__(self, process: subprocess.Popen[bytes], out: Path) -> None:
        self.process = process
        self.out = out
        self.said = out.parent / "stderr"
        self.standin: Standin | None = None
        self.echo: Echo | None = None
        self.metrics: MetricsServer | None = None
        self.clock: Path | None = None

    @property
    def path(self) -> Path:
        """The run directory."""
        return next(iter(sorted(self.out.glob("2*"))))

    @property
    def leader(self) -> psutil.Process:
        """Process that leads the run: it sends the load, too, if there is no other."""
        return psutil.Process(self.process.pid)

    def process_called(self, name: str) -> psutil.Process:
        """Process of this run with `name` in its command line."""
        family = self.leader.children(recursive=True)
        return next(one for one in family if name in " ".join(one.cmdline()))

    @property
    def observer(self) -> psutil.Process:
        """Process of the probes."""
        return self.process_called(_OBSERVER)

    @property
    def worker(self) -> psutil.Process:
        """One of the load processes that the leader forked."""
        forked = [one for one in self.leader.children() if _OBSERVER not in " ".join(one.cmdline())]
        return min(forked, key=lambda one: one.pid)

    def await_load(self) -> None:
        """Wait until enough requests are on record."""
        wait_for(lambda: self._rows() >= FAULT_AFTER_ROWS, "requests on record", _DEADLINE_S)

    def _rows(self) -> int:
        files = list(self.out.glob(f"2*/{REQUESTS_FILE}"))
        try:
            return read_requests(files[0])[0].count if files else 0
        except RecordError:
            return 0

    def fill_disk(self) -> None:
        """Write to the disk of the run until nothing more goes on it."""
        with (self.out.parent / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return


@contextmanager
def on_standin(
    folder: Path, options: Sequence[str], *, disk: bool, clock: bool
) -> Generator[Scene]:
    """A run of plain Locust with our locustfile against the stand-in.

    Its folder is a `disk` of its own, or it reads a `clock` that can be set.
    """
    with ExitStack() as stack:
        room = stack.enter_context(_small_disk()) if disk else folder
        loops = count(100)
        metrics = stack.enter_context(
            running_metrics(lambda: controller_text(1.0, float(next(loops))))
        )
        script = one_deployment(steady_replica(), metrics_ports=(metrics.address,))
        standin = stack.enter_context(running_standin(script))
        echo = stack.enter_context(running_echo())
        time_file = folder / "clock"
        plan = ("--host", echo.url, "--dashboard", standin.url, "--steps", f"{RATE}rps:{SECONDS}s")
        locust = stack.enter_context(
            started(
                folder,
                *plan,
                *options,
                out=room / "runs",
                environment=_clock_of(time_file) if clock else {},
            )
        )
        scene = Scene(locust.process, room / "runs")
        scene.said = folder / "stderr"
        scene.standin, scene.echo, scene.metrics = standin, echo, metrics
        scene.clock = time_file if clock else None
        yield scene


@contextmanager
def on_ray(folder: Path, options: Sequence[str]) -> Generator[Scene]:
    """A run of `scalelag run` with a cluster of its own."""
    out, said = folder / "runs", folder / "stderr"
    plan = ("--app", "sleeper", "--steps", f"{RATE}rps:{_ON_RAY_S}s", "--drain", "0")
    autoscaled = ("--app-arg", "service_time_s=0.02", "--out", str(out))
    with begun([*plan, *autoscaled, *options], said, os.environ) as process:
        scene = Scene(process, out)
        scene.said = said
        yield scene


@contextmanager
def _small_disk() -> Generator[Path]:
    """A file system of its own of a few MiB. Raises MissingToolError where it cannot be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="scalelag-disk-"))
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder)], check=False
    )
    if mounted.returncode:
        raise MissingToolError("a small file system cannot be mounted here: run it as root")
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def _clock_of(file: Path) -> dict[str, str]:
    """Environment in which the wall clock is the machine's with the offset in `file`.

    Raises MissingToolError without a compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise MissingToolError("a C compiler is missing (cc), for a clock that can be set")
    library = file.with_name("wall_clock.so")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_WALL_CLOCK)]
    subprocess.run(command, check=True)
    set_clock(file, 0)
    return {"LD_PRELOAD": str(library), "WALL_CLOCK_OFFSET": str(file)}


def set_clock(file: Path, offset_s: int) -> None:
    """Set the wall clock of the processes that read `file`."""
    with file.open("r+b" if file.exists() else "wb") as opened:
        opened.write(offset_s.to_bytes(8, sys.byteorder, signed=True))


def stopped_for(
    process: Callable[[Scene], psutil.Process], seconds: float
) -> Callable[[Scene], None]:
    """Return a fault: the process stands still for some seconds (SIGSTOP), and goes on."""

    def act(scene: Scene) -> None:
        chosen = process(scene)
        chosen.suspend()
        try:
            time.sleep(seconds)
        finally:
            if chosen.is_running():
                chosen.resume()

    return act


def report_of(path: Path, output: Path) -> int:
    """Make the report of a run again, as JSON, and return the exit code."""
    command = [sys.executable, "-m", "scalelag.cli", "report", str(path), "--format", "json"]
    done = subprocess.run([*command, "--output", str(output)], check=False, timeout=_DEADLINE_S)
    return done.returncode
