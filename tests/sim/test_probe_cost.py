"""Cost of watching a thousand replicas, for the controller and for the load process's loop."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from probes.dashboard import Dashboard
from probes.replica_probe import measure_baseline
from tests.support.standin.process import ROOT, Standin, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

REPLICAS = 1000
BUDGET_RATIO = 0.02
TOLERANCE = 0.25
SETTLED_S, MEASURED_S = 3.0, 15.0
HELD_S = 0.005


class Ticks(msgspec.Struct, frozen=True):
    """Output of `tests.sim.loop_ticker`. (To import it would patch the tests' own sockets.)"""

    polls: int
    ticks: int
    held_s: list[float]
    idle_s: list[float]


class Cost(NamedTuple):
    """A stretch of watching; shares of the controller's time, as it is and as the probe says."""

    polls: int
    true_share: float
    reported_share: float


@pytest.fixture(scope="module")
def thousand() -> Iterator[Standin]:
    """A controller that takes 5 ms, and 10 us for each of its replicas, to answer."""
    replicas = [steady_replica(f"r{number:07d}") for number in range(REPLICAS)]
    costs = {"handler_cost_s": 0.005, "handler_cost_per_replica_s": 10e-6}
    with running_standin(one_deployment(*replicas, target=REPLICAS, **costs)) as standin:
        yield standin


@pytest.fixture(scope="module")
def cost(thousand, watching, until) -> Cost:
    with watching(thousand.url, budget_ratio=BUDGET_RATIO) as watch:
        until(lambda: thousand.now_s() > SETTLED_S, SETTLED_S + 10)
        begun, begun_busy_s, begun_s = thousand.stats(), watch.pacing.busy_s, watch.now()
        until(lambda: watch.now() - begun_s > MEASURED_S, MEASURED_S + 10)
        ended, ended_busy_s, ended_s = thousand.stats(), watch.pacing.busy_s, watch.now()
    return Cost(
        polls=ended.requests - begun.requests,
        true_share=(ended.busy_s - begun.busy_s) / (ended.elapsed_s - begun.elapsed_s),
        reported_share=(ended_busy_s - begun_busy_s) / (ended_s - begun_s),
    )


@pytest.mark.long
def test_watching_a_thousand_replicas_stays_within_the_budget(cost, record_testsuite_property):
    record_testsuite_property("cost of watching a thousand replicas", cost)

    assert cost.polls >= 5
    assert cost.true_share <= BUDGET_RATIO * (1 + TOLERANCE)


@pytest.mark.long
def test_the_reported_share_is_not_below_the_true_one(cost):
    assert cost.reported_share >= cost.true_share * (1 - TOLERANCE)


@pytest.mark.long
def test_the_budget_is_used_and_not_only_kept(cost):
    # A probe that looks once in ten seconds would keep it as well, and see little.
    assert cost.true_share >= BUDGET_RATIO / 2


@pytest.mark.long
def test_what_the_dashboard_answers_by_itself_costs_the_controller_nothing(thousand):
    dashboard = Dashboard(thousand.url, time.time)
    before = thousand.stats().requests

    baseline_s = measure_baseline(dashboard)

    dashboard.close()
    assert thousand.stats().requests == before
    assert 0 < baseline_s < 0.015  # a poll of this controller takes that long at least


@pytest.mark.long
def test_the_probe_never_holds_the_loop_for_long(thousand, tmp_path, record_testsuite_property):
    command = [sys.executable, "-m", "tests.sim.loop_ticker", thousand.url, "6", str(tmp_path)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)

    ticks = msgspec.json.decode(done.stdout, type=Ticks)
    record_testsuite_property("worst hold of the loop in ms", ticks.held_s[0] * 1000)
    assert ticks.polls >= 20
    assert ticks.ticks >= 1000
    assert Path(tmp_path, "replicas.jsonl").read_bytes().count(b'"transition"') == REPLICAS
    # The CPU time between two ticks is all of the loop's; the probe is the only one to need any.
    assert ticks.held_s[0] < HELD_S, f"held for {ticks.held_s[:5]} s; without it {ticks.idle_s} s"
