"""The private names of Ray that its autoscaler is called by: imported once, and checked."""

import importlib
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, get_args

import msgspec

from scalelag.errors import UsageError

_STATE = "ray.serve._private.autoscaling_state"
_POLICY = "ray.serve.autoscaling_policy"
_COMMON = "ray.serve._private.common"
_NEEDED = {
    "ray": ("__version__",),
    _STATE: ("ApplicationAutoscalingState", "DeploymentAutoscalingState"),
    _POLICY: (),
    _COMMON: (
        "DeploymentID",
        "DeploymentHandleSource",
        "HandleMetricReport",
        "ReplicaID",
        "RUNNING_REQUESTS_KEY",
        "TargetCapacityDirection",
        "TimeStampedValue",
    ),
    "ray.serve._private.config": ("DeploymentConfig",),
    "ray.serve._private.deployment_info": ("DeploymentInfo",),
    "ray.serve.config": ("AutoscalingConfig", "AutoscalingPolicy"),
}
_OF_APPLICATION = (
    "get_decision_num_replicas",
    "record_request_metrics_for_handle",
    "register",
    "register_deployment",
    "update_running_replica_ids",
)
_OF_REPORT = frozenset(
    {
        "actor_id",
        "deployment_id",
        "handle_id",
        "handle_source",
        "metrics",
        "queued_requests",
        "timestamp",
    }
)
_AVERAGED_BY_HANDLE = frozenset({"aggregated_metrics", "aggregated_queued_requests"})


class RayNames(msgspec.Struct, frozen=True):
    """Classes and modules of the installed Ray; `clocked` are the modules that read the time.

    `handle_averages` tells that handles average their metrics themselves (2.55 and earlier), and
    `replica_keys` that they name replicas by their ReplicaID (before 2.55).
    """

    version: str
    application_state: Callable[..., Any]
    deployment_id: Callable[..., Any]
    replica_id: Callable[..., Any]
    value_at: Callable[..., Any]
    handle_report: Callable[..., Any]
    proxy_source: Any
    running_key: str
    deployment_config: Callable[..., Any]
    deployment_info: Callable[..., Any]
    autoscaling_config: Any
    autoscaling_policy: Callable[..., Any]
    capacity_directions: Any
    clocked: tuple[ModuleType, ...]
    handle_averages: bool
    replica_keys: bool


def ray_names() -> RayNames:
    """Return the names of the installed Ray.

    Raises UsageError if Ray is missing, or is a version in which they have moved.
    """
    try:
        found = {name: importlib.import_module(name) for name in _NEEDED}
    except ImportError as error:
        raise _unsupported(f"{error}") from error
    missing = [
        f"{module}.{name}"
        for module, names in _NEEDED.items()
        for name in names
        if not hasattr(found[module], name)
    ]
    if missing:
        raise _unsupported(f"it has no {', '.join(missing)}", found)
    _check_shapes(found)
    return _named(found)


def _check_shapes(found: dict[str, ModuleType]) -> None:
    """Raise UsageError if a class has other methods or fields than we call it with."""
    application = found[_STATE].ApplicationAutoscalingState
    missing = [name for name in _OF_APPLICATION if not hasattr(application, name)]
    if missing:
        raise _unsupported(f"ApplicationAutoscalingState has no {', '.join(missing)}", found)
    fields: set[str] = set(found[_COMMON].HandleMetricReport.__dataclass_fields__)
    differing = fields - _AVERAGED_BY_HANDLE ^ _OF_REPORT
    if differing:
        named = ", ".join(sorted(differing))
        raise _unsupported(f"HandleMetricReport differs in {named}", found)


def _named(found: dict[str, ModuleType]) -> RayNames:
    common, config = found[_COMMON], found["ray.serve.config"]
    fields = common.HandleMetricReport.__dataclass_fields__
    # Gauges of a process that is part of no cluster go nowhere, and cost more than the decision.
    found[_STATE].DeploymentAutoscalingState.record_autoscaling_metrics = _no_gauges
    warnings.filterwarnings("ignore", message=".*metrics_interval_s.*")
    return RayNames(
        version=found["ray"].__version__,
        application_state=found[_STATE].ApplicationAutoscalingState,
        deployment_id=common.DeploymentID,
        replica_id=common.ReplicaID,
        value_at=common.TimeStampedValue,
        handle_report=common.HandleMetricReport,
        proxy_source=common.DeploymentHandleSource.PROXY,
        running_key=common.RUNNING_REQUESTS_KEY,
        deployment_config=found["ray.serve._private.config"].DeploymentConfig,
        deployment_info=found["ray.serve._private.deployment_info"].DeploymentInfo,
        autoscaling_config=config.AutoscalingConfig,
        autoscaling_policy=config.AutoscalingPolicy,
        capacity_directions=common.TargetCapacityDirection,
        clocked=(found[_STATE], found[_POLICY]),
        handle_averages=fields.keys() >= _AVERAGED_BY_HANDLE,
        replica_keys=get_args(get_args(fields["metrics"].type)[1])[0] is common.ReplicaID,
    )


def _no_gauges(*_: object, **__: object) -> None:
    """Take the place of `record_autoscaling_metrics`."""


def _unsupported(why: str, found: dict[str, ModuleType] | None = None) -> UsageError:
    version = found["ray"].__version__ if found else "of this environment"
    return UsageError(
        f"Ray {version} cannot be asked for its autoscaling decisions: {why}. "
        "Simulation calls private functions of Ray; install a version of those in docs/whatif.md, "
        "such as 2.60.0."
    )
