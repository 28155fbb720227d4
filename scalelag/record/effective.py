"""Settings in effect of a deployment: what Ray makes of its configuration and of what is around it."""

import math
from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeGuard

import msgspec

from scalelag.ray_versions import MAX_ONGOING_NAMES
from scalelag.record.deployment_info import CapacityDirection, DeploymentInfo

DEFAULT_POLICIES = frozenset(
    f"ray.serve.autoscaling_policy{separator}{name}"
    for separator in (":", ".")
    for name in ("default_autoscaling_policy", "replica_queue_length_autoscaling_policy")
)
"""Ray's own policy, by every path to it: `DEFAULT_AUTOSCALING_POLICY_NAME` in
`ray/serve/_private/constants.py`, and its function. `AutoscalingPolicy.serialize_policy` in
`ray/serve/config.py` joins the path of a callable with a dot."""

_PER_CENT = 100.0


class Scaling(msgspec.Struct, frozen=True):
    """Bounds of a deployment's number of replicas, and who decides it.

    `least` and `most` are in effect: scaled by `capacity` (`target_capacity`, in per cent, None if it
    is not set). `most` is None if nothing bounds it: an external scaler decides. `held_initial`
    tells that `least` is initial_replicas and not min_replicas (see `scaling_of`). `own_policy` is
    the path of a policy that is not Ray's, `of_application` whether it stands at the application.
    """

    autoscales: bool
    least: int
    most: int | None
    capacity: float | None = None
    held_initial: bool = False
    gang_size: int = 1
    own_policy: str | None = None
    of_application: bool = False
    external: bool = False

    @property
    def least_name(self) -> str:
        """The setting that `least` comes from, with what scales it."""
        named = "initial_replicas" if self.held_initial else "min_replicas"
        return f"{named if self.autoscales else 'num_replicas'}{self._at_capacity}"

    @property
    def most_name(self) -> str:
        """The setting that `most` comes from, with what scales it."""
        return f"{'max_replicas' if self.autoscales else 'num_replicas'}{self._at_capacity}"

    @property
    def _at_capacity(self) -> str:
        if self.capacity is None or (self.capacity == _PER_CENT and not self.held_initial):
            return ""
        return f" at target_capacity {self.capacity:g}"

    def in_gangs(self, replicas: int) -> int:
        """Replicas of the fewest whole gangs that make up `replicas`."""
        return whole_gangs(replicas, self.gang_size)


def scaling_of(info: DeploymentInfo) -> Scaling:
    """Bounds in effect, as `get_num_replicas_lower_bound` and `.._upper_bound` compute them.

    While Serve scales up to a `target_capacity`, and until that is set back, the lower bound is
    initial_replicas and not min_replicas (`DeploymentAutoscalingState` in
    `ray/serve/_private/autoscaling_state.py`). The direction is not in the payload. If no change of
    the capacity was seen, a target below initial_replicas shows that it is down; otherwise it is
    taken to be up.
    """
    capacity = info.target_capacity
    if info.autoscaling is None:
        fixed = adjusted(_count(info.config.get("num_replicas"), 1), capacity)
        external = info.external_scaler
        return Scaling(
            autoscales=False,
            least=fixed,
            most=None if external else fixed,
            capacity=capacity,
            gang_size=_gang_size(info),
            external=external,
        )
    config, gang_size = info.autoscaling, _gang_size(info)
    least = adjusted(_count(config.get("min_replicas"), 1), capacity)
    most = adjusted(_count(config.get("max_replicas"), 1), capacity)
    initial = _held_initial(info, least)
    own = info.app_policy or own_policy(config)
    return Scaling(
        autoscales=True,
        least=min(most, whole_gangs(least if initial is None else initial, gang_size)),
        most=most,
        capacity=capacity,
        held_initial=initial is not None,
        gang_size=gang_size,
        own_policy=own,
        of_application=info.app_policy is not None,
        external=info.external_scaler,
    )


def deployed_replicas(info: DeploymentInfo) -> int:
    """Return the replicas that Ray deploys: initial_replicas within the bounds, else the fewest.

    (`DeploymentAutoscalingState.register` in `ray/serve/_private/autoscaling_state.py`)
    """
    scaling = scaling_of(info)
    initial: object = (info.autoscaling or {}).get("initial_replicas")
    if not is_number(initial):
        return scaling.least
    wanted = scaling.in_gangs(int(initial))
    return max(scaling.least, wanted if scaling.most is None else min(wanted, scaling.most))


def adjusted(replicas: int, capacity: float | None) -> int:
    """`replicas` under a `target_capacity`, as `get_capacity_adjusted_num_replicas` rounds it.

    Halves go up, and only 0 per cent, or 0 replicas, make 0 (`ray/serve/_private/utils.py`).
    """
    if capacity is None or capacity == _PER_CENT:
        return replicas
    if capacity == 0 or replicas == 0:
        return 0
    scaled = Decimal(replicas * capacity) / Decimal(_PER_CENT)
    return max(1, int(scaled.to_integral_value(rounding=ROUND_HALF_UP)))


