import importlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.standin.payload import payload_at
from tests.support.standin.scenarios import one_deployment, random_script, steady_replica
from tests.support.standin.script import (
    DeploymentScript,
    Fault,
    ReplicaScript,
    Script,
    StatusOverride,
)

# Ray 2.60.0 while a deployment went from 1 to 4 replicas.
REAL_BODY = json.loads(Path(__file__).with_name("serve_2_60.json").read_text(encoding="utf-8"))
ACTOR_KEYS = {
    *("node_id", "node_ip", "node_instance_id", "actor_id", "actor_name"),
    *("worker_id", "log_file_path"),
}


def deployment_of(body: dict[str, Any]) -> dict[str, Any]:
    return body["applications"]["default"]["deployments"]["Model"]


def shape(value: Any, path: str = "") -> set[tuple[str, str]]:
    """Every path in a body with the JSON type that is found there; node ids are all alike."""
    if isinstance(value, dict):
        named = {key if len(key) != 56 else "<node>": item for key, item in value.items()}
        return {(path, "object")}.union(*(shape(v, f"{path}.{k}") for k, v in named.items()))
    if isinstance(value, list):
        # As one variant per item: an item without a key differs from one that has it.
        return {(path, "array"), *((path, repr(sorted(shape(item)))) for item in value)}
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {(path, "number" if number else type(value).__name__)}


def change_times(script: Script) -> list[float]:
    """Every time at which a replica of `default`, a target or the controller changes."""
    deployments = script.applications["default"].values()
    replicas = [msgspec.structs.asdict(r) for d in deployments for r in d.replicas]
    times = {value for replica in replicas for value in replica.values() if type(value) is float}
    times |= {at_s for d in deployments for at_s, _ in d.targets}
    return sorted(times | {t for f in script.faults for t in (f.start_s, f.start_s + 1.0)})


