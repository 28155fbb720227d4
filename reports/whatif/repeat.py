"""Repetitions of a simulation with other seeds, and estimates over them."""

import math
import random
from collections.abc import Iterable, Sequence
from statistics import NormalDist

import msgspec
import numpy as np

from reports.analysis.load.slo import Slo
from reports.model.intervals import Span, Window
from reports.model.whatif import Estimate
from reports.whatif.autoscaler import Autoscaler
from reports.whatif.curves import area_between
from reports.whatif.outcome import Course, Outcome, outcome_of
from reports.whatif.scenario import Scenario
from reports.whatif.simulate import Simulation
from reports.whatif.start_up import PACE_SIGMA
from scalelag.plan.stages import LoadStep

_LOW, _HIGH = 0.05, 0.95


class Trial(msgspec.Struct, frozen=True):
    """One repetition to make: `phase` as in `Simulation`."""

    scenario: Scenario
    steps: tuple[LoadStep, ...]
    zero_s: float
    seed: int
    phase: float = 0.0
    slo: Slo | None = None


def trials(first: Trial, count: int) -> list[Trial]:
    """Repetitions of `first` for another run: with seeds from its own on, and pushes at every phase.

    Start-ups of each repetition have a common pace, since those of another run do. The same seed gives
    the same pushes and paces, whatever the scenario.
    """
    paces = start_paces(count)
    random.Random(first.seed).shuffle(paces)  # noqa: S311  no secret
    return [
        msgspec.structs.replace(
            first,
            scenario=msgspec.structs.replace(
                first.scenario, starts=first.scenario.starts.at_pace(pace)
            ),
            seed=first.seed + number,
            phase=phase,
        )
        for number, (phase, pace) in enumerate(zip(phases(count), paces, strict=True))
    ]


def start_paces(count: int) -> list[float]:
    """Factors of start-ups between two runs, one in each of `count` equally likely parts."""
    of_logarithm = NormalDist(0.0, PACE_SIGMA)
    return [math.exp(of_logarithm.inv_cdf(phase)) for phase in phases(count)]


def run_trial(trial: Trial, autoscaler: Autoscaler) -> Outcome:
    """Run one repetition with a new autoscaler."""
    scenario = trial.scenario
    found = Simulation(scenario, autoscaler, trial.seed, trial.phase).run()
    return outcome_of(
        found,
        trial.steps,
        trial.zero_s,
        scenario.to_s,
        scenario.load.names,
        scenario.target,
        trial.slo,
    )


def estimate(spans: Sequence[Span | None]) -> Estimate:
    """Median and quantiles of a figure over repetitions; a censored one counts as endless."""
    known = sorted(
        math.inf if span.value is None else span.value for span in spans if span is not None
    )
    missing = len(spans) - len(known)
    if 2 * missing > len(spans) or not known:
        return Estimate(None, len(spans), missing)
    middle, low, high = (_at(known, share) for share in (0.5, _LOW, _HIGH))
    endless = [span.lo for span in spans if span is not None and span.value is None]
    if math.isinf(middle):
        return Estimate(Span(None, min(endless), None), len(spans), missing)
    return Estimate(Span(middle, low, None if math.isinf(high) else high), len(spans), missing)


def _at(ordered: Sequence[float], share: float) -> float:
    """Quantile, an order statistic: it is one of the values, and may be infinite.

    Of n values, a new one lies below the one in place i, counted from 1, with probability i / (n + 1)
    (Hyndman and Fan 1996, definition 6).
    """
    place = round(share * (len(ordered) + 1))
    return ordered[min(max(place, 1), len(ordered)) - 1]


def middle_course(outcomes: Sequence[Outcome], window: Window) -> Course:
    """The repetition whose target is the nearest to those of all others."""
    courses = [one.course for one in outcomes]
    totals = [
        sum(area_between(one.target, other.target, window) for other in courses) for one in courses
    ]
    return courses[int(np.argmin(totals))]


def phases(count: int) -> Iterable[float]:
    """Phases of the pushes, one in each of `count` equal parts of an interval."""
    return ((number + 0.5) / count for number in range(count))
