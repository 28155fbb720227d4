"""Whose doing an invalid run is: only what is the target's alone may be tried again."""

import msgspec
import pytest

from reports.analysis.validity import Problem, invalid_through
from scalelag.record.rows import NO_ANSWER_IN_TIME, Gap
from scalelag.record.run_info import EarlierAttempt, RunInfo
from tests.unit.recorded_runs import ZERO_S, info, recorded, report_of, requests, watch


def blind(reason, *spans):
    """Rows of a run of 100 s with gaps from and to those seconds."""
    rows = watch(blind=[range(*span) for span in spans])
    return [
        Gap(row.from_s, row.to_s, reason, row.polls) if isinstance(row, Gap) else row
        for row in rows
    ]


def test_a_good_run_is_invalid_through_nobody():
    assert report_of(recorded()).invalid_through is None


@pytest.mark.parametrize(
    "reason",
    ["connection refused", "connection lost", "no connection within 3 s", "HTTP 503", "HTTP 500"],
)
def test_a_target_that_was_gone_is_its_own_doing(reason):
    report = report_of(recorded(rows=blind(reason, (30, 60))))

    assert (report.verdict, report.invalid_through) == ("invalid", "target")


def test_a_dashboard_that_died_and_stayed_away_is_the_targets_doing():
    report = report_of(recorded(rows=blind("connection refused", (70, 100))))

    assert (report.verdict, report.invalid_through) == ("invalid", "target")


def test_the_reason_of_the_longest_gap_is_told():
    rows = [
        *watch(),
        Gap(ZERO_S + 10, ZERO_S + 11, "HTTP 503", 2),
        Gap(ZERO_S + 30, ZERO_S + 60, "connection refused", 9),
    ]

    (reason,) = report_of(recorded(rows=rows)).reasons

    assert "(longest gap: connection refused)" in reason


def test_an_answer_that_took_too_long_may_be_the_loads_doing():
    report = report_of(recorded(rows=blind(NO_ANSWER_IN_TIME, (30, 60))))

    assert (report.verdict, report.invalid_through) == ("invalid", None)


def test_what_was_slow_does_not_add_to_what_was_gone():
    """15 % gone and 10 % slow: the run is invalid, and not because the target was gone."""
    rows = [
        *watch(),
        Gap(ZERO_S + 30, ZERO_S + 45, "connection refused", 9),
        Gap(ZERO_S + 45, ZERO_S + 55, NO_ANSWER_IN_TIME, 2),
    ]

    report = report_of(recorded(rows=rows))

    assert (report.verdict, report.invalid_through) == ("invalid", None)


def test_slowness_before_it_went_does_not_excuse_a_target_that_was_gone():
    rows = [
        *watch(),
        Gap(ZERO_S + 30, ZERO_S + 40, NO_ANSWER_IN_TIME, 2),
        Gap(ZERO_S + 40, ZERO_S + 65, "connection refused", 9),
    ]

    report = report_of(recorded(rows=rows))

    assert (report.verdict, report.invalid_through) == ("invalid", "target")


def test_a_load_generator_that_was_too_slow_is_the_loads_doing():
    report = report_of(recorded(columns=requests(late=180)))

    assert (report.verdict, report.invalid_through) == ("invalid", "load")


def test_where_load_and_target_both_failed_it_counts_as_the_loads_doing():
    report = report_of(recorded(columns=requests(late=180), rows=blind("HTTP 503", (30, 60))))

    assert report.invalid_through == "load"


@pytest.mark.parametrize("status", ["interrupted", "invalid"])
def test_a_run_that_was_broken_off_is_nobodys_doing(status):
    run = recorded(info(status=status, reason="why"), rows=blind("HTTP 503", (30, 60)))

    assert report_of(run).invalid_through is None


def test_a_failed_gate_is_no_invalid_run():
    report = report_of(recorded(), "scale_up.total_s.max <= 0.5")

    assert (report.verdict, report.invalid_through) == ("fail", None)


@pytest.mark.parametrize(
    ("through", "expected"),
    [
        ([], None),
        (["target"], "target"),
        (["target", "target"], "target"),
        (["target", None], None),
        (["target", "load"], "load"),
        ([None, "load"], "load"),
        ([None], None),
    ],
)
def test_only_where_every_problem_is_the_targets_the_run_is(through, expected):
    assert invalid_through([Problem("x", one) for one in through]) == expected


def test_earlier_attempts_are_warned_of_with_their_record():
    tries = (
        EarlierAttempt(ZERO_S - 100, "the embedded cluster did not start"),
        EarlierAttempt(ZERO_S - 60, "the probe saw nothing", "runs/one"),
    )

    first, second = report_of(recorded(info(earlier_attempts=tries))).warnings

    assert "attempt 1" in first
    assert "the embedded cluster did not start" in first
    assert "no record" in first
    assert "attempt 2" in second
    assert "runs/one" in second


def test_a_record_without_attempts_is_read_as_one_that_had_none():
    old = msgspec.to_builtins(info())
    del old["tries"]

    assert msgspec.convert(old, RunInfo).earlier_attempts == ()