def test_a_scale_up_has_the_shape_and_the_words_of_the_real_body():
    new = [ReplicaScript(name, 25.30) for name in ("bbbbbbbb", "cccccccc", "dddddddd")]
    deployment = DeploymentScript(targets=((-1.0, 1), (25.2, 4)), replicas=(steady_replica(), *new))
    script = Script(applications={"default": {"Sleep": deployment}})

    body = payload_at(script, 27.0)

    assert shape(body) == shape(REAL_BODY)
    words = ("name", "status", "status_trigger", "message", "target_num_replicas")
    here = body["applications"]["default"]["deployments"]["Sleep"]
    real = REAL_BODY["applications"]["default"]["deployments"]["Sleep"]
    assert [here[word] for word in words] == [real[word] for word in words]
    assert [list(replica) for replica in here["replicas"]] == [
        list(replica) for replica in real["replicas"]
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("seed", range(3))
def test_rays_own_schema_accepts_every_body(seed: int):
    schema = importlib.import_module("ray.serve.schema")  # here, as it takes seconds and warns
    script = random_script(seed, duration_s=20.0)
    script = msgspec.structs.replace(script, faults=(Fault("restart", 10.0, seconds=1.0),))

    for t_s in change_times(script):
        schema.ServeInstanceDetails.model_validate(payload_at(script, t_s, 1.8e9))


def test_a_body_of_2_10_lacks_what_came_later():
    script = one_deployment(ReplicaScript("aaaaaaaa", -3.0, -2.0, -1.0), schema="2.10")

    body = payload_at(script, 0.0)

    assert set(body) == {
        *("controller_info", "proxy_location", "http_options", "grpc_options", "proxies"),
        *("applications", "target_capacity", "deploy_mode"),
    }
    assert "log_file_path" not in body["controller_info"]
    assert set(body["applications"]["default"]) == {
        *("name", "route_prefix", "docs_path", "status", "message", "last_deployed_time_s"),
        *("deployed_app_config", "deployments"),
    }
    assert set(deployment_of(body)) == {
        *("name", "status", "status_trigger", "message", "deployment_config"),
        *("target_num_replicas", "replicas"),
    }
    assert set(deployment_of(body)["replicas"][0]) == ACTOR_KEYS - {"node_instance_id"} | {
        *("replica_id", "state", "pid", "start_time_s"),
    }


@pytest.mark.parametrize(
    ("t_s", "state", "placed"),
    [
        (0.999, None, False),
        (1.0, "STARTING", False),
        (1.999, "STARTING", False),
        (2.0, "STARTING", True),
        (3.0, "RUNNING", True),
        (4.0, "STOPPING", True),
        (5.0, None, False),
    ],
)
def test_a_replica_changes_exactly_at_its_times(t_s: float, state: str | None, *, placed: bool):
    script = one_deployment(ReplicaScript("aaaaaaaa", 1.0, 2.0, 3.0, 4.0, 5.0))

    replicas = deployment_of(payload_at(script, t_s, 1000.0))["replicas"]

    assert [replica["state"] for replica in replicas] == ([] if state is None else [state])
    for replica in replicas:
        assert replica["start_time_s"] == 1001.0
        assert set(replica) - {"replica_id", "state", "start_time_s"} == (
            ACTOR_KEYS | {"pid"} if placed else {"actor_name"}
        )


def test_a_phase_without_length_is_never_shown():
    script = one_deployment(ReplicaScript("aaaaaaaa", 1.0, 1.0, 1.0, 2.0, 2.0))

    bodies = [payload_at(script, t_s) for t_s in (0.999, 1.0, 1.999, 2.0)]

    shown = [[replica["state"] for replica in deployment_of(b)["replicas"]] for b in bodies]
    assert shown == [[], ["RUNNING"], ["RUNNING"], []]


@pytest.mark.parametrize(
    ("t_s", "expected"),
    [
        (0.0, ("HEALTHY", "CONFIG_UPDATE_COMPLETED", "")),
        (1.0, ("UPSCALING", "AUTOSCALING", "Upscaling from 1 to 2 replicas.")),
        (3.0, ("HEALTHY", "UPSCALE_COMPLETED", "")),
        (5.0, ("DOWNSCALING", "AUTOSCALING", "Downscaling from 2 to 1 replicas.")),
        (7.0, ("HEALTHY", "DOWNSCALE_COMPLETED", "")),
        (9.0, ("UNHEALTHY", "HEALTH_CHECK_FAILED", "no answer")),
    ],
)
def test_the_status_follows_the_replicas(t_s: float, expected: tuple[str, str, str]):
    deployment = DeploymentScript(
        targets=((-60.0, 1), (1.0, 2), (5.0, 1)),
        replicas=(steady_replica(), ReplicaScript("bbbbbbbb", 1.1, 2.0, 3.0, 5.1, 7.0)),
        statuses=(StatusOverride(9.0, 10.0, "UNHEALTHY", "HEALTH_CHECK_FAILED", "no answer"),),
    )

    here = deployment_of(payload_at(Script(applications={"default": {"Model": deployment}}), t_s))

    assert (here["status"], here["status_trigger"], here["message"]) == expected
    dead = [replica["state"] for replica in here["recent_dead_replicas"]]
    assert dead == (["STOPPED"] if t_s >= 7.0 else [])


def test_a_restart_recovers_the_replicas_under_the_same_actor():
    script = one_deployment(steady_replica(), faults=(Fault("restart", 5.0, seconds=2.0),))

    before, during, after = (payload_at(script, t_s, 1000.0) for t_s in (4.9, 6.0, 7.0))

    replicas = [deployment_of(body)["replicas"][0] for body in (before, during, after)]
    assert [replica["state"] for replica in replicas] == ["RUNNING", "RECOVERING", "RUNNING"]
    assert [replica["start_time_s"] for replica in replicas] == [940.0, 1004.992, 1004.992]
    assert len({replica["actor_id"] for replica in replicas}) == 1
    healths = [body["controller_health_metrics"] for body in (before, during, after)]
    assert [health["controller_start_time"] for health in healths] == [400.0, 1005.0, 1005.0]
    assert len({body["controller_info"]["actor_id"] for body in (before, during, after)}) == 1
    assert deployment_of(during)["status"] == "UPDATING"
    assert during["applications"]["default"]["status"] == "DEPLOYING"
    assert (during["proxies"], len(after["proxies"])) == ({}, 1)


def test_the_same_seed_gives_the_same_script():
    assert random_script(7, deployments=2) == random_script(7, deployments=2)
    assert random_script(7) != random_script(8)


@pytest.mark.parametrize("seed", range(50))
def test_random_timelines_follow_their_steps(seed: int):
    script = random_script(seed, deployments=2, duration_s=10.0, step_up_s=1.0, step_down_s=5.0)

    for deployment in script.applications["default"].values():
        (_, low), (grown_s, high), (shrunk_s, last) = deployment.targets
        new = [replica for replica in deployment.replicas if replica.created_s > 0]
        gone = [replica for replica in deployment.replicas if replica.gone_s is not None]
        assert (deployment.step_up_s, deployment.step_down_s) == (1.0, 5.0)
        assert 1.0 <= grown_s < 5.0 <= shrunk_s < 10.0
        assert low == last < high == len(deployment.replicas)
        assert len(new) == len(gone) == high - low
        for replica in new:
            assert replica.allocated_s is not None
            assert replica.running_s is not None
            assert grown_s <= replica.created_s <= replica.allocated_s <= replica.running_s < 5.0
        for replica in gone:
            assert replica.stopping_s is not None
            assert replica.gone_s is not None
            assert shrunk_s <= replica.stopping_s <= replica.gone_s < 10.0