def capacity_direction(
    before: float | None,
    after: float | None,
    direction: CapacityDirection | None,
    *,
    same_applications: bool = True,
) -> CapacityDirection | None:
    """Direction after a change of the capacity, as `calculate_target_capacity_direction` has it.

    `direction` is the one so far. From none at all to a number goes down, unless other applications
    are deployed with it (`ray/serve/_private/controller.py`).
    """
    if after is None:
        return None
    if not same_applications:
        return "up"
    if before == after:
        return direction
    return "up" if before is not None and before < after else "down"


def whole_gangs(replicas: int, gang_size: int) -> int:
    """`replicas` rounded up to whole gangs (`GangSchedulingAutoscalingPolicy`)."""
    return math.ceil(replicas / gang_size) * gang_size


def own_policy(config: dict[str, Any]) -> str | None:
    """Path of a policy of the user's own in an autoscaling configuration; None if it is Ray's.

    Ray names it `policy_function`, and `name` in some versions before 2.55.
    """
    policy = config.get("policy") or config.get("_policy")
    if isinstance(policy, dict):
        policy = policy.get("policy_function") or policy.get("name")
    return policy if isinstance(policy, str) and policy not in DEFAULT_POLICIES else None


def asked_by_replica(info: DeploymentInfo) -> dict[str, float]:
    """Resources of one replica: those of its placement group, or else of its actor.

    Ray's `required_resources` are the actor's alone (`ReplicaConfig.resource_dict`), and missing
    before 2.43.
    """
    if info.placement_bundles:
        summed: Counter[str] = Counter()
        for bundle in info.placement_bundles:
            summed.update(bundle)
        return {name: amount for name, amount in summed.items() if amount > 0}
    if info.required_resources:
        return info.required_resources
    options = info.config.get("ray_actor_options") or {}
    asked = {"CPU": float(options.get("num_cpus", 1)), "GPU": float(options.get("num_gpus", 0))}
    asked |= {name: float(amount) for name, amount in (options.get("resources") or {}).items()}
    return {name: amount for name, amount in asked.items() if amount > 0}


def described_need(info: DeploymentInfo) -> str:
    """Demand of one replica in words: its resources, or the bundles of its placement group."""
    if info.placement_bundles:
        bundles = " + ".join(f"{{{_amounts(bundle)}}}" for bundle in info.placement_bundles)
        return f"a placement group of {bundles}"
    return _amounts(asked_by_replica(info))


def around_it(info: DeploymentInfo) -> Iterator[str]:
    """Yield what is in effect beside the deployment's own autoscaling configuration, in words."""
    scaling = scaling_of(info)
    if scaling.external:
        yield "an external scaler decides (external_scaler_enabled)"
    elif scaling.capacity is not None:
        yield f"target_capacity {scaling.capacity:g}: {scaling.least} to {scaling.most} in effect"
    if scaling.held_initial:
        yield f"{scaling.least_name} keeps {scaling.least}"
    if scaling.own_policy is not None:
        owner = " of its application" if scaling.of_application else ""
        yield f"policy{owner} {scaling.own_policy}"
    if scaling.gang_size > 1:
        yield f"gangs of {scaling.gang_size}"
    if info.placement_bundles:
        yield described_need(info)


def _amounts(resources: dict[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in sorted(resources.items()))


def _held_initial(info: DeploymentInfo, least: int) -> int | None:
    """Number of initial replicas in effect, if it is the lower bound."""
    given: object = (info.autoscaling or {}).get("initial_replicas")
    if info.target_capacity is None or not is_number(given) or info.capacity_direction == "down":
        return None
    initial = adjusted(int(given), info.target_capacity)
    seen = info.target_replicas if info.capacity_direction is None else None
    is_below = seen is not None and seen < initial
    return None if is_below or initial <= least else initial


def _gang_size(info: DeploymentInfo) -> int:
    gang = info.config.get("gang_scheduling_config")
    size = gang.get("gang_size") if isinstance(gang, dict) else None
    return max(1, _count(size, 1))


def _count(value: object, default: int) -> int:
    return int(value) if is_number(value) else default


def is_number(value: object) -> TypeGuard[int | float]:
    """Return True for a number in a configuration, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def slots_of(info: DeploymentInfo | None) -> int | None:
    """Requests that one replica takes at once, by its settings; None if they do not tell."""
    values = [info.config.get(name) for name in MAX_ONGOING_NAMES] if info else []
    return next((value for value in values if isinstance(value, int) and value > 0), None)
