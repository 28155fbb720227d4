"""Somebody deletes the deployment during a run, and deploys it again."""

import io

import msgspec
import pytest
from rich.console import Console

from reports.render.tables.deployments import deployment_table
from reports.render.terminal.chart import print_charts
from tests.unit.changed_runs import (
    BACK,
    GONE,
    KEY,
    ONE,
    ROLLING,
    STARTING,
    THREE,
    UP,
    UPDATING,
    Shown,
    analysis_of,
    line,
    report_of,
    step,
    told,
)


def test_a_deletion_is_a_row_and_a_warning():
    report = report_of(GONE)

    assert told(report) == [("deleted", KEY, "deleted")]
    assert [w for w in report.warnings if "contradict" in w] == []
    assert f"{KEY}: it was deleted at 39.8 s" in report.warnings[0]


def test_a_deployment_that_is_gone_has_no_lag_from_then_on():
    report = report_of(GONE)
    down = step(report, 2)

    assert step(report).total_s == step(report_of(UP)).total_s
    assert down.total_s is None
    assert down.reason == "it was deleted at 39.8 s"
    assert (down.cause, down.findings) == (None, ())


def test_requests_that_failed_because_it_was_gone_have_that_as_their_reason():
    report = report_of(GONE, failing=(40.0, 80.0))

    assert [(f.index, f.count, f.cause, f.findings) for f in report.failures] == [
        (1, 200, None, ()),
        (2, 200, None, ()),
    ]
    for failure in report.failures:
        assert failure.notes == (
            f"200 failed because {KEY} was deleted at 39.8 s: nothing was there to answer them",
        )


def test_a_step_that_a_deletion_cuts_off_says_so():
    found = step(report_of({-2.0: ONE, 24.0: STARTING, 25.0: None}))

    assert found.censored
    assert (found.reason or "").endswith("it was deleted at 24.8 s")


def test_a_deployment_that_comes_back_is_neither_flapping_nor_a_movement():
    report = report_of(BACK)
    flapping = report.deployments[KEY].flapping

    assert told(report) == [
        ("deleted", KEY, "deleted"),
        ("deployed", KEY, "deployed again, ready after 3.3 s"),
    ]
    assert (flapping.direction_reversals, flapping.excess_variation) == (0, 0)
    assert step(report).movements == ()


def test_a_deployment_that_came_back_is_measured_again():
    found = step(
        report_of(
            {-2.0: ONE, 5.0: None, 10.0: Shown(1, {"x": "STARTING"}, *UPDATING), 12.0: ONE}
            | {24.0: STARTING, 26.0: THREE}
        )
    )

    assert found.total_s is not None
    assert found.total_s.lo <= 6.0 <= found.total_s.upper


def test_one_that_is_deleted_in_mid_update_comes_back_by_no_second_update():
    seen = {-2.0: ONE, 5.0: Shown(1, {"a": "RUNNING", "x": "STARTING"}, *UPDATING), 10.0: None}
    back = {14.0: Shown(1, {"y": "STARTING"}, *UPDATING), 16.0: ONE}
    lines = (line("version_deployed", 4.9), line("deleting", 9.7), line("version_deployed", 13.9))

    kinds = [kind for kind, *_ in told(report_of(seen | back, events=lines))]

    assert kinds == ["update", "deleted", "deployed"]


def test_the_controllers_log_tells_the_moment_of_a_deletion_and_of_a_new_version():
    deleted = report_of(GONE, events=(line("deleting", 39.7),))
    rolled = report_of(ROLLING, events=(line("version_deployed", 39.9),))

    assert [round(change.at_s, 3) for change in deleted.changes] == [39.7]
    assert step(deleted, 2).reason == "it was deleted at 39.7 s"
    assert [round(change.at_s, 3) for change in rolled.changes] == [39.9]
    assert "3 replicas were replaced" in rolled.changes[0].what


# --- there only for a part of the run --------------------------------------------------------


def test_a_deployment_that_is_gone_has_no_replicas_at_the_end():
    own = report_of(GONE).deployments[KEY]

    assert (own.replicas.min, own.replicas.max, own.replicas.final) == (0, 3, 0)
    assert own.around == ("was deleted at 39.8 s",)


def test_a_step_that_a_deletion_cuts_off_has_no_cause():
    found = step(report_of({-2.0: ONE, 24.0: STARTING, 25.0: None, 30.0: ONE}))

    assert found.censored
    assert (found.cause, found.findings) == (None, ())


