"""A swinging run is proved by the period of its target and the time at each level, not by its turns."""

from types import SimpleNamespace

import numpy as np
import pytest

from reports.analysis.elasticity.staircase import Staircase
from reports.model.intervals import Span, Window
from reports.whatif.curves import area_between, period_s
from reports.whatif.outcome import Course, Outcome
from reports.whatif.validate import ReplayOutcomes, validated

HOLD = Window(0.0, 60.0)
NOTHING = {"decide_s": None, "total_s": None, "p95_ms": None}


def swing(period: float, *, shift: float = 0.0, high: int = 5) -> Staircase:
    """Three tenths of each period at `high`, the rest at 1, and 1 before."""
    begun = np.arange(shift, HOLD.to_s, period)
    times = np.sort(np.concatenate([begun, begun + 0.3 * period]))
    return Staircase(times, np.array([1, *[high, 1] * begun.size]))


def exactly(value: float) -> Span:
    return Span(value, value, value)


def proof(recorded: Staircase, *simulated: Staircase, next_s: float | None = None):
    """Proof of a swing in step 1; in the step after it all replicas have left after `next_s`.

    Of as many repetitions as there are curves the first takes 1 s for that, the next 2 s, and so on.
    """
    replayed = ReplayOutcomes(
        0.0,
        tuple(
            Outcome(
                {1: NOTHING, 2: {**NOTHING, "total_s": exactly(number)}},
                {},
                Course(target=one, running=one),
            )
            for number, one in enumerate(simulated, start=1)
        ),
    )
    steps = {1: {}} if next_s is None else {1: {}, 2: {"total_s": exactly(next_s)}}
    run = SimpleNamespace(
        target=recorded,
        run=SimpleNamespace(
            events=["a line"],
            info=SimpleNamespace(target=SimpleNamespace(deployments=[], watched=[])),
        ),
        scenario=SimpleNamespace(
            settings=SimpleNamespace(info=SimpleNamespace(is_ingress=True)),
            service=SimpleNamespace(varied=True),
        ),
    )
    report = SimpleNamespace(load=SimpleNamespace(saturated_s=0.0))
    return validated(run, steps, {1: HOLD}, replayed, HOLD, report)


def test_a_period_is_from_a_turn_upward_to_the_next():
    assert period_s(swing(12.0), HOLD) == pytest.approx(12.0)
    # The first rise is no turn, and two turns are one period.
    assert period_s(swing(20.0), HOLD) is None
    assert period_s(Staircase(np.array([10.0]), np.array([1, 5])), HOLD) is None


def test_the_area_between_swings_is_that_of_the_time_at_each_level():
    one, late = swing(12.0), swing(12.0, shift=6.0)

    apart = area_between(one, late, HOLD)
    assert apart == pytest.approx(2 * 4 * 0.3 * 60 / (60 + 4 * 0.3 * 60))
    assert area_between(one, late, HOLD, [HOLD]) == pytest.approx(0.0)
    # 18 s at 4 in place of 5.
    assert area_between(one, swing(12.0, high=4), HOLD, [HOLD]) == pytest.approx(18 / 132)


def test_a_swing_that_turns_at_other_moments_is_proved():
    found = proof(swing(12.0), swing(12.0, shift=5.0), swing(11.0, shift=3.0))

    (check,) = (one for one in found.checks if one.bound)
    assert (check.what, check.recorded, check.within) == ("step 1 period_s", 12.0, True)
    assert check.simulated == pytest.approx(11.5)
    assert found.passed
    assert found.area_ratio < 0.05


@pytest.mark.parametrize(
    ("simulated", "said"),
    [
        (swing(17.0, shift=4.0), "step 1 period_s: recorded 12.00 s, simulated 17.00 s"),
        (
            Staircase(np.array([1.0]), np.array([1, 3])),
            "step 1 period_s: recorded 12.00 s, simulated none within the hold",
        ),
    ],
)
def test_another_period_or_none_proves_nothing(simulated, said):
    found = proof(swing(12.0), simulated)

    assert not found.passed
    assert said in found.reasons
    assert any("the area between the two target curves" in one for one in found.reasons)


def test_swings_of_another_size_differ():
    found = proof(swing(12.0), swing(12.0, shift=5.0, high=8))

    assert next(one for one in found.checks if one.bound).within
    assert not found.passed


def test_curves_that_are_near_need_no_swing():
    calm = Staircase(np.array([5.0]), np.array([1, 3]))

    found = proof(calm, calm)

    assert (found.passed, [one.what for one in found.checks if one.bound]) == (True, [])


@pytest.mark.parametrize(
    ("simulated", "next_s", "passed"),
    [
        (swing(12.0, shift=5.0), 9.9, True),
        (swing(12.0, shift=5.0), 12.0, False),
        # One that does not swing is held against the middle.
        (swing(17.0, shift=4.0), 9.9, False),
    ],
)
def test_the_step_after_a_swing_may_come_at_any_moment_of_it(simulated, next_s, passed):
    found = proof(swing(12.0), *[simulated] * 9, next_s=next_s)

    (total,) = (one for one in found.checks if one.what == "step 2 total_s")
    assert (total.simulated, total.within) == (5.0, passed)
