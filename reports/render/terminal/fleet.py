"""Replicas for days of traffic, for the terminal, as Markdown and as JSON."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from reports.model.fleet import FleetReport
from reports.render.json_report import as_json
from reports.render.markdown import table, text
from reports.render.tables.fleet import fleet_headline, fleet_sentences, fleet_table
from reports.render.terminal.layout import emit
from reports.render.terminal.tables import print_table
from scalelag.foreign import sanitized


def print_fleet(console: Console, report: FleetReport) -> None:
    """Print the sums, and a row for each hour of the day."""
    emit(console, Text(fleet_headline(report), style="bold"))
    for line in fleet_sentences(report):
        emit(console, Text(line))
    console.print()
    print_table(console, fleet_table(report))
    for note in report.notes:
        emit(console, Text(sanitized(note), style="dim"))


def render_json_fleet(report: FleetReport) -> bytes:
    """The answer as indented JSON in UTF-8."""
    return as_json(report)


def render_markdown_fleet(report: FleetReport) -> bytes:
    """The answer as GitHub's Markdown in UTF-8."""
    return ("\n".join(_lines(report)).rstrip() + "\n").encode()


def _lines(report: FleetReport) -> Iterator[str]:
    yield from (f"## {text(fleet_headline(report))}", "")
    yield from (text(" ".join(fleet_sentences(report))), "")
    yield from table(fleet_table(report))
    yield ""
    yield from (f"- {text(note)}" for note in report.notes)
