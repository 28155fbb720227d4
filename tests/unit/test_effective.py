"""Settings in effect, from payloads as Ray gives them: capacity, policies, gangs, placement groups."""

import importlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probes.serve_state import ServePayload, parse_payload
from scalelag.record.effective import (
    adjusted,
    asked_by_replica,
    capacity_direction,
    described_need,
    scaling_of,
)
from scalelag.record.run_info import DeploymentInfo

REAL = Path(__file__).parent / "data" / "serve_2_60.json"
KEY = "default/Sleep"
OWN = "my.module:my_default_autoscaling_policy"
RAYS = "ray.serve.autoscaling_policy"


def payload(
    autoscaling: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    app: dict[str, Any] | None = None,
    **serve: Any,
) -> ServePayload:
    """The real answer of Ray 2.60 with these settings changed."""
    body = msgspec.json.decode(REAL.read_bytes())
    body |= serve
    body["applications"]["default"] |= app or {}
    deployment = body["applications"]["default"]["deployments"]["Sleep"]
    deployment["deployment_config"]["autoscaling_config"] |= autoscaling or {}
    deployment["deployment_config"] |= config or {}
    return parse_payload(msgspec.json.encode(body))


def info(*args: Any, **kwargs: Any) -> DeploymentInfo:
    return payload(*args, **kwargs).infos()[KEY]


# --- target_capacity -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "capacity", "expected"),
    [
        (3, None, 3),
        (3, 100, 3),
        (5, 50, 3),  # 2.5 goes up, not to the even number
        (3, 50, 2),
        (10, 33.3, 3),
        (10, 1, 1),  # never 0 but for 0 per cent or no replicas
        (10, 0, 0),
        (0, 50, 0),
    ],
)
def test_a_capacity_scales_as_ray_rounds(replicas: int, capacity: float | None, expected: int):
    assert adjusted(replicas, capacity) == expected


def test_rounding_is_that_of_the_installed_ray():
    utils = importlib.import_module("ray.serve._private.utils")
    wholes = [(n, c) for n in range(12) for c in (None, 0, 0.5, 12.5, 25, 33.3, 50, 75, 99.9, 100)]

    expected = [utils.get_capacity_adjusted_num_replicas(n, c) for n, c in wholes]
    assert [adjusted(n, c) for n, c in wholes] == expected


def test_both_bounds_are_scaled():
    found = scaling_of(info({"min_replicas": 2, "max_replicas": 8}, target_capacity=50))

    assert (found.least, found.most, found.capacity) == (1, 4, 50.0)


def test_without_a_capacity_initial_replicas_bind_nothing():
    found = scaling_of(info({"initial_replicas": 3}))

    assert (found.least, found.held_initial) == (1, False)


def test_under_a_capacity_initial_replicas_are_the_lower_bound():
    """The target of the answer, 4, is not below them: Serve may have been scaled up."""
    found = scaling_of(info({"initial_replicas": 3, "max_replicas": 4}, target_capacity=100))

    assert (found.least, found.held_initial) == (3, True)


def test_a_target_below_them_shows_that_initial_replicas_do_not_bind():
    found = scaling_of(info({"initial_replicas": 10, "max_replicas": 10}, target_capacity=50))

    assert (found.least, found.held_initial) == (1, False)


def test_a_fixed_number_is_scaled_too():
    fixed = DeploymentInfo(config={"num_replicas": 4}, target_capacity=50.0)

    assert (scaling_of(fixed).least, scaling_of(fixed).most) == (2, 2)


@pytest.mark.parametrize("odd", ["fifty", [50], {"at": 50}, True])
def test_an_odd_capacity_blinds_nothing(odd: object):
    assert info(target_capacity=odd).target_capacity is None


# --- policies ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        f"{RAYS}:default_autoscaling_policy",
        f"{RAYS}:replica_queue_length_autoscaling_policy",
        f"{RAYS}.replica_queue_length_autoscaling_policy",
    ],
)
@pytest.mark.parametrize("key", ["policy_function", "name"])
def test_rays_policy_is_known_by_its_whole_path(name: str, key: str):
    assert scaling_of(info({"policy": {key: name}})).own_policy is None


@pytest.mark.parametrize("name", [OWN, "default_autoscaling_policy", f"mine.{RAYS}:scale"])
def test_a_name_that_ends_alike_is_another_policy(name: str):
    found = scaling_of(info({"policy": {"policy_function": name}}))

    assert (found.own_policy, found.of_application) == (name, False)


def test_a_policy_of_the_application_stands_before_the_default_of_the_deployment():
    config = {"name": "default", "autoscaling_policy": {"policy_function": "mine:for_all"}}

    found = scaling_of(info(app={"source": "declarative", "deployed_app_config": config}))

    assert (found.own_policy, found.of_application) == ("mine:for_all", True)


@pytest.mark.parametrize(
    "odd", ["text", 7, [], {"autoscaling_policy": 3}, {"autoscaling_policy": {"name": 1}}]
)
def test_an_odd_configuration_of_the_application_blinds_nothing(odd: object):
    assert scaling_of(info(app={"deployed_app_config": odd})).own_policy is None


