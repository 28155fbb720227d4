"""The applications with a fault do on a real cluster what their documentation says.

All of them are deployed at once.
"""

import json

import pytest

from tests.live.fault_app import deployed, truth
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

RARELY_LATE = {"health_check_period_s": 0.3, "health_check_timeout_s": 10}
SOON_LATE = {"health_check_period_s": 0.3, "health_check_timeout_s": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of their files; each file begins with its application's name."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def apps(cluster, dashboard, folder):
    """One replica of each application."""

    def files(name, *kinds):
        return {f"{kind}_file": folder / f"{name}.{kind}" for kind in kinds}

    starts = ("truth", "state")
    wanted = {
        "slow": ("slow_start", {"init_time_s": 1, **files("slow", "truth")}),
        "twice": ("sick_start", {"failures": 2, **files("twice", *starts)}),
        "always": ("sick_start", {"failures": -1, **files("always", *starts)}),
        "raise": ("sick_health", {"mode": "raise", **RARELY_LATE, **files("raise", "sick")}),
        "hang": ("sick_health", {"mode": "hang", **SOON_LATE, **files("hang", "sick")}),
        "new": (
            "sick_health",
            {"mode": "hang", "sick_replicas": "new", **files("new", "sick", "truth")},
        ),
    }
    with deployed(dashboard, cluster.urls.host, wanted) as apps:
        yield apps


@pytest.fixture(scope="module")
def failing(apps):
    """The application that fails without end, under load, and its first replicas.

    Serve waits longer after each failure: its test comes last.
    """
    first = apps["always"].running()
    with apps["always"].load():
        yield apps["always"], first


@pytest.mark.usefixtures("failing")
def test_the_truth_file_tells_of_every_replica_under_serves_own_name(apps, folder):
    path = folder / "slow.truth"
    app = apps["slow"]
    with app.load():
        wait_for(lambda: len(app.running()) == 2, "a second replica", 120)
        wait_for(lambda: len(truth(path, "request")) == 2, "a request to each", 120)

    entered, left, asked = (
        truth(path, event) for event in ("constructor_entered", "constructor_left", "request")
    )
    assert entered.keys() == left.keys() == asked.keys() == app.running()
    assert all(left[replica] - entered[replica] >= 1 for replica in entered)
    assert all(asked[replica] >= left[replica] for replica in entered)
    started = {r.replica_id: r.start_time_s for r in app.deployment().replicas}
    assert all(entered[replica] >= started[replica] for replica in entered)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 6
    assert {(row["app"], row["deployment"]) for row in rows} == {(app.name, "SlowStart")}


def test_the_replicas_of_a_step_fail_as_often_as_arranged_and_then_start(apps, folder):
    path, state = folder / "twice.truth", folder / "twice.state"
    app = apps["twice"]
    first = app.running()
    with app.load():
        message = wait_for(
            lambda: "failed to start" in (said := app.deployment().message) and said,
            "a failed start",
            120,
        )
        wait_for(lambda: app.is_healthy_with(2), "recovery", 120)

    assert "sick_start: failure" in message
    assert "as arranged" in message
    assert first < app.running()
    failed = truth(path, "constructor_entered").keys() - truth(path, "constructor_left").keys()
    assert len(failed) == 2
    assert not failed & app.running()
    assert len(state.read_bytes()) == 4  # the first replica, two failures, the second replica


@pytest.mark.parametrize("mode", ["raise", "hang"])
def test_sick_replicas_are_stopped_and_none_gets_up_until_the_file_is_gone(apps, folder, mode):
    sick = folder / f"{mode}.sick"
    app = apps[mode]
    first = app.running()
    sick.touch()
    wait_for(lambda: app.deployment().status == "UNHEALTHY", "UNHEALTHY", 120)
    trigger = app.deployment().status_trigger
    wait_for(lambda: not first & app.running(), "the replica gone", 120)
    sick.unlink()
    wait_for(lambda: app.is_healthy_with(1), "recovery", 120)

    assert trigger == "HEALTH_CHECK_FAILED"
    assert not first & app.running()


def test_new_replicas_whose_health_check_hangs_wait_until_the_file_is_gone(apps, folder):
    sick, path = folder / "new.sick", folder / "new.truth"
    app = apps["new"]
    first = app.running()
    sick.touch()
    with app.load():
        wait_for(
            lambda: len(truth(path, "constructor_left")) == 2, "a second constructor done", 120
        )
        (waiting,) = [r for r in app.deployment().replicas if r.replica_id not in first]
        sick.unlink()
        wait_for(lambda: app.is_healthy_with(2), "recovery", 120)

    assert (waiting.state, waiting.node_id is None) == ("STARTING", False)
    assert app.running() == first | {waiting.replica_id}


def test_failures_without_end_leave_the_first_replica_serving(failing, folder):
    app, first = failing
    # More than the 3 tries for each wanted replica that Serve allows a new deployment.
    wait_for(
        lambda: len(truth(folder / "always.truth", "constructor_entered")) > 1 + 6,
        "many tries",
        120,
    )

    assert app.running() == first
    assert app.deployment().status == "UPSCALING"
