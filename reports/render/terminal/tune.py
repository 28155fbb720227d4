"""Found settings for the terminal, as Markdown, and as JSON."""

import json
from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.text import Text

from reports.model.tune import TuneReport
from reports.render.json_report import as_json
from reports.render.markdown import code, table, text
from reports.render.tables.tune import (
    confirmation_table,
    tune_headline,
    tune_proof,
    tune_result,
    tune_sentences,
    tune_table,
    tune_verdict,
)
from reports.render.terminal.layout import badge, emit, flow, hanging, room
from reports.render.terminal.tables import print_table
from reports.render.tune_yaml import tune_yaml
from scalelag.foreign import sanitized


def print_tune(console: Console, report: TuneReport, *, with_yaml: bool) -> None:
    """Print the settings found, what each buys, and the first choice as YAML."""
    verdict = badge(tune_verdict(report))
    about = (sanitized(report.run), sanitized(report.deployment), tune_headline(report))
    emit(console, hanging(verdict, flow(about, room(console) - verdict.cell_len - 1)))
    emit(console, Text(tune_proof(report)))
    for line in (*report.validation.reasons, *report.validation.missing):
        emit(console, hanging(Text("!", style="bold"), Text(sanitized(line))))
    if not report.validation.passed:
        return
    console.print()
    print_table(console, tune_table(report))
    console.print()
    emit(console, Text(tune_result(report)))
    for number, sentence in tune_sentences(report):
        emit(console, hanging(Text(number, style="bold"), Text(sentence)))
    if (confirmed := confirmation_table(report)) is not None:
        console.print()
        print_table(console, confirmed)
    for note in report.notes:
        emit(console, Text(sanitized(note), style="dim"))
    if with_yaml and (pasted := tune_yaml(report)):
        console.print()
        # Whole lines from the first column on: a terminal's own line breaks are not copied.
        console.print(Text(pasted.rstrip()), soft_wrap=True)


def render_json_tune(report: TuneReport) -> bytes:
    """The answer as indented JSON in UTF-8."""
    return as_json(report)


def tune_schema() -> bytes:
    """JSON Schema of the answer, as docs/tune.schema.json holds it."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "scalelag tune --format json, schema_version 1",
    }
    schema = head | msgspec.json.schema(TuneReport)
    return json.dumps(schema, indent=2, ensure_ascii=False).encode() + b"\n"


def render_markdown_tune(report: TuneReport) -> bytes:
    """The answer as GitHub's Markdown in UTF-8."""
    return ("\n".join(_lines(report)).rstrip() + "\n").encode()


def _lines(report: TuneReport) -> Iterator[str]:
    yield f"## Tune: {text(tune_headline(report))}"
    yield ""
    yield f"{code(report.deployment)} of {code(report.run)}. {text(tune_proof(report))}"
    yield ""
    yield from (f"- {text(line)}" for line in report.validation.reasons)
    if not report.validation.passed:
        return
    yield from tune_part(report)
    for note in report.notes:
        yield ""
        yield text(note)
    if pasted := tune_yaml(report):
        yield from ("", "```yaml", *map(sanitized, pasted.splitlines()), "```")


def tune_part(report: TuneReport) -> Iterator[str]:
    """Tables and sentences, as a part of another page too."""
    made = tune_table(report)
    yield from (f"{text(made.caption)}:", "")
    yield from table(made)
    yield from (text(tune_result(report)), "")
    yield from (f"{number}. {text(sentence)}" for number, sentence in tune_sentences(report))
    if (confirmed := confirmation_table(report)) is not None:
        yield from ("", f"{text(confirmed.caption)}:", "")
        yield from table(confirmed)
