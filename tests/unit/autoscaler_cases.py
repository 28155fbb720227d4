"""A deployment with autoscaling, for Ray's autoscaler on virtual time."""

from typing import Any

from scalelag.record.deployment_info import DeploymentInfo

KEY = "app/D"
START_S = 1_800_000_000.0


def info_of(**settings: Any) -> DeploymentInfo:
    return DeploymentInfo(autoscaling={"min_replicas": 1, "max_replicas": 8, **settings})