def test_a_deployment_that_comes_after_watching_began_is_deployed_and_not_updated():
    coming = {-2.0: None, 5.0: Shown(1, {"a": "STARTING"}, *UPDATING), 8.0: ONE}
    report = report_of(UP | coming, failing=(0.0, 8.0))

    assert told(report) == [("deployed", KEY, "deployed, ready after 3.3 s")]
    (failure,) = report.failures
    assert failure.notes == (
        f"80 failed because {KEY} was not there until 4.8 s: nothing was there to answer them",
    )


def test_a_deployment_that_is_gone_at_the_first_poll_says_so():
    report = report_of({-2.0: None}, failing=(0.0, 80.0))

    assert told(report) == [("deleted", KEY, "gone before watching began")]
    assert step(report).reason == "it was not there from the start"
    (note,) = report.failures[0].notes
    assert note.endswith(f"{KEY} was not there from the start: nothing was there to answer them")


def test_steps_after_a_deletion_are_not_missed():
    report = report_of(GONE)
    other = report_of(UP | {66.0: ONE})
    beside = {KEY: report.deployments[KEY], "other/Model": other.deployments[KEY]}

    table = deployment_table(msgspec.structs.replace(report, deployments=beside))

    missed = [column.name for column in table.columns].index("missed")
    assert [row[missed] for row in table.rows] == ["0", "0"]
    assert [one.absent for one in report.deployments[KEY].steps] == [False, False, True]


def test_the_chart_of_a_deployment_that_is_gone_has_no_replicas_from_then_on():
    curve = analysis_of(GONE).charts.deployments[KEY].curve

    drawn = dict(zip(curve.times_s, zip(curve.running, curve.target, strict=True), strict=True))
    assert {told for at_s, told in drawn.items() if at_s >= 40.5} == {(0, None)}
    assert [n for at_s, n in zip(curve.times_s, curve.running, strict=True) if at_s < 39.5][-1] == 3


def test_nor_has_it_a_target_in_the_terminal():
    file = io.StringIO()

    print_charts(Console(file=file, width=100), analysis_of({-2.0: ONE, 40.0: None}).charts, [KEY])

    # The target is drawn where it differs from RUNNING: nowhere, if both are gone.
    drawn = [line for line in file.getvalue().splitlines() if "│" in line or "┤" in line]
    assert drawn
    assert not any("o" in line for line in drawn)


def test_what_was_changed_is_marked_in_the_charts_of_that_deployment_only():
    charts = analysis_of(GONE).charts

    assert [band.what for band in charts.changes_of(KEY)] == [f"{KEY}: deleted"]
    assert charts.changes_of("app/Other") == ()


def test_a_deployment_that_is_deployed_again_is_below_its_target_only_once_it_is_ready():
    again = report_of(BACK).deployments[KEY].running_over_target
    never = report_of(UP).deployments[KEY].running_over_target

    # It is short while it scales up from 24 to 26 s, and at no other time.
    assert again.min == never.min
    assert again.mean == pytest.approx(never.mean, abs=0.02)


@pytest.mark.parametrize(("changes", "unseen_s"), [(GONE, 0.0), (BACK, 0.45), (UP, 0.45)])
def test_while_it_is_gone_there_is_nothing_that_nobody_saw(changes, unseen_s):
    """The last 0.45 s of the load are behind the last poll if it is there at the end."""
    found = report_of(changes).deployments[KEY].elasticity

    assert (found.unseen_s or 0.0) == pytest.approx(unseen_s)


def test_a_step_that_comes_as_it_is_deleted_has_that_as_its_only_reason():
    """No poll comes between the step at 20 s and the deletion, which the log tells to the moment."""
    report = report_of({-2.0: ONE, 20.1: None}, events=(line("deleting", 20.02),))

    assert step(report).reason == "it was deleted at 20.0 s"


def test_requests_that_were_open_when_it_was_deleted_are_told_of():
    """Each takes 2 s; those due from 39 s on fail, and 0.5 s of these before it was gone."""
    report = report_of(GONE, failing=(39.0, 42.0), open_for_s=2.0)

    (failure,) = report.failures

    assert failure.notes == (
        f"25 failed because {KEY} was deleted at 39.8 s: nothing was there to answer them",
        f"5 were open when {KEY} was deleted at 39.8 s",
    )
