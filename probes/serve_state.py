"""Parser of `GET /api/serve/applications/`. Fields that a Ray version lacks are None.

Unset fields are absent, not null. `scalelag/ray_versions.py` has the version that brought each.
"""

from collections.abc import Collection
from typing import Any

import msgspec

from probes.controller_health import HealthPayload
from scalelag.errors import UNREADABLE, TargetError
from scalelag.record.rows import ControllerHealth, DeploymentKey
from scalelag.record.run_info import DeploymentInfo
from scalelag.record.secrets import without_secrets

_NULL = msgspec.Raw(b"null")
_FROM_PYTHON = "imperative"
_PROXY_DRAIN_S = 30.0
"""RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S, by default."""
_REPLICA_TARGET = "SERVE_REPLICA::"


def _lenient(raw: msgspec.Raw) -> object:
    """Value of a field that is used once a run; None if it is no JSON.

    Polls leave such fields undecoded: what is odd in them must not blind the probe.
    """
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _listed(value: object) -> list[dict[str, Any]]:
    """Mappings of a list; empty if it is none."""
    return [_mapping(one) for one in value] if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


class ReplicaPayload(msgspec.Struct, frozen=True):
    """One replica; `node_id` is absent until it is allocated."""

    replica_id: str
    state: str
    node_id: str | None = None
    start_time_s: float | None = None
    log_file_path: str | None = None


class DeploymentPayload(msgspec.Struct, frozen=True):
    """One deployment. Its config is decoded once a run, not at each poll.

    `info` has what stands at the deployment itself; `ServePayload.infos` all that is in effect.
    """

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
        except UNREADABLE as error:
            raise TargetError(
                f"The dashboard's configuration of a deployment cannot be parsed: {error}. Check that "
                "this Ray version is supported (docs/troubleshooting.md)."
            ) from error
        autoscaling = config.get("autoscaling_config")
        return DeploymentInfo(
            autoscaling=without_secrets(autoscaling) if isinstance(autoscaling, dict) else None,
            config=without_secrets({k: v for k, v in config.items() if k in KEPT_CONFIG}),
            required_resources=self.required_resources,
            placement_bundles=_bundles(config),
            target_replicas=self.target_num_replicas,
        )


def _bundles(config: dict[str, Any]) -> tuple[dict[str, float], ...]:
    """Bundles of a placement group in a deployment's options; empty if they are not as Ray's."""
    try:
        found = msgspec.convert(
            config.get("placement_group_bundles"), list[dict[str, float]] | None
        )
    except msgspec.ValidationError:
        return ()
    return tuple(found or ())


KEPT_CONFIG = (
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
    "gang_scheduling_config",
)


class ApplicationPayload(msgspec.Struct, frozen=True):
    """One application. What is used once a run is left undecoded, as JSON text."""

    status: str | None = None
    message: str = ""
    route_prefix: str | None = None
    config: msgspec.Raw = msgspec.field(default=_NULL, name="deployed_app_config")
    source: str | None = None
    external_scaler_enabled: msgspec.Raw = _NULL
    deployment_topology: msgspec.Raw = _NULL
    deployments: dict[str, DeploymentPayload] = {}

    @property
    def deployed_app_config(self) -> dict[str, Any] | None:
        """The configuration that it was deployed from; None for one deployed from Python.

        Where `serve.run` replaced what a configuration had deployed, Serve still shows that one
        (`get_app_configs` in `ray/serve/_private/controller.py`).
        """
        config = None if self.source == _FROM_PYTHON else _lenient(self.config)
        return _mapping(config) if isinstance(config, dict) else None

    @property
    def policy(self) -> str | None:
        """Path of the whole application's policy (Ray 2.54); None if each deployment has its own."""
        policy = _mapping((self.deployed_app_config or {}).get("autoscaling_policy"))
        function = policy.get("policy_function") or policy.get("name")
        return function if isinstance(function, str) else None

    def bundles(self, name: str) -> tuple[dict[str, float], ...]:
        """Bundles of each replica of deployment `name`, from the configuration of the application.

        Its description at the deployment leaves them out (`_deployment_info_to_schema` in
        `ray/serve/schema.py`).
        """
        listed = _listed((self.deployed_app_config or {}).get("deployments"))
        return next((_bundles(one) for one in listed if one.get("name") == name), ())

    def is_ingress(self, name: str) -> bool | None:
        """Return True if deployment `name` takes requests from outside; None before Ray 2.53."""
        nodes = _mapping(_mapping(_lenient(self.deployment_topology)).get("nodes"))
        found = _mapping(nodes.get(name)).get("is_ingress")
        return found if isinstance(found, bool) else None


class ProxyPayload(msgspec.Struct, frozen=True):
    """Serve's proxy on one node."""

    status: str | None = None
    log_file_path: str | None = None


class ControllerPayload(msgspec.Struct, frozen=True):
    """Node, worker and log file of the controller. The last two are others after a restart."""

    node_id: str | None = None
    worker_id: str | None = None
    log_file_path: str | None = None


class _ServeFields(msgspec.Struct, frozen=True, kw_only=True):
    """All of an answer but its applications. Settings are left undecoded, as JSON text."""

    proxies: dict[str, ProxyPayload] = {}
    controller_info: ControllerPayload | None = None
    controller_health_metrics: HealthPayload | None = None
    target_capacity: msgspec.Raw = _NULL
    proxy_location: msgspec.Raw = _NULL
    http_options: msgspec.Raw = _NULL
    grpc_options: msgspec.Raw = _NULL
    target_groups: msgspec.Raw = _NULL


