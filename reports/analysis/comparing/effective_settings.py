"""Settings of a deployment as they take effect, in the words of the newest Ray.

Versions of Ray list other keys, under other names, and spell other defaults out; none of that is a
difference between two deployments.
"""

from typing import Any

from scalelag.ray_versions import DOWNSCALING_NAMES, TARGET_ONGOING_NAMES, UPSCALING_NAMES
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import DEFAULT_POLICIES, described_need, scaling_of, slots_of

_DEFAULTS: dict[str, Any] = {
    "min_replicas": 1,
    "max_replicas": 1,
    "target_ongoing_requests": 2.0,
    "metrics_interval_s": 10.0,
    "look_back_period_s": 30.0,
    "upscale_delay_s": 30.0,
    "downscale_delay_s": 600.0,
    "aggregation_function": "mean",
}
# Ray takes the first of these that is not null.
_ALIASES: dict[str, tuple[str, ...]] = {
    "target_ongoing_requests": TARGET_ONGOING_NAMES,
    "upscaling_factor": UPSCALING_NAMES,
    "downscaling_factor": DOWNSCALING_NAMES,
    "policy": ("policy", "_policy"),
}
_DEFAULTS_OF_ALIASES: dict[str, Any] = {"upscaling_factor": 1.0, "downscaling_factor": 1.0}
_DEFAULTS_AROUND: dict[str, Any] = {
    "max_queued_requests": -1,
    "graceful_shutdown_wait_loop_s": 2.0,
    "graceful_shutdown_timeout_s": 20.0,
    "health_check_period_s": 10.0,
    "health_check_timeout_s": 30.0,
    "max_replicas_per_node": None,
}


def effective_settings(info: DeploymentInfo | None) -> dict[str, Any]:
    """Settings that differ from their defaults in no more than effect; empty without a deployment.

    `max_ongoing_requests` is missing where the record does not know it: its default depends on the
    version of Ray.
    """
    if info is None:
        return {}
    scaling = scaling_of(info)
    found: dict[str, Any] = {
        **_autoscaling(info.autoscaling),
        **{name: _or(info.config.get(name), usual) for name, usual in _DEFAULTS_AROUND.items()},
        "target_capacity": info.target_capacity,
        "external_scaler_enabled": info.external_scaler,
        "gang_size": scaling.gang_size,
        "resources": described_need(info),
    }
    fixed = _or(info.config.get("num_replicas"), 1)
    found["num_replicas"] = fixed if info.autoscaling is None else "autoscaling"
    if info.autoscaling is not None and info.app_policy is not None:
        found["policy"] = f"{_policy(info.app_policy)} of its application"
    if (slots := slots_of(info)) is not None:
        found["max_ongoing_requests"] = slots
    return found


def _or(value: object, usual: object) -> object:
    return usual if value is None else value


def _autoscaling(autoscaling: dict[str, Any] | None) -> dict[str, Any]:
    """Settings of the autoscaler; empty for fixed replicas."""
    if autoscaling is None:
        return {}
    renamed = {name for names in _ALIASES.values() for name in names}
    given = {
        name: value
        for name, value in autoscaling.items()
        if value is not None and name not in renamed and not name.startswith("_")
    }
    for name, names in _ALIASES.items():
        found = next((autoscaling[one] for one in names if autoscaling.get(one) is not None), None)
        if found is not None:
            given[name] = found
    given["policy"] = _policy(given.get("policy"))
    return {**_DEFAULTS, **_DEFAULTS_OF_ALIASES, **given}


def _policy(value: object) -> object:
    """A policy with its arguments; "default" under whatever name Ray has for it."""
    if isinstance(value, dict):
        function = value.get("policy_function") or value.get("name")
        rest = {k: v for k, v in value.items() if k not in ("policy_function", "name") and v}
    else:
        function, rest = value, {}
    named = "default" if function is None or function in DEFAULT_POLICIES else function
    return {"policy_function": named, **rest} if rest else named
