"""Parsing of the dashboard's answers about Serve, from several versions of Ray, and of bad answers."""

from pathlib import Path

import msgspec
import pytest

from probes.serve_state import parse_payload
from scalelag.errors import TargetError
from scalelag.record.rows import ControllerHealth

REAL_2_60 = Path(__file__).parent / "data" / "serve_2_60.json"


@pytest.fixture(scope="module")
def real() -> bytes:
    """An answer of Ray 2.60.0 while Sleep goes from 1 to 4 replicas."""
    return REAL_2_60.read_bytes()


def like_2_10() -> bytes:
    """An answer as of Ray 2.10: fewer fields, and old names of settings."""
    return msgspec.json.encode(
        {
            "controller_info": {"node_id": "n1", "actor_id": "a1"},
            "proxy_location": "EveryNode",
            "proxies": {},
            "applications": {
                "default": {
                    "name": "default",
                    "route_prefix": "/",
                    "status": "RUNNING",
                    "message": "",
                    "last_deployed_time_s": 1.0,
                    "deployments": {
                        "Model": {
                            "name": "Model",
                            "status": "HEALTHY",
                            "status_trigger": "CONFIG_UPDATE_COMPLETED",
                            "message": "",
                            "deployment_config": {
                                "num_replicas": 2,
                                "max_concurrent_queries": 100,
                            },
                            "target_num_replicas": 2,
                            "replicas": [
                                {"replica_id": "r1", "state": "RUNNING", "node_id": "n1"},
                                {"replica_id": "r2", "state": "STARTING"},
                            ],
                        }
                    },
                }
            },
        }
    )


# --- Ray 2.60 --------------------------------------------------------------------------------


def test_a_real_answer_of_2_60_shows_its_replicas(real: bytes):
    deployments = parse_payload(real).deployments()

    assert list(deployments) == ["default/Sleep"]
    sleep = deployments["default/Sleep"]
    assert (sleep.status, sleep.status_trigger) == ("UPSCALING", "AUTOSCALING")
    assert sleep.message == "Upscaling from 1 to 4 replicas."
    assert sleep.target_num_replicas == 4
    assert [(r.replica_id, r.state, r.start_time_s) for r in sleep.replicas] == [
        ("2mxzummh", "RUNNING", 1795371948.0811086),
        ("ncweslwa", "STARTING", 1795371973.3681054),
        ("e1tsk0c5", "STARTING", 1795371973.3683887),
        ("xjuiol4q", "STARTING", 1795371973.3686113),
    ]


def test_a_replica_of_2_60_has_no_node_until_it_is_allocated(real: bytes):
    replicas = parse_payload(real).deployments()["default/Sleep"].replicas

    assert [r.node_id for r in replicas] == [
        "ee839f90af0c6dbd178f531dc6ae33a44876fb21ba51426c12fbfeaf",
        None,
        None,
        None,
    ]
    assert [r.log_file_path for r in replicas] == [
        "/serve/replica_default_Sleep_2mxzummh.log",
        None,
        None,
        None,
    ]


def test_a_controller_of_2_60_says_how_it_is(real: bytes):
    assert parse_payload(real).controller() == ControllerHealth(
        timestamp_s=1795371975.4068995,
        start_time_s=1795371947.2227638,
        last_control_loop_s=1795371975.3707755,
        loops=266,
        loop_mean_s=0.007701129913330078,
        loop_max_s=0.14790773391723633,
        event_loop_delay_s=0.0118934154510498,
        handle_metrics_delay_ms=15.055656433105469,
        memory_mb=165.39453125,
        loops_per_s=9.437933561747903,
        sleep_s=0.1118934154510498,
        expected_sleep_s=0.1,
        asyncio_tasks=8,
        handle_ingest_ms=0.3354800357259689,
        decode_ms=0.1571840000086208,
        handle_reports=28,
        replica_reports=0,
        ingest_cpu_ratio=0.0003830307912830113,
        deployments_update_s=0.0026636385917663576,
        applications_update_s=0.0008633065223693847,
        proxies_update_s=2.9926300048828124e-05,
        nodes_update_s=1.8072128295898437e-05,
    )


def test_a_deployment_of_2_60_tells_its_configuration(real: bytes):
    info = parse_payload(real).deployments()["default/Sleep"].info()

    assert info.autoscaling is not None
    assert info.autoscaling["upscale_delay_s"] == 2.0
    assert info.autoscaling["max_replicas"] == 4
    assert info.required_resources == {"CPU": 0.1}
    assert info.config == {
        "max_ongoing_requests": 5,
        "max_queued_requests": -1,
        "graceful_shutdown_wait_loop_s": 0.5,
        "graceful_shutdown_timeout_s": 20.0,
        "health_check_period_s": 10.0,
        "health_check_timeout_s": 30.0,
        "ray_actor_options": {"num_cpus": 0.1},
    }


