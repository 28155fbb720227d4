"""Autoscaling settings of a deployment, with Ray's defaults for those not recorded."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.record.run_info import DeploymentInfo

DEFAULT_LOOP_S = 0.1
"""Pause between two turns of the controller's loop (RAY_SERVE_CONTROL_LOOP_INTERVAL_S)."""

_ROUNDING = 1e-6
_DEFAULT_POLICIES = ("default_autoscaling_policy", "replica_queue_length_autoscaling_policy")


class Policy(msgspec.Struct, frozen=True):
    """An autoscaling configuration. Durations in seconds; the names are Ray Serve's.

    `default` is False for a policy of the user's own, of whose timing nothing is known.
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
    default: bool = True

    def demand(self, ongoing: NDArray[np.float64]) -> NDArray[np.int64]:
        """Replicas that the default policy settles at for each mean of open requests, unbounded.

        Ray computes `ceil(n * (ongoing / (n * target_ongoing_requests)))`, without any tolerance
        (`ray/serve/autoscaling_policy.py`); its scaling factors change the way there, not the end.
        """
        return whole_replicas(ongoing / self.target_ongoing_requests)

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


def whole_replicas(replicas: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round up, except for the noise of a computed mean: a millionth above n counts as n."""
    return np.ceil(replicas * (1 - _ROUNDING)).astype(np.int64)


def policy_of(info: DeploymentInfo | None) -> Policy | None:
    """Policy of a deployment; None if its number of replicas is fixed."""
    if info is None or info.autoscaling is None:
        return None
    config = info.autoscaling
    downscale_delay_s = _number(config, 600.0, "downscale_delay_s")
    return Policy(
        min_replicas=int(_number(config, 1, "min_replicas")),
        max_replicas=int(_number(config, 1, "max_replicas")),
        target_ongoing_requests=_number(
            config, 2.0, "target_ongoing_requests", "target_num_ongoing_requests_per_replica"
        ),
        metrics_interval_s=_number(config, 10.0, "metrics_interval_s"),
        look_back_period_s=_number(config, 30.0, "look_back_period_s"),
        upscale_delay_s=_number(config, 30.0, "upscale_delay_s"),
        downscale_delay_s=downscale_delay_s,
        downscale_to_zero_delay_s=_number(config, downscale_delay_s, "downscale_to_zero_delay_s"),
        aggregation=str(config.get("aggregation_function") or "mean"),
        graceful_shutdown_wait_loop_s=_number(info.config, 2.0, "graceful_shutdown_wait_loop_s"),
        default=_is_default(config),
    )


def _number(config: dict[str, Any], default: float, *names: str) -> float:
    found = (config.get(name) for name in names)
    return next((float(v) for v in found if isinstance(v, int | float)), default)


def _is_default(config: dict[str, Any]) -> bool:
    policy = config.get("policy") or config.get("_policy")
    function = policy.get("policy_function") if isinstance(policy, dict) else policy
    return not isinstance(function, str) or function.endswith(_DEFAULT_POLICIES)
