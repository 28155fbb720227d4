"""A comparison of runs: for the terminal, as Markdown and as JSON."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from reports.model.comparison import ComparedFigure, Comparison
from reports.render.json_report import as_json
from reports.render.markdown import SIGNS, code, table, text
from reports.render.tables.comparison import (
    SPEEDUP,
    explaining,
    explaining_table,
    left_out,
    main_table,
    mains,
    notes,
    of_interest,
    rule,
    sides,
    speedup_table,
)
from reports.render.tables.table import Table
from reports.render.terminal.layout import badge, emit, flow, hanging, room
from reports.render.terminal.tables import print_table
from scalelag.foreign import sanitized


def print_comparison(console: Console, found: Comparison) -> None:
    """Print the verdict, each figure, what the runs differ in, and the elastic speedup."""
    verdict = badge(found.verdict)
    about = (sides(found), sanitized(found.evidence))
    emit(console, hanging(verdict, flow(about, room(console) - verdict.cell_len - 1)))
    if found.reason:
        emit(console, Text(sanitized(found.reason)))
    for line in found.differences:
        emit(console, hanging(Text("!", style="bold"), Text(f"differs: {sanitized(line)}")))
    for line in found.warnings:
        emit(console, hanging(Text("!", style="bold"), Text(sanitized(line))))
    console.print()
    _print_figures(console, main_table(mains(found.figures)), mains(found.figures))
    others = explaining(found.figures)
    shown = of_interest(others)
    if shown:
        _print_figures(console, explaining_table(shown), shown)
    if len(others) > len(shown):
        emit(console, Text(left_out(len(others) - len(shown)), style="dim"))
    emit(console, Text(rule(found), style="dim"))
    if found.elastic_speedup:
        console.print()
        _print_speedup(console, found)


def _print_figures(console: Console, made: Table, figures: Sequence[ComparedFigure]) -> None:
    if not figures:
        return
    print_table(console, made)
    for name, note in notes(figures):
        emit(console, Text(f"{name}: {note}", style="dim"))


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
    return as_json(found)


def _lines(found: Comparison) -> Iterator[str]:
    yield f"## {SIGNS[found.verdict]} {found.verdict.upper()}: {text(sides(found))}"
    yield ""
    reason = f" {_sentence(found.reason)}" if found.reason else ""
    yield f"{text(found.evidence)}.{reason} {text(rule(found))}"
    others = explaining(found.figures)
    shown = of_interest(others)
    for made, figures in ((main_table, mains(found.figures)), (explaining_table, shown)):
        if figures:
            yield from _figure_lines(made(figures), figures)
    if len(others) > len(shown):
        yield ""
        yield text(left_out(len(others) - len(shown)))
    if found.differences or found.warnings:
        yield ""
    yield from (f"- differs: {text(line)}" for line in found.differences)
    yield from (f"- {text(line)}" for line in found.warnings)
    if found.elastic_speedup:
        yield from _speedup_lines(found)


def _figure_lines(made: Table, figures: Sequence[ComparedFigure]) -> Iterator[str]:
    yield ""
    yield f"{text(made.caption)}:"
    yield ""
    yield from table(made)
    yield from (f"- {code(name)}: {text(note)}" for name, note in notes(figures))


def _sentence(words: str) -> str:
    return f"{text(words[:1].upper() + words[1:])}."


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
