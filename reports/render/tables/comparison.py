"""A comparison in words and cells, the same in every form of it."""

import math

from reports.analysis.comparing.elastic_speedup import FIGURES
from reports.model.comparison import ComparedFigure, Comparison, ElasticFigures, ElasticSpeedup
from reports.render.text import NOT_MEASURED, sanitized

HEADERS = ("verdict", "figure", "base", "candidate", "ratio [95 %]", "p", "n")
SPEEDUP = (
    "Elastic speedup: above 1 the candidate's replicas followed the demand more closely than the "
    "base's, below 1 less closely. It is shown, not judged."
)
SPEEDUP_HEADERS = (
    "deployment",
    "speedup",
    "short by %",
    "over by %",
    "short, % of time",
    "over, % of time",
)


def sides(found: Comparison) -> str:
    """The candidate against the base."""
    return f"{_side(found.candidate)} against {_side(found.base)}"


def _side(names: tuple[str, ...]) -> str:
    return (
        sanitized(names[0])
        if len(names) == 1
        else f"{len(names)} runs ({sanitized(names[0])}, ...)"
    )


def rule(found: Comparison) -> str:
    """What a regression is."""
    return (
        f"A regression is an effect of at least {found.min_effect:g}, its whole interval above 1, "
        "and p below 0.05; larger is slower."
    )


def figure_cells(figure: ComparedFigure) -> tuple[str, ...]:
    """What stands under `HEADERS`."""
    effect, p = figure.effect, figure.p_adjusted
    return (
        figure.verdict,
        sanitized(figure.figure),
        _number(figure.base),
        _number(figure.candidate),
        ratio(figure),
        NOT_MEASURED if p is None else f"{p:.4f}",
        NOT_MEASURED if effect is None else str(effect.n),
    )


def ratio(figure: ComparedFigure) -> str:
    """`1.186 [1.138, 1.244]`."""
    effect = figure.effect
    if effect is None:
        return NOT_MEASURED
    hi = "?" if math.isinf(effect.hi) else f"{effect.hi:.3f}"
    return f"{effect.value:.3f} [{effect.lo:.3f}, {hi}]"


def _number(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:,.4g}"


def speedup_cells(found: ElasticSpeedup) -> tuple[str, ...]:
    """What stands under `SPEEDUP_HEADERS`; the four figures as base -> candidate."""
    return (
        sanitized(found.deployment),
        NOT_MEASURED if found.value is None else f"{found.value:.3f}",
        *(f"{before} -> {after}" for before, after in speedup_figures(found)),
    )


def speedup_figures(found: ElasticSpeedup) -> list[tuple[str, str]]:
    """Base and candidate of each of the four figures that the speedup is made of."""
    return [(_percent(found.base, name), _percent(found.candidate, name)) for name in FIGURES]


def _percent(side: ElasticFigures | None, name: str) -> str:
    return NOT_MEASURED if side is None else f"{getattr(side, name).value:.1f}"
