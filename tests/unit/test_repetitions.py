"""Repetitions of a simulation: their paces and pushes, and the estimates over them."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from reports.model.intervals import Span, longer_than
from reports.whatif.from_record import (
    recorded_scenario,
)
from reports.whatif.repeat import Trial, estimate, trials
from reports.whatif.start_up import PACE_SIGMA
from scalelag.record.run_dir import RecordedRun, load_run

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"


@pytest.fixture(scope="module")
def demo() -> RecordedRun:
    return load_run(DEMO)


def test_an_estimate_counts_what_was_not_over_as_endless():
    spans = [Span(1.0, 1.0, 1.0), Span(2.0, 2.0, 2.0), longer_than(30.0)]

    assert estimate(spans).span == Span(2.0, 1.0, None)
    assert estimate([longer_than(30.0), *spans[1:], longer_than(20.0)]).span == longer_than(20.0)
    assert estimate([None, None, *spans[:1]]).span is None


def test_a_new_value_lies_within_the_interval_of_twenty_in_nine_of_ten():
    numbers = np.random.default_rng(4)
    drawn = numbers.lognormal(1.0, 0.5, (2000, 21))

    within = [
        found.lo <= new <= found.upper
        for *known, new in drawn.tolist()
        if (found := estimate([Span(one, one, one) for one in known]).span) is not None
    ]

    # 19 of 21 places that a new value has among 20 others.
    assert np.mean(within) == pytest.approx(19 / 21, abs=0.02)


def test_of_many_values_the_quantiles_are_in_their_places():
    found = estimate([Span(float(one), float(one), float(one)) for one in range(1, 100)])

    assert found.span == Span(50.0, 5.0, 95.0)


def test_start_ups_of_a_repetition_have_a_common_pace_and_those_of_others_another(
    demo: RecordedRun,
):
    scenario = recorded_scenario(demo, KEY).scenario
    recorded_s = np.array(scenario.starts.starts_s)

    made = trials(Trial(scenario, (), demo.info.zero_s, seed=7), 20)

    paces = [np.array(one.scenario.starts.starts_s) / recorded_s for one in made]
    assert all(one == pytest.approx(one[0]) for one in paces)
    logarithms = [math.log(one[0]) for one in paces]
    assert np.mean(logarithms) == pytest.approx(0.0, abs=1e-9)
    assert np.std(logarithms) == pytest.approx(PACE_SIGMA, rel=0.1)
    assert len({one.seed for one in made}) == len({one.phase for one in made}) == 20
    assert abs(np.corrcoef(logarithms, [one.phase for one in made])[0, 1]) < 0.5


def test_two_scenarios_are_tried_with_the_same_paces_and_pushes(demo: RecordedRun):
    scenario = recorded_scenario(demo, KEY).scenario
    slower = msgspec.structs.replace(scenario, starts=scenario.starts.at_pace(2.0))

    one, other = (trials(Trial(of, (), demo.info.zero_s, seed=7), 5) for of in (scenario, slower))

    for first, second in zip(one, other, strict=True):
        assert (first.seed, first.phase) == (second.seed, second.phase)
        assert second.scenario.starts.starts_s == pytest.approx(
            [2.0 * one for one in first.scenario.starts.starts_s]
        )
