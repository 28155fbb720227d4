"""The time of a turn of the controller's loop, by the turns that polls count."""

import math

import pytest

from reports.analysis.lag.control_loop import loop_interval
from scalelag.record.rows import ControllerHealth, Poll


def looked(at_s: float, loops: int | None, start_s: float = 1.0) -> Poll:
    health = ControllerHealth(loops=loops, start_time_s=start_s)
    return Poll(at_s - 0.01, at_s, 200, {}, health)


def test_the_loop_is_timed_by_its_turns_and_a_standstill_does_not_change_it():
    turns = [0, 20, 40, 60, 65, 85, 105]

    found = loop_interval([looked(2.0 * i, n) for i, n in enumerate(turns)])

    assert found == pytest.approx(0.1)


def test_a_loop_that_takes_half_a_second_is_told():
    assert loop_interval([looked(2.0 * i, 4 * i) for i in range(6)]) == pytest.approx(0.5)


@pytest.mark.parametrize("turn_s", [0.1, 0.52, 1.1, 2.7])
def test_a_slow_loop_is_not_told_too_quick_by_polls_that_count_whole_turns(turn_s):
    times = [1.07 * i for i in range(16)]

    found = loop_interval([looked(at_s, math.floor(at_s / turn_s)) for at_s in times])

    assert found == pytest.approx(turn_s, rel=0.1 if turn_s < 1 else 0.25)


def test_turns_of_another_controller_are_not_counted_on():
    found = loop_interval([looked(0, 900), looked(3, 930), looked(6, 4, start_s=5.0)])

    assert found == pytest.approx(0.1)


def test_a_controller_that_does_not_count_its_turns_tells_nothing():
    assert loop_interval([looked(0, None), looked(3, None)]) is None
