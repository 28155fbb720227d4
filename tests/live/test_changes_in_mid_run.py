"""Somebody changes what is deployed while a run goes on: the report says what, and blames nobody.

All tests look at one run: its configuration is changed, then its code, then it is deleted and comes
back.
"""

import time

import msgspec
import pytest

from probes.dashboard import APPLICATIONS_PATH
from probes.serve_state import parse_payload
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

KEY = "changing/Sleeper"
SEEN_WITHIN_S = 5.0
"""Time between two looks at the dashboard, on a machine that is busy."""
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


def shows(dashboard, autoscaling):
    """Tell whether Serve lists the deployment with this configuration."""
    payload = msgspec.json.decode(dashboard.get(APPLICATIONS_PATH).body)
    deployments = payload["applications"].get("changing", {}).get("deployments", {})
    found = deployments.get("Sleeper", {}).get("deployment_config", {})
    listed = found.get("autoscaling_config") or {}
    return all(listed.get(name) == value for name, value in autoscaling.items())


def is_running(dashboard):
    found = running(dashboard).get("changing")
    return found is not None and found.status == "RUNNING"


SLOWER = AUTOSCALING | {"upscale_delay_s": 8.0, "max_replicas": 5}
UPDATED = deployed(SLOWER, service_time_s=0.12)


def zero_s(command):
    """The begin of the load, in Unix seconds; 0 before it."""
    files = [path / "run.json" for path in command.run_dirs]
    return next((msgspec.json.decode(f.read_bytes())["zero_s"] for f in files if f.exists()), 0)


def wait_until(command, seconds):
    """Wait until so many seconds after the begin of the load."""

    def is_time():
        assert command.process.poll() is None, command.output
        begun_s = zero_s(command)
        return begun_s and time.time() >= begun_s + seconds

    wait_for(is_time, f"{seconds} s of load", 90 + seconds)


def replica_states(dashboard):
    """State of each replica by its id; empty while the application is built anew."""
    deployments = running(dashboard)["changing"].deployments.values()
    return {r.replica_id: r.state for deployment in deployments for r in deployment.replicas}


def were_replaced(dashboard, old):
    """Tell whether none of the `old` replicas is there any more, and two others are RUNNING."""
    states = replica_states(dashboard)
    return not old & states.keys() and list(states.values()) == ["RUNNING"] * 2


def take_away(dashboard):
    put(dashboard)
    wait_for(lambda: not running(dashboard), "its end", 120)


@pytest.fixture(scope="module")
def application(dashboard):
    put(dashboard, deployed())
    wait_for(lambda: is_running(dashboard), "the application", 90)
    yield
    take_away(dashboard)


@pytest.fixture(scope="module")
def changed(on_cluster_once, dashboard, application):
    """Report of the run, what it printed, and when the first change was made after its begin."""
    command = on_cluster_once(
        *("run", "--steps", "5rps:6s,6rps:54s", "--out", "runs", "--drain", "2")
    )
    wait_until(command, 4)
    old = set(replica_states(dashboard))
    begun_s = time.time()
    put(dashboard, deployed(SLOWER))
    wait_for(lambda: shows(dashboard, SLOWER), "the configuration", 60)
    changed_s = (begun_s - zero_s(command), time.time() - zero_s(command))
    wait_until(command, changed_s[1] + 3)
    put(dashboard, UPDATED)
    wait_for(lambda: were_replaced(dashboard, old), "two new replicas", 120)
    take_away(dashboard)
    put(dashboard, UPDATED)
    _, output = command.wait()
    return command.report(), output, changed_s


def test_each_change_is_told_and_nothing_else(changed):
    report, output, _ = changed

    kinds = [change["kind"] for change in report["changes"]]
    assert kinds == ["config", "update", "deleted", "deployed"], output


def test_a_configuration_that_is_put_in_mid_run_is_told_with_its_values(changed):
    report, output, (before_s, after_s) = changed
    change = report["changes"][0]

    assert change["what"] == "max_replicas 3 -> 5, upscale_delay_s 2 -> 8", output
    assert before_s - SEEN_WITHIN_S <= change["at_s"] <= after_s + SEEN_WITHIN_S
    assert any("its configuration changed at" in text for text in report["warnings"])
    assert "upscale_delay_s 2 -> 8" in output


def test_a_rolling_update_is_no_restart_and_no_flapping(changed):
    report, output, _ = changed
    (deployment,) = report["deployments"].values()

    assert "2 replicas were replaced" in report["changes"][1]["what"], output
    assert deployment["flapping"]["direction_reversals"] == 0
    phases = {phase["name"] for step in deployment["steps"] for phase in step["phases"]}
    assert "restart" not in phases
    assert not any("contradict" in text for text in report["warnings"]), report["warnings"]


def test_requests_to_a_deleted_deployment_fail_for_that_reason(changed):
    report, output, _ = changed

    (failure,) = report["failures"]
    assert failure["cause"] is None
    assert any(f"because {KEY} was deleted at" in note for note in failure["notes"]), failure
    assert "was deleted at" in output
