"""The chart of a comparison's ratios: each with its 95 % interval, beside the lines that count."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from reports.model.comparison import ComparedFigure, ComparedVerdict
from reports.model.effect import Effect
from reports.render.html.axes import FONT_PX, axis, layout
from reports.render.html.figure import Figure, Key, chart_text, color
from reports.render.tables.comparison import ratio
from scalelag.foreign import sanitized
from scalelag.wording import count

MOST = 40
_ROW_PX = 46
_FRAME_PX = 56
_MOST_TOLD = 6
_NAME_LENGTH = 44
_MARGIN = {"l": 14, "r": 14, "t": 20, "b": 36}
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100)
_LEAST_SHARE_BETWEEN_TICKS = 0.11
_PAD_SHARE = 0.08
_COLORS: dict[ComparedVerdict, str] = {
    "regression": "fail",
    "improvement": "pass",
    "slower": "fail",
    "faster": "pass",
    "no difference shown": "mark",
    "cannot be told": "inconclusive",
}
FigureEffect = tuple[ComparedFigure, Effect, float]
"""A figure, its effect, and the effect's value or bound."""


def ratio_figure(figures: Sequence[ComparedFigure], min_effect: float) -> Figure | None:
    """Candidate over base of each figure that could be compared; None if none could.

    Of very many the first; those with a verdict come before them.
    """
    told = _told(figures)
    if not told:
        return None
    shown = told[:MOST]
    low, high = _range(shown, min_effect)
    height_px = _FRAME_PX + _ROW_PX * len(shown)
    used: list[ComparedVerdict] = [
        verdict for verdict in _COLORS if any(told[0].verdict == verdict for told in shown)
    ]
    return Figure(
        id="ratios",
        title="Ratios",
        unit="candidate over base, with their 95 % intervals, logarithmic",
        sentence=_sentence(shown, len(told)),
        height_px=height_px,
        plot={
            "data": [_points(shown, verdict, low, high) for verdict in used],
            "layout": layout(
                height_px,
                margin=_MARGIN,
                xaxis=_ratio_axis(low, high, min_effect),
                yaxis=axis(range=[len(shown) - 0.5, -0.72], showgrid=False, showticklabels=False),
                shapes=list(_lines(min_effect)),
                annotations=[_name(row, figure) for row, (figure, _, _) in enumerate(shown)],
                hovermode="closest",
            ),
        },
        keys=(
            *(Key(_COLORS[verdict], verdict, "dot") for verdict in used),
            *_line_keys(min_effect),
        ),
    )


def _told(figures: Sequence[ComparedFigure]) -> list[FigureEffect]:
    """Figures that could be compared, the gravest verdicts first."""
    told = [
        (figure, figure.effect, figure.effect.value)
        for figure in figures
        if figure.effect is not None and figure.effect.value is not None
    ]
    gravest_first = list(_COLORS)
    return sorted(told, key=lambda one: gravest_first.index(one[0].verdict))


def _ratio_axis(low: float, high: float, min_effect: float) -> dict[str, Any]:
    ticks = list(_ticks(low, high, min_effect))
    return axis(
        type="log",
        rangemode="normal",
        range=[math.log10(low), math.log10(high)],
        tickvals=ticks,
        ticktext=[f"{tick:.3g}" for tick in ticks],
        showline=True,
    )


def _range(shown: Sequence[FigureEffect], min_effect: float) -> tuple[float, float]:
    """Range of the axis: all ratios that are finite, and the smallest effect that counts."""
    known = [1 / min_effect, min_effect, 1 / 1.05, 1.05]
    known += [v for _, e, value in shown for v in (e.lo, value, e.hi) if v > 0 and math.isfinite(v)]
    low, high = math.log(min(known)), math.log(max(known))
    pad = _PAD_SHARE * (high - low)
    return math.exp(low - pad), math.exp(high + pad)


def _ticks(low: float, high: float, min_effect: float) -> Iterator[float]:
    """1 and what counts, and between and beyond them round ratios, where there is room."""
    least = _LEAST_SHARE_BETWEEN_TICKS * math.log(high / low)
    taken: list[float] = []
    for tick in (1.0, min_effect, 1 / min_effect, *_TICKS):
        if low <= tick <= high and all(abs(math.log(tick / one)) >= least for one in taken):
            taken.append(tick)
            yield tick


def _points(
    shown: Sequence[FigureEffect], verdict: ComparedVerdict, low: float, high: float
) -> dict[str, Any]:
    rows = [(row, *told) for row, told in enumerate(shown) if told[0].verdict == verdict]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": verdict,
        "x": [value for _, _, _, value in rows],
        "y": [row for row, *_ in rows],
        "error_x": {
            "type": "data",
            "symmetric": False,
            # An interval without an end reaches to that of the axis.
            "array": [min(effect.hi, high) - value for _, _, effect, value in rows],
            "arrayminus": [value - max(effect.lo, low) for _, _, effect, value in rows],
            "thickness": 2,
            "width": 5,
            "color": color(_COLORS[verdict]),
        },
        "text": [f"{chart_text(figure.figure)}: {ratio(figure)}" for _, figure, _, _ in rows],
        "marker": {"color": color(_COLORS[verdict]), "size": 10},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _line_keys(min_effect: float) -> Iterator[Key]:
    yield Key("text", "1: no difference", "line")
    if min_effect > 1:
        yield Key("text-soft", f"{min_effect:g} or its inverse: less does not count", "dashed")


def _lines(min_effect: float) -> Iterator[dict[str, Any]]:
    yield _line(1.0, "text", "solid")
    if min_effect > 1:
        yield _line(min_effect, "text-soft", "dash")
        yield _line(1 / min_effect, "text-soft", "dash")


def _line(at: float, line_color: str, dash: str) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": at,
        "x1": at,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": color(line_color), "width": 1.2, "dash": dash},
        "layer": "above",
    }


def _name(row: int, figure: ComparedFigure) -> dict[str, Any]:
    """The figure's name above its interval, since beside it a phone has no room."""
    return {
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": row - 0.42,
        "yanchor": "middle",
        "showarrow": False,
        "text": chart_text(_short(sanitized(figure.figure))),
        "font": {"color": color("text"), "size": FONT_PX},
        "bgcolor": color("surface"),
    }


def _short(name: str) -> str:
    """The end of a name says which figure it is, its beginning of which deployment."""
    if len(name) <= _NAME_LENGTH:
        return name
    head = _NAME_LENGTH // 3
    return f"{name[:head]}\u2026{name[head + 1 - _NAME_LENGTH :]}"


def _sentence(shown: Sequence[FigureEffect], of_all: int) -> str:
    told = "; ".join(
        f"{sanitized(figure.figure)} {ratio(figure)}, {figure.verdict}"
        for figure, _, _ in shown[:_MOST_TOLD]
    )
    more = of_all - len(shown[:_MOST_TOLD])
    rest = f"; and {count(more, 'more figure')} in the table" if more > 0 else ""
    drawn = f" {len(shown)} of {of_all} are drawn." if len(shown) < of_all else ""
    return f"Above 1 the candidate is slower. {told}{rest}.{drawn}"
