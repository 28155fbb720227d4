"""The benchmarks' own arithmetic, on arrivals whose lateness is known, and their command lines."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.generators import plain_locust, shared
from benchmarks.lateness import fitted_lateness_s, lateness_of
from benchmarks.processes import HEAD, Case, Run, row_of
from benchmarks.run import TITLES
from benchmarks.table import print_table, ratio

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(
    path.stem
    for path in (ROOT / "benchmarks").glob("*.py")
    if '__name__ == "__main__"' in path.read_text()
    and path.stem not in ("server", "stream_server", "page")
)
ZERO_S = 7231.25


def test_lateness_is_found_whatever_the_zero():
    late_s = np.array([0.004, 0.001, 0.0, 0.0025, 0.003])
    came_s = ZERO_S + np.array([0.0, 0.01, 0.02, 0.03, 0.04]) + late_s

    assert fitted_lateness_s(came_s, 100.0) == pytest.approx(late_s, abs=1e-9)


def test_what_all_arrivals_have_in_common_is_not_lateness():
    came_s = ZERO_S + np.arange(1000) / 500 + 0.0003

    assert fitted_lateness_s(came_s, 500.0) == pytest.approx(np.zeros(1000), abs=1e-9)


def test_a_pause_makes_the_arrivals_late_that_were_due_in_it():
    due_s = np.arange(100) / 1000
    came_s = ZERO_S + np.maximum(due_s, np.where(due_s < 0.05, 0.0, 0.06))

    late_s = fitted_lateness_s(came_s, 1000.0)

    assert late_s[50] == pytest.approx(0.010)
    assert late_s[55] == pytest.approx(0.005)
    assert np.count_nonzero(late_s > 1e-6) == 10


def test_two_that_overtake_each_other_leave_the_mean_as_it_is():
    due_s = np.arange(50) / 1000
    late_s = np.zeros(50)
    late_s[20] = 0.0015

    found_s = fitted_lateness_s(ZERO_S + due_s + late_s, 1000.0)

    assert found_s.mean() == pytest.approx(late_s.mean())


def test_the_warm_up_is_left_out_and_sets_no_zero():
    came_s = ZERO_S + np.arange(10) / 10 + 0.002
    came_s[0] = ZERO_S - 1.0

    assert fitted_lateness_s(came_s, 10.0, skip=1) == pytest.approx(np.zeros(9), abs=1e-9)


def test_figures_are_quantiles_in_milliseconds():
    late = lateness_of(np.arange(1001) / 1000)

    assert late == pytest.approx((500.0, 990.0, 999.0, 1000.0))


def test_a_ratio_is_that_of_the_rounds_that_have_both():
    assert ratio([2.0, None, 9.0, 4.0], [1.0, 5.0, 3.0, None]) == pytest.approx(2.5)
    assert ratio([None], [1.0]) is None


def test_a_table_aligns_words_left_and_numbers_right(capsys):
    print_table(("tool", "rps"), [["ours", 1234], ["k6", None], ["wrk", 0.5]])

    assert capsys.readouterr().out == (
        "| tool |   rps |\n| ---- | ----: |\n| ours | 1,234 |\n| k6   |     - |\n| wrk  |  0.50 |\n"
    )


def test_processes_are_compared_with_one_in_each_round():
    case = Case("scalelag", 50, "users")
    runs = {
        (case, 1): [Run(1000.0, 40.0, None, None), Run(500.0, 80.0, None, None)],
        (case, 2): [Run(1500.0, 50.0, None, None), Run(1000.0, 80.0, None, None)],
    }

    row = row_of(case, 2, 1, runs)

    assert row == ["50 users", "scalelag", 2, 1250.0, 1.75, 65.0, 1.125, 16250.0, None, None]
    assert len(row) == len(HEAD)


def test_only_a_locust_of_several_processes_has_a_leader():
    alone = plain_locust("http://127.0.0.1:1", "FastUser", 2, 1)

    four = shared(alone, 4)

    assert shared(alone, 1) == alone
    assert four.command[: len(alone.command)] == alone.command
    assert ("--processes", "4") in zip(four.command, four.command[1:], strict=False)


def test_every_benchmark_says_what_it_does():
    started = {
        script: subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{script}", "--help"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for script in SCRIPTS
    }

    said = {script: process.communicate(timeout=60)[0] for script, process in started.items()}

    assert set(TITLES) < set(SCRIPTS)
    assert [script for script in SCRIPTS if "--rounds" not in said[script]] == []
