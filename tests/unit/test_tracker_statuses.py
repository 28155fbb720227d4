"""Changed statuses, restarts of the controller and applications that are built anew become rows."""

import msgspec
import pytest

from scalelag.record.rows import (
    ControllerRestart,
    Poll,
    Row,
    StatusChange,
)
from tests.unit.tracker_cases import (
    KEY,
    Watcher,
    application,
    changes,
    controller,
    deployment,
    replica,
    restarts,
    statuses,
)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


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


@pytest.mark.parametrize("status", ["DEPLOYING", "DEPLOY_FAILED"])
def test_deployments_that_serve_hides_during_a_build_go_on(watcher: Watcher, status: str):
    model = deployment(replica("a", "RUNNING"))
    watcher.see_body(application("RUNNING", Model=model))

    rows = watcher.see_body(application(status))

    poll = rows[0]
    assert isinstance(poll, Poll)
    assert (poll.deployments, poll.hidden) == ({}, (KEY,))
    assert changes(rows) == []
    assert changes(watcher.see_body(application("RUNNING", Model=model))) == []


def test_a_version_that_cannot_be_built_is_told_once_and_again_after_the_next_try(watcher: Watcher):
    model = deployment(replica("a", "RUNNING")) | {"status": "HEALTHY"}
    failed = application("DEPLOY_FAILED")
    failed["applications"]["app"]["message"] = "Traceback\nImportError: no module"
    watcher.see_body(application("RUNNING", Model=model))
    bodies = [application("DEPLOYING"), failed, failed, application("DEPLOYING"), failed]

    rows = [row for body in bodies for row in statuses(watcher.see_body(body))]

    assert [(row.status, row.trigger) for row in rows] == [
        ("DEPLOY_FAILED", "APPLICATION"),
        ("DEPLOYING", "APPLICATION"),
        ("DEPLOY_FAILED", "APPLICATION"),
    ]
    assert rows[0].message == "Traceback\nImportError: no module"
    shown = statuses(watcher.see_body(application("RUNNING", Model=model)))
    assert [row.status for row in shown] == ["HEALTHY"]


def test_a_deployment_that_a_new_version_leaves_out_is_gone(watcher: Watcher):
    watcher.see_body(application("RUNNING", Model=deployment(replica("a", "RUNNING"))))
    watcher.see_body(application("DEPLOYING"))

    rows = watcher.see_body(application("RUNNING", Other=deployment()))

    assert [(row.replica, row.to_state) for row in changes(rows)] == [("a", None)]
    assert isinstance(rows[0], Poll)
    assert rows[0].hidden == ()
