"""`scalelag matrix`: the same plan on several versions of Ray, each compared with the one before."""

import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from reports.analysis.analyse import analyse
from reports.analysis.comparing.matrix import EntryRuns, matrix_report
from reports.analysis.comparing.run_differences import run_differences
from reports.model.formats import ComparisonFormat
from reports.model.matrix import MatrixReport
from reports.render.html.matrix_page import render_html_matrix
from reports.render.terminal.matrix import (
    print_matrix,
    render_json_matrix,
    render_markdown_matrix,
)
from scalelag.cli.answer_output import Page, Renderers, check_output, write_answer
from scalelag.cli.compare import KNOWN_OPTIONS, AnalysedRun
from scalelag.cli.matrix_runs import Entry, EntryOutcome, entries_of, made_before, run_in_turn
from scalelag.cli.run.attempt import Attempt
from scalelag.cli.run.command import attempt_of
from scalelag.cli.run.retries import AttemptResult, Retries
from scalelag.cli.run.signature import RunArguments
from scalelag.errors import (
    EXIT_GATE_FAILED,
    EXIT_INVALID,
    EXIT_PASSED,
    EXIT_TARGET,
)
from scalelag.record.output_file import write_file
from scalelag.record.run_dir import create_run_dir, load_run
from scalelag.record.run_info import EarlierAttempt

MATRIX_FILE = "matrix.json"
_PAGE_FILE = "matrix.html"
_RENDERERS = Renderers(print_matrix, render_json_matrix, render_markdown_matrix)


class MatrixOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of this command alone; `ray` is the list of entries as it was given.

    `folder` is that of the runs, None for a new one.
    """

    ray: str
    times: int
    folder: Path | None = None
    min_effect: float
    mains: tuple[str, ...]


def matrix(
    options: MatrixOptions,
    arguments: RunArguments,
    given: Mapping[str, Any],
    output_format: ComparisonFormat,
    output: Path | None,
) -> int:
    """Run the plan on each version in turn, compare neighbours, and return the exit code."""
    check_output("--output", output)
    entries = entries_of(options.ray)
    # All of them before the first run: what is wrong with any is said at once.
    attempts = {entry.label: _attempt(entry, arguments, given) for entry in entries}
    first = attempts[entries[0].label].options
    folder = options.folder or create_run_dir(first.out, f"{first.name}-matrix", time.time())
    made = {one.label: made_before(folder / one.folder, attempts[one.label]) for one in entries}
    retries = Retries(arguments.retries, arguments.retry_wait_s)
    outcomes = run_in_turn(
        entries,
        options.times,
        lambda entry: _run(attempts[entry.label], folder / entry.folder, retries),
        made,
    )
    report = _reported(entries, outcomes, options, first.plan.text, folder)
    write_file(folder / MATRIX_FILE, render_json_matrix(report))
    page = Page(render_html_matrix, folder / _PAGE_FILE)
    write_answer(report, _RENDERERS, output_format, output, page)
    return exit_code(report, strict=first.strict)


def exit_code(report: MatrixReport, *, strict: bool) -> int:
    """4 for a regression, 3 if no version ran, 5 if nothing could be compared.

    Under `strict` also 5 if a version has missing runs, or a comparison cannot be told.
    """
    if report.verdict == "regression":
        return EXIT_GATE_FAILED
    if not any(entry.runs for entry in report.entries):
        return EXIT_TARGET
    if not report.comparisons:
        return EXIT_INVALID
    doubtful = report.verdict == "cannot be told" or any(entry.reason for entry in report.entries)
    return EXIT_INVALID if strict and doubtful else EXIT_PASSED


def _attempt(entry: Entry, arguments: RunArguments, given: Mapping[str, Any]) -> Attempt:
    app_arg = (*arguments.app_arg, *entry.app_arg)
    own = msgspec.structs.replace(arguments, ray=entry.ray, app_arg=app_arg)
    return attempt_of(own, given)


def _run(attempt: Attempt, folder: Path, retries: Retries) -> AttemptResult:
    """Run once, into `folder`. Raises TargetError or UsageError if no run was made."""
    own = msgspec.structs.replace(attempt, given={**attempt.given, "out": str(folder)})
    last: list[AttemptResult] = []

    def once(earlier: Sequence[EarlierAttempt]) -> AttemptResult:
        last.append(own.run(earlier, quiet=True))
        return last[-1]

    retries.run(once)
    return last[-1]


def _reported(
    entries: Sequence[Entry],
    outcomes: Mapping[str, EntryOutcome],
    options: MatrixOptions,
    plan: str,
    folder: Path,
) -> MatrixReport:
    read = {entry.label: _read(outcomes[entry.label]) for entry in entries}
    ran = [entry for entry in entries if read[entry.label]]
    before = {other.label: one for one, other in pairwise(ran)}
    found = [
        EntryRuns(
            label=entry.label,
            ray=entry.ray,
            reports={name: run.report for name, run in read[entry.label].items()},
            reason="; ".join(outcomes[entry.label].reasons) or None,
            differences=_differences(before.get(entry.label), entry, read),
        )
        for entry in entries
    ]
    return matrix_report(
        found,
        plan=plan,
        times=options.times,
        folder=str(folder),
        min_effect=options.min_effect,
        mains=options.mains,
    )


def _read(outcome: EntryOutcome) -> dict[str, AnalysedRun]:
    """Valid runs by their paths; each invalid one becomes a reason."""
    found: dict[str, AnalysedRun] = {}
    for path in outcome.paths:
        recorded = load_run(path)
        report = analyse(recorded).report
        if report.verdict == "invalid":
            outcome.reasons.append(f"{path.name} is invalid: {'; '.join(report.reasons)}")
        else:
            found[str(path)] = AnalysedRun(recorded.info, report, None)
    return found


def _differences(
    base: Entry | None, candidate: Entry, read: Mapping[str, Mapping[str, AnalysedRun]]
) -> tuple[str, ...]:
    """Differences in plan and settings from the entry before, other than those that were wanted."""
    if base is None:
        return ()
    infos = [run.info for entry in (base, candidate) for run in read[entry.label].values()]
    wanted = ("Ray: ", "--app-arg: ")
    found = run_differences(infos, KNOWN_OPTIONS)
    return tuple(line for line in found if not line.startswith(wanted))
