"""A gauge over time: what holds how long, and what was not seen."""

import numpy as np
import pytest

from reports.analysis.seen.series import GaugeSeries, Reading, gauge_series, total_series
from reports.model.intervals import Window
from scalelag.record.seen_rows import DeploymentGauges, SeenRow

KEY = "default/Model"


def seen(sent_s: float, total: float | None, age_s: float = 1.0) -> SeenRow:
    deployments = {} if total is None else {KEY: DeploymentGauges(total=total)}
    return SeenRow(sent_s, sent_s + 0.01, "ports", age_s, deployments, None if total else "hangs")


def totals(*rows: SeenRow) -> GaugeSeries:
    return gauge_series(rows, KEY, lambda gauges: gauges.total)


def test_the_mean_weighs_each_value_by_the_time_it_holds():
    series = GaugeSeries([Reading(0, 10, 2.0), Reading(10, 20, 6.0)], 0.5)

    assert series.mean(5, 20) == pytest.approx((5 * 2 + 10 * 6) / 15)
    assert list(series.means(np.array([0.0, 10.0, 20.0]))) == [2.0, 6.0]
    assert series.mean(5, 5) is None


def test_a_time_of_which_less_than_half_was_seen_has_no_mean():
    series = GaugeSeries([Reading(0, 4, 2.0), Reading(8, 10, 4.0)], 0.5)

    assert series.mean(0, 10) == pytest.approx((4 * 2 + 2 * 4) / 6)
    assert series.mean(3, 8) is None
    assert series.covered_ratio(0, 10) == pytest.approx(0.6)
    assert np.isnan(series.means(np.array([4.0, 8.0]))).all()


def test_without_any_reading_nothing_is_known():
    assert totals().mean(0, 10) is None
    assert totals(seen(1, None)).covered_ratio(0, 10) == 0.0


def test_a_value_stands_in_the_middle_of_the_time_in_which_it_can_have_been_written():
    assert totals(seen(10, 3.0, 4.0), seen(14, 5.0, 4.0)).readings[0] == Reading(
        8.0, 12.0, 3.0, 2.0
    )


def test_a_reading_that_failed_ends_what_was_known():
    series = totals(seen(10, 3.0), seen(12, None), seen(20, 4.0))

    assert [(one.from_s, one.to_s) for one in series.readings] == [(9.5, 11.5), (19.5, 20.5)]


@pytest.mark.parametrize(("next_s", "to_s"), [(22, 17.0), (30, 25.0), (30.1, 15.0), (100, 15.0)])
def test_a_value_holds_until_the_next_within_two_exports_and_else_for_one(next_s, to_s):
    series = totals(seen(10, 3.0, 10.0), seen(next_s, 4.0, 10.0))

    assert series.readings[0] == Reading(5.0, to_s, 3.0, 5.0)
    assert series.readings[1].to_s - series.readings[1].from_s == 10.0


def test_the_later_of_two_readings_counts_where_they_overlap():
    series = totals(seen(10, 3.0, 1.0), seen(11, 4.0, 5.0))

    assert series.readings[0] == Reading(8.5, 13.5, 4.0, 2.5)


def test_within_a_hold_only_readings_count_that_can_be_of_no_other_time():
    series = totals(seen(14, 1.0, 10.0), seen(22, 2.0, 10.0), seen(34, 3.0, 10.0))

    assert series.within(Window(10.0, 40.0)).readings == (
        Reading(17.0, 29.0, 2.0, 5.0),
        Reading(29.0, 39.0, 3.0, 5.0),
    )
    assert series.within(Window(14.0, 30.0)).readings == ()
    # One that may be of later does not cut the time for which the last one holds.
    assert series.within(Window(12.0, 30.0)).readings == (Reading(17.0, 29.0, 2.0, 5.0),)
    assert series.within(Window(12.0, 30.0)).mean(25.0, 30.0) == 2.0


def test_a_total_that_changed_was_written_since_the_reading_before():
    rows = [seen(10, 3.0, 10.0), seen(15, 4.0, 10.0), seen(20, 4.0, 10.0)]

    assert [(one.from_s, one.to_s, one.blur_s) for one in total_series(rows, KEY).readings] == [
        (5.0, 12.5, 5.0),
        (12.5, 15.0, 2.5),
        (15.0, 25.0, 5.0),
    ]
