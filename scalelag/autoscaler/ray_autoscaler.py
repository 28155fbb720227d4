"""Ray's own metrics aggregation and autoscaling policy, called on virtual time.

Works in any process that may import Ray, without a cluster. The process must not run Serve besides:
the modules of Ray that decide get the virtual time in place of the real one.
"""

import logging
import pickle
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from reports.whatif.autoscaler import HandleReport, Series
from reports.whatif.settings import OF_DEPLOYMENT
from scalelag.autoscaler.ray_names import RayNames, ray_names
from scalelag.autoscaler.user_policy import UserPolicy, told_of
from scalelag.autoscaler.virtual_clock import VirtualClock
from scalelag.errors import ScalelagError, UsageError
from scalelag.ray_versions import TARGET_ONGOING_NAMES
from scalelag.record.application_info import application_name
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import DeploymentKey

_LONG = 200
_CLOCK = VirtualClock()


class RayAutoscaler:
    """Ray's autoscaler of one application: `reports.whatif.autoscaler.Autoscaler` by Ray's own code."""

    def __init__(
        self,
        deployments: Mapping[DeploymentKey, DeploymentInfo],
        policy: UserPolicy | None = None,
        application: str | None = None,
    ) -> None:
        """Register `deployments`, all of one application and autoscaled, with their settings.

        `policy` takes the place of theirs, and gets the names of `application` (by default what
        stands before the first slash) and deployment. Raises UsageError for settings that Ray refuses.
        """
        self._ray = ray_names()
        self._policy = policy
        app = application or application_name(next(iter(deployments)), {})
        self._state = self._ray.application_state(app)
        self._ids = {key: self._ray.deployment_id(key[len(app) + 1 :], app) for key in deployments}
        self._keys = {identity: key for key, identity in self._ids.items()}
        self._replicas: dict[tuple[DeploymentKey, str], Any] = {}
        self._begun_s: float | None = None
        for module in (*self._ray.clocked, *(policy.modules if policy else ())):
            _CLOCK.install(module)
        # Ray makes the instance of a class when it is registered.
        with nullcontext() if policy is None else told_of(policy.path):
            if policy is not None and policy.of_application:
                self._state.register(self._given(policy))
            for key, info in deployments.items():
                self._register(key, info)

    def _given(self, policy: UserPolicy) -> Any:  # noqa: ANN401  Ray's
        """Return Ray's description of a policy, with the function as imported.

        Ray calls what it unpickles, and pickles a copy itself: that would not see the virtual time.
        """
        described = self._ray.autoscaling_policy()
        described.policy_function = policy.path
        described.set_serialized_policy_def(pickle.dumps(policy))
        return described

    def _register(self, key: DeploymentKey, info: DeploymentInfo) -> None:
        config = checked_config(self._ray, key, info)
        if self._policy is not None and not self._policy.of_application:
            config.policy = self._given(self._policy)
        directions = self._ray.capacity_directions
        direction = (info.capacity_direction or "up").upper() if info.target_capacity else None
        gang = info.config.get("gang_scheduling_config")
        described = self._ray.deployment_info(
            deployment_config=self._ray.deployment_config(
                autoscaling_config=config, **({"gang_scheduling_config": gang} if gang else {})
            ),
            replica_config=None,
            start_time_ms=0,
            deployer_job_id="",
            target_capacity=info.target_capacity,
            target_capacity_direction=directions(direction) if direction else None,
        )
        self._state.register_deployment(self._ids[key], described, info.target_replicas or 0)

    def report(self, report: HandleReport) -> None:
        """Take the metrics of one handle, as the controller does."""
        _CLOCK.now_s = report.at_s
        running = {
            self._replica_key(report.deployment, name): self._points(series)
            for name, series in report.running.items()
        }
        self._state.record_request_metrics_for_handle(
            self._ray.handle_report(
                deployment_id=self._ids[report.deployment],
                handle_id=report.handle,
                actor_id=None,
                handle_source=self._ray.proxy_source,
                queued_requests=self._points(report.queued),
                metrics={self._ray.running_key: running},
                timestamp=report.at_s,
                **(self._averages(report) if self._ray.handle_averages else {}),
            )
        )

    def _averages(self, report: HandleReport) -> dict[str, Any]:
        """Averages that a handle makes of its samples (`_get_metrics_report` up to 2.55)."""
        samples = len(report.queued.values) or 1
        running = {
            self._replica_key(report.deployment, name): sum(series.values) / samples
            for name, series in report.running.items()
        }
        return {
            "aggregated_queued_requests": sum(report.queued.values) / samples,
            "aggregated_metrics": {self._ray.running_key: running},
        }

    def set_running(self, deployment: DeploymentKey, replicas: Sequence[str]) -> None:
        """Set the replicas of a deployment that are RUNNING."""
        running = [self._replica(deployment, name) for name in replicas]
        self._state.update_running_replica_ids(self._ids[deployment], running)

    def decide(
        self, now_s: float, targets: Mapping[DeploymentKey, int]
    ) -> Mapping[DeploymentKey, int]:
        """Return the new target of each deployment, given the present ones, within its bounds.

        Raises UsageError if a policy of the user's own raises, or returns what Ray refuses.
        """
        _CLOCK.now_s = now_s
        if self._begun_s is None:
            self._begun_s = now_s
        present = {self._ids[key]: target for key, target in targets.items()}
        if self._policy is None:
            decided = self._state.get_decision_num_replicas(present)
        else:
            decided = self._by_users_policy(present, self._policy)
        return {**targets, **{self._keys[known]: number for known, number in decided.items()}}

    def _by_users_policy(self, present: dict[Any, int], policy: UserPolicy) -> dict[Any, int]:
        try:
            return self._state.get_decision_num_replicas(present)
        except (KeyboardInterrupt, ScalelagError):
            raise
        except BaseException as error:  # whatever the user's function raises
            raise UsageError(
                _failure(error, policy, _CLOCK.now_s - (self._begun_s or 0.0))
            ) from error

    @property
    def policy_state(self) -> Mapping[str, Any]:
        """State that the policies keep between decisions, by deployment, with Ray's own part."""
        of_application = getattr(self._state, "_policy_state", None)
        states: dict[Any, Any] = getattr(self._state, "_deployment_autoscaling_states", {})
        return {
            self._keys[identity]: (of_application or {}).get(identity)
            or getattr(state, "_policy_state", None)
            for identity, state in states.items()
        }

    def _replica_key(self, deployment: DeploymentKey, name: str) -> Any:  # noqa: ANN401  Ray's
        replica = self._replica(deployment, name)
        return replica if self._ray.replica_keys else replica.to_full_id_str()

    def _replica(self, deployment: DeploymentKey, name: str) -> Any:  # noqa: ANN401  Ray's
        known = self._replicas.get((deployment, name))
        if known is None:
            known = self._ray.replica_id(name, self._ids[deployment])
            self._replicas[deployment, name] = known
        return known

    def _points(self, series: Series) -> list[Any]:
        return list(map(self._ray.value_at, series.at_s, series.values))


