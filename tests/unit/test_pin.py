"""One fixed replica for a deployment: in what Serve is told, and in what it says."""

import json

import pytest

from probes.payload import parse_payload
from scalelag.errors import TargetError
from scalelag.target.pin import check_pinned, pinned_app

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


def test_another_application_stays_as_it_is():
    there = payload(Scales=SCALING)

    assert pinned_app("other", {"name": "other"}, ["app/Scales"], there)["deployments"] == []


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
        ({"num_replicas": 2}, ("RUNNING", "RUNNING"), "app/Model has 2 replicas"),
        (PINNED, ("RUNNING", "STOPPING"), "has 2 replicas (RUNNING, STOPPING)"),
        (PINNED, ("STARTING",), "has 1 replicas (STARTING)"),
        (PINNED, (), "has 0 replicas (none)"),
    ],
)
def test_anything_else_is_refused_with_what_there_is_and_what_to_do(config, replicas, why):
    with pytest.raises(TargetError) as caught:
        check_pinned(payload(replicas, Model=config), ["app/Model"])

    assert why in str(caught.value)
    assert "--deployment" in str(caught.value)