def test_an_application_of_2_60_is_described(real: bytes):
    app = parse_payload(real).applications["default"]

    assert (app.status, app.route_prefix, app.deployed_app_config) == ("RUNNING", "/", None)


# --- older versions --------------------------------------------------------------------------


def test_fields_that_2_10_lacks_are_none():
    payload = parse_payload(like_2_10())

    model = payload.deployments()["default/Model"]
    assert payload.controller() is None
    assert model.required_resources is None
    assert model.target_num_replicas == 2
    assert [(r.node_id, r.start_time_s, r.log_file_path) for r in model.replicas] == [
        ("n1", None, None),
        (None, None, None),
    ]


def test_a_deployment_of_2_10_with_a_fixed_number_of_replicas_has_no_autoscaling():
    info = parse_payload(like_2_10()).deployments()["default/Model"].info()

    assert info.autoscaling is None
    assert info.config == {"num_replicas": 2, "max_concurrent_queries": 100}
    assert info.required_resources is None


def test_a_target_that_is_not_told_is_none():
    body = msgspec.json.decode(like_2_10())
    del body["applications"]["default"]["deployments"]["Model"]["target_num_replicas"]

    model = parse_payload(msgspec.json.encode(body)).deployments()["default/Model"]

    assert model.target_num_replicas is None


def test_health_figures_may_be_missing_one_by_one():
    body = b'{"applications": {}, "controller_health_metrics": {"timestamp": 5.0}}'

    assert parse_payload(body).controller() == ControllerHealth(timestamp_s=5.0)


def test_a_deployment_without_a_configuration_has_an_empty_one():
    body = b'{"applications": {"a": {"deployments": {"D": {}}}}}'

    info = parse_payload(body).deployments()["a/D"].info()

    assert (info.autoscaling, info.config, info.required_resources) == (None, {}, None)


def test_fields_of_later_versions_are_ignored():
    body = b'{"applications": {"a": {"mood": 1, "deployments": {"D": {"hue": []}}}}, "new": {}}'

    assert list(parse_payload(body).deployments()) == ["a/D"]


# --- several, and none -----------------------------------------------------------------------


def test_deployments_are_named_by_application_and_deployment():
    apps = {"a": {"deployments": {"D": {}, "E": {}}}, "b": {"deployments": {"D": {}}}}

    payload = parse_payload(msgspec.json.encode({"applications": apps}))

    assert list(payload.deployments()) == ["a/D", "a/E", "b/D"]


def test_a_dashboard_without_serve_has_no_deployments():
    payload = parse_payload(b'{"applications": {}}')

    assert payload.deployments() == {}
    assert payload.controller() is None


def test_an_application_that_is_still_deploying_has_no_deployments():
    payload = parse_payload(b'{"applications": {"a": {"status": "DEPLOYING", "deployments": {}}}}')

    assert payload.applications["a"].status == "DEPLOYING"
    assert payload.deployments() == {}


# --- garbage ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"17",
        b"<html><body>502 Bad Gateway</body></html>",
        b"\xff\xfe\x00",
        b'{"applications"',
        b'{"applications": null}',
        b'{"applications": []}',
        b'{"applications": {"a": 5}}',
        b'{"applications": {"a": {"deployments": []}}}',
        b'{"applications": {"a": {"deployments": {"D": {"replicas": 3}}}}}',
        b'{"applications": {"a": {"deployments": {"D": {"replicas": [{"state": "RUNNING"}]}}}}}',
        b'{"applications": {"a": {"deployments": {"D": {"target_num_replicas": "4"}}}}}',
        b'{"applications": {"a": {"message": "\xff"}}}',
        b'{"applications": {}} {}',
    ],
)
def test_an_answer_that_is_none_of_serves_is_a_target_error(body: bytes):
    with pytest.raises(TargetError, match="cannot be parsed"):
        parse_payload(body)


@pytest.mark.parametrize("body", [b"{}", b'{"result": false, "msg": "no"}'])
def test_an_object_without_applications_is_a_target_error(body: bytes):
    # Taken for an answer it would say that every replica has gone.
    with pytest.raises(TargetError):
        parse_payload(body)


def test_an_answer_nested_beyond_measure_is_a_target_error():
    with pytest.raises(TargetError):
        parse_payload(b'{"a":' * 100_000)


@pytest.mark.parametrize("config", [b"[1]", b'"\xff"'])
def test_a_configuration_that_is_no_object_is_a_target_error(config: bytes):
    body = b'{"applications": {"a": {"deployments": {"D": {"deployment_config": %s}}}}}' % config

    with pytest.raises(TargetError):
        parse_payload(body).deployments()["a/D"].info()


def test_a_real_answer_cut_anywhere_is_a_target_error(real: bytes):
    whole = real.rstrip()

    unharmed = []
    for offset in range(0, len(whole), 7):
        try:
            parse_payload(whole[:offset])
        except TargetError:
            continue
        unharmed.append(offset)

    assert unharmed == []
