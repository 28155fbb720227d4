"""The answer of a search: a few settings from its Pareto front, and what each of them buys."""

import math
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import msgspec
import numpy as np

from reports.analysis.load.recovery import BIN_S
from reports.model.tune import (
    TUNE_FIGURES,
    Candidate,
    TriedPoint,
    TunedSetting,
    TuneFigure,
    TuneReport,
)
from reports.model.whatif import Estimate
from reports.whatif.answer import REPETITIONS, Replay, RunTrials
from reports.whatif.outcome import Outcome, beyond_slo
from reports.whatif.repeat import estimate
from reports.whatif.tuning.objectives import (
    Goals,
    front,
    goals_of,
    in_order,
    is_worse,
    savings_pct,
    spread,
)
from reports.whatif.tuning.search import Simulator, Task, search
from reports.whatif.tuning.space import (
    Dimension,
    Place,
    changes_of,
    config_of,
    info_of,
    own_place,
    rests_on_one_report,
    without,
)

SCHEMA_VERSION = 1
MOST_FOUND = 6


class _Searched(TypedDict):
    """Findings of a search, as fields of its report."""

    own: dict[TuneFigure, Estimate]
    found: NotRequired[tuple[Candidate, ...]]
    tried: NotRequired[tuple[TriedPoint, ...]]
    own_is_first: NotRequired[bool]
    notes: NotRequired[tuple[str, ...]]


class Wish(msgspec.Struct, frozen=True):
    """Limits of a search: `min_savings_pct` of replica-hours, and the number of candidates."""

    candidates: int
    keep: tuple[str, ...] = ()
    min_savings_pct: float | None = None


