"""Two answers in a row become rows."""

import msgspec
import pytest

from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from scalelag.record.rows import (
    ControllerRestart,
    DeploymentPoll,
    Poll,
    Row,
    StatusChange,
    Transition,
)

KEY = "app/Model"


def replica(replica_id: str, state: str, **more: object) -> dict[str, object]:
    return {"replica_id": replica_id, "state": state, **more}


def deployment(*replicas: dict[str, object], **more: object) -> dict[str, object]:
    return {"status": "HEALTHY", "replicas": list(replicas), **more}


class Watcher:
    """A tracker that is fed one poll a second, each of them 0.25 s long, beginning at 1 s."""

    def __init__(self, watched: frozenset[str] | None = None) -> None:
        self.tracker = ReplicaTracker(watched)
        self.sent_s = 0.0

    def see(self, controller_start: float | None = None, **deployments: object) -> list[Row]:
        """Rows of the next poll, which shows `deployments` of application "app"."""
        body: dict[str, object] = {"applications": {"app": {"deployments": deployments}}}
        if controller_start is not None:
            body["controller_health_metrics"] = {"controller_start_time": controller_start}
        return self.see_body(body)

    def see_body(self, body: dict[str, object]) -> list[Row]:
        self.sent_s += 1.0
        payload = parse_payload(msgspec.json.encode(body))
        return self.tracker.rows(payload, self.sent_s, self.sent_s + 0.25)


def changes(rows: list[Row]) -> list[Transition]:
    return [row for row in rows if isinstance(row, Transition)]


def statuses(rows: list[Row]) -> list[StatusChange]:
    return [row for row in rows if isinstance(row, StatusChange)]


def restarts(rows: list[Row]) -> list[ControllerRestart]:
    return [row for row in rows if isinstance(row, ControllerRestart)]


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


# --- statuses --------------------------------------------------------------------------------


def test_the_first_status_is_a_row_without_a_lower_bound(watcher: Watcher):
    rows = watcher.see(Model=deployment(status_trigger="CONFIG_UPDATE_STARTED", message="m"))

    assert statuses(rows) == [
        StatusChange(
            deployment=KEY,
            hi_s=1.25,
            status="HEALTHY",
            lo_s=None,
            trigger="CONFIG_UPDATE_STARTED",
            message="m",
        )
    ]


@pytest.mark.parametrize(
    "change", [{"status": "UNHEALTHY"}, {"status_trigger": "AUTOSCALING"}, {"message": "new"}]
)
def test_a_changed_status_trigger_or_message_is_a_row(watcher: Watcher, change: dict[str, str]):
    watcher.see(Model=deployment(status_trigger="OLD", message="old"))

    (row,) = statuses(
        watcher.see(Model=deployment(**({"status_trigger": "OLD", "message": "old"} | change)))
    )

    assert (row.lo_s, row.hi_s) == (1.0, 2.25)
    (name, value), *_ = change.items()
    assert getattr(row, name.removeprefix("status_")) == value


def test_an_unchanged_status_is_no_row(watcher: Watcher):
    watcher.see(Model=deployment())

    assert statuses(watcher.see(Model=deployment(replica("a", "RUNNING")))) == []


# --- the controller --------------------------------------------------------------------------


def controller(worker: str | None, log: str | None = None) -> dict[str, object]:
    """Serve's state as Ray before 2.56 tells it: nothing of the controller's start."""
    told = {"node_id": "n1", "worker_id": worker, "log_file_path": log}
    return {"applications": {}, "controller_info": {k: v for k, v in told.items() if v}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("w1", "/serve/controller_7.log"), ("w2", "/serve/controller_9.log")),
        (("w1", None), ("w2", None)),
        ((None, "/serve/controller_7.log"), (None, "/serve/controller_9.log")),
    ],
)
def test_before_2_56_another_worker_or_log_is_a_restart(watcher: Watcher, before, after):
    watcher.see_body(controller(*before))

    rows = watcher.see_body(controller(*after))

    assert restarts(rows) == [ControllerRestart(lo_s=1.0, hi_s=2.25)]
    assert restarts(watcher.see_body(controller(*after))) == []


def test_a_controller_that_tells_less_for_a_while_was_not_restarted(watcher: Watcher):
    for told in (("w1", "/serve/c_7.log"), ("w1", None), (None, "/serve/c_7.log"), (None, None)):
        assert restarts(watcher.see_body(controller(*told))) == []


def test_a_controller_that_started_again_is_a_row(watcher: Watcher):
    watcher.see(controller_start=100.0, Model=deployment())

    rows = watcher.see(controller_start=150.0, Model=deployment())

    assert restarts(rows) == [
        ControllerRestart(lo_s=1.0, hi_s=2.25, old_start_s=100.0, new_start_s=150.0)
    ]


def test_the_first_look_at_a_controller_is_no_restart(watcher: Watcher):
    assert restarts(watcher.see(controller_start=100.0)) == []
    assert restarts(watcher.see(controller_start=100.0)) == []


def test_a_controller_that_does_not_tell_its_start_is_no_restart(watcher: Watcher):
    watcher.see(controller_start=100.0)

    assert restarts(watcher.see()) == []
    assert restarts(watcher.see(controller_start=100.0)) == []


def test_a_restart_with_recovering_replicas_shows_both(watcher: Watcher):
    watcher.see(controller_start=100.0, Model=deployment(replica("a", "RUNNING", node_id="n1")))

    rows = watcher.see(controller_start=150.0, Model=deployment(replica("a", "RECOVERING")))

    assert len(restarts(rows)) == 1
    assert [(row.from_state, row.to_state) for row in changes(rows)] == [("RUNNING", "RECOVERING")]


def test_rows_survive_the_file(watcher: Watcher):
    rows = watcher.see(controller_start=1.0, Model=deployment(replica("a", "RUNNING")))
    rows += watcher.see(controller_start=2.0)

    again = [msgspec.json.decode(msgspec.json.encode(row), type=Row) for row in rows]

    assert again == rows


# --- an application that is built anew ---------------------------------------------------------


def application(status: str, **deployments: object) -> dict[str, object]:
    return {"applications": {"app": {"status": status, "deployments": deployments}}}


@pytest.mark.parametrize("status", ["DEPLOYING", "DEPLOY_FAILED"])
def test_deployments_that_serve_hides_during_a_build_go_on(watcher: Watcher, status: str):
    model = deployment(replica("a", "RUNNING"))
    watcher.see_body(application("RUNNING", Model=model))

    rows = watcher.see_body(application(status))

    (poll,) = rows
    assert isinstance(poll, Poll)
    assert (poll.deployments, poll.hidden) == ({}, (KEY,))
    assert changes(watcher.see_body(application("RUNNING", Model=model))) == []


def test_a_deployment_that_a_new_version_leaves_out_is_gone(watcher: Watcher):
    watcher.see_body(application("RUNNING", Model=deployment(replica("a", "RUNNING"))))
    watcher.see_body(application("DEPLOYING"))

    rows = watcher.see_body(application("RUNNING", Other=deployment()))

    assert [(row.replica, row.to_state) for row in changes(rows)] == [("a", None)]
    assert isinstance(rows[0], Poll)
    assert rows[0].hidden == ()
