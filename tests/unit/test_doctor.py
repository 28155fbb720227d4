"""Lines of `doctor` on a deployment: its settings, names of old Ray versions, and what is around."""

from typing import Any

from probes.serve_state import DeploymentPayload, ReplicaPayload
from scalelag.cli.doctor import described
from scalelag.record.deployment_info import DeploymentInfo

TWO = DeploymentPayload(
    status="HEALTHY", replicas=[ReplicaPayload("r1", "RUNNING"), ReplicaPayload("r2", "RUNNING")]
)


def line(autoscaling: dict[str, Any] | None = None, **around: Any) -> str:
    return described(TWO, DeploymentInfo(autoscaling, **around))


def test_the_old_name_of_the_target_stands_in_for_a_null_new_one():
    """The payload of Ray 2.10 has both."""
    old = {
        "max_replicas": 4,
        "target_num_ongoing_requests_per_replica": 1.0,
        "target_ongoing_requests": None,
    }

    assert line(old) == (
        "2 replicas, HEALTHY; max_replicas 4, target_num_ongoing_requests_per_replica 1"
    )


def test_the_new_name_stands_alone_where_it_is_set():
    both = {"target_num_ongoing_requests_per_replica": 1.0, "target_ongoing_requests": 2.0}

    assert line(both) == "2 replicas, HEALTHY; target_ongoing_requests 2"


def test_a_capacity_is_told_with_the_bounds_in_effect():
    found = line({"min_replicas": 2, "max_replicas": 8}, target_capacity=50.0)

    assert found.endswith("min_replicas 2, max_replicas 8; target_capacity 50: 1 to 4 in effect")


def test_initial_replicas_that_are_kept_are_told():
    found = line({"initial_replicas": 3, "max_replicas": 8}, target_capacity=100.0)

    assert found.endswith("initial_replicas at target_capacity 100 keeps 3")


def test_a_policy_of_the_application_is_told():
    found = line({"max_replicas": 8}, app_policy="mine:for_all")

    assert found.endswith("max_replicas 8; policy of its application mine:for_all")


def test_an_external_scaler_is_told():
    assert line(external_scaler=True) == (
        "2 replicas, HEALTHY; no autoscaling; an external scaler decides (external_scaler_enabled)"
    )


def test_gangs_and_bundles_are_told():
    found = line(
        {"max_replicas": 8},
        config={"gang_scheduling_config": {"gang_size": 4}},
        placement_bundles=({"GPU": 1.0}, {"CPU": 2.0}),
    )

    assert found.endswith("gangs of 4; a placement group of {1 GPU} + {2 CPU}")