def test_an_external_scaler_is_told():
    found = scaling_of(info(app={"external_scaler_enabled": True}))

    assert found.external


def test_nothing_bounds_what_an_external_scaler_asks_for():
    found = scaling_of(DeploymentInfo(config={"num_replicas": 2}, external_scaler=True))

    assert (found.autoscales, found.least, found.most) == (False, 2, None)


# --- gangs and placement groups ---------------------------------------------------------------


def test_a_gang_rounds_up_to_whole_ones():
    gang = {"gang_size": 4, "gang_placement_strategy": "PACK"}

    found = scaling_of(info(config={"gang_scheduling_config": gang}))

    assert [found.in_gangs(n) for n in (0, 1, 4, 5)] == [0, 4, 4, 8]


def test_bundles_are_those_of_the_applications_configuration():
    """Ray leaves them out of the description of the deployment."""
    bundles = [{"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0}]
    listed = [{"name": "Other"}, {"name": "Sleep", "placement_group_bundles": bundles}]

    found = info(app={"source": "declarative", "deployed_app_config": {"deployments": listed}})

    assert asked_by_replica(found) == {"CPU": 2.0, "GPU": 1.0}
    assert described_need(found) == "a placement group of {1 CPU, 1 GPU} + {1 CPU}"


def test_without_bundles_the_actor_asks():
    assert asked_by_replica(info()) == {"CPU": 0.1}
    assert described_need(info()) == "0.1 CPU"


def test_odd_bundles_are_none():
    assert info(config={"placement_group_bundles": "two"}).placement_bundles == ()


# --- draining ---------------------------------------------------------------------------------


def test_an_ingress_is_told_and_drains_as_long_as_is_known():
    found = payload()

    assert found.infos()[KEY].is_ingress is True
    assert found.infos()[KEY].least_drain_s is None
    assert found.infos(least_drain_s=30.0)[KEY].least_drain_s == 30.0


def test_replicas_that_balancers_reach_drain_for_30_s():
    targets = [{"ip": "10.0.0.1", "port": 30000, "name": "SERVE_REPLICA::default#Sleep#2mxzummh"}]

    assert info(target_groups=[{"targets": targets}]).least_drain_s == 30.0


def test_what_is_no_ingress_does_not_drain_for_a_balancer():
    topology = {"nodes": {"Sleep": {"is_ingress": False}}}

    found = payload(app={"deployment_topology": topology}).infos(least_drain_s=30.0)[KEY]

    assert (found.is_ingress, found.least_drain_s) == (False, None)


def test_only_the_deployments_asked_for_are_described():
    assert payload().infos(["other/Sleep"]) == {}


# --- direction of a capacity ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "so_far", "expected"),
    [
        (None, 50.0, None, "down"),
        (50.0, 100.0, "down", "up"),
        (100.0, 50.0, "up", "down"),
        (50.0, 50.0, "up", "up"),
        (50.0, None, "up", None),
    ],
)
def test_the_direction_is_that_of_the_installed_ray(before, after, so_far, expected):
    controller = importlib.import_module("ray.serve._private.controller")
    schema = importlib.import_module("ray.serve.schema")
    common = importlib.import_module("ray.serve._private.common")
    way = {"up": common.TargetCapacityDirection.UP, "down": common.TargetCapacityDirection.DOWN}
    app = {"applications": [{"name": "a", "import_path": "mine:app"}]}

    theirs = controller.calculate_target_capacity_direction(
        schema.ServeDeploySchema(target_capacity=before, **app),
        schema.ServeDeploySchema(target_capacity=after, **app),
        way.get(so_far),
    )

    assert capacity_direction(before, after, so_far) == expected
    assert theirs == way.get(expected)


def test_other_applications_with_a_capacity_are_scaled_up():
    assert capacity_direction(None, 50.0, None, same_applications=False) == "up"


@pytest.mark.parametrize(("direction", "least"), [("up", 3), ("down", 1), (None, 1)])
def test_a_direction_that_was_seen_decides_whether_initial_replicas_bind(direction, least):
    """Without one, a target of 2 shows that they do not."""
    settings = {"min_replicas": 1, "initial_replicas": 3, "max_replicas": 8}
    described = DeploymentInfo(
        settings, target_capacity=100.0, target_replicas=2, capacity_direction=direction
    )

    assert scaling_of(described).least == least


@pytest.mark.parametrize("odd", [{"a": 1}, "yes", 3, [[]], None])
def test_what_is_odd_around_a_deployment_blinds_nothing(odd: object):
    app = {"external_scaler_enabled": odd, "deployment_topology": odd, "deployed_app_config": odd}

    found = info(app=app, target_groups=odd, target_capacity=[odd])

    assert (found.external_scaler, found.is_ingress, found.least_drain_s) == (False, None, None)
    assert (found.app_policy, found.target_capacity, found.placement_bundles) == (None, None, ())
