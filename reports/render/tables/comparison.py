"""Tables and sentences of a comparison, the same in every format."""

import math
from collections.abc import Sequence

from reports.analysis.comparing.elastic_speedup import FIGURES
from reports.model.comparison import ComparedFigure, Comparison, ElasticFigures, ElasticSpeedup
from reports.render.tables.table import Cell, Column, Table
from reports.render.text import NOT_MEASURED, sanitized

SPEEDUP = (
    "Elastic speedup: above 1 the candidate's replicas followed the demand more closely than the "
    "base's, below 1 less closely. It is shown, not judged."
)
MOST_ROWS = 600
SIDES = ("base", "candidate")
_SPEEDUP_GROUPS = (
    "short by, % of demand",
    "over by, % of demand",
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
    """Definition of a regression."""
    return (
        f"A regression is an effect of at least {found.min_effect:g}, its whole interval above 1, "
        "and p below 0.05; larger is slower."
    )


def figure_table(figures: Sequence[ComparedFigure]) -> Table:
    """Metrics of both sides, one a row."""
    columns = (
        Column("verdict", "badge"),
        Column("figure", "code", key=True),
        Column("base"),
        Column("candidate"),
        Column("ratio [95 %]"),
        Column("p"),
        Column("n"),
    )
    return capped("Candidate over base: larger is slower", columns, [_cells(f) for f in figures])


def _cells(figure: ComparedFigure) -> tuple[Cell, ...]:
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


def speedup_table(found: Sequence[ElasticSpeedup]) -> Table:
    """The elastic speedup of each deployment, and the metrics that it is made of."""
    columns = (
        Column("deployment", "foreign", key=True),
        Column("speedup"),
        *(
            Column(side, group=group, alone=f"{group}: {side}", part=place // 2)
            for place, group in enumerate(_SPEEDUP_GROUPS)
            for side in SIDES
        ),
    )
    caption = "Elastic speedup of the candidate over the base"
    return capped(caption, columns, [_speedup_cells(one) for one in found])


def _speedup_cells(found: ElasticSpeedup) -> tuple[Cell, ...]:
    return (
        sanitized(found.deployment),
        NOT_MEASURED if found.value is None else f"{found.value:.3f}",
        *(_percent(side, name) for name in FIGURES for side in (found.base, found.candidate)),
    )


def _percent(side: ElasticFigures | None, name: str) -> str:
    return NOT_MEASURED if side is None else f"{getattr(side, name).value:.1f}"


def capped(
    caption: str,
    columns: tuple[Column, ...],
    rows: Sequence[tuple[Cell, ...]],
    most: int = MOST_ROWS,
) -> Table:
    """A table of the first `most` rows, whose note says if there are more."""
    note = f"The first {most} of {len(rows):,} rows." if len(rows) > most else ""
    return Table(caption, columns, tuple(rows[:most]), note)
