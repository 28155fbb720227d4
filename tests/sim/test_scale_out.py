"""Several load processes: one that dies, one that is cut off, one that comes late, clocks apart."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from scalelag.record.run_dir import REPORT_FILE, RUN_FILE, RecordedRun, load_run
from tests.support.ports import free_port
from tests.support.servers.http_echo import Echo
from tests.support.standin.process import ROOT, Standin

RUN_DEADLINE_S = 90.0
STEPPED = str(ROOT / "locustfiles" / "stepped.py")
CLOCKS_S = 0.002
"""Worker and endpoint read the clock of one machine, each in its own way."""
LAST_ROWS_S = 2.0
"""Rows that a killed worker has not handed over: half a second, more on a busy machine."""

AHEAD_S = 30.0
SKEWED = f"""
import time
from functools import partial

from scalelag.plugin.leader import lifecycle
from scalelag.record.clock import Clock

lifecycle.Clock = partial(Clock, wall=lambda: time.time() + {AHEAD_S})

from locustfiles.stepped import SteppedUser, StepShape
"""


class Load:
    """Locust's processes of one run; whatever is left of them at the end is killed."""

    def __init__(self, folder: Path, echo: Echo, standin: Standin) -> None:
        self._folder = folder
        self._target = ["--host", echo.url, "--dashboard", standin.url, "--drain", "0"]
        self._port = str(free_port())
        self._processes: list[subprocess.Popen[bytes]] = []

    def lead(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the process that leads the run."""
        port = ["--master-bind-port", self._port, "--master-port", self._port]
        out = ["--out", str(self._folder / "runs")]
        return self._start("leader", STEPPED, *self._target, *out, *port, *arguments)

    def join(self, locustfile: str = STEPPED) -> subprocess.Popen[bytes]:
        """Start a worker."""
        master = ["--worker", "--master-host", "127.0.0.1", "--master-port", self._port]
        return self._start(f"worker-{len(self._processes)}", locustfile, *master)

    def _start(self, name: str, locustfile: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.out").open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "locust", "-f", locustfile, "--headless", *arguments],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def kill(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):  # it may have gone, with its workers
                os.killpg(process.pid, signal.SIGKILL)  # the session that it leads is ours
            process.wait()

    @property
    def said(self) -> str:
        """Output of the master so far."""
        return (self._folder / "leader.out").read_text()

    @property
    def started(self) -> bool:
        """True if a run is shared out among the current workers."""
        return any((self._folder / "runs").glob(f"*/{RUN_FILE}"))

    @property
    def _path(self) -> Path:
        (path,) = (self._folder / "runs").glob("*/")
        return path

    @property
    def recorded(self) -> RecordedRun:
        return load_run(self._path)

    @property
    def info(self) -> dict[str, Any]:
        return json.loads((self._path / RUN_FILE).read_bytes())

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self._path / REPORT_FILE).read_bytes())


@pytest.fixture
def load(tmp_path, echo, standin) -> Iterator[Load]:
    load = Load(tmp_path, echo, standin)
    try:
        yield load
    finally:
        load.kill()


def workers_of(leader: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Workers that `--processes` made, in the order in which they were made; not the observer."""
    children = psutil.Process(leader.pid).children()
    workers = [child for child in children if "scalelag.observer.main" not in child.cmdline()]
    return sorted(workers, key=lambda child: child.pid)


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """It does nothing until the block ends, as if it were cut off."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def losses(load: Load) -> list[str]:
    return re.findall(r"load process (\d) on \S+ is lost", load.said)


def due(rps: float, seconds: float, every: int = 1, first: int = 0) -> np.ndarray:
    """Due times of one process's share of a constant plan, after the plan's start."""
    return (np.arange(round(rps * seconds)) / rps)[first::every]


def assert_counted_since_it_was_killed(
    load: Load, gone: dict[str, Any], share: np.ndarray, died_s: float
) -> np.ndarray:
    """Hold a killed worker's rows to its share: what was due after the last one sent is not sent.

    Returns the due times of what is not sent.
    """
    rows = load.recorded.requests
    mine = rows.worker == gone["index"]
    sent = int(np.count_nonzero(mine & ~rows.not_sent))
    unsent_s = rows.intended_s[mine & rows.not_sent] - load.info["zero_s"]
    assert np.allclose(unsent_s, share[sent:], atol=1e-6)
    assert (
        np.count_nonzero(share < died_s - LAST_ROWS_S) <= sent <= np.count_nonzero(share < died_s)
    )
    assert (gone["lost_arrivals"], gone["back_at_s"]) == (share.size - sent, None)
    assert abs(gone["lost_at_s"] - died_s) < LAST_ROWS_S
    return share[sent:]


@pytest.mark.long
def test_a_worker_that_is_killed_or_cut_off_is_counted_to_the_last_arrival(load, echo, until):
    """Three share 90 rps. One is killed; one is cut off until that is noticed, and then goes on."""
    leader = load.lead("--steps", "90rps:4s,60rps:5s", "--processes", "3")
    until(lambda: len(echo.arrivals()) >= 90, what="requests")
    killed, cut_off, _ = workers = workers_of(leader)
    with stopped(cut_off):
        killed.kill()
        killed_s = time.time()
        until(lambda: len(losses(load)) == 2, 10, what="both losses")
        noticed_s = time.time()
    code = leader.wait(RUN_DEADLINE_S)

    rows, info, report = load.recorded.requests, load.info, load.report
    by_index = {one["index"]: one for one in info["load_workers"]}
    gone, back = sorted(
        (by_index[int(index)] for index in losses(load)), key=lambda one: one["back_at_s"] or 0
    )
    assert code == 5, load.said  # more than 1 % was not sent on time
    assert info["status"] == "complete"
    assert noticed_s - killed_s < 8
    # Every arrival of the plan has one row, no more and no less.
    plan = np.concatenate([due(90, 4), 4 + due(60, 5)])
    assert np.allclose(rows.intended_s - info["zero_s"], plan, atol=1e-6)
    share = plan[gone["index"] :: 3]
    unsent = assert_counted_since_it_was_killed(load, gone, share, killed_s - info["zero_s"])
    per_step = [np.count_nonzero(unsent < 4), np.count_nonzero(share >= 4)]
    assert [step["not_sent"] for step in report["load"]["steps"]] == per_step
    # The one that was cut off sent late what it could not send in time: no row of its is made up.
    assert (back["lost_arrivals"], back["back_at_s"] > back["lost_at_s"]) == (0, True)
    assert int(np.count_nonzero(rows.not_sent & (rows.worker != gone["index"]))) == 0
    # It is said, once each, and nothing is left running.
    assert sum(" was lost from " in warning for warning in report["warnings"]) == 2
    assert [one["lost_arrivals"] for one in report["load"]["workers"]] == [
        by_index[index]["lost_arrivals"] for index in range(3)
    ]
    assert "2 of 3 load processes were lost" in report["reasons"][0]
    assert not any(process.is_running() for process in workers)


@pytest.mark.long
def test_when_nobody_is_left_the_run_ends_and_is_invalid(load, echo, until):
    leader = load.lead("--steps", "50rps:60s", "--processes", "2")
    until(lambda: len(echo.arrivals()) >= 10, what="requests")
    for worker in workers_of(leader):
        worker.kill()
    killed_s = time.time()
    code = leader.wait(RUN_DEADLINE_S)

    rows, info, report = load.recorded.requests, load.info, load.report
    assert code == 5, load.said
    assert time.time() - killed_s < 30
    assert (info["status"], report["verdict"]) == ("invalid", "invalid")
    assert "every load process was lost" in report["reasons"][0]
    assert "nobody is left" in load.said
    # Counted until the run ended, without a gap.
    due_s = rows.intended_s - info["zero_s"]
    assert np.allclose(due_s, due(50, 60)[: rows.count], atol=1e-6)
    assert due_s[-1] >= killed_s - info["zero_s"]
    assert report["load"]["not_sent"] == sum(one["lost_arrivals"] for one in info["load_workers"])


@pytest.mark.long
def test_a_clock_that_is_wrong_and_a_worker_that_comes_late_change_nothing(
    load, echo, tmp_path, until
):
    skewed = tmp_path / "skewed.py"
    skewed.write_text(SKEWED)
    leader = load.lead("--steps", "80rps:3s", "--master", "--expect-workers", "2")
    workers = [load.join(), load.join(str(skewed))]
    until(lambda: load.started, what="a run that is shared out")
    workers.append(load.join())
    code = leader.wait(RUN_DEADLINE_S)
    for worker in workers:
        worker.wait(RUN_DEADLINE_S)

    rows, info, report = load.recorded.requests, load.info, load.report
    arrivals = np.sort([arrival.at_s for arrival in echo.arrivals()])
    assert code == (5 if report["load"]["on_time_ratio"] < 0.99 else 0), load.said
    assert np.allclose(rows.intended_s - info["zero_s"], due(80, 3), atol=1e-6)
    assert sorted(np.unique(rows.worker, return_counts=True)[1].tolist()) == [120, 120]
    # As the other side saw it: each came after it was sent and before it was answered.
    assert arrivals.size == rows.count
    known_s = CLOCKS_S + max(one["error_s"] for one in info["load_workers"])
    assert np.max(np.sort(rows.intended_s + rows.send_lag_s) - arrivals) <= known_s
    assert np.max(arrivals - np.sort(rows.intended_s + rows.latency_s)) <= known_s
    assert np.max(rows.latency_s) < AHEAD_S / 2  # answered at once, however the clocks differ
    near, far = sorted(info["load_workers"], key=lambda one: one["offset_s"])
    assert abs(near["offset_s"]) <= near["error_s"] + CLOCKS_S
    assert abs(far["offset_s"] - AHEAD_S) <= far["error_s"] + CLOCKS_S
    assert max(near["drift_s"], far["drift_s"]) <= CLOCKS_S
    assert "came after the load was shared out" in load.said
    assert [one["lost_arrivals"] for one in info["load_workers"]] == [0, 0]


def users_open(echo: Echo, from_s: float, to_s: float) -> int:
    return max((a.open for a in echo.arrivals() if from_s < a.at_s < to_s), default=0)


@pytest.mark.long
def test_closed_loop_the_others_take_over_the_users_of_a_worker_that_is_killed(load, echo, until):
    leader = load.lead("--steps", "4users:7s", "--path", "/delay/0.05", "--processes", "2")
    until(lambda: len(echo.arrivals()) >= 8, what="requests")
    workers_of(leader)[0].kill()
    until(lambda: losses(load), 10, what="the loss")
    noticed_s = time.time()
    code = leader.wait(RUN_DEADLINE_S)

    info, report = load.info, load.report
    (gone,) = (one for one in info["load_workers"] if one["lost_at_s"] is not None)
    ends_s = info["zero_s"] + 7
    assert code == 0, load.said
    assert users_open(echo, noticed_s - 1.0, noticed_s - 0.5) == 2
    assert users_open(echo, ends_s - 0.7, ends_s) == 4
    assert (info["planned_requests"], gone["lost_arrivals"]) == (None, None)
    assert report["load"]["not_sent"] == 0
    assert any("the others took over its users" in warning for warning in report["warnings"])
