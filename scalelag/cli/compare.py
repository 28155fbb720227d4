"""`scalelag compare`: compare the runs of two builds, and name regressions."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from reports.analysis.analyse import analyse
from reports.analysis.comparing.compare import compare as compare_runs
from reports.analysis.comparing.curves import RunLines, compared_lines, run_lines
from reports.analysis.comparing.run_differences import OptionSet, run_differences, side_labels
from reports.model.comparison import Comparison
from reports.model.formats import ComparisonFormat
from reports.model.report import Report
from reports.render.html.comparison_page import render_html_comparison
from reports.render.terminal.comparison import (
    print_comparison,
    render_json_comparison,
    render_markdown_comparison,
)
from scalelag.cli.answer_output import Page, Renderers, check_output, write_answer
from scalelag.errors import EXIT_GATE_FAILED, EXIT_PASSED, UsageError
from scalelag.options.catalog import COMPARABLE, OPTIONS
from scalelag.record.run_dir import RUN_FILE, load_run
from scalelag.record.run_info import RunInfo

PAGE_FILE = Path("comparison.html")
_RENDERERS = Renderers(print_comparison, render_json_comparison, render_markdown_comparison)
KNOWN_OPTIONS = OptionSet(COMPARABLE, {option.dest: option.default for option in OPTIONS})


class AnalysedRun(msgspec.Struct, frozen=True):
    """A run without its rows; `lines` are None if they will not be drawn."""

    info: RunInfo
    report: Report
    lines: RunLines | None


Side = dict[str, AnalysedRun]
"""Runs by their paths."""


def compare(
    base: Sequence[Path],
    against: Sequence[Path],
    output_format: ComparisonFormat,
    output: Path | None,
    *,
    min_effect: float,
    allow_differences: bool,
    fail_on_regression: bool,
    within_run: bool,
    mains: Sequence[str],
) -> int:
    """Compare the runs in `base` with those in `against`, and write the result."""
    check_output("--output", output)
    drawn = output_format is ComparisonFormat.HTML
    sides = [_read(paths, drawn=drawn) for paths in (base, against)]
    if same := sorted(sides[0].keys() & sides[1].keys()):
        raise UsageError(f"{same[0]} is on both sides: give it once.")
    differences = _differences(sides, allowed=allow_differences)
    reports = [{name: run.report for name, run in side.items()} for side in sides]
    found = compare_runs(
        *reports,
        min_effect=min_effect,
        differences=differences,
        labels=side_labels(_infos(sides[0]), _infos(sides[1]), KNOWN_OPTIONS),
        within_run=within_run,
        mains=mains,
    )
    page = Page(partial(_page, base=sides[0], candidate=sides[1]), PAGE_FILE)
    write_answer(found, _RENDERERS, output_format, output, page)
    failed = fail_on_regression and found.verdict == "regression"
    return EXIT_GATE_FAILED if failed else EXIT_PASSED


def _read(paths: Sequence[Path], *, drawn: bool) -> Side:
    """Return the runs by path, read one after another. Raises UsageError for an invalid one."""
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
    """Return the differences in plan and configuration. Raises UsageError if they are not `allowed`."""
    found = run_differences([info for side in sides for info in _infos(side)], KNOWN_OPTIONS)
    if found and not allowed:
        listed = "\n".join(f"  {line}" for line in found)
        raise UsageError(
            f"the runs differ in plan or configuration:\n{listed}\n"
            "Give --allow-differences to compare them nevertheless."
        )
    return found


def _infos(side: Side) -> list[RunInfo]:
    return [run.info for run in side.values()]


def _runs_in(path: Path) -> list[Path]:
    """Return `path` if it is a run directory, or else the run directories in it."""
    if (path / RUN_FILE).exists() or not path.is_dir():
        return [path]
    runs = sorted(inner.parent for inner in path.glob(f"*/{RUN_FILE}"))
    if not runs:
        raise UsageError(f"{path} is not a run directory, and contains none.")
    return runs


def _page(found: Comparison, base: Side, candidate: Side) -> bytes:
    lines = compared_lines(_lines(base.values()), _lines(candidate.values()))
    reports = {name: run.report for name, run in (*base.items(), *candidate.items())}
    return render_html_comparison(found, reports, lines)


def _lines(runs: Iterable[AnalysedRun]) -> list[RunLines]:
    return [run.lines for run in runs if run.lines is not None]
