"""Runs that are invalid, with the reason; rows of a warm-up that do not count."""

import msgspec
import numpy as np
import pytest

from reports.model.report import Report
from reports.render.text import watched_words
from scalelag.record.error_kinds import LATE, OPEN_FILES
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import Gap, Row
from scalelag.record.run_info import TaskException
from tests.unit.recorded_runs import (
    KEY,
    NO_REQUESTS,
    REQUESTS,
    ZERO_S,
    info,
    recorded,
    report_of,
    requests,
    watch,
)

# --- invalid runs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late", "lag_s", "verdict"),
    [(18, 5.0, "pass"), (19, 5.0, "invalid"), (1800, 0.099, "pass"), (19, 0.11, "invalid")],
)
def test_a_run_is_invalid_below_99_percent_on_time(late: int, lag_s: float, verdict: str):
    # 18 of 1,800 are 1 %.
    report = report_of(recorded(columns=requests(late=late, lag_s=lag_s)))

    assert report.verdict == verdict
    assert report.load.on_time_ratio == pytest.approx(1 - (late if lag_s > 0.1 else 0) / 1800)


@pytest.mark.parametrize(
    ("exceptions", "said"),
    [
        ((), "; what they raised stands in Locust's log"),
        (
            (TaskException("ValueError: no login", "mine.py:5 in on_start", 1),),
            ": ValueError: no login",
        ),
    ],
)
def test_users_that_did_not_start_are_no_slow_generator(exceptions, said):
    columns = msgspec.structs.replace(requests(not_sent=1800), errors=(LATE,))
    run = recorded(info(task_exceptions=exceptions), columns=columns)

    (reason,) = report_of(run).reasons

    assert f"the users did not start{said}" in reason
    assert "too slow" not in reason


def test_a_late_run_says_how_late_and_what_to_do():
    (reason,) = report_of(recorded(columns=requests(late=180))).reasons

    assert "90.0 %" in reason
    assert "--processes" in reason


def test_requests_that_were_not_sent_make_a_run_invalid_and_are_warned_of():
    report = report_of(recorded(columns=requests(not_sent=19)))

    assert report.verdict == "invalid"
    assert any("19 planned requests were not sent" in warning for warning in report.warnings)


def test_planned_requests_without_a_row_make_a_complete_run_invalid():
    report = report_of(recorded(columns=requests(keep=REQUESTS - 19)))

    assert report.verdict == "invalid"
    assert (report.load.planned, report.load.not_sent) == (REQUESTS, 19)


@pytest.mark.parametrize("plan", ["rps", "users"])
@pytest.mark.parametrize(("without", "verdict"), [(18, "pass"), (19, "invalid")])
def test_a_run_is_invalid_whose_machine_let_it_open_too_few_files(plan, without, verdict):
    columns = requests()
    error = columns.error.copy()
    error[:without] = 0
    columns = msgspec.structs.replace(columns, error=error, errors=(OPEN_FILES,))
    of_users = info(plan="5users:80s", planned_requests=None) if plan == "users" else None

    report = report_of(recorded(of_users, columns))

    assert report.verdict == verdict
    if verdict == "invalid":
        (reason,) = report.reasons
        assert reason.startswith("19 requests had no connection")
        assert report.invalid_through == "load"


def test_a_closed_loop_is_not_invalid_for_being_late():
    users = info(plan="5users:80s", planned_requests=None)

    assert report_of(recorded(users, requests(late=900))).verdict == "pass"


@pytest.mark.parametrize(("blind_s", "verdict"), [(19.5, "pass"), (19.6, "invalid")])
def test_a_run_is_invalid_when_the_probe_was_blind_for_more_than_20_percent(
    blind_s: float, verdict: str
):
    # The last poll was over 0.45 s before the end of the 100 s.
    gap = Gap(ZERO_S + 30, ZERO_S + 30 + blind_s, "HTTP 503", 9)

    report = report_of(recorded(rows=[*watch(), gap]))

    assert report.verdict == verdict


def test_a_blind_run_says_for_how_long():
    (reason,) = report_of(recorded(rows=watch(blind=[range(30, 60)]))).reasons

    assert "saw nothing for 30." in reason
    assert "of 100.0 s" in reason


def test_gaps_add_up_and_overlap_counts_once():
    gaps: list[Row] = [
        Gap(ZERO_S + a, ZERO_S + b, "x", 1) for a, b in [(10, 16), (14, 20), (40, 43)]
    ]

    report = report_of(recorded(rows=[*watch(), *gaps]))

    assert report.probe.gap_s == pytest.approx(13.45, abs=0.01)
    assert report.probe.gaps == 3


def test_a_gap_before_the_plan_does_not_count():
    gaps: list[Row] = [Gap(ZERO_S - 50, ZERO_S + 1, "x", 1)]

    assert report_of(recorded(rows=[*watch(), *gaps])).probe.gap_s == pytest.approx(1.45, abs=0.01)


def test_time_without_polls_at_either_end_is_blind():
    late = report_of(recorded(rows=watch(from_s=30.0)))
    early = report_of(recorded(rows=watch(until_s=70.0)))

    assert late.probe.gap_s == pytest.approx(30.45, abs=0.01)
    assert early.probe.gap_s == pytest.approx(30.45, abs=0.01)
    assert (late.verdict, early.verdict) == ("invalid", "invalid")


def warmed_up(seconds: float, columns: RequestColumns | None = None) -> Report:
    options = {"warmup": seconds}
    return report_of(recorded(msgspec.structs.replace(info(), options=options), columns))


