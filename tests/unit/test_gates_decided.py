"""Gates: how intervals decide them, and what a result tells."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.model.elasticity import ElasticityReport, FlappingReport
from reports.model.intervals import longer_than
from reports.model.report import GateResult
from reports.model.steps import (
    Replicas,
)
from tests.unit.gate_cases import deployment, result, span, verdict

# The figure lies in [7, 9].
INTERVAL_VERDICTS = [
    ("<= 10", "pass"),
    ("<= 9", "pass"),
    ("<= 8", "inconclusive"),
    ("<= 7", "inconclusive"),
    ("<= 6", "fail"),
    ("< 10", "pass"),
    ("< 9", "inconclusive"),
    ("< 8", "inconclusive"),
    ("< 7", "fail"),
    ("< 6", "fail"),
    (">= 6", "pass"),
    (">= 7", "pass"),
    (">= 8", "inconclusive"),
    (">= 9", "inconclusive"),
    (">= 10", "fail"),
    ("> 6", "pass"),
    ("> 7", "inconclusive"),
    ("> 8", "inconclusive"),
    ("> 9", "fail"),
    ("> 10", "fail"),
]


@pytest.mark.parametrize(("condition", "expected"), INTERVAL_VERDICTS)
def test_an_interval_passes_or_fails_where_all_of_it_does(condition: str, expected: str):
    assert verdict(f"scale_up.total_s.max {condition}", Model=deployment(span(7, 9))) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("<= 480", "pass"),
        ("<= 479.9", "fail"),
        ("< 480", "fail"),
        ("< 480.1", "pass"),
        (">= 480", "pass"),
        (">= 480.1", "fail"),
        ("> 480", "fail"),
        ("> 479.9", "pass"),
    ],
)
def test_an_exact_figure_is_never_inconclusive(condition: str, expected: str):
    assert verdict(f"requests.latency_p99_ms {condition}") == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("<= 20", "fail"),
        ("< 20", "fail"),
        ("<= 90", "inconclusive"),
        ("< 90", "inconclusive"),
        (">= 20", "pass"),
        ("> 20", "pass"),
        ("<= 60", "fail"),
        ("< 60", "fail"),
        (">= 60", "pass"),
        ("> 60", "pass"),
        (">= 90", "inconclusive"),
        ("> 90", "inconclusive"),
    ],
)
def test_a_censored_figure_is_longer_than_its_bound_by_an_unknown_time(
    condition: str, expected: str
):
    # Longer than 60 s.
    report = deployment(longer_than(60))

    assert verdict(f"scale_up.total_s.max {condition}", Model=report) == expected


@given(
    st.floats(0, 100),
    st.floats(0, 100),
    st.integers(0, 200),
    st.sampled_from(["<=", "<", ">=", ">"]),
    st.floats(0, 1),
)
def test_a_verdict_holds_for_every_value_that_the_interval_allows(
    lo: float, width: float, limit: int, op: str, share: float
):
    truth = min(lo + share * width, lo + width)
    holds = {"<=": truth <= limit, "<": truth < limit, ">=": truth >= limit, ">": truth > limit}

    found = verdict(f"scale_up.total_s.max {op} {limit}", Model=deployment(span(lo, lo + width)))

    assert found in ("inconclusive", "pass" if holds[op] else "fail")
    if found == "inconclusive":
        assert lo <= limit <= lo + width


def test_a_result_tells_the_figure_and_its_interval():
    found = result("scale_up.total_s.p95 <= 20", Model=deployment(span(7, 9)))

    assert found == GateResult(
        expr="scale_up.total_s.p95 <= 20",
        verdict="pass",
        value=8.0,
        lo=7.0,
        hi=9.0,
        deployment="app/Model",
        reason=None,
    )


def test_the_result_of_a_figure_of_the_run_names_no_deployment():
    found = result("requests.error_ratio <= 0.01", Model=deployment(span(7, 9)))

    assert (found.verdict, found.value, found.deployment) == ("fail", 0.02, None)


def test_figures_of_the_probe_and_of_replicas_can_be_gated():
    report = deployment(replicas=Replicas(1, 4, 2))

    assert verdict("probe.observer_share <= 0.02", Model=report) == "pass"
    assert verdict("probe.gaps <= 1", Model=report) == "fail"
    assert verdict("replicas.max <= 4", Model=report) == "pass"
    assert verdict("replicas.final <= 1", Model=report) == "fail"


@pytest.mark.parametrize(("limit", "expected"), [(15, "pass"), (10, "inconclusive"), (8, "fail")])
def test_elasticity_is_judged_by_its_interval(limit: int, expected: str):
    elastic = ElasticityReport(demand="policy", theta_u_pct=span(9, 11))
    report = msgspec.structs.replace(deployment(), elasticity=elastic)

    assert verdict(f"elasticity.theta_u_pct <= {limit}", Model=report) == expected


def test_flapping_can_be_gated():
    flaps = FlappingReport(direction_reversals=6, reversals_per_min=2.5)
    report = msgspec.structs.replace(deployment(), flapping=flaps)

    assert verdict("flapping.reversals_per_min <= 1", Model=report) == "fail"
    assert verdict("Model:flapping.direction_reversals <= 6", Model=report) == "pass"


def test_an_elasticity_that_is_not_known_says_why():
    elastic = ElasticityReport(demand_reason="its number of replicas is fixed")
    report = msgspec.structs.replace(deployment(), elasticity=elastic)

    found = result("elasticity.theta_u_pct <= 15", Model=report)

    assert found.verdict == "inconclusive"
    assert found.reason == (
        "elasticity.theta_u_pct was not measured in this run: its number of replicas is fixed"
    )


def test_load_and_requests_name_the_same_figures():
    assert result("load.latency_p99_ms <= 1").value == 480.0
    assert result("requests.latency_p99_ms <= 1").value == 480.0
