"""Traces as the other side saw them, sent by one process and by several."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.locust_run import (
    RUN_DEADLINE_S,
    Run,
    assert_ran,
    assert_the_other_side_agrees,
    sent_to,
    started,
)
from tests.support.quiet import quietest
from tests.support.servers.http_echo import Echo

LATE_S = 0.1
"""Half of all requests come within this of their time, however busy the machine is."""


def bursts() -> np.ndarray:
    """Unix times, in whole milliseconds: 300 in 3 s at random, and 20 at once in their midst."""
    millis = np.random.default_rng(4).integers(0, 3000, 300)
    return 1.7e9 + np.sort(np.append(millis, [1500] * 20)) / 1000


def written(path: Path, header: str, rows: np.ndarray) -> str:
    path.write_text("\n".join([header, *(f"{row:.3f}" for row in rows)]) + "\n")
    return path.name


def assert_sent_as(run: Run, echo: Echo, due_s: np.ndarray, within_s: float = 0.0) -> None:
    """Each of `due_s`, after the plan's start, was sent once, and came to the other side then."""
    assert_ran(run)
    recorded, arrivals = run.recorded, sent_to(echo)
    intended_s = np.sort(recorded.requests.intended_s)
    assert intended_s.size == len(arrivals) == due_s.size
    assert np.abs(intended_s - (recorded.info.zero_s + due_s)).max() <= within_s
    assert (run.load["planned"], run.load["completed"]) == (due_s.size,) * 2
    assert_the_other_side_agrees(recorded, arrivals)
    came_s = np.sort([arrival.at_s for arrival in arrivals])
    assert quietest(came_s - intended_s) < LATE_S


def test_arrivals_are_sent_as_the_file_says(target, echo, tmp_path):
    unix_s = bursts()
    name = written(tmp_path / "mine.csv", "arrival_s", unix_s)

    with started(tmp_path, *target, "--trace", name) as locust:
        run = locust.wait()

    # As the file has it, to the last bit: moments are shifted and not reckoned with.
    assert_sent_as(run, echo, unix_s - unix_s[0])
    assert len(run.info["trace"]["sha256"]) == 64
    assert {
        "sha256": run.info["trace"]["sha256"],
        "file": "mine.csv",
        "kind": "arrivals",
        "column": "arrival_s",
        "time_column": None,
        "rows": 320,
    }.items() <= run.info["trace"].items()
    assert (run.info["planned_requests"], run.info["arrivals"]) == (320, "replayed")
    assert "mine.csv: 320 arrival times from column" in run.stderr
    assert "Load: trace mine.csv" in run.stdout


@pytest.mark.long
def test_processes_share_a_trace_that_only_the_leading_one_can_read(target, echo, tmp_path, until):
    unix_s = bursts()
    path = tmp_path / "mine.csv"
    written(path, "arrival_s", unix_s)
    several = ["--processes", "4", "--repeat", "2", "--trace", path.name]

    with started(tmp_path, *target, *several) as locust:
        # The leading process has read it; the others begin a second before the load does.
        until(lambda: locust.path, what="a run directory")
        path.unlink()
        run = locust.wait()

    once_s = unix_s - unix_s[0]
    # The trace lasts for one more gap, the mean of the last ten between different moments.
    length_s = once_s[-1] + np.diff(np.unique(once_s))[-10:].mean()
    assert_sent_as(run, echo, np.append(once_s, once_s + length_s), within_s=1e-6)
    workers = run.recorded.requests.worker
    assert np.bincount(workers).tolist() == [160] * 4
    assert run.info["plan"]["repeat"] == 2


@pytest.mark.long
def test_rates_are_sent_by_scalelag_run_and_several_processes(target, echo, tmp_path):
    rows = "time_s,rps\n100,40\n101,0\n102,120\n103.5,0.5\n"
    (tmp_path / "load.csv").write_text(rows)
    command = [sys.executable, "-m", "scalelag.cli", "run", *target, "--trace", "load.csv"]
    command += ["--processes", "2", "--drain", "0", "--out", "runs"]

    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=RUN_DEADLINE_S, check=False
    )

    (path,) = (tmp_path / "runs").iterdir()
    run = Run(done.returncode, done.stdout, done.stderr, path)
    # 40 in the first second, none in the next, 180 in a second and a half; the last row has 0.75.
    due_s = np.concatenate([np.arange(40) / 40, 2 + np.arange(180) / 120, [3.5]])
    assert_sent_as(run, echo, due_s, within_s=1e-6)
    assert (run.info["trace"]["column"], run.info["trace"]["time_column"]) == ("rps", "time_s")
    assert run.info["plan"]["stages"][-1]["at_s"] + run.info["plan"]["stages"][-1][
        "duration_s"
    ] == pytest.approx(5.0)


def test_a_trace_that_is_no_good_is_refused_by_line(target, echo, tmp_path):
    (tmp_path / "mine.csv").write_text("arrival_s\n1\nabc\n")

    with started(tmp_path, *target, "--trace", "mine.csv") as locust:
        code = locust.process.wait(RUN_DEADLINE_S)

    assert code == 2
    said = (tmp_path / "stderr").read_text()
    assert 'scalelag: --trace mine.csv line 3: arrival_s "abc" is not a number.' in said
    assert echo.arrivals() == []
    assert not (tmp_path / "runs").exists()
