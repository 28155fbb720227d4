"""Two answers in a row become rows: polls, replicas, deployments."""

import pytest

from scalelag.record.rows import (
    DeploymentPoll,
    Poll,
    Transition,
)
from tests.unit.tracker_cases import KEY, Watcher, changes, deployment, replica, statuses


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


# --- polls -----------------------------------------------------------------------------------


def test_the_poll_comes_first_and_counts_replicas_by_state(watcher: Watcher):
    rows = watcher.see(
        Model=deployment(
            replica("a", "RUNNING"),
            replica("b", "RUNNING"),
            replica("c", "STARTING"),
            target_num_replicas=3,
            status="UPSCALING",
        )
    )

    assert rows[0] == Poll(
        sent_s=1.0,
        received_s=1.25,
        http_status=200,
        deployments={KEY: DeploymentPoll({"RUNNING": 2, "STARTING": 1}, 3, "UPSCALING")},
    )


def test_a_poll_without_deployments_is_a_poll(watcher: Watcher):
    assert watcher.see_body({"applications": {}}) == [Poll(1.0, 1.25, 200, {})]


def test_nothing_new_is_nothing_but_the_poll(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "RUNNING", node_id="n1")))

    rows = watcher.see(Model=deployment(replica("a", "RUNNING", node_id="n1")))

    assert [type(row) for row in rows] == [Poll]


# --- replicas --------------------------------------------------------------------------------


def test_what_the_first_look_finds_has_no_lower_bound(watcher: Watcher):
    rows = watcher.see(Model=deployment(replica("a", "RUNNING", node_id="n1", start_time_s=7.5)))

    assert changes(rows) == [
        Transition(
            deployment=KEY,
            replica="a",
            hi_s=1.25,
            lo_s=None,
            to_state="RUNNING",
            node="n1",
            start_time_s=7.5,
        )
    ]


def test_a_new_replica_came_between_the_last_poll_and_this_one(watcher: Watcher):
    watcher.see(Model=deployment())

    rows = watcher.see(Model=deployment(replica("a", "STARTING", start_time_s=9.0)))

    assert changes(rows) == [
        Transition(
            deployment=KEY,
            replica="a",
            lo_s=1.0,
            hi_s=2.25,
            to_state="STARTING",
            start_time_s=9.0,
        )
    ]


def test_a_changed_state_is_a_row_from_the_old_to_the_new(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "STARTING", node_id="n1")))

    rows = watcher.see(
        Model=deployment(replica("a", "RUNNING", node_id="n1", log_file_path="/serve/a.log"))
    )

    assert changes(rows) == [
        Transition(
            deployment=KEY,
            replica="a",
            lo_s=1.0,
            hi_s=2.25,
            from_state="STARTING",
            to_state="RUNNING",
            node="n1",
            log_file="/serve/a.log",
        )
    ]


def test_a_node_that_appears_is_a_row_from_a_state_to_itself(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "STARTING")))

    (row,) = changes(watcher.see(Model=deployment(replica("a", "STARTING", node_id="n1"))))

    assert (row.from_state, row.to_state, row.node) == ("STARTING", "STARTING", "n1")
    assert (row.lo_s, row.hi_s) == (1.0, 2.25)


def test_a_replica_that_is_listed_no_more_has_gone(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "STOPPING", node_id="n1"), replica("b", "RUNNING")))

    (row,) = changes(watcher.see(Model=deployment(replica("b", "RUNNING"))))

    assert (row.replica, row.from_state, row.to_state) == ("a", "STOPPING", None)
    assert (row.lo_s, row.hi_s, row.node) == (1.0, 2.25, "n1")


def test_a_replica_goes_only_once(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "STOPPING")))
    watcher.see(Model=deployment())

    assert changes(watcher.see(Model=deployment())) == []


