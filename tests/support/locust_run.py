"""Runs of Locust, as people start it, and what they left."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pyarrow as pa

from scalelag.record.run_dir import REPORT_FILE, REQUESTS_FILE, RUN_FILE, RecordedRun, load_run
from tests.support.ports import free_port
from tests.support.servers.http_echo import Arrival, Echo
from tests.support.standin.process import ROOT

RUN_DEADLINE_S = 90.0
CLOCKS_S = 0.002
PAUSE_S = 0.1
"""Load generator and endpoint read the clock of one machine, each in its own way."""

STEPPED = str(ROOT / "locustfiles" / "stepped.py")


class Run(NamedTuple):
    """A run that has ended."""

    exit_code: int
    stdout: str
    stderr: str
    path: Path

    @property
    def recorded(self) -> RecordedRun:
        return load_run(self.path)

    @property
    def info(self) -> dict[str, Any]:
        return json.loads((self.path / RUN_FILE).read_bytes())

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.path / REPORT_FILE).read_bytes())

    @property
    def load(self) -> dict[str, Any]:
        return self.report["load"]


class Locust:
    """A Locust process that is running, with all that belongs to it."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, out: Path) -> None:
        self.process = process
        self._folder = folder
        self._out = out

    @property
    def path(self) -> Path | None:
        """Its run directory, once there is one."""
        return next(iter(sorted(self._out.glob("*/"))), None)

    def command_lines(self) -> str:
        """Command lines of the process and its children, as `ps` shows them."""
        parent = psutil.Process(self.process.pid)
        return "\n".join(
            " ".join(process.cmdline()) for process in (parent, *parent.children(recursive=True))
        )

    def wait(self) -> Run:
        code = self.process.wait(RUN_DEADLINE_S)
        said = [(self._folder / name).read_text() for name in ("stdout", "stderr")]
        assert self.path is not None, said[1]
        return Run(code, said[0], said[1], self.path)


def master_ports() -> list[str]:
    """Options without which workers of any other Locust on this machine would join ours."""
    port = str(free_port())
    return ["--master-bind-port", port, "--master-port", port]


@contextmanager
def started(
    folder: Path,
    *arguments: str,
    locustfile: str = STEPPED,
    out: Path | None = None,
    environment: Mapping[str, str] | None = None,
    ignored: str = "",
) -> Iterator[Locust]:
    """A Locust process; whatever is left of it when the block ends is killed.

    It is born with the signals `ignored`, such as "INT", ignored: as `cmd &` in a script has SIGINT.
    """
    out = out or folder / "runs"
    command = [sys.executable, "-m", "locust", "-f", locustfile, "--headless", "--drain", "0"]
    command += [*master_ports(), "--out", str(out), *arguments]
    if ignored:
        command = ["sh", "-c", f"trap '' {ignored}; exec \"$@\"", "sh", *command]
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield Locust(process, folder, out)
    finally:
        with suppress(ProcessLookupError):  # it may have gone, with its workers
            os.killpg(process.pid, signal.SIGKILL)  # the session that it leads is ours
        process.wait()


def run(folder: Path, *command: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The run directory that `python -m` with these arguments leaves in `folder`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ports = master_ports() if command[0] == "locust" else []
    done = subprocess.run(
        [sys.executable, "-m", *command, *ports],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_DEADLINE_S,
        check=False,
    )
    (path,) = (folder / "runs").iterdir()
    # 4: requests failed; 5: the machine was too busy to send on time.
    assert done.returncode in (0, 4, 5), done.stderr
    return path, done


def table_of(path: Path) -> pa.Table:
    """The request rows of the record."""
    return pa.ipc.open_stream(path / REQUESTS_FILE).read_all()


def sent_to(echo: Echo, path: str = "/") -> list[Arrival]:
    return [arrival for arrival in echo.arrivals() if arrival.path == path]


def assert_ran(run: Run, exit_code: int = 0) -> None:
    """It ended with that code: 0 is 4 where a default gate fails, and any is 5 on a busy machine.

    How busy it is, is not ours to say: whether requests can be sent on time is the business of
    `test_every_planned_request_is_sent_when_it_is_due`.
    """
    load = run.load
    late = load["late_ratio"] > 0.01 and run.info["plan"]["unit"] == "rps"
    if exit_code == 0 and (load["error_ratio"] > 0.01 or load["task_exceptions"]):
        exit_code = 4  # the default gates
    assert run.exit_code == (5 if late else exit_code), run.stderr


def assert_the_other_side_agrees(recorded: RecordedRun, arrivals: list[Arrival]) -> None:
    """Every request came after it was sent, and before it was answered.

    Requests are not told apart: what holds for each of them holds for both in the order of time.
    A process that loses the CPU between two readings of the clock sees one request in a hundred late.
    """
    rows = recorded.requests
    sent_s = np.sort(rows.intended_s + rows.send_lag_s)
    done_s = np.sort(rows.intended_s + rows.latency_s)
    came_s = np.sort([arrival.at_s for arrival in arrivals])
    assert came_s.size == sent_s.size
    for early_s in (sent_s - came_s, came_s - done_s):
        assert np.quantile(early_s, 0.99) <= CLOCKS_S
        assert np.max(early_s) <= PAUSE_S
