"""Elastic speedup of a candidate over its base: docs/metrics.md's number is in test_elasticity.py."""

import msgspec
import pytest

from reports.analysis.comparing.elastic_speedup import (
    elastic_figures,
    elastic_speedup,
    elastic_speedups,
)
from reports.model.comparison import ElasticFigures
from reports.model.elasticity import ElasticityReport
from reports.model.intervals import Span
from reports.model.report import Report
from reports.model.steps import DeploymentReport, Replicas, ScaleDown, ScaleUp
from tests.support.built.made_report import report_of


def exact(value: float) -> Span:
    return Span(value, value, value)


def elastic(*values: float, **more: object) -> ElasticityReport:
    """theta_u, theta_o, tau_u and tau_o, in percent."""
    return msgspec.structs.replace(
        ElasticityReport(
            "policy",
            theta_u_pct=exact(values[0]),
            theta_o_pct=exact(values[1]),
            tau_u_pct=exact(values[2]),
            tau_o_pct=exact(values[3]),
        ),
        **more,
    )


def speedup(candidate: ElasticityReport, base: ElasticityReport) -> float | str:
    sides = elastic_figures([candidate]), elastic_figures([base])
    assert all(isinstance(side, ElasticFigures) for side in sides)
    return elastic_speedup(*sides)


def run_of(**deployments: ElasticityReport) -> Report:
    return report_of(
        {
            key: DeploymentReport({}, (), ScaleUp(), ScaleDown(), Replicas(), elasticity=one)
            for key, one in deployments.items()
        }
    )


def test_twice_as_close_in_everything_is_a_speedup_of_2():
    assert speedup(elastic(5, 10, 20, 2), elastic(10, 20, 40, 4)) == pytest.approx(2)
    assert speedup(elastic(10, 20, 40, 4), elastic(5, 10, 20, 2)) == pytest.approx(0.5)


def test_a_run_compared_with_itself_has_a_speedup_of_1():
    assert speedup(elastic(5, 10, 20, 2), elastic(5, 10, 20, 2)) == pytest.approx(1)


def test_nothing_is_divided_by_0():
    assert speedup(elastic(5, 10, 20, 0), elastic(1, 1, 1, 1)) == (
        "tau_o_pct of the candidate is 0, and nothing can be divided by it"
    )
    assert speedup(elastic(1, 1, 1, 1), elastic(5, 10, 20, 0)) == 0


@pytest.mark.parametrize(
    "other", [{"demand": "capacity", "capacity_rps": 10.0}, {"capacity_rps": 20.0}]
)
def test_demands_of_different_kinds_cannot_be_compared(other):
    found = speedup(elastic(1, 1, 1, 1, **other), elastic(1, 1, 1, 1))

    assert found == "base and candidate were measured against different demands"


def test_of_several_runs_the_median_of_each_figure_counts():
    found = elastic_figures(
        [elastic(1, 50, 3, 9), elastic(2, 40, 1, 9), elastic(90, 60, 2, 9), ElasticityReport()]
    )

    assert isinstance(found, ElasticFigures)
    assert found.runs == 3
    medians = (found.theta_u_pct, found.theta_o_pct, found.tau_u_pct, found.tau_o_pct)
    assert [span.value for span in medians] == [2, 50, 2, 9]


def test_runs_measured_against_different_demands_have_no_median():
    found = elastic_figures([elastic(1, 1, 1, 1), elastic(1, 1, 1, 1, demand="capacity")])

    assert found == "its runs were measured against different demands"


def test_each_deployment_that_scales_has_one_or_a_reason():
    good, none = elastic(1, 1, 1, 1), ElasticityReport(demand_reason="an own policy")
    base = {"a": run_of(good=good, none=none, gone=good)}
    candidate = {"b": run_of(good=good, none=good)}

    found = {one.deployment: one for one in elastic_speedups(base, candidate)}

    assert found["good"].value == pytest.approx(1)
    assert found["none"].reason == "not measured in the base: an own policy"
    assert found["gone"].reason == "not measured in the candidate: it was not watched"
    assert found["gone"].base is not None
    assert [one.value for one in found.values()] == [pytest.approx(1), None, None]


def test_a_deployment_of_fixed_replicas_has_none():
    report = run_of(fixed=elastic(1, 1, 1, 1))
    fixed = msgspec.structs.replace(report.deployments["fixed"], autoscaling=None)
    report = msgspec.structs.replace(report, deployments={"fixed": fixed})

    assert elastic_speedups({"a": report}, {"b": report}) == ()
