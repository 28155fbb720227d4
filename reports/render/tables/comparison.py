"""Tables and sentences of a comparison, the same in every format."""

import math
from collections.abc import Iterator, Sequence

from reports.model.comparison import (
    ELASTIC_FIGURES,
    ComparedFigure,
    Comparison,
    ElasticFigures,
    ElasticSpeedup,
)
from reports.render.tables.table import Cell, Column, Table
from reports.render.text import NOT_MEASURED
from scalelag.foreign import sanitized
from scalelag.wording import count

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


_VERDICTS_OF_INTEREST = ("slower", "faster")
_ALWAYS_SHOWN = (".total_s", "latency_p99_ms")


def sides(found: Comparison) -> str:
    """The candidate against the base, each with what makes it differ."""
    candidate = _side("candidate", found.candidate_label, found.candidate)
    return f"{candidate} against {_side('base', found.base_label, found.base)}"


def _side(side: str, label: str, names: tuple[str, ...]) -> str:
    runs = (
        sanitized(names[0])
        if len(names) == 1
        else f"{count(len(names), 'run')} ({sanitized(names[0])}, ...)"
    )
    return runs if label == side else f"{side} {sanitized(label)}: {runs}"


def rule(found: Comparison) -> str:
    """Definition of a regression."""
    return (
        "The main figures alone make the verdict. "
        f"A regression is an effect of at least {found.min_effect:g}, its whole interval above 1, "
        "and p below 0.05, corrected for the number of main figures; larger is slower. "
        "The others explain: p is that of each alone, so up to one in 40 is slower by chance."
    )


def main_table(figures: Sequence[ComparedFigure]) -> Table:
    """The figures that make the verdict."""
    return _figure_table("Main figures, candidate over base", figures)


def explaining_table(figures: Sequence[ComparedFigure]) -> Table:
    """The figures that explain."""
    return _figure_table("Figures that explain, candidate over base", figures)


def mains(figures: Sequence[ComparedFigure]) -> list[ComparedFigure]:
    """The main figures."""
    return [figure for figure in figures if figure.main]


def explaining(figures: Sequence[ComparedFigure]) -> list[ComparedFigure]:
    """The figures that explain."""
    return [figure for figure in figures if not figure.main]


def of_interest(figures: Sequence[ComparedFigure]) -> list[ComparedFigure]:
    """Those that differ, and lags and latency in any case; phases of many deployments are many."""
    return [
        figure
        for figure in figures
        if figure.verdict in _VERDICTS_OF_INTEREST or figure.figure.endswith(_ALWAYS_SHOWN)
    ]


def left_out(number: int) -> str:
    """Note on figures that are not shown."""
    return f"{count(number, 'more figure')} left out: --format json and html have all."


def notes(figures: Sequence[ComparedFigure]) -> Iterator[tuple[str, str]]:
    """Figures and what is to be said of them: censored steps, and why there is no verdict."""
    for figure in figures:
        for side, censored in (
            ("base", figure.base_censored),
            ("candidate", figure.candidate_censored),
        ):
            if censored:
                steps = f"{count(censored, 'step')} of the {side}"
                yield sanitized(figure.figure), f"{steps} not over within the hold"
        if figure.reason:
            yield sanitized(figure.figure), sanitized(figure.reason)


def _figure_table(caption: str, figures: Sequence[ComparedFigure]) -> Table:
    columns = (
        Column("verdict", "badge"),
        Column("figure", "code", key=True),
        Column("base"),
        Column("candidate"),
        Column("ratio [95 %]"),
        Column("p"),
        Column("n"),
    )
    return capped(caption, columns, [_cells(figure) for figure in figures])


def _cells(figure: ComparedFigure) -> tuple[Cell, ...]:
    effect, p = figure.effect, figure.p_adjusted
    return (
        figure.verdict,
        sanitized(figure.figure),
        _number(figure.base, figure.base_above),
        _number(figure.candidate, figure.candidate_above),
        ratio(figure),
        NOT_MEASURED if p is None else f"{p:.4f}",
        NOT_MEASURED if effect is None else str(effect.n),
    )


def ratio(figure: ComparedFigure) -> str:
    """`1.186 [1.138, 1.244]`, or `at least 3.846 [2.222, ?]`."""
    effect = figure.effect
    if effect is None:
        return NOT_MEASURED
    value = "?" if effect.value is None else f"{effect.value:.3f}"
    bound = f"{effect.bound} " if effect.bound else ""
    lo, hi = (f"{end:.3f}" if math.isfinite(end) else "?" for end in (effect.lo, effect.hi))
    return f"{bound}{value} [{lo}, {hi}]"


def _number(value: float | None, above: float | None) -> str:
    if value is None:
        return NOT_MEASURED if above is None else f"> {_digits(above)}"
    return _digits(value)


def _digits(value: float) -> str:
    """Four digits; all of those before the point of a larger number."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.4g}"


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
        *(
            _percent(side, name)
            for name in ELASTIC_FIGURES
            for side in (found.base, found.candidate)
        ),
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
    note = f"The first {most} of {count(len(rows), 'row')}." if len(rows) > most else ""
    return Table(caption, columns, tuple(rows[:most]), note)