def checked_config(ray: RayNames, key: DeploymentKey, info: DeploymentInfo) -> Any:  # noqa: ANN401
    """Return Ray's own AutoscalingConfig of a deployment.

    Raises UsageError for settings that Ray refuses, with its words.
    """
    known = setting_names(ray)
    recorded = info.autoscaling or {}
    given = {name: value for name, value in recorded.items() if name in known}
    # Records of old versions have it by its old name, beside a null.
    targets = (recorded.get(name) for name in TARGET_ONGOING_NAMES)
    target = next((one for one in targets if one is not None), None)
    given |= {TARGET_ONGOING_NAMES[0]: target} if target is not None else {}
    try:
        return ray.autoscaling_config(**given)
    except ValueError as error:
        raise UsageError(f"Ray refuses the settings of {key}: {_in_words(error)}.") from error


def check_settings(key: DeploymentKey, info: DeploymentInfo) -> None:
    """Raise UsageError for settings of a deployment that Ray refuses, with its words."""
    ray = ray_names()
    checked_config(ray, key, info)
    # What is unset is Ray's default, as a record of an old version has it beside another name.
    given = {name: info.config[name] for name in OF_DEPLOYMENT if info.config.get(name) is not None}
    try:
        ray.deployment_config(**given)
    except ValueError as error:
        raise UsageError(f"Ray refuses the settings of {key}: {_in_words(error)}.") from error


def setting_names(ray: RayNames) -> tuple[str, ...]:
    """Return the names of the settings that Ray's AutoscalingConfig has, but for the policy."""
    config = ray.autoscaling_config
    fields: dict[str, Any] = getattr(config, "model_fields", None) or config.__fields__
    return tuple(name for name in fields if name != "policy")


def _in_words(error: ValueError) -> str:
    """Return Ray's message in one line, without pydantic's addresses."""
    errors: Callable[[], list[dict[str, Any]]] | None = getattr(error, "errors", None)
    if errors is None:
        return str(error)
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, one["loc"])), one["msg"].rstrip("!."))))
        for one in errors()
    )


def _failure(error: BaseException, policy: UserPolicy, since_s: float) -> str:
    """Return the failure of a user's policy in one line, with its place in the user's file.

    `since_s` are seconds since its first decision.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == policy.module.__file__]
    place = f" ({own[-1].filename}:{own[-1].lineno})" if own else " (refused by Ray)"
    said = str(error)[:_LONG] or "no message"
    return (
        f"the policy {policy.path} failed {since_s:.1f} s after its first decision: "
        f"{type(error).__name__}: {said}{place}. "
        "In a cluster the controller would go on failing at every turn of its loop."
    )


def quiet_ray() -> None:
    """Keep Ray's log lines on registered deployments and dropped metrics off the terminal."""
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
