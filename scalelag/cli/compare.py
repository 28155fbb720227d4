"""`scalelag compare`: whether one build is slower than another."""

import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from reports.analysis.analyse import analyse
from reports.analysis.comparing.compare import MIN_EFFECT
from reports.analysis.comparing.compare import compare as compare_runs
from reports.analysis.comparing.curves import RunLines, compared_lines, run_lines
from reports.analysis.comparing.run_differences import run_differences
from reports.model.comparison import Comparison
from reports.model.report import Report
from reports.render.html.comparison_page import render_html_comparison
from reports.render.terminal.comparison import (
    print_comparison,
    render_json_comparison,
    render_markdown_comparison,
)
from scalelag.errors import EXIT_GATE_FAILED, EXIT_PASSED, UsageError
from scalelag.record.run_dir import RUN_FILE, load_run, write_file
from scalelag.record.run_info import RunInfo

PAGE_FILE = Path("comparison.html")


class ComparisonFormat(StrEnum):
    """What a comparison can be rendered as."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "md"
    HTML = "html"


class AnalysedRun(msgspec.Struct, frozen=True):
    """What is kept of a run: its rows are not. `lines` are there where they will be drawn."""

    info: RunInfo
    report: Report
    lines: RunLines | None


Side = dict[str, AnalysedRun]
"""Runs by the path that they were found at."""


def compare(
    base: Annotated[
        list[Path], typer.Argument(help="Run directories, or folders of them, to compare with.")
    ],
    *,
    against: Annotated[
        list[Path], typer.Option(help="The candidate: a run directory, or a folder. Repeatable.")
    ],
    min_effect: Annotated[
        float, typer.Option(help="Ratio below which a difference does not count.", min=1.0)
    ] = MIN_EFFECT,
    allow_differences: Annotated[
        bool, typer.Option("--allow-differences", help="Compare other plans and configurations.")
    ] = False,
    fail_on_regression: Annotated[
        bool, typer.Option("--fail-on-regression", help="End with 4 where there is one.")
    ] = False,
    output_format: Annotated[
        ComparisonFormat, typer.Option("--format", help="What to render.", case_sensitive=False)
    ] = ComparisonFormat.TERMINAL,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write to; html goes to comparison.html without it."),
    ] = None,
) -> int:
    """Compare runs of one build with those of another, and say whether it is slower."""
    drawn = output_format is ComparisonFormat.HTML
    sides = [_read(paths, drawn=drawn) for paths in (base, against)]
    if same := sorted(sides[0].keys() & sides[1].keys()):
        raise UsageError(f"{same[0]} stands on both sides.")
    differences = _differences(sides, allowed=allow_differences)
    reports = [{name: run.report for name, run in side.items()} for side in sides]
    found = compare_runs(*reports, min_effect=min_effect, differences=differences)
    if drawn:
        _write_page(found, sides[0], sides[1], output)
    else:
        _show(found, output_format, output)
    failed = fail_on_regression and found.verdict == "regression"
    return EXIT_GATE_FAILED if failed else EXIT_PASSED


def _read(paths: list[Path], *, drawn: bool) -> Side:
    """The runs, read one after another. Raises UsageError for one that cannot be trusted."""
    found: Side = {}
    for path in (run for named in paths for run in _runs_in(named)):
        recorded = load_run(path)
        analysis = analyse(recorded)
        report = analysis.report
        if report.verdict == "invalid":
            raise UsageError(f"{path} is invalid: {'; '.join(report.reasons)}.")
        lines = run_lines(analysis.charts) if drawn else None
        found[str(path)] = AnalysedRun(recorded.info, report, lines)
    return found


def _differences(sides: Sequence[Side], *, allowed: bool) -> tuple[str, ...]:
    """What the runs differ in. Raises UsageError where that is not `allowed`."""
    found = run_differences([run.info for side in sides for run in side.values()])
    if found and not allowed:
        listed = "\n".join(f"  {line}" for line in found)
        raise UsageError(
            f"these runs are not of one plan and configuration:\n{listed}\n"
            "Compare them all the same with --allow-differences."
        )
    return found


def _runs_in(path: Path) -> list[Path]:
    """The run directory itself, or those in a folder of them."""
    if (path / RUN_FILE).exists() or not path.is_dir():
        return [path]
    runs = sorted(inner.parent for inner in path.glob(f"*/{RUN_FILE}"))
    if not runs:
        raise UsageError(f"{path} is no run directory, and holds none.")
    return runs


def _write_page(found: Comparison, base: Side, candidate: Side, output: Path | None) -> None:
    """Write the page; where nobody said to which file, say it."""
    lines = compared_lines(_lines(base.values()), _lines(candidate.values()))
    reports = {name: run.report for name, run in (*base.items(), *candidate.items())}
    write_file(output or PAGE_FILE, render_html_comparison(found, reports, lines))
    if output is None:
        print(PAGE_FILE)


def _lines(runs: Iterable[AnalysedRun]) -> list[RunLines]:
    return [run.lines for run in runs if run.lines is not None]


def _show(found: Comparison, output_format: ComparisonFormat, output: Path | None) -> None:
    if output_format is ComparisonFormat.TERMINAL:
        if output is None:
            print_comparison(Console(), found)
            return
        with output.open("w", encoding="utf-8") as file:
            print_comparison(Console(file=file, width=120), found)
        return
    as_json = output_format is ComparisonFormat.JSON
    rendered = (render_json_comparison if as_json else render_markdown_comparison)(found)
    if output is None:
        sys.stdout.write(rendered.decode())
    else:
        write_file(output, rendered)
