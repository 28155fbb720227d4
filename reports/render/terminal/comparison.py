"""A comparison of runs: for the terminal, as Markdown and as JSON."""

from collections.abc import Iterator, Sequence

import msgspec
from rich.console import Console
from rich.text import Text

from reports.model.comparison import Comparison
from reports.render.markdown import code, table, text
from reports.render.tables.comparison import (
    HEADERS,
    SPEEDUP,
    SPEEDUP_HEADERS,
    figure_cells,
    rule,
    sides,
    speedup_cells,
)
from reports.render.terminal.layout import (
    columns,
    emit,
    first_fitting,
    flow,
    hanging,
    lines_of,
    room,
)
from reports.render.text import sanitized

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
_WORDS = frozenset({"verdict", "figure", "deployment"})


def print_comparison(console: Console, found: Comparison) -> None:
    """Print the verdict, each figure, what the runs differ in, and the elastic speedup."""
    badge = Text(f" {found.verdict.upper()} ", style=_STYLES[found.verdict])
    about = (sides(found), sanitized(found.evidence))
    emit(console, hanging(badge, flow(about, room(console) - badge.cell_len - 1, " · ")))
    for line in found.differences:
        emit(console, hanging(Text("!", style="bold"), Text(f"differs: {sanitized(line)}")))
    console.print()
    _print_table(console, HEADERS, [figure_cells(figure) for figure in found.figures])
    for figure in found.figures:
        if figure.reason:
            emit(
                console,
                Text(f"{sanitized(figure.figure)}: {sanitized(figure.reason)}", style="dim"),
            )
    emit(console, Text(rule(found), style="dim"))
    if found.elastic_speedup:
        console.print()
        _print_speedup(console, found)


def _print_speedup(console: Console, found: Comparison) -> None:
    _print_table(console, SPEEDUP_HEADERS, [speedup_cells(one) for one in found.elastic_speedup])
    for one in found.elastic_speedup:
        if one.reason:
            emit(
                console, Text(f"{sanitized(one.deployment)}: {sanitized(one.reason)}", style="dim")
            )
    emit(console, Text(SPEEDUP, style="dim"))


def _print_table(console: Console, headers: Sequence[str], rows: list[tuple[str, ...]]) -> None:
    if made := first_fitting(console, [lambda: columns(headers, rows, _WORDS)]):
        emit(console, made)
        return
    cells = {header: [row[place] for row in rows] for place, header in enumerate(headers)}
    emit(console, lines_of(cells, {}, room(console)))


def render_markdown_comparison(found: Comparison) -> bytes:
    """The comparison as GitHub's Markdown in UTF-8."""
    return ("\n".join(_lines(found)).rstrip() + "\n").encode()


def render_json_comparison(found: Comparison) -> bytes:
    """The comparison as indented JSON in UTF-8; bounds that are not finite are null."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def _lines(found: Comparison) -> Iterator[str]:
    yield f"## {_SIGNS[found.verdict]} {found.verdict.upper()}: {text(sides(found))}"
    yield ""
    yield f"{text(found.evidence)}. {text(rule(found))}"
    yield ""
    yield from table(
        HEADERS,
        [
            (
                f"{_SIGNS[figure.verdict]} {figure.verdict}",
                code(figure.figure),
                *figure_cells(figure)[2:],
            )
            for figure in found.figures
        ],
        left=("figure",),
    )
    yield from (f"- {code(f.figure)}: {text(f.reason)}" for f in found.figures if f.reason)
    yield from (f"- differs: {text(line)}" for line in found.differences)
    if found.elastic_speedup:
        yield from _speedup_lines(found)


def _speedup_lines(found: Comparison) -> Iterator[str]:
    yield ""
    yield "### Elastic speedup"
    yield ""
    yield text(SPEEDUP)
    yield ""
    yield from table(
        SPEEDUP_HEADERS,
        [(code(one.deployment), *speedup_cells(one)[1:]) for one in found.elastic_speedup],
    )
    for one in found.elastic_speedup:
        if one.reason:
            yield f"- {code(one.deployment)}: {text(one.reason)}"
