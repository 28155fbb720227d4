"""Parser of `GET /api/serve/applications/`. Fields that a Ray version lacks are None.

Since which Ray version: `target_num_replicas` 2.10, `required_resources` about 2.42,
`controller_health_metrics` about 2.54. Unset fields are absent, not null.
"""

from typing import Any

import msgspec

from scalelag.errors import TargetError
from scalelag.record.rows import ControllerHealth, DeploymentKey
from scalelag.record.run_info import DeploymentInfo

_NULL = msgspec.Raw(b"null")


class ReplicaPayload(msgspec.Struct, frozen=True):
    """One replica; `node_id` is absent until it is allocated."""

    replica_id: str
    state: str
    node_id: str | None = None
    start_time_s: float | None = None
    log_file_path: str | None = None


class DeploymentPayload(msgspec.Struct, frozen=True):
    """One deployment. Its config is decoded once a run, not at each poll."""

    status: str | None = None
    status_trigger: str | None = None
    message: str = ""
    target_num_replicas: int | None = None
    required_resources: dict[str, float] | None = None
    deployment_config: msgspec.Raw = _NULL
    replicas: list[ReplicaPayload] = []

    def info(self) -> DeploymentInfo:
        """Return the deployment as deployed. Raises TargetError if its config cannot be parsed."""
        try:
            config = msgspec.json.decode(self.deployment_config, type=dict[str, Any] | None) or {}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise TargetError(
                f"The dashboard's configuration of a deployment cannot be parsed: {error}. Check that "
                "this Ray version is supported (docs/troubleshooting.md)."
            ) from error
        autoscaling = config.get("autoscaling_config")
        return DeploymentInfo(
            autoscaling=autoscaling if isinstance(autoscaling, dict) else None,
            config={k: v for k, v in config.items() if k in _KEPT_CONFIG},
            required_resources=self.required_resources,
        )


_KEPT_CONFIG = (
    "num_replicas",
    "max_ongoing_requests",
    "max_concurrent_queries",
    "max_queued_requests",
    "graceful_shutdown_wait_loop_s",
    "graceful_shutdown_timeout_s",
    "health_check_period_s",
    "health_check_timeout_s",
    "max_replicas_per_node",
    "ray_actor_options",
)


class ApplicationPayload(msgspec.Struct, frozen=True):
    """One application. `deployed_app_config` is null for one deployed from Python."""

    status: str | None = None
    message: str = ""
    route_prefix: str | None = None
    deployed_app_config: dict[str, Any] | None = None
    deployments: dict[str, DeploymentPayload] = {}


class ProxyPayload(msgspec.Struct, frozen=True):
    """Serve's proxy on one node."""

    status: str | None = None
    log_file_path: str | None = None


class ControllerPayload(msgspec.Struct, frozen=True):
    """Node and log file of the controller."""

    node_id: str | None = None
    log_file_path: str | None = None


class _Summary(msgspec.Struct, frozen=True):
    mean: float | None = None
    max: float | None = None


class _Health(msgspec.Struct, frozen=True):
    timestamp: float | None = None
    controller_start_time: float | None = None
    last_control_loop_time: float | None = None
    num_control_loops: int | None = None
    event_loop_delay_s: float | None = None
    process_memory_mb: float | None = None
    loop_duration_s: _Summary | None = None
    handle_metrics_delay_ms: _Summary | None = None


class ServePayload(msgspec.Struct, frozen=True):
    """The whole answer. Settings of the whole of Serve are left undecoded, as JSON text."""

    applications: dict[str, ApplicationPayload]
    proxies: dict[str, ProxyPayload] = {}
    controller_info: ControllerPayload | None = None
    controller_health_metrics: _Health | None = None
    target_capacity: msgspec.Raw = _NULL
    proxy_location: msgspec.Raw = _NULL
    http_options: msgspec.Raw = _NULL
    grpc_options: msgspec.Raw = _NULL

    def deployments(self) -> dict[DeploymentKey, DeploymentPayload]:
        """Deployments of all applications, by `app/Deployment`."""
        return {
            f"{app_name}/{name}": deployment
            for app_name, app in self.applications.items()
            for name, deployment in app.deployments.items()
        }

    def controller(self) -> ControllerHealth | None:
        """Health that the controller reports; None before Ray 2.54."""
        health = self.controller_health_metrics
        if health is None:
            return None
        loop = health.loop_duration_s or _Summary()
        delay = health.handle_metrics_delay_ms or _Summary()
        return ControllerHealth(
            timestamp_s=health.timestamp,
            start_time_s=health.controller_start_time,
            last_control_loop_s=health.last_control_loop_time,
            loops=health.num_control_loops,
            loop_mean_s=loop.mean,
            loop_max_s=loop.max,
            event_loop_delay_s=health.event_loop_delay_s,
            handle_metrics_delay_ms=delay.max,
            memory_mb=health.process_memory_mb,
        )


_DECODER = msgspec.json.Decoder(ServePayload)


def parse_payload(body: bytes) -> ServePayload:
    """Parse an answer. Raises TargetError if it is not Serve's."""
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TargetError(
            f"The dashboard's answer about Serve cannot be parsed: {error}. Check that --dashboard is "
            "the URL of a Ray dashboard."
        ) from error
