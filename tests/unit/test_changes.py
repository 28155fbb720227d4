"""Somebody changes the deployment during a run: its configuration, its bounds, what is around it."""

import io

import pytest
from rich.console import Console

from reports.render.html.report_page import render_html
from reports.render.markdown import render_markdown
from reports.render.tables.lag import share
from reports.render.terminal.report import render_terminal
from scalelag.record.deployment_info import DeploymentInfo
from tests.unit.changed_runs import (
    KEY,
    ONE,
    SETTINGS,
    SLOWER,
    STARTING,
    THREE,
    UP,
    UPDATING,
    Shown,
    analysis_of,
    report_of,
    step,
    told,
    with_settings,
)

# --- nothing changes -------------------------------------------------------------------------


def test_a_run_in_which_nothing_changes_has_no_changes():
    report = report_of(UP)

    assert (report.changes, report.warnings) == ((), ())
    assert step(report).total_s is not None
    assert step(report).floor_s is not None


def test_a_changed_configuration_is_a_row_with_old_and_new_values():
    report = report_of(UP | {50.0: with_settings(THREE, SLOWER)})

    (change,) = report.changes
    assert (change.kind, change.deployment) == ("config", KEY)
    assert change.what == "max_replicas 4 -> 5, upscale_delay_s 2 -> 8"
    assert change.lo_s < 50.0 <= change.hi_s
    assert change.hi_s - change.lo_s == pytest.approx(0.55)


def test_a_changed_configuration_is_warned_of():
    report = report_of(UP | {50.0: with_settings(THREE, SLOWER)})

    assert len(report.warnings) == 1
    assert report.warnings[0].startswith(f"{KEY}: its configuration changed at 49.8 s:")


def test_a_step_is_measured_by_the_settings_at_its_beginning():
    late = Shown(3, {"a": "RUNNING", "b": "STARTING", "c": "STARTING"}, settings=SLOWER)
    changed_before = {
        -2.0: ONE,
        10.0: with_settings(ONE, SLOWER),
        30.0: late,
        32.0: with_settings(THREE, SLOWER),
    }
    changed_after = UP | {50.0: with_settings(THREE, SLOWER)}

    by_new, by_old = (step(report_of(changes)) for changes in (changed_before, changed_after))

    assert by_new.floor is not None
    assert by_old.floor is not None
    assert (by_new.floor.delay_s, by_old.floor.delay_s) == (8.0, 2.0)


def test_a_change_before_the_answer_leaves_no_floor_and_says_why():
    found = step(
        report_of(
            {
                -2.0: ONE,
                22.0: with_settings(ONE, SLOWER),
                30.0: with_settings(STARTING, SLOWER),
                32.0: with_settings(THREE, SLOWER),
            }
        )
    )

    assert found.total_s is not None
    assert (found.floor_s, found.excess_s, found.cause) == (None, None, None)
    assert found.floor_reason == "its configuration changed at 21.8 s"


def test_a_target_that_a_changed_minimum_moved_is_no_decision_of_the_autoscaler():
    higher = SETTINGS | {"min_replicas": 3}
    report = report_of(
        {
            -2.0: ONE,
            30.0: with_settings(STARTING, higher),
            32.0: with_settings(THREE, higher),
        }
    )

    assert step(report).total_s is None
    assert "its configuration changed at 29.8 s" in (step(report).reason or "")
    assert told(report) == [
        (
            "config",
            KEY,
            "min_replicas 1 -> 3 (this moved the target 1 -> 3, not the autoscaler)",
        )
    ]


def test_lint_is_that_of_the_last_configuration():
    bad = SETTINGS | {"metrics_interval_s": 10.0, "look_back_period_s": 30.0}

    mended = report_of({-2.0: with_settings(ONE, bad), 5.0: ONE})
    spoilt = report_of({-2.0: ONE, 5.0: with_settings(ONE, bad)})

    assert "push-slower-than-delay" not in {finding.rule for finding in mended.lint}
    assert "push-slower-than-delay" in {finding.rule for finding in spoilt.lint}


def test_demand_goes_by_the_bounds_in_force():
    # 2 requests are open all the time, for a target of 1: two replicas, but for the bound.
    bounded = SETTINGS | {"max_replicas": 1}

    whole = report_of({-2.0: ONE}, open_for_s=0.2).deployments[KEY].elasticity
    cut = report_of({-2.0: ONE, 40.0: with_settings(ONE, bounded)}, open_for_s=0.2)

    assert whole.under_replicas is not None
    under = cut.deployments[KEY].elasticity.under_replicas
    assert under is not None
    # It is cut to half of the time; a sample, in which the bound comes, is 5 s of the 80.
    assert under.value == pytest.approx((whole.under_replicas.value or 0) / 2, abs=5.5 / 80)


def test_a_setting_whose_value_is_not_kept_is_named():
    report = report_of(UP | {50.0: THREE._replace(user_config="v2")})

    assert told(report) == [("config", KEY, "user_config changed")]


# --- targets that a changed configuration moves ----------------------------------------------

LOWERED = SETTINGS | {"max_replicas": 2}


