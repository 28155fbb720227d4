"""The search of settings: Optuna's NSGA-II over simulations of the recorded load."""

import importlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from reports.analysis.load.slo import Slo
from reports.whatif.answer import RunTrials
from reports.whatif.from_record import RecordedScenario, with_settings
from reports.whatif.outcome import Outcome
from reports.whatif.repeat import Trial, trials
from reports.whatif.scenario import Scenario
from reports.whatif.tuning.objectives import Goals, goals_of
from reports.whatif.tuning.space import (
    Dimension,
    Place,
    changes_of,
    info_of,
    own_place,
    repaired,
)
from scalelag.plan.stages import LoadStep
from scalelag.record.deployment_info import DeploymentInfo

POPULATION = 20
SEARCH_REPETITIONS = 2
_WORST = Goals(math.inf, math.inf, math.inf, math.inf)

IsValid = Callable[[DeploymentInfo], bool]


class Task(msgspec.Struct, frozen=True):
    """The load to serve, and the settings to search in. `is_valid` asks Ray."""

    recorded: RecordedScenario
    steps: tuple[LoadStep, ...]
    slo: Slo
    space: tuple[Dimension, ...]
    seed: int
    is_valid: IsValid

    def scenario(self, place: Place) -> Scenario | None:
        """The scenario of a candidate; None if Ray refuses its settings."""
        scenario = self.recorded.scenario
        info = info_of(scenario.settings.info, changes_of(place, self.space))
        if not self.is_valid(info):
            return None
        return with_settings(scenario, info, self.recorded.run.info.versions.ray)

    def trials(self, scenario: Scenario, repetitions: int) -> list[Trial]:
        """Repetitions of a candidate: the same draws and pushes for all of them."""
        zero_s = self.recorded.run.info.zero_s
        return trials(Trial(scenario, self.steps, zero_s, self.seed, slo=self.slo), repetitions)


class Simulator:
    """Candidates simulated in batches; each one is simulated once."""

    def __init__(self, task: Task, run: RunTrials) -> None:
        self._task = task
        self._run = run
        self.known: dict[Place, Goals] = {}

    def goals(self, places: Sequence[Place]) -> list[Goals]:
        """Figures of candidates, in their order."""
        new = [place for place in dict.fromkeys(places) if place not in self.known]
        scenarios = {place: self._task.scenario(place) for place in new}
        self.known |= dict.fromkeys(new, _WORST)
        valid = {place: one for place, one in scenarios.items() if one is not None}
        for place, outcomes in self._outcomes(valid, SEARCH_REPETITIONS):
            self.known[place] = goals_of(outcomes)
        return [self.known[place] for place in places]

    def outcomes(self, places: Sequence[Place], repetitions: int) -> list[list[Outcome]]:
        """Outcomes of more repetitions of valid candidates."""
        scenarios = {place: self._task.scenario(place) for place in places}
        valid = {place: one for place, one in scenarios.items() if one is not None}
        found = dict(self._outcomes(valid, repetitions))
        return [found[place] for place in places]

    def _outcomes(
        self, scenarios: Mapping[Place, Scenario], repetitions: int
    ) -> Iterable[tuple[Place, list[Outcome]]]:
        trials = [
            trial for one in scenarios.values() for trial in self._task.trials(one, repetitions)
        ]
        outcomes = list(self._run(trials)) if trials else []
        for number, place in enumerate(scenarios):
            yield place, outcomes[number * repetitions : (number + 1) * repetitions]


def search(task: Task, simulator: Simulator, candidates: int) -> None:
    """Let NSGA-II ask for `candidates`, the run's own settings and plain guesses among the first.

    The simulator keeps their figures. Whole generations are asked at once, so that the answer does
    not depend on the number of cores.
    """
    optuna: Any = importlib.import_module("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=task.seed)
    study = optuna.create_study(directions=["minimize"] * len(_WORST.values), sampler=sampler)
    for place in guesses(task.space):
        study.enqueue_trial(_parameters(place, task.space))
    asked = 0
    while asked < candidates:
        trials = [study.ask() for _ in range(min(POPULATION, candidates - asked))]
        places = [_asked(trial, task.space) for trial in trials]
        goals = simulator.goals([repaired(place, task.space) for place in places])
        for trial, found in zip(trials, goals, strict=True):
            study.tell(trial, list(found.values))
        asked += len(trials)


def guesses(space: Sequence[Dimension]) -> list[Place]:
    """The run's own settings, and those that a person would try first.

    Each delay, interval and target at its least, alone and all together, and the most replicas.
    """
    own = own_place(space)
    quick = {
        "upscale_delay_s": 0,
        "look_back_period_s": 0,
        "metrics_interval_s": 0,
        "target_ongoing_requests": 0,
    }
    alone = [_placed(own, space, {name: place}) for name, place in quick.items()]
    sooner_gone = _placed(own, space, {"downscale_delay_s": 0})
    most = _placed(own, space, {"min_replicas": -1})
    together = _placed(own, space, quick)
    return list(dict.fromkeys([own, *alone, sooner_gone, most, together]))


def _placed(own: Place, space: Sequence[Dimension], places: Mapping[str, int]) -> Place:
    return tuple(
        places.get(one.setting, number) % len(one.values)
        for one, number in zip(space, own, strict=True)
    )


def _parameters(place: Place, space: Sequence[Dimension]) -> dict[str, int]:
    return {one.setting: number for one, number in zip(space, place, strict=True)}


def _asked(trial: Any, space: Sequence[Dimension]) -> Place:  # noqa: ANN401  Optuna's
    return tuple(trial.suggest_int(one.setting, 0, len(one.values) - 1) for one in space)
