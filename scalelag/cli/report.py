"""`scalelag report`: a report on a run directory, rebuilt from what was recorded."""

import sys
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from reports.analysis.chart_series import chart_series
from reports.analysis.curves import Analysis
from reports.analysis.gates import parse_gate
from reports.analysis.summary import analyse
from reports.render.html.report_page import render_html
from reports.render.json_report import render_json
from reports.render.terminal import render_terminal
from reports.render.verdict import exit_code
from scalelag.record.run_dir import HTML_FILE, RecordedRun, load_run, write_file


class Format(StrEnum):
    """What a report can be rendered as."""

    TERMINAL = "terminal"
    JSON = "json"
    HTML = "html"


def report(
    run: Annotated[Path, typer.Argument(help="Run directory, such as runs/20261122-174501-demo.")],
    *,
    output_format: Annotated[
        Format, typer.Option("--format", help="What to render.", case_sensitive=False)
    ] = Format.TERMINAL,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="File to write to; html goes to RUN/report.html without it."),
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option("--gate", help="Condition for passing, in place of the run's. Repeatable."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="An inconclusive gate fails (exit 5).")
    ] = False,
) -> int:
    """Report on a finished or interrupted run, and judge its gates."""
    texts = gate or []
    gates = [parse_gate(text) for text in texts]
    recorded = load_run(run)
    if not texts:
        gates = [parse_gate(text) for text in recorded.info.options.get("gate", [])]
    analysis = analyse(recorded, gates)
    if output is None and output_format is Format.HTML:
        write_file(run / HTML_FILE, _render(recorded, analysis, output_format, run))
        print(run / HTML_FILE)
    elif output is not None:
        write_file(output, _render(recorded, analysis, output_format, run))
    elif output_format is Format.TERMINAL:
        render_terminal(analysis, Console(), str(run))
    else:
        sys.stdout.write(_render(recorded, analysis, output_format, run).decode())
    return exit_code(analysis.report, strict=strict)


def _render(recorded: RecordedRun, analysis: Analysis, output_format: Format, run: Path) -> bytes:
    if output_format is Format.JSON:
        return render_json(analysis.report)
    if output_format is Format.HTML:
        return render_html(analysis.report, chart_series(recorded, analysis.report))
    text = StringIO()
    render_terminal(analysis, Console(file=text, width=120), str(run))
    return text.getvalue().encode()
