"""End of the watching of a scale-down: at the replicas that the settings keep, which are named."""

from typing import Any

import pytest

from scalelag.plugin.leader.watching.scale_down import is_calm, kept_by_settings
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import DeploymentPoll, Poll

KEY = "default/Model"


def described(**changed: Any) -> dict[str, DeploymentInfo]:
    settings = {"min_replicas": 1, "max_replicas": 8, "initial_replicas": 3}
    return {KEY: DeploymentInfo(**{"autoscaling": settings} | changed)}


def seen(target: int, **counts: int) -> Poll:
    polled = DeploymentPoll(counts or {"RUNNING": target}, target)
    return Poll(1.0, 1.1, 200, {KEY: polled}, None)


@pytest.mark.parametrize(
    ("changed", "target", "calm"),
    [
        ({}, 1, True),
        ({}, 3, False),
        ({"target_capacity": 100.0}, 3, True),  # initial_replicas are the minimum now
        ({"target_capacity": 100.0}, 4, False),
        ({"target_capacity": 100.0}, 1, True),  # below them: they are not
        ({"target_capacity": 100.0}, 2, False),
        ({"target_capacity": 50.0}, 2, True),  # 1.5 rounds up
        ({"external_scaler": True}, 5, True),
        ({"autoscaling": None}, 5, True),
    ],
)
def test_it_is_over_at_what_the_settings_keep(changed: dict[str, Any], target: int, calm: bool):
    assert is_calm(described(**changed), seen(target)) is calm


def test_it_is_not_over_while_one_stops_or_starts():
    assert not is_calm(described(), seen(1, RUNNING=1, STOPPING=1))
    assert not is_calm(described(), seen(1, STARTING=1))


def test_what_keeps_replicas_is_named():
    kept = described(target_capacity=100.0)

    assert list(kept_by_settings(kept, seen(3))) == [
        f"{KEY} stays at 3 replicas: initial_replicas at target_capacity 100 keeps them"
    ]


def test_a_minimum_of_one_is_not_worth_a_word():
    assert list(kept_by_settings(described(), seen(1))) == []
