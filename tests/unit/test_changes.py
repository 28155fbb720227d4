"""Somebody changes the deployment during a run: what the report makes of it.

The plan offers 5 rps until 20 s, 40 rps until 60 s and 5 rps until 80 s. A poll is sent each half
second and lasts 50 ms, so a change at t is seen between t - 0.5 and t + 0.05.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from rich.console import Console

from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from reports.analysis.analyse import analyse
from reports.model.charts import Analysis
from reports.model.report import Report
from reports.model.steps import StepReport
from reports.render.html.report_page import render_html
from reports.render.markdown import render_markdown
from reports.render.tables.lag import share
from reports.render.terminal.report import render_terminal
from scalelag.plan.stages import parse_plan
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.error_kinds import http_status
from scalelag.record.evidence_rows import LogEvent, LogKind
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import (
    CapacityChange,
    ConfigChange,
    NeighbourChange,
    Poll,
    Row,
    StatusChange,
    Transition,
)
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import ClockInfo, ProbeInfo, RunInfo, TargetInfo, Versions

KEY = "app/Model"
ZERO_S = 1000.0
END_S = 80.0
PLAN = "5rps:20s,40rps:40s,5rps:20s"
SETTINGS: dict[str, Any] = {
    "min_replicas": 1,
    "max_replicas": 4,
    "target_ongoing_requests": 1.0,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 1.0,
    "upscale_delay_s": 2.0,
    "downscale_delay_s": 5.0,
}


class Shown(NamedTuple):
    """State of the deployment on the dashboard, from some moment on."""

    target: int
    replicas: Mapping[str, str]
    status: str = "HEALTHY"
    trigger: str = "CONFIG_UPDATE_COMPLETED"
    settings: Mapping[str, Any] = SETTINGS
    user_config: str = "v1"
    fixed: int | None = None


BUILDING = "building"
"""In place of a `Shown`: the application is there, and shows no deployment while it is built."""

ONE = Shown(1, {"a": "RUNNING"})
STARTING = Shown(3, {"a": "RUNNING", "b": "STARTING", "c": "STARTING"}, "UPSCALING", "AUTOSCALING")
THREE = Shown(3, {"a": "RUNNING", "b": "RUNNING", "c": "RUNNING"})
# Asked for at 20 s, decided at 24 s, RUNNING at 26 s.
UP = {-2.0: ONE, 24.0: STARTING, 26.0: THREE}


def body(shown: Shown | str | None, **more: Any) -> bytes:
    deployments: dict[str, Any] = dict(more.pop("neighbours", {}))
    if isinstance(shown, Shown):
        deployments["Model"] = {
            "target_num_replicas": shown.target,
            "status": shown.status,
            "status_trigger": shown.trigger,
            "deployment_config": {
                **(
                    {"autoscaling_config": shown.settings}
                    if shown.fixed is None
                    else {"num_replicas": shown.fixed}
                ),
                "user_config": shown.user_config,
            },
            "replicas": [
                {"replica_id": name, "state": state, "node_id": "n"}
                for name, state in shown.replicas.items()
            ],
        }
    status = "DEPLOYING" if shown == BUILDING else "RUNNING"
    applications = {"app": {"status": status, "deployments": deployments}}
    return msgspec.json.encode({"applications": applications, **more})


def watched(
    changes: Mapping[float, Shown | str | None], more: Callable[[float], dict[str, Any]]
) -> list[Row]:
    tracker = ReplicaTracker(frozenset([KEY]))
    rows: list[Row] = []
    for half in range(-4, round(2 * END_S)):
        t_s = half / 2
        shown = changes[max(c for c in changes if c <= t_s)]
        payload = parse_payload(body(shown, **more(t_s)))
        rows += tracker.rows(payload, ZERO_S + t_s, ZERO_S + t_s + 0.05)
    return rows


def requests(failing: tuple[float, float] | None, open_for_s: float) -> RequestColumns:
    """A request each 100 ms, of 50 ms or more; those due within `failing` are answered 404."""
    due_s = np.arange(0, END_S, 0.1)
    n = due_s.size
    error = np.full(n, -1, np.int32)
    if failing:
        error[(due_s >= failing[0]) & (due_s < failing[1])] = 0
    return RequestColumns(
        intended_s=ZERO_S + due_s,
        send_lag_s=np.zeros(n, np.float32),
        latency_s=np.full(n, open_for_s, np.float32),
        status=np.where(error < 0, 200, 404).astype(np.uint16),
        name=np.zeros(n, np.int32),
        error=error,
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=(http_status(404),),
    )


def analysis_of(
    changes: Mapping[float, Shown | str | None],
    failing: tuple[float, float] | None = None,
    more: Callable[[float], dict[str, Any]] = lambda _t_s: {},
    open_for_s: float = 0.05,
    events: tuple[LogEvent, ...] = (),
) -> Analysis:
    rows = watched(changes, more)
    info = RunInfo(
        schema_version=1,
        name="changed",
        status="complete",
        reason=None,
        versions=Versions("0.2.0", "2.43", "3.11.2", "2.60.0"),
        options={},
        plan=parse_plan(PLAN),
        arrivals="constant",
        seed=0,
        clock=ClockInfo(ZERO_S, 0.0),
        target=TargetInfo(
            "http://serve", "http://dashboard", False, {KEY: DeploymentInfo(SETTINGS)}, (KEY,)
        ),
        probe=ProbeInfo(rate_per_s=2.0, budget_ratio=0.02),
        workers=1,
        zero_s=ZERO_S,
        planned_requests=None,
        load_ended_s=ZERO_S + END_S,
        watched_until_s=ZERO_S + END_S,
    )

    def only(kind: type) -> tuple[Any, ...]:
        return tuple(row for row in rows if isinstance(row, kind))

    return analyse(
        RecordedRun(
            info=info,
            requests=requests(failing, open_for_s),
            polls=only(Poll),
            transitions=only(Transition),
            statuses=only(StatusChange),
            gaps=(),
            restarts=(),
            problems=(),
            configs=only(ConfigChange),
            neighbours=only(NeighbourChange),
            capacities=only(CapacityChange),
            events=events,
        )
    )


def report_of(
    changes: Mapping[float, Shown | str | None],
    failing: tuple[float, float] | None = None,
    more: Callable[[float], dict[str, Any]] = lambda _t_s: {},
    open_for_s: float = 0.05,
    events: tuple[LogEvent, ...] = (),
) -> Report:
    return analysis_of(changes, failing, more, open_for_s, events).report


def step(report: Report, index: int = 1) -> StepReport:
    return report.deployments[KEY].steps[index]


def told(report: Report) -> list[tuple[str, str | None, str]]:
    return [(change.kind, change.deployment, change.what) for change in report.changes]


def phases(of: StepReport) -> dict[str, float | None]:
    return {phase.name: phase.value for phase in of.phases}


# --- nothing changes -------------------------------------------------------------------------


def test_a_run_in_which_nothing_changes_has_no_changes():
    report = report_of(UP)

    assert (report.changes, report.warnings) == ((), ())
    assert step(report).total_s is not None
    assert step(report).floor_s is not None


# --- the configuration -----------------------------------------------------------------------

SLOWER = SETTINGS | {"upscale_delay_s": 8.0, "max_replicas": 5}


def with_settings(shown: Shown, settings: Mapping[str, Any]) -> Shown:
    return shown._replace(settings=settings)


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


# --- a new version ---------------------------------------------------------------------------

UPDATING = ("UPDATING", "CONFIG_UPDATE_STARTED")
# The version rolls at 40 s, while three replicas run: one after another is replaced until 46 s.
ROLLING = UP | {
    40.0: Shown(3, {"a": "STOPPING", "b": "RUNNING", "c": "RUNNING", "d": "STARTING"}, *UPDATING),
    42.0: Shown(3, {"d": "RUNNING", "b": "STOPPING", "c": "RUNNING", "e": "STARTING"}, *UPDATING),
    44.0: Shown(3, {"d": "RUNNING", "e": "RUNNING", "c": "STOPPING", "f": "STARTING"}, *UPDATING),
    46.0: Shown(3, {"d": "RUNNING", "e": "RUNNING", "f": "RUNNING"}),
}


def test_a_rolling_update_is_a_row():
    report = report_of(ROLLING)

    assert told(report) == [
        ("update", KEY, "a new version came, 3 replicas were replaced, over after 6.0 s")
    ]


def test_a_rolling_update_after_the_answer_changes_nothing_of_the_step():
    quiet, rolling = step(report_of(UP)), step(report_of(ROLLING))

    assert rolling.total_s == quiet.total_s
    assert rolling.floor_s == pytest.approx(quiet.floor_s)
    assert rolling.excess_s == pytest.approx(quiet.excess_s)
    assert (rolling.cause, rolling.findings) == (quiet.cause, quiet.findings)


def test_a_rolling_update_is_no_flapping():
    flapping = report_of(ROLLING).deployments[KEY].flapping

    assert (flapping.direction_reversals, flapping.excess_variation) == (0, 0)


def test_a_version_that_is_built_first_is_no_deletion():
    # Serve shows no deployment from 36 s until the new version is built at 40 s.
    report = report_of(ROLLING | {36.0: BUILDING})

    assert told(report) == [
        ("update", KEY, "a new version came, 3 replicas were replaced, over after 6.0 s")
    ]
    assert report.deployments[KEY].flapping.direction_reversals == 0
    assert step(report).total_s == step(report_of(UP)).total_s


# The version rolls at 25 s, while two replicas are STARTING: both are given up for new ones.
WHILE_STARTING = {
    -2.0: ONE,
    24.0: STARTING,
    25.0: Shown(
        3,
        {"a": "RUNNING", "b": "STOPPING", "c": "STOPPING", "d": "STARTING", "e": "STARTING"},
        *UPDATING,
    ),
    30.0: Shown(3, {"a": "STOPPING", "d": "RUNNING", "e": "RUNNING", "f": "STARTING"}, *UPDATING),
    33.0: Shown(3, {"d": "RUNNING", "e": "RUNNING", "f": "RUNNING"}),
}


def test_replicas_that_a_new_version_replaced_did_not_fail_to_start():
    report = report_of(WHILE_STARTING)
    found = step(report)

    assert "restart" not in phases(found)
    assert (found.floor_s, found.excess_s) == (None, None)
    assert found.floor_reason == "a new version of it came at 24.8 s"
    assert told(report) == [
        ("update", KEY, "a new version came, 3 replicas were replaced, over after 8.0 s")
    ]


# --- deleted, and deployed again -------------------------------------------------------------

GONE = UP | {40.0: None}


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


# Deleted at 40 s, deployed again at 50 s with one replica that is RUNNING at 53 s.
BACK = GONE | {
    50.0: Shown(1, {"x": "STARTING"}, *UPDATING),
    53.0: Shown(1, {"x": "RUNNING"}),
}


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


def line(kind: LogKind, at_s: float) -> LogEvent:
    return LogEvent(kind, ZERO_S + at_s, 0.001, "n", kind, KEY)


def test_the_controllers_log_tells_the_moment_of_a_deletion_and_of_a_new_version():
    deleted = report_of(GONE, events=(line("deleting", 39.7),))
    rolled = report_of(ROLLING, events=(line("version_deployed", 39.9),))

    assert [round(change.at_s, 3) for change in deleted.changes] == [39.7]
    assert step(deleted, 2).reason == "it was deleted at 39.7 s"
    assert [round(change.at_s, 3) for change in rolled.changes] == [39.9]
    assert "3 replicas were replaced" in rolled.changes[0].what


def test_one_replica_that_a_new_version_replaces_within_one_poll_is_counted():
    report = report_of(
        {
            -2.0: ONE,
            10.0: Shown(1, {"a": "STOPPING", "d": "STARTING"}, *UPDATING),
            13.0: Shown(1, {"d": "RUNNING"}),
        }
    )

    assert told(report) == [
        ("update", KEY, "a new version came, 1 replica was replaced, over after 3.0 s")
    ]


def test_replicas_that_the_autoscaler_takes_away_meanwhile_were_not_replaced():
    report = report_of(
        UP
        | {
            62.0: Shown(3, {**THREE.replicas, "a": "STOPPING", "d": "STARTING"}, *UPDATING),
            66.0: Shown(1, {"d": "RUNNING", "b": "STOPPING", "c": "STOPPING"}),
            69.0: Shown(1, {"d": "RUNNING"}),
        }
    )

    (change,) = report.changes
    assert change.what == "a new version came, 1 replica was replaced, over after 4.0 s"
    assert step(report, 2).total_s is not None


def test_a_new_version_that_fails_is_not_called_over():
    broken = Shown(3, {"a": "RUNNING", "b": "RUNNING"}, "DEPLOY_FAILED", "REPLICA_STARTUP_FAILED")
    rolling = Shown(3, {**THREE.replicas, "c": "STOPPING", "d": "STARTING"}, *UPDATING)
    report = report_of(UP | {40.0: rolling, 45.0: broken})

    (change,) = report.changes
    assert change.what == (
        "a new version came, 1 replica was replaced, failed (DEPLOY_FAILED) after 5.0 s"
    )
    assert report.deployments[KEY].flapping.direction_reversals == 0


def test_an_update_that_was_under_way_when_watching_began_is_a_row():
    rolling = Shown(1, {"a": "STOPPING", "z": "STARTING"}, *UPDATING)
    report = report_of({-2.0: rolling, 3.0: Shown(1, {"z": "RUNNING"})})

    (change,) = report.changes
    assert change.what == "a new version was coming when watching began, over after 4.7 s"
    elasticity = report.deployments[KEY].elasticity
    assert elasticity.under_replicas is not None
    assert elasticity.under_replicas.value == 0


@pytest.mark.parametrize("state", ["UPDATING", "PENDING_MIGRATION", "RECOVERING"])
def test_replicas_that_go_on_under_another_name_are_not_missing(state: str):
    """A new user_config in place, a node that is drained, a controller that was restarted."""
    quiet = report_of(UP)
    report = report_of(
        UP | {40.0: THREE._replace(replicas=dict.fromkeys("abc", state)), 43.0: THREE}
    )

    own = report.deployments[KEY]
    assert (own.flapping.direction_reversals, own.flapping.excess_variation) == (0, 0)
    assert (own.replicas.min, own.replicas.max, own.replicas.final) == (1, 3, 3)
    assert step(report).settled_s == step(quiet).settled_s


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
    assert "Dash-dotted lines: what was deployed changed." in page
    assert '"dashdot"' in page


def test_without_a_change_nothing_is_said_of_changes():
    analysis = analysis_of(UP)

    assert "Changes during the run" not in render_markdown(analysis.report, "runs/x").decode()
    assert "Dash-dotted" not in render_html(analysis).decode()
