"""A comparison of runs: for the terminal, as Markdown and as JSON."""

from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.text import Text

from reports.model.comparison import Comparison
from reports.render.markdown import SIGNS, code, table, text
from reports.render.tables.comparison import SPEEDUP, figure_table, rule, sides, speedup_table
from reports.render.terminal.layout import badge, emit, flow, hanging, room
from reports.render.terminal.tables import print_table
from reports.render.text import sanitized


def print_comparison(console: Console, found: Comparison) -> None:
    """Print the verdict, each figure, what the runs differ in, and the elastic speedup."""
    verdict = badge(found.verdict)
    about = (sides(found), sanitized(found.evidence))
    emit(console, hanging(verdict, flow(about, room(console) - verdict.cell_len - 1)))
    for line in found.differences:
        emit(console, hanging(Text("!", style="bold"), Text(f"differs: {sanitized(line)}")))
    console.print()
    print_table(console, figure_table(found.figures), caption=False)
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
    print_table(console, speedup_table(found.elastic_speedup), caption=False)
    for one in found.elastic_speedup:
        if one.reason:
            emit(
                console, Text(f"{sanitized(one.deployment)}: {sanitized(one.reason)}", style="dim")
            )
    emit(console, Text(SPEEDUP, style="dim"))


def render_markdown_comparison(found: Comparison) -> bytes:
    """The comparison as GitHub's Markdown in UTF-8."""
    return ("\n".join(_lines(found)).rstrip() + "\n").encode()


def render_json_comparison(found: Comparison) -> bytes:
    """The comparison as indented JSON in UTF-8; bounds that are not finite are null."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def _lines(found: Comparison) -> Iterator[str]:
    yield f"## {SIGNS[found.verdict]} {found.verdict.upper()}: {text(sides(found))}"
    yield ""
    yield f"{text(found.evidence)}. {text(rule(found))}"
    yield ""
    yield from table(figure_table(found.figures))
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
    yield from table(speedup_table(found.elastic_speedup))
    for one in found.elastic_speedup:
        if one.reason:
            yield f"- {code(one.deployment)}: {text(one.reason)}"
