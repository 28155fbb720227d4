"""Elastic speedup of one build over another (docs/metrics.md#elasticity)."""

from collections.abc import Mapping, Sequence

from reports.model.comparison import ELASTIC_FIGURES, ElasticFigures, ElasticSpeedup
from reports.model.elasticity import DemandKind, ElasticityReport
from reports.model.intervals import median
from reports.model.report import Report


def elastic_speedups(
    base: Mapping[str, Report], candidate: Mapping[str, Report]
) -> tuple[ElasticSpeedup, ...]:
    """One elastic speedup for each deployment that scales by itself in any of the runs."""
    keys = {
        key: None
        for report in (*base.values(), *candidate.values())
        for key, deployment in report.deployments.items()
        if deployment.autoscaling is not None
    }
    return tuple(_speedup_of(key, *_sides(key, base, candidate)) for key in keys)


def _sides(key: str, *sides: Mapping[str, Report]) -> list[ElasticFigures | str]:
    return [
        elastic_figures(
            [run.deployments[key].elasticity for run in side.values() if key in run.deployments]
        )
        for side in sides
    ]


def _speedup_of(
    key: str, base: ElasticFigures | str, candidate: ElasticFigures | str
) -> ElasticSpeedup:
    if isinstance(base, str):
        value: float | str = f"not measured in the base: {base}"
    elif isinstance(candidate, str):
        value = f"not measured in the candidate: {candidate}"
    else:
        value = elastic_speedup(candidate, base)
    return ElasticSpeedup(
        key,
        base=None if isinstance(base, str) else base,
        candidate=None if isinstance(candidate, str) else candidate,
        value=None if isinstance(value, str) else value,
        reason=value if isinstance(value, str) else None,
    )


def elastic_speedup(candidate: ElasticFigures, base: ElasticFigures) -> float | str:
    """Fourth root of the product of the ratios of all four metrics, base over candidate.

    A reason instead, if a metric of the candidate is 0 or the sides have different demands.
    """
    if (base.demand, base.capacity_rps) != (candidate.demand, candidate.capacity_rps):
        return "base and candidate were measured against different demands"
    product = 1.0
    for name in ELASTIC_FIGURES:
        mine, theirs = (getattr(side, name).value for side in (candidate, base))
        if not mine:
            return f"{name} of the candidate is 0, and nothing can be divided by it"
        product *= theirs / mine
    return product**0.25


def elastic_figures(reports: Sequence[ElasticityReport]) -> ElasticFigures | str:
    """Medians over `reports`, or the reason why there are none."""
    measured = [report for report in reports if report.theta_u_pct is not None]
    if not measured:
        return _why_not(reports)
    against: set[tuple[DemandKind | None, float | None]] = {
        (report.demand, report.capacity_rps) for report in measured
    }
    if len(against) > 1:
        return "its runs were measured against different demands"
    ((demand, capacity_rps),) = against
    medians = {name: median([getattr(one, name) for one in measured]) for name in ELASTIC_FIGURES}
    return ElasticFigures(len(measured), demand, capacity_rps, **medians)


def _why_not(reports: Sequence[ElasticityReport]) -> str:
    for report in reports:
        if reason := report.reason or report.demand_reason:
            return reason
    return "it was not watched"
