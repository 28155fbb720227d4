"""A deployment's settings as deployed: part of `run.json`, and of the rows that change it."""

from typing import Any, Literal

import msgspec

CapacityDirection = Literal["up", "down"]


class DeploymentInfo(msgspec.Struct, frozen=True):
    """A deployment as deployed; `autoscaling` is None if its number of replicas is fixed.

    `app_policy` is the path of its application's policy, which then decides instead of its own.
    `target_capacity` is Serve's, in per cent, None if it is not set. `external_scaler` tells that
    calls of somebody else's decide. `placement_bundles` are those of each replica's placement group;
    Ray shows them only for applications that were deployed from a configuration which has them.
    `target_replicas` was the target when this was read. `least_drain_s` is how long a stopped replica
    stays reachable at least, where that can be seen (HAProxy mode and direct ingress: 30 s);
    `is_ingress` is None before Ray 2.53. `capacity_direction` is the way that Serve went to its
    `target_capacity`, known only where that was seen to change. What else they mean:
    `scalelag.record.effective`.
    """

    autoscaling: dict[str, Any] | None = None
    config: dict[str, Any] = {}
    required_resources: dict[str, float] | None = None
    app_policy: str | None = None
    target_capacity: float | None = None
    external_scaler: bool = False
    placement_bundles: tuple[dict[str, float], ...] = ()
    target_replicas: int | None = None
    is_ingress: bool | None = None
    least_drain_s: float | None = None
    capacity_direction: CapacityDirection | None = None
