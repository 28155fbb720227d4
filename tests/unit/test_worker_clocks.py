"""Offset of a load process's clock from pings; the lowest round trip counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.plugin.leader.workers.state import EXACT, ClockMeter
from scalelag.record.clock import Clock, ClockOffset

LEADER_S = 1_795_371_900.0


def ping(meter: ClockMeter, at_s: float, there_s: float, back_s: float, ahead_s: float) -> None:
    """A ping at `at_s` that was `there_s` under way to a clock `ahead_s` ahead, and `back_s` back."""
    sent_s = LEADER_S + at_s
    meter.add(sent_s, sent_s + there_s + back_s, sent_s + there_s + ahead_s)


def measured(*pings: tuple[float, float, float, float]) -> ClockMeter:
    meter = ClockMeter()
    for one in pings:
        ping(meter, *one)
    meter.close_window()
    return meter


def test_the_ping_with_the_shortest_round_trip_counts():
    meter = measured((0.0, 0.080, 0.020, 30.0), (0.1, 0.003, 0.001, 30.0), (0.2, 0.01, 0.5, 30.0))

    assert meter.offset is not None
    assert meter.offset.offset_s == pytest.approx(30.001, abs=1e-6)  # half of 3 ms less 1 ms
    assert meter.offset.error_s == pytest.approx(0.002, abs=1e-6)


def test_without_an_answer_nothing_is_known():
    assert measured().offset is None


@given(
    ahead_s=st.floats(-1e5, 1e5),
    ways=st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2)), min_size=1, max_size=8),
)
def test_the_truth_lies_within_the_error(ahead_s, ways):
    meter = measured(*((float(i), there, back, ahead_s) for i, (there, back) in enumerate(ways)))

    assert meter.offset is not None
    assert abs(meter.offset.offset_s - ahead_s) <= meter.offset.error_s + 2e-6


def test_a_change_that_slow_pings_explain_is_no_drift():
    meter = measured((0.0, 0.001, 0.001, 0.0))

    ping(meter, 3.0, 0.100, 0.0, 0.0)  # looks like 50 ms, give or take 50
    meter.close_window()

    assert meter.drift_s == 0.0


def test_the_largest_change_beyond_both_errors_is_the_drift():
    meter = measured((0.0, 0.001, 0.001, 5.0))

    for at_s, ahead_s in ((3.0, 5.004), (6.0, 5.030), (9.0, 5.010)):
        ping(meter, at_s, 0.002, 0.002, ahead_s)
        meter.close_window()

    assert meter.drift_s == pytest.approx(0.030 - 0.001 - 0.002, abs=1e-6)
    assert meter.offset is not None
    assert meter.offset.offset_s == pytest.approx(5.0, abs=1e-6)  # as when the load was shared out


def test_the_leaders_own_clock_is_exact():
    assert ClockMeter(EXACT).offset == ClockOffset(0.0, 0.0)


def test_a_clock_that_is_set_by_the_leaders_shows_the_leaders_time():
    clock = Clock(wall=lambda: LEADER_S + 30.0, monotonic=lambda: 7.0)

    clock.ahead_s = 30.0

    assert (clock.now(), clock.own()) == (LEADER_S, LEADER_S + 30.0)
