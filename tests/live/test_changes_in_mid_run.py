"""Somebody changes what is deployed while a run goes on: the report says what, and blames nobody."""

import re
import time

import msgspec
import pytest

from probes.dashboard import APPLICATIONS_PATH
from probes.serve_state import parse_payload
from tests.support.waiting import wait_for

KEY = "changing/Sleeper"
AUTOSCALING = {
    "min_replicas": 2,
    "max_replicas": 3,
    "target_ongoing_requests": 2,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 2.0,
    "upscale_delay_s": 2.0,
    "downscale_delay_s": 60.0,
}


def deployed(autoscaling=AUTOSCALING, service_time_s=0.1):
    """An application that somebody deployed by a configuration of their own."""
    return {
        "name": "changing",
        "route_prefix": "/",
        "import_path": "serve_apps.sleeper:app",
        "args": {"service_time_s": service_time_s},
        "deployments": [{"name": "Sleeper", "autoscaling_config": autoscaling}],
    }


def put(dashboard, *applications):
    dashboard.put(APPLICATIONS_PATH, {"applications": list(applications)})


def running(dashboard):
    """The applications that Serve lists, also those that are being deleted."""
    return parse_payload(dashboard.get(APPLICATIONS_PATH).body).applications


def is_running(dashboard):
    found = running(dashboard).get("changing")
    return found is not None and found.status == "RUNNING"


@pytest.fixture
def application(dashboard):
    put(dashboard, deployed())
    wait_for(lambda: is_running(dashboard), "the application", 90)
    yield
    put(dashboard)
    wait_for(lambda: not running(dashboard), "its end", 60)


def at(command, seconds):
    """Wait until so many seconds after the beginning of the load."""

    def zero_s():
        files = [path / "run.json" for path in command.run_dirs]
        return next((msgspec.json.decode(f.read_bytes())["zero_s"] for f in files if f.exists()), 0)

    wait_for(lambda: zero_s() or command.process.poll() is not None, "the load", 90)
    time.sleep(max(0.0, zero_s() + seconds - time.time()))


@pytest.fixture
def changed(on_cluster, dashboard, application):
    """Report of a run of 24 s in which `changes` are made at their moments, and what it printed."""

    def run(changes, steps="5rps:24s"):
        command = on_cluster("run", "--steps", steps, "--out", "runs", "--drain", "2")
        for seconds, applications in changes.items():
            at(command, seconds)
            put(dashboard, *applications)
        _, output = command.wait()
        return command.report(), output

    return run


def changes_of(report):
    return [(change["kind"], change["what"]) for change in report["changes"]]


def test_a_configuration_that_is_put_in_mid_run_is_told_with_its_values(changed):
    slower = AUTOSCALING | {"upscale_delay_s": 8.0, "max_replicas": 5}

    report, output = changed({8: [deployed(slower)]})

    assert changes_of(report) == [("config", "max_replicas 3 -> 5, upscale_delay_s 2 -> 8")], output
    assert 7.0 < report["changes"][0]["at_s"] < 14.0
    assert any("its configuration changed at" in text for text in report["warnings"])
    assert "upscale_delay_s 2 -> 8" in output


def test_a_rolling_update_is_no_restart_and_no_flapping(changed):
    report, output = changed({4: [deployed(service_time_s=0.12)]}, "5rps:2s,6rps:28s")
    (deployment,) = report["deployments"].values()

    # A busy machine may have replaced only the first of the two when the run ends.
    ((kind, what),) = changes_of(report)
    assert kind == "update", output
    assert re.search("[12] replicas? (was|were) replaced", what), output
    assert deployment["flapping"]["direction_reversals"] == 0
    phases = {phase["name"] for step in deployment["steps"] for phase in step["phases"]}
    assert "restart" not in phases
    assert not any("contradict" in text for text in report["warnings"]), report["warnings"]


def test_a_deployment_that_is_deleted_and_comes_back_is_told_and_fails_for_that_reason(changed):
    report, output = changed({6: [], 12: [deployed()]}, "5rps:24s")
    (deployment,) = report["deployments"].values()

    assert [kind for kind, _ in changes_of(report)] == ["deleted", "deployed"], output
    assert deployment["flapping"]["direction_reversals"] == 0
    assert not any("contradict" in text for text in report["warnings"]), report["warnings"]
    (failure,) = report["failures"]
    assert failure["cause"] is None
    assert any(f"because {KEY} was deleted at" in note for note in failure["notes"]), failure
    assert "was deleted at" in output
