"""`scalelag tune`: settings that serve a recorded run better, searched by simulation."""

from functools import partial
from pathlib import Path

import msgspec

from reports.model.formats import ComparisonFormat
from reports.model.tune import TUNE_FILE, TuneReport
from reports.render.html.tune_page import render_html_tune
from reports.render.terminal.tune import (
    print_tune,
    render_json_tune,
    render_markdown_tune,
)
from reports.render.tune_yaml import tune_yaml
from reports.whatif.answer import trial_count
from reports.whatif.tuning.search import Task
from reports.whatif.tuning.space import space_of
from reports.whatif.tuning.tune import Wish, most_trials, tuned
from scalelag.autoscaler.ray_autoscaler import check_settings
from scalelag.autoscaler.ray_names import ray_names
from scalelag.autoscaler.trials import parallel
from scalelag.cli.answer_output import Page, Renderers, check_output, check_page, write_answer
from scalelag.cli.tune_confirm import check_confirmable, confirmed
from scalelag.cli.whatif import Simulable, WhatIfOptions, outcomes_of, prepare, progress
from scalelag.console import say
from scalelag.errors import (
    EXIT_GATE_FAILED,
    EXIT_INVALID,
    EXIT_PASSED,
    UsageError,
)
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.output_file import check_writable, write_file, write_named
from scalelag.record.run_dir import RecordedRun, load_run

PAGE_FILE = "tune.html"


class TuneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the command, as given."""

    slo: str | None = None
    keep: tuple[str, ...] = ()
    min_savings_pct: float | None = None
    candidates: int = 200
    seed: int = 1
    policy: str | None = None
    confirm: bool = False
    out: Path | None = None


def tune(
    run: Path, options: TuneOptions, output_format: ComparisonFormat, output: Path | None
) -> int:
    """Search settings, and write the answer, also as `tune.json` beside the record.

    Returns 5 if the run's own settings do not reproduce it, and 4 if nothing was found.
    With `--confirm` it returns the exit code of the real run.
    """
    check_output("--output", output)
    check_output("--out", options.out)
    recorded = load_run(run)
    check_writable(run / TUNE_FILE)
    page = Page(render_html_tune, run / PAGE_FILE)
    check_page(page, output_format, output)
    if options.confirm:
        check_confirmable(recorded)
    report = find(recorded, options)
    code = _exit_code(report)
    _keep(report, run, options.out)
    if options.out is not None and not tune_yaml(report):
        say(f"--out {options.out}: nothing is written, since no settings are a better first choice")
    if options.confirm and report.found and not report.own_is_first:
        report, code = confirmed(report, recorded, run, options.slo)
        _keep(report, run, options.out)
    on_terminal = partial(print_tune, with_yaml=options.out is None)
    renderers = Renderers(on_terminal, render_json_tune, render_markdown_tune)
    write_answer(report, renderers, output_format, output, page)
    return code


def find(run: RecordedRun, options: TuneOptions) -> TuneReport:
    """Return the settings found. Raises UsageError for options or a record without an answer."""
    prepared = prepare(run, (), WhatIfOptions(policy=options.policy, slo=options.slo))
    task = _task(prepared, options)
    wish = Wish(options.candidates, options.keep, options.min_savings_pct)
    total = trial_count(asked=False) + most_trials(wish, len(task.space))
    with progress(total) as advance, parallel(advance) as jobs:
        replay = prepared.replayed(jobs, options.seed)
        return tuned(
            replay,
            task,
            wish,
            lambda trials: outcomes_of(jobs, trials, prepared.policy),
            ray_names().version,
        )


def _task(prepared: Simulable, options: TuneOptions) -> Task:
    recorded, slo = prepared.recorded, prepared.own.slo
    if slo is None:
        raise UsageError(
            "tune needs a limit on the latency of requests: give --slo, such as --slo p95<200ms."
        )
    settings = recorded.scenario.settings
    peak = max(int(recorded.target.values.max()), 1)

    def is_valid(info: DeploymentInfo) -> bool:
        try:
            check_settings(settings.key, info)
        except UsageError:
            return False
        return True

    space = space_of(settings, peak, options.keep)
    return Task(recorded, prepared.own.steps, slo, space, options.seed, is_valid)


def _exit_code(report: TuneReport) -> int:
    if not report.validation.passed:
        return EXIT_INVALID
    return EXIT_PASSED if report.found else EXIT_GATE_FAILED


def _keep(report: TuneReport, run: Path, out: Path | None) -> None:
    write_file(run / TUNE_FILE, render_json_tune(report))
    if out is not None and (text := tune_yaml(report)):
        write_named(out, text.encode())
