"""Comparison of builds, step by step or run by run: is one slower? (docs/metrics.md#comparison)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import msgspec

from reports.analysis.comparing.elastic_speedup import elastic_speedups
from reports.analysis.comparing.rank_tests import ALPHA, grouped_effect, holm, paired_effect
from reports.model.comparison import (
    ComparedFigure,
    ComparedVerdict,
    Comparison,
    Form,
)
from reports.model.effect import MIN_EFFECT
from reports.model.report import Report
from reports.model.steps import DeploymentReport
from scalelag.errors import UsageError

FEWEST_PAIRS = 6
FEWEST_RUNS = 4


_Samples = Mapping[str, Mapping[str, float]]
"""Measured values of each metric, by the step or the run that they were measured in."""


def compare(
    base: Mapping[str, Report],
    candidate: Mapping[str, Report],
    *,
    min_effect: float = MIN_EFFECT,
    differences: tuple[str, ...] = (),
) -> Comparison:
    """Compare runs, given by name: one with one by their steps, at least four with four by runs.

    Larger is worse in all metrics. Raises UsageError for other numbers of runs.
    """
    if len(base) == len(candidate) == 1:
        form: Form = "steps of two runs"
        sides = [_of_steps(next(iter(side.values()))) for side in (base, candidate)]
        evidence = "within-run evidence: steps of one run share what was peculiar to that run"
    elif min(len(base), len(candidate)) >= FEWEST_RUNS:
        form = "runs"
        sides = [_of_runs(side) for side in (base, candidate)]
        evidence = f"{len(base)} runs against {len(candidate)}"
    else:
        raise UsageError(
            f"{len(base)} runs against {len(candidate)}: compare one with one, or at least "
            f"{FEWEST_RUNS} with {FEWEST_RUNS}; between, a difference cannot be told from chance."
        )
    figures = _figures(form, sides[0], sides[1], min_effect)
    return Comparison(
        form=form,
        base=tuple(base),
        candidate=tuple(candidate),
        min_effect=min_effect,
        verdict=_overall(figures),
        figures=figures,
        differences=differences,
        evidence=evidence,
        elastic_speedup=elastic_speedups(base, candidate),
    )


def _figures(
    form: Form, base: _Samples, candidate: _Samples, min_effect: float
) -> tuple[ComparedFigure, ...]:
    found = [
        _compare_metric(form, name, base.get(name, {}), candidate.get(name, {}))
        for name in dict.fromkeys([*base, *candidate])
    ]
    tested = [figure for figure in found if figure.effect is not None]
    ps = [figure.effect.p for figure in tested if figure.effect is not None]
    if form == "runs":
        # Only a slower candidate is an alarm: its chance is half of the two-sided p.
        ps = [max(p, one) for p, one in zip(ps, holm([p / 2 for p in ps]), strict=True)]
    adjusted = dict(zip((figure.figure for figure in tested), ps, strict=True))
    return tuple(_judge(figure, adjusted.get(figure.figure), min_effect) for figure in found)


def _judge(figure: ComparedFigure, p: float | None, min_effect: float) -> ComparedFigure:
    effect = figure.effect
    if effect is None or p is None:
        return figure
    verdict: ComparedVerdict = "no difference shown"
    if p < ALPHA and effect.lo > 1 and effect.value >= min_effect:
        verdict = "regression"
    elif p < ALPHA and effect.hi < 1 and effect.value <= 1 / min_effect:
        verdict = "improvement"
    return msgspec.structs.replace(figure, verdict=verdict, p_adjusted=p)


def _compare_metric(
    form: Form, name: str, base: Mapping[str, float], candidate: Mapping[str, float]
) -> ComparedFigure:
    # Listed, not left out: a build whose replicas never follow has no lag at all.
    if not base or not candidate:
        missing = "candidate" if base else "base"
        return _untold(name, base, candidate, f"not measured in the {missing}")
    one_by_one = form == "steps of two runs"
    return (_paired if one_by_one else _grouped)(name, base, candidate)


def _paired(name: str, base: Mapping[str, float], candidate: Mapping[str, float]) -> ComparedFigure:
    pairs = [(base[step], candidate[step]) for step in base if step in candidate]
    usable = [pair for pair in pairs if min(pair) > 0]
    if len(usable) < FEWEST_PAIRS:
        return _untold(name, base, candidate, f"too few steps: {len(usable)} of {FEWEST_PAIRS}")
    effect = paired_effect(*zip(*usable, strict=True))
    return ComparedFigure(
        name,
        "no difference shown",
        median(one for one, _ in usable),
        median(other for _, other in usable),
        effect,
    )


def _grouped(
    name: str, base: Mapping[str, float], candidate: Mapping[str, float]
) -> ComparedFigure:
    sides = [[value for value in side.values() if value > 0] for side in (base, candidate)]
    fewest = min(map(len, sides))
    if fewest < FEWEST_RUNS:
        reason = f"too few runs: measured in {fewest} of {FEWEST_RUNS}"
        return _untold(name, base, candidate, reason)
    effect = grouped_effect(*sides)
    return ComparedFigure(name, "no difference shown", median(sides[0]), median(sides[1]), effect)


def _untold(
    name: str, base: Mapping[str, float], candidate: Mapping[str, float], reason: str
) -> ComparedFigure:
    one, other = (median(side.values()) if side else None for side in (base, candidate))
    return ComparedFigure(name, "not comparable", one, other, reason=reason)


def _overall(figures: Sequence[ComparedFigure]) -> ComparedVerdict:
    """The gravest verdict of all; "not comparable" if no metric is comparable."""
    verdicts = {figure.verdict for figure in figures}
    order: tuple[ComparedVerdict, ...] = ("regression", "improvement", "no difference shown")
    for verdict in order:
        if verdict in verdicts:
            return verdict
    return "not comparable"


def _of_steps(report: Report) -> _Samples:
    """Metrics of each step, by its number and direction."""
    found: dict[str, dict[str, float]] = {}
    for name, step, value in _step_figures(report):
        found.setdefault(name, {})[step] = value
    return found


def _of_runs(reports: Mapping[str, Report]) -> _Samples:
    """Median of each metric over the steps of each run: steps of one run are not independent."""
    found: dict[str, dict[str, float]] = {}
    for run, report in reports.items():
        for name, values in _of_steps(report).items():
            found.setdefault(name, {})[run] = median(values.values())
    return found


def _step_figures(report: Report) -> Iterator[tuple[str, str, float]]:
    """Name, step and value: the lag of every deployment by direction, and latency."""
    for key, deployment in report.deployments.items():
        yield from _lags(key, deployment)
    for step in report.load.steps:
        if step.latency_p99_ms is not None:
            yield "load.latency_p99_ms", f"{step.index}", step.latency_p99_ms


def _lags(key: str, deployment: DeploymentReport) -> Iterator[tuple[str, str, float]]:
    for step in deployment.steps:
        value = step.total_s.value if step.total_s else None
        # One that was not over within its hold took longer than that, nobody knows how much.
        if value is not None and math.isfinite(value):
            yield f"{key}:scale_{step.direction}.total_s", f"{step.index} {step.direction}", value
