"""One fixed replica for a deployment: in the request to Serve, and in its answer."""

import json
import time

import pytest

from probes.dashboard import Dashboard, Reply
from probes.serve_state import parse_payload
from scalelag.cluster.deploy import check_pinned, pin, pinned_app
from scalelag.cluster.preflight import Patience
from scalelag.errors import TargetError, UsageError

SCALING = {"autoscaling_config": {"min_replicas": 1, "max_replicas": 8}}
PINNED = {"autoscaling_config": {"min_replicas": 1, "max_replicas": 1}}
FIXED = {"num_replicas": 3}


def payload(replicas=("RUNNING",), **configs):
    """An application `app` of deployments by name, each with its configuration."""
    deployments = {
        name: {
            "deployment_config": config,
            "replicas": [
                {"replica_id": f"r{i}", "state": state} for i, state in enumerate(replicas)
            ],
        }
        for name, config in configs.items()
    }
    body = {"applications": {"app": {"status": "RUNNING", "deployments": deployments}}}
    return parse_payload(json.dumps(body).encode())


def test_a_deployment_that_scales_is_pinned_by_its_policy_and_another_by_number():
    there = payload(Scales=SCALING, Fixed=FIXED)

    app = pinned_app("app", {"name": "app"}, ["app/Scales", "app/Fixed"], there)

    assert app == {
        "name": "app",
        "deployments": [{"name": "Scales", **PINNED}, {"name": "Fixed", "num_replicas": 1}],
    }


def test_only_what_is_wanted_is_pinned_and_other_settings_stay():
    theirs = [
        {"name": "Scales", "num_replicas": "auto", "max_ongoing_requests": 7},
        {"name": "Fixed", "num_replicas": 3},
    ]
    there = payload(Scales=SCALING, Fixed=FIXED)

    app = pinned_app("app", {"name": "app", "deployments": theirs}, ["app/Scales"], there)

    assert app["deployments"] == [
        {"name": "Scales", "max_ongoing_requests": 7, **PINNED},
        {"name": "Fixed", "num_replicas": 3},
    ]


@pytest.mark.parametrize("config", [PINNED, {"num_replicas": 1}])
def test_one_fixed_replica_is_found(config):
    assert check_pinned(payload(Model=config), []) == ["app/Model"]


@pytest.mark.parametrize(
    ("config", "replicas", "why"),
    [
        (SCALING, ("RUNNING",), "app/Model scales up to 8 replicas"),
        (
            {"autoscaling_config": {"min_replicas": 0, "max_replicas": 1}},
            ("RUNNING",),
            "app/Model scales down to 0 replicas",
        ),
        (
            {"autoscaling_config": {"min_replicas": 1, "max_replicas": None}},
            ("RUNNING",),
            "app/Model scales up to ? replicas",
        ),
        ({"num_replicas": 2}, ("RUNNING", "RUNNING"), "app/Model has 2 replicas"),
        (PINNED, ("RUNNING", "STOPPING"), "has 2 replicas (RUNNING, STOPPING)"),
        (PINNED, ("STARTING",), "has 1 replica (STARTING)"),
        (PINNED, (), "has 0 replicas (none)"),
    ],
)
def test_anything_else_is_refused_with_what_there_is_and_what_to_do(config, replicas, why):
    with pytest.raises(TargetError) as caught:
        check_pinned(payload(replicas, Model=config), ["app/Model"])

    assert why in str(caught.value)
    assert "--deployment" in str(caught.value)


class TwoApps(Dashboard):
    """Serve with two applications, of which `Scales` follows the configuration that is put."""

    def __init__(self):
        super().__init__("http://127.0.0.1:1", time.time)
        self.put_body = None

    def get(self, _path, _read_timeout_s=None):
        scaling = SCALING if self.put_body is None else PINNED
        apps = {
            name: {
                "status": "RUNNING",
                "deployed_app_config": {"name": name, "import_path": "m:app"},
                "deployments": {
                    "Model": {
                        "deployment_config": scaling if name == "ours" else SCALING,
                        "replicas": [{"replica_id": "r", "state": "RUNNING"}],
                    }
                },
            }
            for name in ("ours", "theirs")
        }
        return Reply(json.dumps({"applications": apps}).encode(), 0.0, 0.0)

    def put(self, _path, body):
        self.put_body = body


PATIENCE = Patience(5, time.monotonic, time.sleep)


def test_what_others_have_deployed_is_put_again_as_it_was():
    dashboard = TwoApps()

    assert pin(dashboard, ["ours"], [], PATIENCE) == ["ours/Model"]

    ours, theirs = dashboard.put_body["applications"]
    assert ours["deployments"] == [{"name": "Model", **PINNED}]
    assert theirs == {"name": "theirs", "import_path": "m:app"}


def test_a_deployment_of_another_application_is_not_pinned():
    dashboard = TwoApps()

    with pytest.raises(UsageError, match="theirs/Model does not belong to ours"):
        pin(dashboard, ["ours"], ["theirs/Model"], PATIENCE)

    assert dashboard.put_body is None
