"""Interval of the probe's polls, and the cluster's clock as seen from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.pacing import Pacing
from scalelag.record.clock import clock_offset

# A tenth of the budget is kept for the first polls, whose cost is unknown, and for the last one.
HEADROOM = 0.9


def answered(pacing: Pacing, *round_trips_s: float) -> Pacing:
    for round_trip_s in round_trips_s:
        pacing.answered(round_trip_s)
    return pacing


# --- the budget ------------------------------------------------------------------------------


def test_before_any_answer_polls_come_at_the_rate_asked_for():
    pacing = Pacing(rate_per_s=5.0, budget_ratio=0.02)

    assert (pacing.interval_s, pacing.cost_s, pacing.busy_s) == (0.2, 0.0, 0.0)


def test_cheap_polls_come_at_the_rate_asked_for():
    # 2 ms in 200 ms is 1 %, half of the budget.
    pacing = answered(Pacing(rate_per_s=5.0, budget_ratio=0.02), *[0.002] * 10)

    assert pacing.interval_s == 0.2


def test_costly_polls_stretch_the_interval_to_the_budget():
    # 10 ms may be spent once in 500 ms.
    pacing = answered(Pacing(rate_per_s=5.0, budget_ratio=0.02), *[0.010] * 10)

    assert pacing.interval_s == pytest.approx(0.5 / HEADROOM)


def test_the_interval_recovers_when_answers_become_fast_again():
    pacing = answered(Pacing(rate_per_s=5.0, budget_ratio=0.02), *[0.010] * 20)

    answered(pacing, *[0.001] * 20)

    assert pacing.interval_s == 0.2


def test_the_interval_never_exceeds_10_s():
    pacing = answered(Pacing(rate_per_s=5.0, budget_ratio=0.02), *[4.0] * 10)

    assert pacing.interval_s == 10.0


def test_what_the_dashboard_takes_by_itself_is_not_the_controllers_time():
    pacing = Pacing(rate_per_s=5.0, budget_ratio=0.02, baseline_s=0.006)

    answered(pacing, *[0.010] * 10)

    assert pacing.cost_s == pytest.approx(0.004)
    assert pacing.interval_s == pytest.approx(0.2 / HEADROOM)


def test_an_answer_faster_than_the_baseline_costs_nothing():
    pacing = Pacing(rate_per_s=5.0, budget_ratio=0.02, baseline_s=0.006)

    answered(pacing, 0.004)

    assert (pacing.cost_s, pacing.busy_s) == (0.0, 0.0)


@given(
    st.lists(st.floats(0.0001, 0.15), min_size=1, max_size=50),
    st.sampled_from([1.0, 5.0, 20.0]),
    st.sampled_from([0.02, 0.05, 0.2]),
)
def test_polls_of_the_estimated_cost_stay_within_the_budget(
    round_trips: list[float], rate: float, budget: float
):
    pacing = answered(Pacing(rate, budget), *round_trips)

    assert pacing.interval_s >= 1 / rate
    assert pacing.cost_s <= budget * pacing.interval_s + 1e-12


# --- the estimate ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("round_trips", "quartile"),
    [
        ([7.0], 7.0),
        ([9.0, 1.0], 1.0),
        ([4.0, 1.0, 3.0, 2.0], 1.0),
        ([5.0, 4.0, 3.0, 2.0, 1.0], 2.0),
        ([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 3.0),
    ],
)
def test_the_cost_is_the_lower_quartile_of_round_trips(round_trips: list[float], quartile: float):
    assert answered(Pacing(5.0, 0.02), *round_trips).cost_s == quartile


def test_a_few_answers_that_waited_for_a_busy_machine_do_not_count():
    pacing = answered(Pacing(5.0, 0.02), *[0.003] * 14, *[0.4] * 6)

    assert pacing.cost_s == 0.003


def test_only_the_last_20_answers_count():
    pacing = answered(Pacing(5.0, 0.02), *[0.001] * 50, *[0.03] * 20)

    assert pacing.cost_s == 0.03


def test_the_time_spent_adds_up_over_all_answers():
    pacing = answered(Pacing(5.0, 0.02, baseline_s=0.001), *[0.004] * 100)

    assert pacing.busy_s == pytest.approx(100 * 0.003)


def test_failed_polls_cost_nothing_that_is_known():
    pacing = answered(Pacing(5.0, 0.02), 0.004)

    pacing.failed()

    assert pacing.busy_s == pytest.approx(0.004)


# --- backing off -----------------------------------------------------------------------------


def test_failures_make_polls_come_later_and_later_up_to_5_s():
    pacing = Pacing(5.0, 0.02)

    intervals = []
    for _ in range(30):
        pacing.failed()
        intervals.append(pacing.interval_s)

    assert intervals == sorted(intervals)
    assert intervals[0] == pytest.approx(0.5)
    assert intervals[1] == pytest.approx(1.0)
    assert intervals[-1] == 5.0


def test_an_answer_ends_backing_off():
    pacing = Pacing(5.0, 0.02)
    for _ in range(5):
        pacing.failed()

    pacing.answered(0.001)

    assert pacing.interval_s == 0.2


def test_backing_off_never_asks_more_often_than_the_budget_allows():
    pacing = answered(Pacing(5.0, 0.02), *[0.12] * 10)

    pacing.failed()

    assert pacing.interval_s == pytest.approx(6.0 / HEADROOM)


# --- the clock -------------------------------------------------------------------------------


def test_the_offset_is_the_clusters_clock_minus_the_middle_of_the_poll():
    found = clock_offset(sent_s=100.0, received_s=100.5, timestamp_s=103.0)

    assert (found.offset_s, found.error_s) == (2.75, 0.25)


@given(st.floats(-1000, 1000), st.floats(0, 5), st.floats(0, 1))
def test_the_true_offset_lies_within_the_error(offset: float, round_trip: float, share: float):
    answered_s = 100.0 + share * round_trip

    found = clock_offset(100.0, 100.0 + round_trip, answered_s + offset)

    assert found.error_s == pytest.approx(round_trip / 2)
    assert abs(found.offset_s - offset) <= found.error_s + 1e-9
