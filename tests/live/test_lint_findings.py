"""Findings on a configuration, from what a real Ray Serve takes over, drops and never reads."""

import time

import pytest
import yaml

from probes.dashboard import APPLICATIONS_PATH
from probes.serve_state import parse_payload
from scalelag.cluster.deploy import undeploy
from scalelag.cluster.preflight import Patience
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

HANDLE_PUSH = "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S"
BAD = {
    "name": "Sleeper",
    "max_ongoing_request": 3,
    "max_ongoing_requests": 5,
    "autoscaling_config": {
        "min_replicas": 1,
        "max_replicas": 2,
        "target_ongoing_requests": 8,
        "upscale_delay": 3,
        "upscale_delay_s": 5,
    },
}


def application(**deployment):
    return {
        "name": "default",
        "route_prefix": "/",
        "import_path": "serve_apps.sleeper:app",
        "deployments": [{"name": "Sleeper", **deployment}],
    }


@pytest.fixture
def deployed(dashboard):
    """Deploys one application on the session's cluster, until the test ends."""

    def deploy(**deployment):
        dashboard.put(APPLICATIONS_PATH, {"applications": [application(**deployment)]})

    yield deploy
    undeploy(dashboard, ["default"], Patience(150, time.monotonic, time.sleep))


def test_a_run_finds_what_ray_drops_and_what_it_never_reads(scalelag, tmp_path):
    config = tmp_path / "bad.yaml"
    config.write_text(yaml.safe_dump({"applications": [application(**BAD)]}))

    command = scalelag(
        *("run", "--app", str(config), "--steps", "4rps:3s", "--drain", "0", "--out", "runs"),
        **{HANDLE_PUSH: "1"},
    )
    code, output = command.wait()

    said = " ".join(output.split())
    assert code in (0, 5), output
    assert "max_ongoing_request 3 is read nowhere" in said
    assert "Did you mean max_ongoing_requests?" in said
    lint = {f["rule"]: (f["deployment"], f["text"]) for f in command.report()["lint"]}
    assert set(lint) == {
        "setting-read-nowhere",
        "variable-read-nowhere",
        "push-slower-than-delay",
        "delay-within-look-back",
        "target-above-max-ongoing",
    }
    assert lint["setting-read-nowhere"][1].startswith("autoscaling_config.upscale_delay 3 is read ")
    assert "Did you mean upscale_delay_s, now 5?" in lint["setting-read-nowhere"][1]
    assert lint["variable-read-nowhere"][1].startswith(HANDLE_PUSH)
    for rule, (deployment, text) in lint.items():
        assert deployment == (None if rule == "variable-read-nowhere" else "default/Sleeper")
        assert said.count(text) == 2, (text, output)  # at the start, and in the report


@pytest.mark.parametrize(
    ("settings", "delay_s"),
    [
        ({}, 2.0),
        ({"autoscaling_config": {"max_replicas": 5}, "max_ongoing_requests": 5}, 30.0),
    ],
    ids=["sleeper", "Ray"],
)
def test_the_defaults_of_an_app_and_of_ray_leave_doctor_silent(
    on_cluster, deployed, dashboard, settings, delay_s
):
    deployed(**settings)

    def in_effect():
        payload = parse_payload(dashboard.get(APPLICATIONS_PATH).body)
        there = payload.deployments().get("default/Sleeper")
        return there and (there.info().autoscaling or {}).get("upscale_delay_s") == delay_s

    wait_for(in_effect, "the deployment as asked", 120)
    _code, output = on_cluster("doctor", "--wait", "30").wait()

    said = " ".join(output.split())
    assert f"upscale_delay_s {delay_s:g}" in said, output
    assert "no setting does harm or has no effect" in said, output
