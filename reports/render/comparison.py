"""A comparison of runs: for the terminal, as Markdown and as JSON."""

import math
from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.text import Text

from reports.analysis.compare import ComparedFigure, Comparison
from reports.render.layout import columns, emit, first_fitting, flow, hanging, room
from reports.render.markdown import code, table, text
from reports.render.wording import NOT_MEASURED, plain

_STYLES = {
    "regression": "bold white on red",
    "improvement": "bold black on green",
    "no difference shown": "bold black on white",
    "not comparable": "bold black on yellow",
}
_SIGNS = {
    "regression": "❌",
    "improvement": "✅",
    "no difference shown": "⚪",
    "not comparable": "❔",
}
_HEADERS = ("verdict", "figure", "base", "candidate", "ratio [95 %]", "p", "n")
_WORDS = frozenset({"verdict", "figure"})


def print_comparison(console: Console, found: Comparison) -> None:
    """Print the verdict, each figure, and what the runs differ in."""
    badge = Text(f" {found.verdict.upper()} ", style=_STYLES[found.verdict])
    about = (_sides(found), plain(found.evidence))
    emit(console, hanging(badge, flow(about, room(console) - badge.cell_len - 1, " · ")))
    for line in found.differences:
        emit(console, hanging(Text("!", style="bold"), Text(f"differs: {plain(line)}")))
    console.print()
    rows = [_cells(figure) for figure in found.figures]
    made = first_fitting(console, [lambda: columns(_HEADERS, rows, _WORDS)])
    if made:
        emit(console, made)
    else:
        for row in rows:
            emit(console, hanging(Text("-"), flow(row, room(console) - 2)))
    for figure in found.figures:
        if figure.reason:
            emit(console, Text(f"{plain(figure.figure)}: {plain(figure.reason)}", style="dim"))
    emit(console, Text(_rule(found), style="dim"))


def render_markdown_comparison(found: Comparison) -> bytes:
    """The comparison as GitHub's Markdown in UTF-8."""
    return ("\n".join(_lines(found)).rstrip() + "\n").encode()


def render_json_comparison(found: Comparison) -> bytes:
    """The comparison as indented JSON in UTF-8; bounds that are not finite are null."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def _lines(found: Comparison) -> Iterator[str]:
    yield f"## {_SIGNS[found.verdict]} {found.verdict.upper()}: {text(_sides(found))}"
    yield ""
    yield f"{text(found.evidence)}. {text(_rule(found))}"
    yield ""
    yield from table(
        _HEADERS,
        [
            (f"{_SIGNS[figure.verdict]} {figure.verdict}", code(figure.figure), *_cells(figure)[2:])
            for figure in found.figures
        ],
        left=("figure",),
    )
    yield from (f"- {code(f.figure)}: {text(f.reason)}" for f in found.figures if f.reason)
    yield from (f"- differs: {text(line)}" for line in found.differences)


def _sides(found: Comparison) -> str:
    return f"{_side(found.candidate)} against {_side(found.base)}"


def _side(names: tuple[str, ...]) -> str:
    return plain(names[0]) if len(names) == 1 else f"{len(names)} runs ({plain(names[0])}, ...)"


def _rule(found: Comparison) -> str:
    return (
        f"A regression is an effect of at least {found.min_effect:g}, its whole interval above 1, "
        "and p below 0.05; larger is slower."
    )


def _cells(figure: ComparedFigure) -> tuple[str, ...]:
    effect, p = figure.effect, figure.p_adjusted
    return (
        figure.verdict,
        plain(figure.figure),
        _number(figure.base),
        _number(figure.candidate),
        NOT_MEASURED
        if effect is None
        else f"{effect.value:.3f} [{effect.lo:.3f}, {_bound(effect.hi)}]",
        NOT_MEASURED if p is None else f"{p:.4f}",
        NOT_MEASURED if effect is None else str(effect.n),
    )


def _bound(value: float) -> str:
    return "?" if math.isinf(value) else f"{value:.3f}"


def _number(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:,.4g}"
