"""`scalelag report`: a report on a run directory, rebuilt from what was recorded."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gate
from reports.render.formats import Format, Rendering, exit_code, render
from reports.render.terminal.report import render_terminal
from scalelag.record.run_dir import HTML_FILE, RecordedRun, load_run, write_file


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
    capacity_rps: Annotated[
        float | None,
        typer.Option(
            help="Requests per second that one replica serves well, in place of the run's.",
            min=0.001,
        ),
    ] = None,
) -> int:
    """Report on a finished or interrupted run, and judge its gates."""
    texts = gate or []
    gates = [parse_gate(text) for text in texts]
    recorded = _with_capacity(load_run(run), capacity_rps)
    if not texts:
        gates = [parse_gate(text) for text in recorded.info.options.get("gate", [])]
    analysis = analyse(recorded, gates)
    if output is None and output_format is Format.TERMINAL:
        render_terminal(analysis, Console(), str(run))
        return exit_code(analysis.report, strict=strict)
    rendered = render(Rendering(analysis, str(run), strict), output_format)
    if output is None and output_format is Format.HTML:
        write_file(run / HTML_FILE, rendered)
        print(run / HTML_FILE)
    elif output is None:
        sys.stdout.write(rendered.decode())
    else:
        write_file(output, rendered)
    return exit_code(analysis.report, strict=strict)


def _with_capacity(run: RecordedRun, capacity_rps: float | None) -> RecordedRun:
    """The run as if `--capacity-rps` had been given then, where it is given now."""
    if capacity_rps is None:
        return run
    options = {**run.info.options, "capacity_rps": capacity_rps}
    return msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, options=options))
