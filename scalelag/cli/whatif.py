"""`scalelag whatif`: a recorded run with other settings, simulated through Ray's own policy."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress

from reports.analysis.analyse import analyse
from reports.analysis.load.slo import Slo, on_quantiles, recorded_slos
from reports.analysis.simulable import is_scaled
from reports.model.formats import ComparisonFormat
from reports.model.report import Report
from reports.model.whatif import WhatIfReport
from reports.render.html.whatif_page import render_html_whatif
from reports.render.terminal.whatif import (
    print_whatif,
    render_json_whatif,
    render_markdown_whatif,
)
from reports.whatif.answer import (
    Question,
    RecordedSteps,
    Replay,
    answer,
    recorded_steps,
    repetitions,
    replay_record,
    trial_count,
)
from reports.whatif.from_record import RecordedScenario, recorded_scenario, with_settings
from reports.whatif.outcome import Outcome
from reports.whatif.repeat import Trial
from reports.whatif.scenario import check_cost
from reports.whatif.settings import Assignment, changed, deployment_of, parse_assignment
from scalelag.autoscaler.ray_autoscaler import check_settings, setting_names
from scalelag.autoscaler.ray_names import ray_names
from scalelag.autoscaler.trials import Job, Jobs, PolicyPath, TrialResult, parallel
from scalelag.autoscaler.user_policy import load_policy
from scalelag.cli.answer_output import Page, Renderers, check_output, check_page, write_answer
from scalelag.cli.whatif_load import OtherLoad, with_load
from scalelag.errors import EXIT_INVALID, EXIT_PASSED, UsageError
from scalelag.record.run_dir import RecordedRun, load_run
from scalelag.record.run_info import RunInfo
from scalelag.wording import count

PAGE_FILE = "whatif.html"
_RENDERERS = Renderers(print_whatif, render_json_whatif, render_markdown_whatif)


class WhatIfOptions(msgspec.Struct, frozen=True):
    """Options of the command, as given."""

    assignments: tuple[str, ...] = ()
    policy: str | None = None
    of_application: bool = False
    load: OtherLoad = OtherLoad()
    slo: str | None = None
    seed: int = 1


def whatif(
    run: Path, options: WhatIfOptions, output_format: ComparisonFormat, output: Path | None
) -> int:
    """Simulate the run with other settings, and write the answer.

    Returns 5 if the run's own settings do not reproduce it, so that there is no answer.
    """
    check_output("--output", output)
    recorded = load_run(run)
    page = Page(render_html_whatif, run / PAGE_FILE)
    check_page(page, output_format, output)
    found = ask(recorded, options)
    write_answer(found, _RENDERERS, output_format, output, page)
    return EXIT_PASSED if found.validation.passed else EXIT_INVALID


class Simulable(msgspec.Struct, frozen=True):
    """A run that can be simulated; `policy` is the user's own, if one was given."""

    recorded: RecordedScenario
    own: RecordedSteps
    report: Report
    policy: PolicyPath | None

    @property
    def policy_of_run(self) -> PolicyPath | None:
        """The policy that decided in the run itself: the user's, or None for Ray's."""
        whose = self.recorded.scenario.settings.policy.whose
        return self.policy if whose is not None else None

    def replayed(self, jobs: Jobs, seed: int) -> Replay:
        """Replay the run with its own settings."""
        return replay_record(
            self.recorded,
            self.own,
            self.report,
            lambda trials: outcomes_of(jobs, trials, self.policy_of_run),
            seed,
        )


def prepare(
    run: RecordedRun, assignments: Sequence[Assignment], options: WhatIfOptions
) -> Simulable:
    """Return the run as a scenario. Raises UsageError for options or a record without one."""
    key = deployment_of(assignments, run.info.target.watched, scaling_of_run(run.info))
    policy = _policy(options)
    slo = limit_of(options.slo, run.info)
    recorded = recorded_scenario(run, key, own_policy=policy is not None)
    report = analyse(within_limit(run, options.slo)).report
    if key not in report.deployments:
        raise UsageError(f"the run has no report on {key}.")
    return Simulable(recorded, recorded_steps(recorded, report, slo), report, policy)


