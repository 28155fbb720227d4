"""A matrix for the terminal, as Markdown and as JSON."""

import json
from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.text import Text

from reports.model.matrix import MatrixReport
from reports.render.markdown import table, text
from reports.render.tables.matrix import entry_table, headline, remarks, step_table
from reports.render.terminal.layout import badge, emit, hanging
from reports.render.terminal.tables import print_table
from scalelag.foreign import sanitized


def print_matrix(console: Console, report: MatrixReport) -> None:
    """Print the verdict, the figures of each version, and each against the one before."""
    emit(console, hanging(badge(report.verdict), Text(headline(report))))
    console.print()
    print_table(console, entry_table(report))
    if report.comparisons:
        console.print()
        print_table(console, step_table(report))
    for line in remarks(report):
        emit(console, hanging(Text("!", style="bold"), Text(line)))
    emit(console, Text(f"Record: {sanitized(report.folder)}", style="dim"))


def render_json_matrix(report: MatrixReport) -> bytes:
    """The answer as indented JSON in UTF-8; figures that are not finite are null."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def matrix_schema() -> bytes:
    """JSON Schema of the answer, as docs/matrix.schema.json holds it."""
    schema = msgspec.json.schema(MatrixReport)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "scalelag matrix --format json, schema_version 1",
    }
    return json.dumps(head | schema, indent=2, ensure_ascii=False).encode() + b"\n"


def render_markdown_matrix(report: MatrixReport) -> bytes:
    """The answer as GitHub's Markdown in UTF-8."""
    return ("\n".join(_lines(report)).rstrip() + "\n").encode()


def _lines(report: MatrixReport) -> Iterator[str]:
    yield f"## {report.verdict.capitalize()}: {text(headline(report))}"
    tables = [entry_table(report), *([step_table(report)] if report.comparisons else [])]
    for made in tables:
        yield ""
        yield f"{text(made.caption)}:"
        yield ""
        yield from table(made)
    yield ""
    yield from (f"- {text(line)}" for line in remarks(report))
