"""Blind stretches of an autoscaler, from readings of its gauge and of what was open."""

from types import SimpleNamespace

from reports.analysis.lag.policy import policy_of
from reports.analysis.seen.blind import blind_windows
from reports.analysis.seen.series import GaugeSeries, Reading
from reports.model.intervals import Window
from scalelag.record.run_info import DeploymentInfo

POLICY = policy_of(
    DeploymentInfo(
        autoscaling={
            "metrics_interval_s": 1.0,
            "look_back_period_s": 2.0,
            "target_ongoing_requests": 2.0,
            "max_replicas": 40,
        }
    )
)
OPEN = SimpleNamespace(open=GaugeSeries([Reading(0.0, 10.0, 38.0)], 0.0))


def blind(*readings, requests=OPEN):
    return blind_windows(GaugeSeries(readings, 0.0), requests, POLICY, Window(0.0, 10.0))


def test_a_value_that_was_written_at_the_step_and_holds_on_is_no_evidence():
    assert blind(Reading(0.0, 4.6, 1.0)) == []


def test_a_value_that_was_written_after_push_and_look_back_is():
    assert blind(Reading(0.0, 4.0, 1.0), Reading(4.0, 6.0, 1.0)) == [Window(0.0, 6.0)]


def test_a_low_value_within_push_and_look_back_is_the_settings_doing():
    assert blind(Reading(0.0, 2.0, 1.0), Reading(2.0, 4.6, 1.0)) == []


def test_none_in_place_of_one_request_asks_for_no_other_number_and_is_not_blind():
    one = SimpleNamespace(open=GaugeSeries([Reading(0.0, 10.0, 1.0)], 0.0))

    assert blind(Reading(0.0, 5.0, 0.0), Reading(5.0, 10.0, 0.0), requests=one) == []


def test_a_gauge_says_nothing_of_the_time_in_which_no_replica_ran():
    series = GaugeSeries([Reading(0.0, 5.0, 1.0), Reading(5.0, 10.0, 1.0)], 0.0)
    started = [Window(0.0, 6.5)]

    assert blind_windows(series, OPEN, POLICY, Window(0.0, 10.0)) == [Window(0.0, 10.0)]
    assert blind_windows(series, OPEN, POLICY, Window(0.0, 10.0), started) == []