def test_a_lowered_maximum_is_no_swing_of_the_autoscaler():
    two = {"a": "RUNNING", "b": "RUNNING"}
    report = report_of(
        UP
        | {
            45.0: Shown(2, {**two, "c": "STOPPING"}, settings=LOWERED),
            48.0: Shown(2, two, settings=LOWERED),
        }
    )

    own = report.deployments[KEY]
    assert (own.flapping.direction_reversals, own.flapping.excess_variation) == (0, 0)
    assert step(report).settled_s == step(report_of(UP)).settled_s
    assert own.around == ("1 to 2 since 44.8 s",)


def test_a_target_capacity_that_takes_replicas_away_is_no_swing_of_the_autoscaler():
    two = {"a": "RUNNING", "b": "RUNNING"}
    report = report_of(
        UP | {45.0: Shown(2, {**two, "c": "STOPPING"}), 48.0: Shown(2, two)},
        more=lambda t_s: {"target_capacity": 50.0 if t_s >= 45 else None},
    )

    own = report.deployments[KEY]
    assert (own.flapping.direction_reversals, own.flapping.excess_variation) == (0, 0)
    assert step(report).reversals == 0


def test_a_fixed_number_in_place_of_autoscaling_is_no_answer_to_a_step():
    five = dict.fromkeys("abcde", "RUNNING")
    report = report_of(
        UP
        | {
            45.0: Shown(5, {**five, "d": "STARTING", "e": "STARTING"}, *UPDATING, fixed=5),
            48.0: Shown(5, five, fixed=5),
        }
    )

    assert step(report).total_s == step(report_of(UP)).total_s
    assert told(report) == [
        (
            "config",
            KEY,
            "autoscaling off, num_replicas 5 (this moved the target 3 -> 5, not the autoscaler)",
        )
    ]


def test_autoscaling_in_place_of_a_fixed_number_leaves_no_floor_and_says_why():
    fixed = ONE._replace(fixed=1)
    report = report_of({-2.0: fixed, 23.0: ONE, 24.0: STARTING, 26.0: THREE})

    assert step(report).total_s is not None
    assert step(report).floor_reason == "its configuration changed at 22.8 s"


def test_what_an_external_scaler_decides_is_no_fixed_number():
    scaled = {at_s: shown._replace(fixed=1) for at_s, shown in UP.items()}
    described = DeploymentInfo(config={"num_replicas": 1}, external_scaler=True)
    report = report_of(
        scaled, more=lambda _t: {"of_app": {"external_scaler_enabled": True}}, described=described
    )

    whose = "an external scaler decides (external_scaler_enabled): what it wants is not known"
    assert step(report).total_s is not None
    assert step(report).floor_reason == whose
    of_deployment = report.deployments[KEY]
    assert (of_deployment.elasticity.demand_reason or "").startswith(whose)
    assert report.changes == ()


def test_the_share_of_the_configuration_names_the_settings_in_force():
    pushed = SETTINGS | {"metrics_interval_s": 3.0, "look_back_period_s": 6.0}
    report = report_of(
        {
            -2.0: ONE,
            10.0: with_settings(ONE, pushed),
            30.0: with_settings(STARTING, pushed),
            32.0: with_settings(THREE, pushed),
        }
    )

    said = share(step(report))
    assert "3 s push, 6 s average, 2 s delay" in said


# --- around it -------------------------------------------------------------------------------


def test_a_changed_target_capacity_is_a_row_for_all():
    report = report_of(UP, more=lambda t_s: {"target_capacity": 50.0 if t_s >= 50 else None})

    assert told(report) == [("capacity", None, "target_capacity not set -> 50")]


def test_a_deployment_that_joins_a_watched_application_is_said():
    report = report_of(UP, more=lambda t_s: {"neighbours": {"New": {}} if t_s >= 50 else {}})

    assert told(report) == [("deployed", "app/New", "deployed; it is not watched")]


# --- what a reader sees ----------------------------------------------------------------------


def test_changes_stand_in_terminal_markdown_and_page_with_a_mark_on_the_charts():
    analysis = analysis_of(UP | {50.0: with_settings(THREE, SLOWER)})
    console = Console(width=120, record=True, file=io.StringIO())

    render_terminal(analysis, console, "runs/x")
    terminal = console.export_text()
    page = render_html(analysis).decode()
    markdown = render_markdown(analysis.report, "runs/x").decode()

    assert "max_replicas 4 -> 5, upscale_delay_s 2 -> 8" in terminal
    assert "▼ change of what was deployed" in terminal
    assert "### Changes during the run" in markdown
    assert "Dash-dotted lines: events, and changes of what was deployed." in page
    assert '"dashdot"' in page


def test_a_target_that_a_new_configuration_raised_did_not_rise_by_the_autoscaler():
    fixed = Shown(3, {"a": "RUNNING", "b": "RUNNING", "c": "RUNNING"}, fixed=3)

    up = report_of({-2.0: ONE, 22.0: fixed}).deployments[KEY].steps[1]

    assert up.total_s is None
    assert up.reason is not None
    assert up.reason.startswith(
        "the target was raised, and not by the autoscaler: 1 RUNNING before"
    )


def test_without_a_change_nothing_is_said_of_changes():
    analysis = analysis_of(UP)

    assert "Changes during the run" not in render_markdown(analysis.report, "runs/x").decode()
    assert "Dash-dotted" not in render_html(analysis).decode()
