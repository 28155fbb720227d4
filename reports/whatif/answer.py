"""The answer to a what-if: the record, its replay, and the same with other settings."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from reports.analysis.elasticity.staircase import Staircase
from reports.analysis.load.slo import Slo
from reports.model.intervals import Span, Window
from reports.model.report import Report
from reports.model.whatif import (
    RUN_FIGURES,
    STEP_FIGURES,
    Change,
    Curve,
    Curves,
    Figure,
    FigureName,
    ServiceReport,
    Validation,
    WhatIfReport,
    WhatIfStep,
)
from reports.whatif.from_record import RecordedScenario, WatchedTime
from reports.whatif.outcome import (
    Course,
    Figures,
    Outcome,
    replica_hours,
    request_figures,
    whole_figures,
    worst_lag,
)
from reports.whatif.repeat import Trial, estimate, middle_course, phases, trials
from reports.whatif.scenario import Scenario
from reports.whatif.validate import ReplayOutcomes, best_phase, recorded_figures, validated
from scalelag.plan.stages import LoadStep, Unit
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

SCHEMA_VERSION = 1
REPETITIONS = 20
_PHASES = 10

RunTrials = Callable[[Sequence[Trial]], Sequence[Outcome]]


class RecordedSteps(msgspec.Struct, frozen=True):
    """Steps of a recorded run, and its recorded figures: of each step by its index, and whole."""

    steps: tuple[LoadStep, ...]
    figures: dict[int, Figures]
    whole: Figures
    slo: Slo | None


class Question(msgspec.Struct, frozen=True):
    """A what-if: the scenario to run in place of the recorded one, and the words for it.

    `steps` and `zero_s` are those of its load; `unit` is that of its levels.
    """

    scenario: Scenario
    steps: tuple[LoadStep, ...]
    zero_s: float
    unit: Unit
    changes: tuple[Change, ...]
    load: str | None = None
    policy: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_recorded(self) -> bool:
        """Return True if nothing is changed."""
        return not (self.changes or self.load or self.policy)


class Replay(msgspec.Struct, frozen=True):
    """The run's own settings, replayed, and what the record says beside them."""

    recorded: RecordedScenario
    of_record: RecordedSteps
    replayed: ReplayOutcomes
    validation: Validation


def recorded_steps(recorded: RecordedScenario, report: Report, slo: Slo | None) -> RecordedSteps:
    """Recorded figures of each step of the deployment that a scenario is for."""
    watched = WatchedTime(recorded.timeline, recorded.running, recorded.scenario.to_s)
    return measured_steps(recorded.run, recorded.scenario.settings.key, watched, report, slo)


def measured_steps(
    run: RecordedRun, key: DeploymentKey, watched: WatchedTime, report: Report, slo: Slo | None
) -> RecordedSteps:
    """Recorded figures of each step of a deployment, also of one that cannot be simulated."""
    zero_s = run.info.zero_s
    steps: list[LoadStep] = []
    figures: dict[int, Figures] = {}
    for step in report.deployments[key].steps:
        own = LoadStep(
            step.index, step.at_s, step.at_s + step.hold_s, step.from_level, step.to_level
        )
        steps.append(own)
        figures[step.index] = {
            **recorded_figures(step),
            **request_figures(run.requests, own, zero_s),
        }
    reversals = sum(step.reversals for step in report.deployments[key].steps)
    hours = replica_hours(watched.running, zero_s, watched.until_s)
    whole: Figures = {
        **whole_figures(run.requests, steps, zero_s, slo),
        "lag_s": worst_lag(run.requests, steps, figures, zero_s, slo),
        "reversals": Span(reversals, reversals, reversals),
        "replica_hours": Span(hours, hours, hours),
    }
    return RecordedSteps(tuple(steps), figures, whole, slo)


def replay_record(
    recorded: RecordedScenario, of_record: RecordedSteps, report: Report, run: RunTrials, seed: int
) -> Replay:
    """Replay the run with its own settings: first for the phase of its pushes, then for its errors."""
    scenario, zero_s = recorded.scenario, recorded.run.info.zero_s
    window = Window(zero_s, scenario.to_s)

    def trial(number: int, phase: float) -> Trial:
        return Trial(scenario, of_record.steps, zero_s, seed + number, phase, of_record.slo)

    tried = list(phases(_PHASES))
    outcomes = run([trial(number, phase) for number, phase in enumerate(tried * 2)])
    by_phase = {phase: (outcomes[i], outcomes[i + _PHASES]) for i, phase in enumerate(tried)}
    phase = best_phase(recorded, by_phase, window)
    found = run([trial(100 + number, phase) for number in range(REPETITIONS)])
    replayed = ReplayOutcomes(phase, tuple(found))
    holds = {
        step.index: Window(zero_s + step.at_s, zero_s + step.hold_until_s)
        for step in of_record.steps
    }
    return Replay(
        recorded,
        of_record,
        replayed,
        validated(recorded, of_record.figures, holds, replayed, window, report),
    )


