"""A target that is saturated for 20 s, and gets a new version while a replica is STARTING."""

import pytest

from probes.dashboard import APPLICATIONS_PATH
from probes.serve_state import parse_payload
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

KEY = "full/SlowStart"


def deployed(init_time_s):
    """Two replicas of two requests of 0.2 s at most: 20 requests a second."""
    return {
        "name": "full",
        "route_prefix": "/",
        "import_path": "serve_apps.slow_start:app",
        "args": {
            "init_time_s": init_time_s,
            "service_time_s": 0.2,
            "num_cpus": 0.05,
            "max_ongoing_requests": 2,
            "max_replicas": 2,
            "target_ongoing_requests": 1,
            "metrics_interval_s": 0.3,
            "look_back_period_s": 1,
            "upscale_delay_s": 1,
        },
    }


def put(dashboard, *applications):
    dashboard.put(APPLICATIONS_PATH, {"applications": list(applications)})


def shown(dashboard):
    return parse_payload(dashboard.get(APPLICATIONS_PATH).body).applications.get("full")


def states(dashboard):
    app = shown(dashboard)
    return [r.state for d in app.deployments.values() for r in d.replicas] if app else []


@pytest.fixture(scope="module")
def told(dashboard, on_cluster_once):
    """Exit code, report, and output of that run."""
    put(dashboard, deployed(init_time_s=6))
    wait_for(lambda: states(dashboard) == ["RUNNING"], "the application", 90)
    try:
        command = on_cluster_once(
            *("run", "--steps", "3rps:4s,60rps:24s", "--max-in-flight", "30"),
            *("--drain", "2", "--out", "runs"),
        )
        wait_for(lambda: "STARTING" in states(dashboard), "a replica that starts", 120)
        put(dashboard, deployed(init_time_s=3))
        code, output = command.wait()
    finally:
        put(dashboard)
        wait_for(lambda: shown(dashboard) is None, "its end", 120)
    return code, command.report(), output


def test_the_run_is_valid_and_fails_by_the_default_gate(told):
    code, report, output = told

    assert code == 4, output
    assert report["invalid_through"] is None
    load = report["load"]
    assert load["saturated_s"] > 15
    assert load["not_sent"] > 0.2 * load["planned"]
    assert "FAIL: requests.error_ratio" in " ".join(output.split())
    assert "saturated" in output


def test_the_new_version_is_a_row_and_no_restart(told):
    _, report, output = told
    deployment = report["deployments"][KEY]

    assert "update" in [change["kind"] for change in report["changes"]], output
    assert report["probe"]["restarts"] == 0
    phases = {phase["name"] for step in deployment["steps"] for phase in step["phases"]}
    assert "restart" not in phases
    assert deployment["flapping"]["direction_reversals"] == 0