def ask(run: RecordedRun, options: WhatIfOptions) -> WhatIfReport:
    """Return the answer for a run. Raises UsageError for options or a record without one."""
    assignments = [parse_assignment(text) for text in options.assignments]
    prepared = prepare(run, assignments, options)
    question = _question(prepared.recorded, prepared.own, assignments, options)
    trials = trial_count(asked=not question.is_recorded)
    with progress(trials) as advance, parallel(advance) as jobs:
        replay = prepared.replayed(jobs, options.seed)
        done: list[TrialResult] = []
        if replay.validation.passed and not question.is_recorded:
            made = repetitions(question, prepared.own.slo, options.seed)
            done = jobs([Job(trial, prepared.policy) for trial in made])
    return answer(
        replay,
        question,
        [one.outcome for one in done],
        options.seed,
        ray_names().version,
        done[-1].policy_state if done else None,
    )


@contextmanager
def progress(total: int) -> Generator[Callable[[], None]]:
    """Yield a function that moves a bar on stderr on, where that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("simulating", total=total)
        yield lambda: bar.advance(task)


def outcomes_of(jobs: Jobs, trials: Sequence[Trial], policy: PolicyPath | None) -> list[Outcome]:
    """Run the trials with a policy; None for Ray's own."""
    return [one.outcome for one in jobs([Job(trial, policy) for trial in trials])]


def scaling_of_run(info: RunInfo) -> list[str]:
    """Watched deployments whose number of replicas can change."""
    described = info.target.deployments
    return [key for key in info.target.watched if is_scaled(described.get(key))]


def _policy(options: WhatIfOptions) -> PolicyPath | None:
    if options.policy is None:
        if options.of_application:
            raise UsageError("--policy-of-application goes with --policy.")
        return None
    load_policy(options.policy, of_application=options.of_application)
    return PolicyPath(options.policy, options.of_application)


def limit_of(text: str | None, info: RunInfo) -> Slo | None:
    """The limit on a quantile of latency: the one given, else the run's own, if it has one.

    Raises UsageError if the one given is on something else.
    """
    limits = on_quantiles(recorded_slos(text or info.options.get("slo")))
    if text and not limits:
        raise UsageError(
            f"--slo {text}: a quantile of the latency of whole requests is simulated, and no tokens. "
            "Give a limit on one, such as p95<200ms."
        )
    return limits[0] if limits else None


def within_limit(run: RecordedRun, slo: str | None) -> RecordedRun:
    """The run as if it had been made with the limit that is given in place of its own, if one is."""
    if slo is None:
        return run
    info = msgspec.structs.replace(run.info, options={**run.info.options, "slo": slo})
    return msgspec.structs.replace(run, info=info)


def _question(
    recorded: RecordedScenario,
    own: RecordedSteps,
    assignments: Sequence[Assignment],
    options: WhatIfOptions,
) -> Question:
    """The what-if that was asked for; without any change the recorded run itself."""
    scenario, info = recorded.scenario, recorded.run.info
    new, changes = changed(scenario.settings.info, assignments, setting_names(ray_names()))
    check_settings(scenario.settings.key, new)
    question = Question(
        scenario=with_settings(scenario, new, info.versions.ray) if changes else scenario,
        steps=own.steps,
        zero_s=info.zero_s,
        unit=info.plan.unit,
        changes=changes,
        policy=options.policy,
        notes=tuple(_notes(recorded)),
    )
    asked = with_load(question, recorded, options.load, options.seed)
    check_cost(asked.scenario)
    return asked


def _notes(recorded: RecordedScenario) -> Iterator[str]:
    ran, installed = recorded.run.info.versions.ray, ray_names().version
    if ran is not None and ran != installed:
        yield f"The run was made with Ray {ran}; here the policy of Ray {installed} decides."
    yield from (f"The record is not whole: {text}" for text in recorded.run.problems)
    own = recorded.run.requests.count
    if own < recorded.requests:
        yield (
            f"Of {count(recorded.requests, 'request')} {own:,} are for the application "
            f"{recorded.scenario.settings.application}: these are simulated. A plan or a trace is for "
            "it alone."
        )