def trial_count(*, asked: bool) -> int:
    """Number of trials of a replay, and of its what-if if one is `asked` for."""
    return 2 * _PHASES + REPETITIONS * (2 if asked else 1)


def repetitions(question: Question, slo: Slo | None, seed: int) -> list[Trial]:
    """Trials of a what-if."""
    first = Trial(question.scenario, question.steps, question.zero_s, seed, slo=slo)
    return trials(first, REPETITIONS)


def answer(
    replay: Replay,
    question: Question,
    outcomes: Sequence[Outcome],
    seed: int,
    ray_simulated: str,
    policy_state: str | None = None,
) -> WhatIfReport:
    """Put recorded, replayed and changed figures side by side; no `outcomes` stand for no change."""
    recorded = replay.recorded
    info, own_load = recorded.run.info, question.load is None
    window = Window(question.zero_s, question.scenario.to_s)
    own = Window(info.zero_s, recorded.scenario.to_s)
    return WhatIfReport(
        schema_version=SCHEMA_VERSION,
        run=info.name,
        deployment=question.scenario.settings.key,
        ray_recorded=info.versions.ray,
        ray_simulated=ray_simulated,
        changes=question.changes,
        validation=replay.validation,
        service=_service(recorded.scenario),
        steps=tuple(_step(replay, question, step, outcomes) for step in question.steps),
        whole=_whole(replay, question, outcomes),
        repetitions=REPETITIONS,
        seed=seed,
        recorded=_curves(Course(recorded.target, recorded.running), own) if own_load else None,
        simulated=_curves(middle_course(replay.replayed.outcomes, own), own),
        whatif=_curves(middle_course(outcomes, window), window) if outcomes else None,
        policy=question.policy,
        policy_state=policy_state,
        load=question.load,
        notes=question.notes,
    )


def _whole(
    replay: Replay, question: Question, outcomes: Sequence[Outcome]
) -> dict[FigureName, Figure]:
    """Figures of the whole run."""
    own_load = question.load is None
    recorded = replay.of_record.whole if own_load else {}
    simulated = [one.whole for one in replay.replayed.outcomes] if own_load else []
    changed = [one.whole for one in outcomes]
    return {name: _figure(recorded, simulated, changed, name) for name in RUN_FIGURES}


def _step(
    replay: Replay, question: Question, step: LoadStep, outcomes: Sequence[Outcome]
) -> WhatIfStep:
    own_load = question.load is None
    recorded = replay.of_record.figures.get(step.index, {}) if own_load else {}
    simulated = [o.steps[step.index] for o in replay.replayed.outcomes] if own_load else []
    changed = [one.steps[step.index] for one in outcomes]
    return WhatIfStep(
        index=step.index,
        direction=step.direction,
        at_s=step.at_s,
        from_level=step.from_level,
        to_level=step.to_level,
        unit=question.unit,
        figures={name: _figure(recorded, simulated, changed, name) for name in STEP_FIGURES},
    )


def _figure(
    recorded: Mapping[FigureName, Span | None],
    simulated: Sequence[Figures],
    changed: Sequence[Figures],
    name: FigureName,
) -> Figure:
    return Figure(
        recorded=recorded.get(name),
        simulated=estimate([one[name] for one in simulated]) if simulated else None,
        whatif=estimate([one[name] for one in changed]) if changed else None,
    )


def _service(scenario: Scenario) -> ServiceReport:
    service = scenario.service
    works_s = np.concatenate(service.works_s)
    return ServiceReport(
        requests=service.requests,
        p50_ms=float(np.quantile(works_s, 0.5)) * 1000,
        p95_ms=float(np.quantile(works_s, 0.95)) * 1000,
        sharing=service.sharing,
        highest=service.highest,
        varied=service.varied,
        starts=len(scenario.starts.starts_s),
        start_p50_s=float(np.median(scenario.starts.starts_s)),
    )


def _curves(course: Course, window: Window) -> Curves:
    return Curves(_curve(course.target, window), _curve(course.running, window))


def _curve(of: Staircase, window: Window) -> Curve:
    inner = of.times_s[(of.times_s > window.from_s) & (of.times_s < window.to_s)]
    edges_s = np.concatenate([[window.from_s], inner])
    ends = np.append(edges_s, window.to_s)
    replicas = of.at(edges_s)
    moments = tuple(round(float(at_s - window.from_s), 3) for at_s in ends)
    return Curve(moments, tuple(int(one) for one in (*replicas, replicas[-1])))
