"""Demand: from open requests by the policy's own formula, or from the rate and a capacity."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.elasticity.demand import (
    Demand,
    capacity_asked,
    capacity_demand,
    demand_of,
    offered_rps,
    sample_edges,
)
from reports.analysis.lag.policy import Policy, policy_of
from reports.analysis.load.concurrency import Concurrency
from reports.analysis.seen.series import gauge_series
from reports.model.intervals import Window
from scalelag.plan.stages import LoadStep, parse_plan
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_info import DeploymentInfo
from scalelag.record.seen_rows import DeploymentGauges, SeenRow

ZERO_S = 1_795_371_900.0
PLAN = parse_plan("5rps:20s,40rps:40s,5rps:20s")
STEPS = PLAN.steps(100.0)


def policy(**settings: object) -> Policy:
    config = {"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 2.0} | settings
    found = policy_of(DeploymentInfo(autoscaling=config))
    assert found is not None
    return found


def rows(begun_s: Sequence[float], ended_s: Sequence[float]) -> RequestColumns:
    """Requests that were open from each of `begun_s` to its `ended_s`, Unix seconds."""
    n = len(begun_s)
    begun = np.asarray(begun_s, np.float64)
    return RequestColumns(
        intended_s=begun,
        send_lag_s=np.zeros(n, np.float32),
        latency_s=(np.asarray(ended_s) - begun).astype(np.float32),
        status=np.full(n, 200, np.uint16),
        name=np.zeros(n, np.int32),
        error=np.full(n, -1, np.int32),
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=(),
    )


def steady(*parts: tuple[float, float, float], service_s: float) -> RequestColumns:
    """Requests of (from, until, rps), seconds after the start, each open for `service_s`."""
    due = np.concatenate([np.arange(f, u, 1 / rps) for f, u, rps in parts]) + ZERO_S
    return rows(due, due + service_s)


def demand(
    columns: RequestColumns,
    steps: Sequence[LoadStep] = STEPS,
    of: Policy | None = None,
    capacity_rps: float | None = None,
) -> Demand:
    found = demand_of(PLAN, steps, ZERO_S, of or policy(), Concurrency(columns), capacity_rps)
    assert isinstance(found, Demand)
    return found


def at(found: Demand, *times_s: float) -> list[int]:
    return list(found.curve.at(np.array(times_s) + ZERO_S))


LOAD = steady((0, 20, 5), (20, 60, 40), (60, 80, 5), service_s=0.125)
"""0.625, 5 and 0.625 open requests: 1, 3 and 1 replicas of 2."""


# --- open requests -----------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(-20, 120), st.integers(0, 60)), min_size=1, max_size=40),
    st.lists(st.integers(0, 100), min_size=2, max_size=8, unique=True).map(sorted),
    st.randoms(use_true_random=False),
)
def test_means_of_open_requests_are_those_counted_moment_by_moment(requests, edges, shuffle):
    """In tenths of a second: whether each is open is asked in the middle of every tenth."""
    expected = [
        sum(
            sum(begun <= tenth < begun + length for begun, length in requests)
            for tenth in range(first, then)
        )
        / (then - first)
        for first, then in pairwise(edges)
    ]
    shuffle.shuffle(requests)
    begun = np.array([b for b, _ in requests]) / 10
    open_ = Concurrency(rows(begun, begun + np.array([n for _, n in requests]) / 10))

    assert open_.means(np.array(edges) / 10) == pytest.approx(expected, abs=1e-5)


def test_means_are_the_same_in_blocks(monkeypatch):
    edges_s = ZERO_S + sample_edges(STEPS)
    at_once = Concurrency(LOAD).means(edges_s)

    monkeypatch.setattr("scalelag.record.blocks.BLOCK", 7)

    assert Concurrency(LOAD).means(edges_s) == pytest.approx(at_once)
    assert at_once[:4] == pytest.approx([0.625] * 4, rel=0.05)


def test_requests_that_were_never_sent_are_not_open():
    columns = rows([0.0, 0.0], [np.nan, 1.0])

    assert list(Concurrency(columns).means(np.array([0.0, 1.0]))) == [1.0]


# --- by the policy -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ongoing", "replicas"),
    [(0.0, 1), (0.1, 1), (2.0, 1), (2.0000001, 1), (2.01, 2), (4.0, 2), (7.9, 4), (800.0, 4)],
)
def test_the_policys_demand_is_rounded_up_within_its_bounds(ongoing: float, replicas: int):
    assert list(policy().bounded_demand(np.array([ongoing]))) == [replicas]


@pytest.mark.parametrize(("ongoing", "replicas"), [(0.0, 0), (0.001, 1)])
def test_a_deployment_that_scales_to_zero_is_wanted_by_any_request(ongoing: float, replicas: int):
    found = policy(min_replicas=0).bounded_demand(np.array([ongoing]))

    assert list(found) == [replicas]


def test_demand_follows_the_load_step_by_step():
    found = demand(LOAD)

    assert found.kind == "policy"
    assert at(found, -1, 1, 19.9, 20.1, 59.9, 60.5, 79, 90) == [1, 1, 1, 3, 3, 1, 1, 1]
    assert list(found.curve.times_s - ZERO_S) == list(range(5, 100, 5))


def test_the_order_of_rows_changes_no_demand():
    order = np.random.default_rng(7).permutation(LOAD.count)
    begun_s = LOAD.intended_s[order]
    mixed = rows(begun_s, begun_s + LOAD.latency_s[order])

    assert demand(mixed).curve.values.tolist() == demand(LOAD).curve.values.tolist()


def test_samples_are_equal_parts_of_a_hold_and_reach_over_no_step():
    steps = [
        LoadStep(0, 0.0, 12.0, 0, 5),
        LoadStep(1, 12.0, 13.5, 5, 9),
        LoadStep(2, 13.5, 33.5, 9, 0),
    ]

    edges_s = sample_edges(steps)

    assert list(edges_s) == [0, 6, 12, 13.5, 18.5, 23.5, 28.5, 33.5]


def test_a_hold_settles_at_the_demand_of_most_of_its_last_quarter():
    # Twice as many requests from 50 to 54 s: of 50..60 s one sample of two is higher.
    burst = steady((20, 60, 40), (50, 54, 40), service_s=0.125)
    found = demand(burst)

    assert at(found, 49, 52.5, 57) == [3, 4, 3]
    assert found.settled(Window(ZERO_S + 20, ZERO_S + 60)) == 3


def test_a_hold_without_any_time_settles_at_rest():
    assert demand(LOAD).settled(Window(ZERO_S, ZERO_S)) == 1


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"requests": "nobody counted them"}, "nobody counted them"),
        ({"steps": ()}, "the run ended before the first load step"),
        ({"policy": None}, "its number of replicas is fixed"),
        ({"policy": policy(policy={"policy_function": "mine:f"})}, "a policy of its own"),
        (
            {"plan": parse_plan("4users:80s"), "capacity_rps": 10.0},
            "a users plan offers no rate of its own",
        ),
    ],
)
def test_where_there_is_no_demand_the_reason_is_told(changed: dict[str, object], reason: str):
    known = {
        "plan": PLAN,
        "steps": STEPS,
        "zero_s": ZERO_S,
        "policy": policy(),
        "requests": Concurrency(LOAD),
        "capacity_rps": None,
    }

    found = demand_of(**(known | changed))

    assert isinstance(found, str)
    assert reason in found.replace("an autoscaling policy", "a policy")


# --- by capacity -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "replicas"), [(0.0, 0), (0.1, 1), (20.0, 1), (20.00001, 1), (20.1, 2), (400.0, 20)]
)
def test_the_demand_by_capacity_is_rounded_up_and_has_no_bounds(offered: float, replicas: int):
    assert list(capacity_demand(np.array([offered]), 20.0)) == [replicas]


def test_a_capacity_takes_the_place_of_the_policy():
    found = demand(LOAD, capacity_rps=20.0)

    assert (found.kind, found.at_rest) == ("capacity", 0)
    assert at(found, 1, 19.9, 20.1, 59.9, 60.1, 79.9, 80.1) == [1, 1, 2, 2, 1, 1, 0]


def test_a_deployment_of_a_fixed_number_has_a_demand_by_capacity():
    found = demand_of(PLAN, STEPS, ZERO_S, None, Concurrency(LOAD), 20.0)

    assert isinstance(found, Demand)
    assert found.kind == "capacity"


def test_the_offered_rate_is_the_mean_of_the_plans():
    plan = parse_plan("10..50rps:20s,50rps:10s,0rps:5s")
    edges_s = np.array([0.0, 5.0, 10.0, 20.0, 25.0, 32.0, 35.0, 40.0])

    # A ramp of 2 rps a second; of 25 to 32 s, 5 s are at 50 rps.
    expected = [15, 25, 40, 50, 50 * 5 / 7, 0, 0]
    assert offered_rps(plan, edges_s) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"capacity_rps": None}, None),
        ({"capacity_rps": 12}, 12.0),
        ({"capacity_rps": 7.5}, 7.5),
        ({"capacity_rps": 0}, None),
    ],
)
def test_a_capacity_is_one_of_the_options_of_the_run(options, expected):
    assert capacity_asked(options) == expected


def test_a_value_that_may_be_of_before_a_step_is_no_demand_of_it():
    steps = parse_plan("5rps:20s,40rps:40s").steps(60.0)
    read = ((10.0, 1.0), (18.0, 1.0), (28.0, 9.0), (60.0, 9.0))
    rows = [SeenRow(at, at, "ports", 10.0, {"a/M": DeploymentGauges(total=n)}) for at, n in read]
    gauges = gauge_series(rows, "a/M", lambda one: one.total)

    found = demand_of(PLAN, steps, 0.0, policy(max_replicas=9), gauges, None)

    # 9 were read at 28 s, written from 18 s on: known are 3 of 4 samples, and the last of 8.
    assert found == "its open requests are known in 33 % of the time only"


def test_a_sample_without_a_value_takes_one_of_its_own_hold():
    steps = parse_plan("5rps:20s,40rps:40s").steps(60.0)
    given = [(at, 1.0 if at <= 20 else 9.0) for at in range(1, 60)]
    rows = [SeenRow(at, at, "ports", 3.0, {"a/M": DeploymentGauges(total=n)}) for at, n in given]
    late = [row for row in rows if not 20 < row.sent_s < 30]

    found = demand_of(
        PLAN, steps, 0.0, policy(), gauge_series(late, "a/M", lambda one: one.total), None
    )

    # From 20 to 28.5 s nothing is known: that is filled from behind.
    assert [found.curve.median(Window(at, at + 1.0)) for at in (19, 21, 30)] == [1, 4, 4]
