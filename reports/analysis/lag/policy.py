"""Autoscaling settings in effect of a deployment, with Ray's defaults for those not recorded."""

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.model.controller import DEFAULT_LOOP_S
from scalelag.ray_versions import (
    DELAYS_BY_CLOCK,
    DOWNSCALING_NAMES,
    POLICY_OF_YOUR_OWN_TIMED,
    TARGET_ONGOING_NAMES,
    UPSCALING_NAMES,
    is_at_least,
    is_before,
)
from scalelag.record.effective import Scaling, scaling_of
from scalelag.record.run_info import DeploymentInfo

_ROUNDING = 1e-6
_LOOPS = 4
EXTERNAL = "an external scaler decides (external_scaler_enabled): what it wants is not known"
_BY_WAY_OF_ONE = "downscale_to_zero_delay_s"
"""Came with the rule that the last replica goes alone (`_apply_delay_logic`); null if unset."""


class Policy(msgspec.Struct, frozen=True):
    """An autoscaling configuration in effect. Durations in seconds; the names are Ray Serve's.

    `min_replicas` and `max_replicas` are those in effect; `scaling` tells where they come from.
    `default` is False for a policy of the user's own, whose demand is not known. `timed`: Ray
    applies delays, factors and bounds. It does so to its own policy always, to others since 2.55
    (`_apply_autoscaling_config` and `_apply_app_level_autoscaling_config` in
    `ray/serve/autoscaling_policy.py`). From zero, the policy goes to `first_replicas` without a
    delay, until one is RUNNING. `by_way_of_one`: the last replica, or gang, goes by a decision of
    its own. `delays_in_turns`: delays are counted in turns of the control loop (before 2.55). The
    factors multiply the way from the present number of replicas to the wanted one.
    """

    min_replicas: int
    max_replicas: int
    target_ongoing_requests: float
    metrics_interval_s: float
    look_back_period_s: float
    upscale_delay_s: float
    downscale_delay_s: float
    downscale_to_zero_delay_s: float
    aggregation: str
    graceful_shutdown_wait_loop_s: float
    scaling: Scaling
    default: bool = True
    timed: bool = True
    first_replicas: int = 1
    by_way_of_one: bool = True
    delays_in_turns: bool = False
    least_drain_s: float | None = None
    upscaling_factor: float = 1.0
    downscaling_factor: float = 1.0

    @property
    def whose(self) -> str | None:
        """Whose policy it is, as a text which adds that its demand is not known; None for Ray's."""
        if self.default:
            return None
        if self.scaling.external:
            return EXTERNAL
        owner = "its application has" if self.scaling.of_application else "it has"
        return (
            f"{owner} an autoscaling policy of its own, {self.scaling.own_policy}: what that wants is "
            "not known"
        )

    def demand(self, ongoing: NDArray[np.float64]) -> NDArray[np.int64]:
        """Replicas that the default policy settles at for each mean of open requests, unbounded.

        Ray computes `ceil(n * (ongoing / (n * target_ongoing_requests)))`, without any tolerance
        (`ray/serve/autoscaling_policy.py`). Its scaling factors change the way there, not the end.
        Gangs round it up to whole gangs (`GangSchedulingAutoscalingPolicy`).
        """
        replicas = whole_replicas(ongoing / self.target_ongoing_requests)
        size = self.scaling.gang_size
        return replicas if size == 1 else -(-replicas // size) * size

    def demand_of(self, ongoing: float) -> int:
        """The demand for one mean of open requests."""
        return int(self.demand(np.array([ongoing]))[0])

    def bounded_demand(self, ongoing: NDArray[np.float64]) -> NDArray[np.int64]:
        """The demand within `min_replicas` and `max_replicas`."""
        return np.clip(self.demand(ongoing), self.min_replicas, self.max_replicas)

    @property
    def sample_s(self) -> float:
        """Interval between samples of ongoing requests: `r = min(0.2 L, p)` (docs/metrics.md#floor)."""
        return min(0.2 * self.look_back_period_s, self.metrics_interval_s)

    def noticed_s(self, loop_s: float | None = None) -> float:
        """Longest time, in seconds, until the autoscaler knows that it wants other replicas."""
        pushed_s = max(self.metrics_interval_s, self.look_back_period_s)
        return self.sample_s + pushed_s + _LOOPS * (loop_s or DEFAULT_LOOP_S)

    @property
    def shortest_drain_s(self) -> float:
        """Least seconds that a stopped replica stays: only after them it checks if it is done."""
        return max(self.graceful_shutdown_wait_loop_s, self.least_drain_s or 0.0)

    def delays(self, before: int, after: int, seen: int | None = None) -> tuple[float, ...]:
        """Delays, one after another, on the way from `before` to `after` replicas.

        A factor below 1 splits one decision into several, each with its delay, but into no more
        than were `seen`. Up from zero the first decision has no delay
        (`_get_cold_start_scale_up_replicas`), so delays count only for the replicas beyond
        `first_replicas`. Down to zero the last replica, or gang, waits for
        `downscale_to_zero_delay_s`, and those before it for `downscale_delay_s`
        (`_apply_delay_logic`).
        """
        others = None if seen is None else seen - 1
        if after > before:
            first = before or self.first_replicas
            made = self._decisions(first, after, seen if before else others) if after > first else 0
            return (self.upscale_delay_s,) * made
        if after > 0 or not self.by_way_of_one:
            return (self.downscale_delay_s,) * self._decisions(before, after, seen)
        one = self.scaling.gang_size
        made = self._decisions(before, one, others) if before > one else 0
        return (*(self.downscale_delay_s,) * made, self.downscale_to_zero_delay_s)

    def _decisions(self, before: int, after: int, seen: int | None) -> int:
        """Decisions that lead from one number to another (`_apply_scaling_factors`)."""
        up, count = after > before, 0
        factor = self.upscaling_factor if up else self.downscaling_factor
        while before != after and factor > 0:
            part = math.ceil(before + min(factor, 1.0) * (after - before))
            before = min(part, after) if up else max(min(part, before - 1), after)
            count += 1
        return max(1, count if seen is None else min(count, seen))


def whole_replicas(replicas: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round up, but ignore the noise of a computed mean: a millionth above n counts as n."""
    return np.ceil(replicas * (1 - _ROUNDING)).astype(np.int64)


def why_no_policy(info: DeploymentInfo | None) -> str:
    """Reason for which a deployment has no policy: it does not scale, or an external scaler decides."""
    is_external = info is not None and info.external_scaler
    return EXTERNAL if is_external else "its number of replicas is fixed"


def policy_of(info: DeploymentInfo | None, ray: str | None = None) -> Policy | None:
    """Policy of a deployment under version `ray`; None if its number of replicas is fixed."""
    if info is None or info.autoscaling is None:
        return None
    config, scaling = info.autoscaling, scaling_of(info)
    default = scaling.own_policy is None and not scaling.external
    downscale_delay_s = _number(config, 600.0, "downscale_delay_s")
    factor = _number(config, 1.0, *UPSCALING_NAMES)
    return Policy(
        min_replicas=scaling.least,
        max_replicas=scaling.least if scaling.most is None else scaling.most,
        # Ray refuses 0; a record may hold anything.
        target_ongoing_requests=_number(config, 2.0, *TARGET_ONGOING_NAMES) or 2.0,
        metrics_interval_s=_number(config, 10.0, "metrics_interval_s"),
        look_back_period_s=_number(config, 30.0, "look_back_period_s"),
        upscale_delay_s=_number(config, 30.0, "upscale_delay_s"),
        downscale_delay_s=downscale_delay_s,
        downscale_to_zero_delay_s=_number(config, downscale_delay_s, "downscale_to_zero_delay_s"),
        aggregation=str(config.get("aggregation_function") or "mean"),
        graceful_shutdown_wait_loop_s=_number(info.config, 2.0, "graceful_shutdown_wait_loop_s"),
        scaling=scaling,
        default=default,
        timed=default or (not scaling.external and is_at_least(ray, POLICY_OF_YOUR_OWN_TIMED)),
        first_replicas=scaling.in_gangs(math.ceil(factor)),
        by_way_of_one=_BY_WAY_OF_ONE in config,
        delays_in_turns=is_before(ray, DELAYS_BY_CLOCK),
        least_drain_s=info.least_drain_s,
        upscaling_factor=factor,
        downscaling_factor=_number(config, 1.0, *DOWNSCALING_NAMES),
    )


def _number(config: dict[str, Any], default: float, *names: str) -> float:
    found = (config.get(name) for name in names)
    return next((float(v) for v in found if isinstance(v, int | float)), default)