class ServePayload(_ServeFields, frozen=True, kw_only=True):
    """The whole answer."""

    applications: dict[str, ApplicationPayload]

    @property
    def capacity(self) -> float | None:
        """`target_capacity` in per cent; None if it is not set."""
        value = _lenient(self.target_capacity)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value)

    @property
    def reaches_replicas(self) -> bool:
        """True if balancers send requests to replicas directly, who then drain for 30 s at least.

        In HAProxy mode Serve shows its proxies instead, as it does without (`get_target_groups` in
        `ray/serve/_private/controller.py`).
        """
        groups = _listed(_lenient(self.target_groups))
        targets = (target for group in groups for target in _listed(group.get("targets")))
        return any(str(target.get("name")).startswith(_REPLICA_TARGET) for target in targets)

    def infos(
        self, keys: Collection[DeploymentKey] | None = None, least_drain_s: float | None = None
    ) -> dict[DeploymentKey, DeploymentInfo]:
        """Return the deployments `keys`, or all, with the settings in effect that stand elsewhere.

        Keys without a deployment are left out. `least_drain_s` is the draining period of an ingress in
        HAProxy mode, where that is known. Raises TargetError if a config cannot be parsed.
        """
        if least_drain_s is None and self.reaches_replicas:
            least_drain_s = _PROXY_DRAIN_S
        return {
            key: _in_application(app, name, self.capacity, least_drain_s)
            for app_name, app in self.applications.items()
            for name in app.deployments
            for key in (f"{app_name}/{name}",)
            if keys is None or key in keys
        }

    @property
    def rebuilt(self) -> frozenset[str]:
        """Applications that hide their deployments while a new version of them is built.

        The old ones go on meanwhile, also after a build that failed (`_set_target_state` with an
        unbuilt configuration in `ray/serve/_private/application_state.py`).
        """
        return frozenset(
            name
            for name, app in self.applications.items()
            if not app.deployments and app.status in ("DEPLOYING", "DEPLOY_FAILED")
        )

    def deployments(self) -> dict[DeploymentKey, DeploymentPayload]:
        """Deployments of all applications, by `app/Deployment`."""
        return {
            f"{app_name}/{name}": deployment
            for app_name, app in self.applications.items()
            for name, deployment in app.deployments.items()
        }

    def application_of(self, key: DeploymentKey, later: Collection[str] = ()) -> str:
        """Name of the application of a deployment. Both names may have slashes in them.

        Of a deployment that is not there it is the longest name of an application that fits, or what
        stands before the first slash. Applications `later` may come.
        """
        for name, app in self.applications.items():
            if key.startswith(f"{name}/") and key[len(name) + 1 :] in app.deployments:
                return name
        fits = [name for name in (*self.applications, *later) if key.startswith(f"{name}/")]
        return max(fits, key=len, default=key.partition("/")[0])

    def controller(self) -> ControllerHealth | None:
        """Health that the controller reports; None before Ray 2.56."""
        health = self.controller_health_metrics
        return None if health is None else health.health()


def _in_application(
    app: ApplicationPayload, name: str, capacity: float | None, least_drain_s: float | None
) -> DeploymentInfo:
    own = app.deployments[name].info()
    is_ingress = app.is_ingress(name)
    return msgspec.structs.replace(
        own,
        app_policy=app.policy if own.autoscaling is not None else None,
        target_capacity=capacity,
        external_scaler=_lenient(app.external_scaler_enabled) is True,
        placement_bundles=own.placement_bundles or app.bundles(name),
        is_ingress=is_ingress,
        least_drain_s=None if is_ingress is False else least_drain_s,
    )


class _Undecoded(_ServeFields, frozen=True, kw_only=True):
    """The whole answer, with its applications left as JSON text."""

    applications: dict[str, msgspec.Raw]


_ANSWER = msgspec.json.Decoder(_Undecoded)
_APPLICATION = msgspec.json.Decoder(ApplicationPayload)


class PayloadParser:
    """Parses one answer after another.

    An application whose text is that of the answer before is the same object as there: to look through
    8,192 replicas that nothing happened to takes a fraction of the time.
    """

    def __init__(self) -> None:
        self._before: dict[str, tuple[msgspec.Raw, ApplicationPayload]] = {}

    def parse(self, body: bytes) -> ServePayload:
        """Parse the next answer. Raises TargetError if it is not Serve's."""
        try:
            answer = _ANSWER.decode(body)
            found = {name: self._parsed(name, raw) for name, raw in answer.applications.items()}
        except UNREADABLE as error:
            raise TargetError(
                f"The dashboard's answer about Serve cannot be parsed: {error}. Check that "
                "--dashboard is the URL of a Ray dashboard."
            ) from error
        self._before = found
        fields = {name: getattr(answer, name) for name in _ServeFields.__struct_fields__}
        return ServePayload(applications={name: app for name, (_, app) in found.items()}, **fields)

    def _parsed(self, name: str, raw: msgspec.Raw) -> tuple[msgspec.Raw, ApplicationPayload]:
        before = self._before.get(name)
        if before is not None and before[0] == raw:
            return raw, before[1]
        return raw, _APPLICATION.decode(raw)


def parse_payload(body: bytes) -> ServePayload:
    """Parse one answer alone. Raises TargetError if it is not Serve's."""
    return PayloadParser().parse(body)
