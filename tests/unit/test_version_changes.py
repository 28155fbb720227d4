"""A new version of the deployment is rolled out during a run."""

import pytest

from tests.unit.changed_runs import (
    BUILDING,
    KEY,
    ONE,
    ROLLING,
    STARTING,
    THREE,
    UP,
    UPDATING,
    Shown,
    phases,
    report_of,
    step,
    told,
)


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


# The target falls and rises again while the new version rolls out, and once more afterwards.
TURNING = ROLLING | {
    42.0: Shown(2, {"d": "RUNNING", "b": "STOPPING", "c": "RUNNING"}, *UPDATING),
    44.0: Shown(3, {"d": "RUNNING", "e": "STARTING", "c": "STOPPING"}, *UPDATING),
    46.0: Shown(3, {"d": "RUNNING", "e": "RUNNING", "f": "RUNNING"}),
    50.0: Shown(2, {"d": "RUNNING", "e": "RUNNING", "f": "STOPPING"}),
    52.0: Shown(2, {"d": "RUNNING", "e": "RUNNING"}),
    54.0: Shown(3, {"d": "RUNNING", "e": "RUNNING", "g": "STARTING"}),
    56.0: Shown(3, {"d": "RUNNING", "e": "RUNNING", "g": "RUNNING"}),
}


def test_a_turn_within_an_update_is_counted_nowhere():
    found = report_of(TURNING).deployments[KEY]

    # 1 -> 3, 3 -> 2 at 50 s, 2 -> 3 at 54 s. Those at 42 and 44 s are the update's.
    assert found.steps[1].reversals == 2
    assert found.target_reversals == 2
    assert (found.flapping.direction_reversals, found.flapping.running_reversals) == (2, 2)


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
    assert change.what == (
        "a new version came, 1 replica was replaced and 2 more of the old one went, over after 4.0 s"
    )
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