def test_a_replica_that_is_followed_by_another_is_told_apart(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "RUNNING")))

    rows = changes(watcher.see(Model=deployment(replica("b", "STARTING"))))

    assert {(row.replica, row.from_state, row.to_state) for row in rows} == {
        ("b", None, "STARTING"),
        ("a", "RUNNING", None),
    }


def test_replicas_listed_in_another_order_have_not_changed(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "RUNNING"), replica("b", "STARTING")))

    rows = watcher.see(Model=deployment(replica("b", "STARTING"), replica("a", "RUNNING")))

    assert changes(rows) == []


def test_a_reset_start_time_alone_is_no_change(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "RUNNING", start_time_s=1.0)))

    assert changes(watcher.see(Model=deployment(replica("a", "RUNNING", start_time_s=2.0)))) == []


def test_a_poll_that_was_not_answered_widens_the_interval(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "STARTING")))
    watcher.sent_s += 7.0

    (row,) = changes(watcher.see(Model=deployment(replica("a", "RUNNING"))))

    assert (row.lo_s, row.hi_s) == (1.0, 9.25)


# --- deployments -----------------------------------------------------------------------------


def test_replicas_of_a_deployment_that_has_gone_have_gone(watcher: Watcher):
    watcher.see(
        Model=deployment(replica("a", "RUNNING"), replica("b", "RUNNING")),
        Other=deployment(replica("c", "RUNNING")),
    )

    rows = changes(watcher.see(Other=deployment(replica("c", "RUNNING"))))

    assert {(row.deployment, row.replica, row.to_state) for row in rows} == {
        (KEY, "a", None),
        (KEY, "b", None),
    }
    assert {(row.lo_s, row.hi_s) for row in rows} == {(1.0, 2.25)}


def test_a_deployment_goes_only_once(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "RUNNING")))
    watcher.see()

    assert [type(row) for row in watcher.see()] == [Poll]


def test_a_deployment_that_comes_back_is_new(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "RUNNING")))
    watcher.see()

    rows = watcher.see(Model=deployment(replica("b", "STARTING")))

    assert [(row.replica, row.lo_s, row.from_state) for row in changes(rows)] == [("b", 2.0, None)]
    assert [(row.lo_s, row.status) for row in statuses(rows)] == [(2.0, "HEALTHY")]


def test_replicas_of_the_same_name_in_two_deployments_are_told_apart(watcher: Watcher):
    watcher.see(Model=deployment(replica("a", "RUNNING")), Other=deployment())

    rows = watcher.see(
        Model=deployment(replica("a", "RUNNING")), Other=deployment(replica("a", "STARTING"))
    )

    assert [(row.deployment, row.to_state) for row in changes(rows)] == [("app/Other", "STARTING")]


def test_deployments_of_the_same_name_in_two_applications_are_told_apart(watcher: Watcher):
    one, two = deployment(replica("a", "RUNNING")), deployment(replica("b", "RUNNING"))

    rows = watcher.see_body(
        {
            "applications": {
                "x": {"deployments": {"Model": one}},
                "y": {"deployments": {"Model": two}},
            }
        }
    )

    assert {(row.deployment, row.replica) for row in changes(rows)} == {
        ("x/Model", "a"),
        ("y/Model", "b"),
    }


def test_only_watched_deployments_are_recorded():
    watcher = Watcher(frozenset({KEY}))

    rows = watcher.see(
        Model=deployment(replica("a", "RUNNING")), Other=deployment(replica("b", "RUNNING"))
    )

    assert isinstance(rows[0], Poll)
    assert list(rows[0].deployments) == [KEY]
    assert {row.deployment for row in changes(rows) + statuses(rows)} == {KEY}


def test_a_watched_deployment_that_is_not_there_yet_is_recorded_when_it_comes():
    watcher = Watcher(frozenset({KEY}))
    watcher.see(Other=deployment(replica("b", "RUNNING")))

    rows = watcher.see(Model=deployment(replica("a", "STARTING")))

    assert [(row.replica, row.lo_s) for row in changes(rows)] == [("a", 1.0)]
