"""`scalelag report`: a report on a run directory, rebuilt from what was recorded."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from reports.analysis.analyse import analyse
from reports.analysis.gate_checks import ExpectedParts, check_gates
from reports.analysis.gates import parse_gate_option, parse_gates, with_defaults
from reports.analysis.parts import all_parts, parts_of, planned_parts
from reports.model.formats import HTML_FILE, Details, Format
from reports.render.formats import Rendering, exit_code, render
from reports.render.terminal.report import render_terminal
from scalelag.autoscaler.for_diagnosis import replayer
from scalelag.cli.answer_output import check_output
from scalelag.cli.tune_file import tune_of
from scalelag.foreign import sanitized
from scalelag.options.release_output import release_output
from scalelag.record.output_file import write_file, write_named
from scalelag.record.run_dir import RecordedRun, load_run


def report(
    run: Path,
    output_format: Format,
    output: Path | None,
    texts: Sequence[str],
    *,
    strict: bool,
    capacity_rps: float | None,
    details: Details = Details.MOVED,
) -> int:
    """Report on the run in a directory. `texts` are gates in place of the run's own, if any."""
    check_output("--output", output)
    recorded = _with_capacity(load_run(run), capacity_rps)
    gates = (
        with_defaults([parse_gate_option(text) for text in texts])
        if texts
        else parse_gates(recorded.info.options.get("gate", []))
    )
    check_gates(gates, ExpectedParts(recorded.info.target.watched))
    analysis = msgspec.structs.replace(analyse(recorded, gates, replayer()), tune=tune_of(run))
    if texts:
        parts = (parts_of(analysis.report), planned_parts(recorded.info))
        check_gates(gates, all_parts(parts, "the run has"))
    if output is None and output_format is Format.TERMINAL:
        render_terminal(analysis, Console(), str(run), details)
        return exit_code(analysis.report, strict=strict)
    rendered = render(Rendering(analysis, str(run), strict, details), output_format)
    usual = _usual_file(run, output_format) if output is None else None
    if usual is not None:
        write_file(usual, rendered)
        print(sanitized(str(usual)))
    elif output is None:
        sys.stdout.write(rendered.decode())
    else:
        write_named(output, rendered)
    return exit_code(analysis.report, strict=strict)


def _usual_file(run: Path, output_format: Format) -> Path | None:
    """Return the file of a format without `--output`; None if it goes to the terminal."""
    if output_format is Format.HTML:
        return run / HTML_FILE
    return release_output([output_format], os.environ)


def _with_capacity(run: RecordedRun, capacity_rps: float | None) -> RecordedRun:
    """Return the run as if `--capacity-rps` had been given when it was made."""
    if capacity_rps is None:
        return run
    options = {**run.info.options, "capacity_rps": capacity_rps}
    return msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, options=options))
