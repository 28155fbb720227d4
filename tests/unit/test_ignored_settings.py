"""Findings on configurations that differ from what Serve has deployed."""

from typing import Any

import msgspec
import pytest

from probes.serve_state import ServePayload, parse_payload
from scalelag.cluster.ignored_settings import dropped_settings, ignored_settings

DEPLOYED = {
    "max_ongoing_requests": 5,
    "graceful_shutdown_timeout_s": 20.0,
    "autoscaling_config": {
        "min_replicas": 1,
        "max_replicas": 4,
        "upscale_delay_s": 30.0,
        "downscaling_factor": None,
        "aggregation_function": "mean",
        "policy": {"policy_function": "ray.serve:default_autoscaling_policy", "policy_kwargs": {}},
    },
}


def payload(*asked: dict[str, Any]) -> ServePayload:
    """One application with the deployment `Model`, whose configuration, if any, lists `asked`."""
    config = {"name": "one", "import_path": "m:app", "deployments": asked} if asked else None
    deployments = {"Model": {"deployment_config": DEPLOYED}}
    body = {"applications": {"one": {"deployed_app_config": config, "deployments": deployments}}}
    return parse_payload(msgspec.json.encode(body))


def texts(*asked: dict[str, Any]) -> list[str]:
    findings = ignored_settings(payload(*asked))
    assert {finding.deployment for finding in findings} <= {"one/Model"}
    return [f"{finding.rule}: {finding.text}" for finding in findings]


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "Model"},
        {"name": "Model", "num_replicas": "auto"},
        {"name": "Model", "autoscaling_config": {"min_replicas": 1, "max_replicas": 4.0}},
        {"name": "Model", "autoscaling_config": {"aggregation_function": "MEAN", "policy": {}}},
        {"name": "Model", "autoscaling_config": {"nothing": None, "downscaling_factor": 0.5}},
        {"name": "Model", "autoscaling_config": None, "max_ongoing_requests": 5},
        {"name": "Other", "autoscaling_config": {"upscale_delay": 3}},
        {},
    ],
)
def test_what_was_taken_over_is_well(asked):
    assert texts(asked) == []


def test_an_application_from_python_asks_for_nothing():
    assert ignored_settings(payload()) == []


def test_a_key_that_serve_dropped_is_named_with_the_one_that_was_meant():
    (text,) = texts({"name": "Model", "autoscaling_config": {"upscale_delay": 3.0}})

    assert text == (
        "setting-read-nowhere: autoscaling_config.upscale_delay 3 is read nowhere: Serve knows no "
        "such setting and left it out. Did you mean upscale_delay_s, now 30?"
    )


def test_a_key_that_resembles_none_is_to_be_removed():
    (text,) = texts({"name": "Model", "autoscaling_config": {"turbo": True}})

    assert text.endswith(
        "autoscaling_config.turbo True is read nowhere: Serve knows no such "
        "setting and left it out. Remove it."
    )


def test_a_value_that_was_not_carried_out_is_named_with_both():
    asked = {"max_ongoing_requests": 9, "autoscaling_config": {"max_replicas": 8}}
    found = texts({"name": "Model", **asked})

    assert [text.split(", although")[0] for text in found] == [
        "setting-not-in-effect: max_ongoing_requests is 5",
        "setting-not-in-effect: autoscaling_config.max_replicas is 4",
    ]
    assert "asks for 8: that has not been carried out" in found[1]


# --- keys that Serve drops before it keeps a copy ----------------------------------------------


def test_keys_of_a_file_that_serves_copy_lacks_are_named_at_every_level():
    given = {
        "name": "one",
        "import_path": "m:app",
        "route_prefx": "/",
        "deployments": [
            {"name": "Model", "max_ongoing_request": 3, "ray_actor_options": {"num_cpu": 2}}
        ],
    }
    there = payload({"name": "Model", "ray_actor_options": {}})

    found = dropped_settings([given], there)

    assert [(f.deployment, f.text.split(" is read")[0]) for f in found] == [
        (None, "one: route_prefx /"),
        ("one/Model", "max_ongoing_request 3"),
        ("one/Model", "ray_actor_options.num_cpu 2"),
    ]
    assert found[1].text.endswith("Did you mean max_ongoing_requests?")
    assert found[2].text.endswith("Did you mean num_cpus?")


def test_a_file_that_was_taken_whole_is_well():
    given = {"name": "one", "import_path": "m:app", "deployments": [{"name": "Model"}]}

    assert dropped_settings([given], payload({"name": "Model"})) == []


def test_an_application_that_is_not_there_is_passed_over():
    given = {"name": "two", "import_path": "m:app", "nonsense": 1}

    assert dropped_settings([given], payload({"name": "Model"})) == []
    assert dropped_settings([given | {"name": "one"}], payload()) == []