def test_replicas_of_the_warm_up_do_not_count():
    # One is RUNNING until 27 s, three until 71 s, and one again from 75 s.
    whole, late = warmed_up(0.0).deployments[KEY], warmed_up(30.0).deployments[KEY]
    later = warmed_up(80.0).deployments[KEY]

    assert (whole.replicas.min, whole.replicas.max) == (1, 3)
    assert (late.replicas.min, late.replicas.max) == (1, 3)
    assert (later.replicas.min, later.replicas.max) == (1, 1)


def test_elasticity_begins_after_the_warm_up():
    whole, late = (warmed_up(at_s).deployments[KEY].elasticity for at_s in (0.0, 30.0))

    assert whole.watched_s == pytest.approx(80.0)
    assert late.watched_s == pytest.approx(50.0)


def test_requests_that_failed_in_the_warm_up_are_no_failures():
    columns = requests()
    early = columns.intended_s < ZERO_S + 10
    columns = msgspec.structs.replace(
        columns, error=np.where(early, 0, -1).astype(np.int32), errors=("timeout",)
    )

    assert [one.count for one in warmed_up(0.0, columns).failures] == [np.count_nonzero(early)]
    assert warmed_up(10.0, columns).failures == ()


def test_a_warm_up_counts_in_no_figure_of_the_whole_run():
    options = {"warmup": 25.0}
    whole = report_of(recorded())
    warm = report_of(recorded(msgspec.structs.replace(info(), options=options)))

    rows = requests()
    left_out = int((rows.intended_s < ZERO_S + 25.0).sum())
    assert left_out > 0
    assert warm.load.planned == whole.load.planned - left_out
    assert warm.load.not_sent == whole.load.not_sent
    assert whole.deployments[KEY].scale_up.steps == 1
    assert warm.deployments[KEY].scale_up.steps == 0
    assert len(warm.deployments[KEY].steps) == len(whole.deployments[KEY].steps)


def test_a_run_without_any_poll_is_invalid_and_has_no_lag():
    report = report_of(recorded(rows=[]))

    assert report.verdict == "invalid"
    assert report.probe.gap_s == 100.0
    assert (report.probe.interval_s, report.probe.round_trip_p50_ms) == (None, None)
    found = report.deployments[KEY]
    assert found.replicas.final is None
    assert all(step.total_s is None and step.reason for step in found.steps)
    assert f"{KEY}: the probe never saw this deployment" in report.warnings


def test_an_interrupted_run_is_invalid_with_its_reason():
    report = report_of(recorded(info(status="interrupted", reason="Ctrl-C after 30 s")))

    assert report.verdict == "invalid"
    assert report.reasons[0] == "interrupted: Ctrl-C after 30 s"


def test_a_killed_run_ends_where_its_record_does():
    killed = info(status="interrupted", reason="killed", load_ended_s=None, watched_until_s=None)

    report = report_of(recorded(killed, requests(keep=500), watch(until_s=30.0)))

    # 100 requests in 20 s and 400 in 10 s; the last poll was received at 29.55 s.
    last_s = max(20 + 399 / 40, 29.55)
    assert report.run.duration_s == pytest.approx(last_s)
    assert [(s.at_s, s.hold_s) for s in report.deployments[KEY].steps] == [
        (0.0, 20.0),
        (20.0, pytest.approx(last_s - 20)),
    ]
    assert (report.load.planned, report.load.not_sent) == (500, 0)


def test_of_requests_beyond_the_end_of_a_broken_file_nobody_says_that_they_were_not_sent():
    cut = msgspec.structs.replace(
        recorded(columns=requests(keep=500)), cut_off="requests.arrow ends in the middle of a batch"
    )

    report = report_of(cut)

    (reason,) = report.reasons
    assert report.verdict == "invalid"
    assert reason.startswith(
        "requests.arrow ends in the middle of a batch: of 1,800 planned requests"
    )
    assert (report.load.planned, report.load.not_sent) == (500, 0)


def test_a_run_killed_before_anything_was_recorded_is_invalid():
    killed = info(status="interrupted", reason="killed", load_ended_s=None, watched_until_s=None)

    report = report_of(recorded(killed, NO_REQUESTS, []))

    assert report.verdict == "invalid"
    assert report.run.duration_s == 0.0
    assert "no request was recorded" in report.reasons
    assert report.deployments[KEY].steps == ()


def test_a_complete_run_without_a_request_is_invalid():
    report = report_of(recorded(info(planned_requests=None), NO_REQUESTS))

    assert report.verdict == "invalid"
    assert "no request was recorded" in report.reasons
    assert report.load.error_ratio is None


def test_a_run_that_is_warm_up_alone_is_invalid_and_says_so():
    report = report_of(recorded(info(options={"warmup": 1000})))

    assert report.verdict == "invalid"
    (reason,) = report.reasons
    assert ") lie in the warm-up of 1000 s" in reason


def test_the_load_of_a_step_that_was_interrupted_is_held_only_until_it_ended():
    # Ctrl-C at 30 s, 10 s into the second step; watching went on until 50 s.
    stopped = info(
        status="interrupted",
        reason="Ctrl-C",
        load_ended_s=ZERO_S + 30,
        watched_until_s=ZERO_S + 50,
    )

    report = report_of(recorded(stopped, requests(keep=500), watch(until_s=50.0)))

    assert report.load.steps[1].offered_rps == pytest.approx(40.0)


def test_watching_that_ended_early_is_told_beside_its_gaps():
    report = report_of(recorded(rows=watch(until_s=70.0)))

    assert report.reasons[0].endswith("(no poll was answered after 69.5 s)")
    assert watched_words(report.probe).startswith("0 gaps, 30.")
    assert watched_words(report.probe).endswith(" s unseen")
    assert watched_words(report_of(recorded()).probe) == "0 gaps"