class Choice(msgspec.Struct, frozen=True):
    """A candidate that is shown: its changes with what they buy, and all its repetitions."""

    place: Place
    gains: tuple[TunedSetting, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def goals(self) -> Goals:
        """Figures over all repetitions."""
        return goals_of(self.outcomes)


def most_trials(wish: Wish, settings: int) -> int:
    """The most simulations that `tuned` makes, with that many settings to search in."""
    search_and_simpler = wish.candidates + 2 * MOST_FOUND * settings
    return 2 * search_and_simpler + (MOST_FOUND + 1) * REPETITIONS


def tuned(replay: Replay, task: Task, wish: Wish, run: RunTrials, ray_simulated: str) -> TuneReport:
    """Search settings for the recorded load, and show the best ones; none if the proof failed."""
    info = task.recorded.run.info
    return TuneReport(
        schema_version=SCHEMA_VERSION,
        run=info.name,
        deployment=task.recorded.scenario.settings.key,
        ray_recorded=info.versions.ray,
        ray_simulated=ray_simulated,
        slo=task.slo.text,
        keep=wish.keep,
        min_savings_pct=wish.min_savings_pct,
        candidates=wish.candidates,
        seed=task.seed,
        repetitions=REPETITIONS,
        validation=replay.validation,
        application=task.recorded.scenario.settings.application,
        **(_searched(task, wish, run) if replay.validation.passed else _Searched(own={})),
    )


def _searched(task: Task, wish: Wish, run: RunTrials) -> _Searched:
    simulator = Simulator(task, run)
    search(task, simulator, wish.candidates)
    tried = [one for one in simulator.known.values() if math.isfinite(one.lag_s)]
    never = _is_never_kept(task, tried)
    shown = [] if never else _chosen(task, simulator, wish)
    [own] = simulator.outcomes([own_place(task.space)], REPETITIONS)
    kept = _kept(shown, goals_of(own), wish)
    order = in_order([goals_of(own), *(one.goals for one in kept)])
    return _Searched(
        own=_figures(own),
        found=tuple(_candidate(task, kept[place - 1]) for place in order if place > 0),
        tried=tuple(TriedPoint(*one.values) for one in tried),
        own_is_first=order[0] == 0,
        notes=_out_of_reach(task, own) if never else tuple(_notes(task, [o.place for o in kept])),
    )


def _is_never_kept(task: Task, tried: Sequence[Goals]) -> bool:
    """Return True if all settings are beyond the limit in every second of the load."""
    run, until_s = task.recorded.run, max((one.hold_until_s for one in task.steps), default=0.0)
    none = msgspec.structs.replace(task.slo, limit_s=-1.0)
    loaded = beyond_slo(run.requests, run.info.zero_s, until_s, none)
    seconds = 0 if loaded is None else int(np.count_nonzero(loaded))
    return seconds > 0 and all(one.beyond_slo_s >= seconds * BIN_S for one in tried)


def _out_of_reach(task: Task, own: Sequence[Outcome]) -> tuple[str, ...]:
    p95 = estimate([one.whole["p95_ms"] for one in own]).span
    known = "" if p95 is None or p95.value is None else f", whose p95 is {p95.value:.0f} ms"
    reason = (
        f"No setting keeps {task.slo.text} in any second of the load{known} with the run's own. Give a "
        "limit that the application can keep."
    )
    return (reason,)


def _chosen(task: Task, simulator: Simulator, wish: Wish) -> list[Choice]:
    """The most different ones of the front, each without the changes that buy nothing.

    Those that are longer beyond the limit than the run's own settings are left out, if any are not.
    """
    own = own_place(task.space)
    known = {
        place: goals
        for place, goals in simulator.known.items()
        if math.isfinite(goals.lag_s) and saves(goals, simulator.known[own], wish)
    }
    keeping = {
        place: goals
        for place, goals in known.items()
        if goals.beyond_slo_s <= simulator.known[own].beyond_slo_s
    }
    known = keeping if keeping.keys() - {own} else known
    best = [list(known)[number] for number in front(list(known.values()))]
    picked = [best[number] for number in spread([known[one] for one in best], MOST_FOUND)]
    simple = _simplified(task.space, simulator, picked, wish)
    places = list(dict.fromkeys(place for place in simple if place != own))
    gains = _gains(task.space, simulator, places)
    outcomes = simulator.outcomes(places, REPETITIONS)
    return [
        Choice(place, of, tuple(one))
        for place, of, one in zip(places, gains, outcomes, strict=True)
    ]


def saves(goals: Goals, own: Goals, wish: Wish) -> bool:
    """Return True if enough replica-hours are saved."""
    least = wish.min_savings_pct
    return least is None or savings_pct(goals, own) >= least


def _kept(shown: Sequence[Choice], own: Goals, wish: Wish) -> list[Choice]:
    """Those that are still on the front, and save enough, over all repetitions."""
    enough = [one for one in shown if saves(one.goals, own, wish)]
    return [enough[place] for place in front([one.goals for one in enough])]


def _simplified(
    space: Sequence[Dimension], simulator: Simulator, places: Sequence[Place], wish: Wish
) -> list[Place]:
    """The candidates with the run's own value wherever that makes no figure worse."""
    present = list(places)
    [own] = simulator.goals([own_place(space)])
    for one in space:
        simpler = [without(place, one.setting, space) for place in present]
        before, after = simulator.goals(present), simulator.goals(simpler)
        present = [
            place
            if is_worse(new, old)
            or not saves(new, own, wish)
            or (rests_on_one_report(other, space) and not rests_on_one_report(place, space))
            else other
            for place, other, old, new in zip(present, simpler, before, after, strict=True)
        ]
    return present


def _gains(
    space: Sequence[Dimension], simulator: Simulator, places: Sequence[Place]
) -> list[tuple[TunedSetting, ...]]:
    changes = [changes_of(place, space) for place in places]
    simulator.goals(
        [
            without(place, name, space)
            for place, of in zip(places, changes, strict=True)
            for name in of
        ]
    )
    return [
        tuple(_gain(space, simulator, place, name) for name in of)
        for place, of in zip(places, changes, strict=True)
    ]


def _gain(
    space: Sequence[Dimension], simulator: Simulator, place: Place, name: str
) -> TunedSetting:
    dimension = next(one for one in space if one.setting == name)
    with_it, without_it = simulator.goals([place, without(place, name, space)])
    buys: dict[TuneFigure, float] = {
        figure: with_it.of(figure) - without_it.of(figure)
        for figure in TUNE_FIGURES
        if math.isfinite(without_it.of(figure))
    }
    return TunedSetting(name, dimension.values[dimension.own], changes_of(place, space)[name], buys)


def _candidate(task: Task, choice: Choice) -> Candidate:
    own = task.recorded.scenario.settings.info
    info = info_of(own, changes_of(choice.place, task.space))
    return Candidate(choice.gains, _figures(choice.outcomes), config_of(info))


def _figures(outcomes: Sequence[Outcome]) -> dict[TuneFigure, Estimate]:
    return {name: estimate([one.whole[name] for one in outcomes]) for name in TUNE_FIGURES}


def _notes(task: Task, places: Sequence[Place]) -> list[str]:
    """Limits of the answer that a user has to know of."""
    found: list[str] = []
    recorded = task.recorded.scenario.settings
    # As it stands in the configuration, before a target_capacity scales it.
    own = (recorded.info.autoscaling or {}).get("max_replicas") or recorded.policy.max_replicas
    above = max((changes_of(one, task.space).get("max_replicas", 0) for one in places), default=0)
    if above > own:
        found.append(
            f"max_replicas {above} is more than the run's {own}: the simulation has room for all, and "
            "does not know if your cluster has. --keep max_replicas leaves it as it is."
        )
    return found
