"""Restarts of the controller that only its log tells."""

import msgspec
import pytest

from reports.analysis.analyse import analyse
from reports.analysis.restarts import all_restarts
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import ControllerRestart, StatusChange
from scalelag.record.run_dir import RecordedRun
from tests.support.stored_runs import recorded


def run_with(*logged_s: float, polled: tuple[ControllerRestart, ...] = ()) -> RecordedRun:
    """The stored demo, whose controller logs its start at each of these seconds of the plan."""
    run = recorded("demo")
    starts = [
        LogEvent("controller_started", run.info.zero_s + at_s, 0.02, "n1", "Controller starting")
        for at_s in logged_s
    ]
    return msgspec.structs.replace(run, events=(*run.events, *starts), restarts=polled)


def test_a_restart_in_the_log_alone_counts():
    run = run_with(40.0)

    (row,) = all_restarts(run)

    assert row.lo_s == pytest.approx(run.info.zero_s + 39.98)
    assert row.hi_s == pytest.approx(run.info.zero_s + 40.02)
    report = analyse(run).report
    assert report.probe.restarts == 1
    assert any(
        "the Serve controller restarted at 40.0 s, by its log:" in said for said in report.warnings
    )


def test_a_start_before_the_first_poll_is_none():
    assert all_restarts(run_with(-60.0)) == ()


def test_a_restart_that_polls_saw_counts_once():
    zero_s = recorded("demo").info.zero_s
    seen = ControllerRestart(zero_s + 38.0, zero_s + 39.0, 1.0, 2.0)

    assert all_restarts(run_with(39.5, polled=(seen,))) == (seen,)


def test_a_restart_within_a_gap_is_told_by_the_moment_of_its_log():
    zero_s = recorded("demo").info.zero_s
    seen = ControllerRestart(zero_s - 1.6, zero_s + 29.8, 1.0, 2.0)

    analysis = analyse(run_with(24.0, polled=(seen,)))

    (told,) = [said for said in analysis.report.warnings if "controller restarted" in said]
    assert told.startswith("the Serve controller restarted at 24.0 s, by its log: ")
    (band,) = analysis.charts.restarts
    assert (band.from_s, band.to_s) == pytest.approx((23.98, 24.02))


@pytest.mark.parametrize("at_s", [33.0, 20.0])
def test_a_line_that_polling_contradicts_tells_no_moment(at_s):
    zero_s = recorded("demo").info.zero_s
    seen = ControllerRestart(zero_s + 38.0, zero_s + 39.0, 1.0, 2.0)

    report = analyse(run_with(at_s, polled=(seen,))).report

    assert any("restarted between 38.0 and 39.0 s, by polls:" in said for said in report.warnings)


def test_an_estimated_clock_gives_the_moment_of_a_restart_its_error():
    zero_s = recorded("demo").info.zero_s
    seen = ControllerRestart(zero_s + 38.0, zero_s + 45.0, 1.0, 2.0)
    run = recorded("demo")
    line = LogEvent("controller_started", zero_s + 40.0, 0.3, "n1", "Controller starting")

    report = analyse(
        msgspec.structs.replace(run, events=(*run.events, line), restarts=(seen,))
    ).report

    assert any("restarted at 40.0 ±0.3 s, by its log:" in said for said in report.warnings)


def test_two_restarts_between_two_polls_are_two():
    zero_s = recorded("demo").info.zero_s
    seen = ControllerRestart(zero_s + 20.0, zero_s + 50.0, 1.0, 2.0)

    report = analyse(run_with(24.0, 41.0, polled=(seen,))).report

    assert report.probe.restarts == 2
    told = [said for said in report.warnings if "controller restarted" in said]
    assert [said.partition(",")[0].rpartition("at ")[2] for said in told] == ["24.0 s", "41.0 s"]


def test_each_of_several_restarts_counts_in_order():
    zero_s = recorded("demo").info.zero_s
    seen = ControllerRestart(zero_s + 50.0, zero_s + 51.0)

    found = all_restarts(run_with(20.0, 51.2, polled=(seen,)))

    assert [round(row.hi_s - zero_s) for row in found] == [20, 51]


def updating(run: RecordedRun, from_s: float, to_s: float) -> tuple[StatusChange, ...]:
    """The status of the demo's deployment, UPDATING between two polls; seconds of the plan."""
    (key,) = run.info.target.watched
    zero_s = run.info.zero_s
    return (
        StatusChange(
            key, zero_s + from_s, "UPDATING", zero_s + from_s - 0.5, "CONFIG_UPDATE_STARTED"
        ),
        StatusChange(key, zero_s + to_s, "HEALTHY", zero_s + to_s - 0.5, "CONFIG_UPDATE_COMPLETED"),
    )


@pytest.mark.parametrize("is_logged", [True, False])
def test_a_new_controller_that_finds_its_replicas_again_is_no_new_version(is_logged):
    zero_s = recorded("demo").info.zero_s
    polled = ControllerRestart(zero_s + 39.5, zero_s + 40.0, 1.0, 2.0)
    run = run_with(39.8) if is_logged else run_with(polled=(polled,))
    run = msgspec.structs.replace(run, statuses=(*run.statuses, *updating(run, 40.0, 41.0)))

    report = analyse(run).report

    assert report.probe.restarts == 1
    assert report.changes == ()
    assert not any("new version" in said for said in report.warnings)


def test_a_new_version_that_comes_later_is_one():
    run = run_with(20.0)
    run = msgspec.structs.replace(run, statuses=(*run.statuses, *updating(run, 40.0, 41.0)))

    assert [change.kind for change in analyse(run).report.changes] == ["update"]
