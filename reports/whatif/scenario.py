"""Everything that a simulation is given."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.lag.policy import Policy
from reports.whatif.service_times import ServiceTimes
from reports.whatif.start_up import StartUps
from scalelag.errors import UsageError
from scalelag.record.application_info import application_name
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import slots_of
from scalelag.record.rows import DeploymentKey

_MOST_SAMPLES = 20_000_000
_MAX_ONGOING = 5


class Arrivals(msgspec.Struct, frozen=True):
    """Requests of an open loop: moments in Unix seconds, ascending, and the code of each name.

    `names` are the texts of the codes.
    """

    at_s: NDArray[np.float64]
    name: NDArray[np.int32]
    names: tuple[str, ...]


class Users(msgspec.Struct, frozen=True):
    """A closed loop: moments at which the number of users changes, and the number from then on.

    `pause_s` is between an answer and the same user's next request, whose name is drawn from the codes
    of `mix`.
    """

    at_s: tuple[float, ...]
    count: tuple[int, ...]
    pause_s: float
    names: tuple[str, ...]
    mix: NDArray[np.int32]


Load = Arrivals | Users


class Settings(msgspec.Struct, frozen=True):
    """A deployment as it is simulated. `info` is what the autoscaler gets, `policy` the same parsed."""

    key: DeploymentKey
    application: str
    info: DeploymentInfo
    policy: Policy
    max_ongoing: int
    max_queued: int
    wait_loop_s: float
    shutdown_timeout_s: float


class Scenario(msgspec.Struct, frozen=True):
    """A load on one deployment, from `from_s` to `to_s` in Unix seconds.

    `replicas` are RUNNING at the beginning, with a target of `target`. `max_in_flight` and
    `timeout_s` are the load generator's.
    """

    settings: Settings
    load: Load
    service: ServiceTimes
    starts: StartUps
    from_s: float
    to_s: float
    replicas: int
    target: int
    loop_s: float
    max_in_flight: int
    timeout_s: float


def check_cost(scenario: Scenario) -> None:
    """Raise UsageError if the handle would sample and push so often that a simulation takes hours."""
    policy, seconds = scenario.settings.policy, scenario.to_s - scenario.from_s
    samples = seconds / policy.sample_s
    pushed = seconds / policy.metrics_interval_s * policy.look_back_period_s / policy.sample_s
    if samples + pushed > _MOST_SAMPLES:
        raise UsageError(
            f"metrics_interval_s {policy.metrics_interval_s:g} and look_back_period_s "
            f"{policy.look_back_period_s:g} ask for {samples + pushed:.2g} samples in {seconds:.0f} s, "
            f"more than the {_MOST_SAMPLES:,} that can be simulated. Raise one of them."
        )


def settings_of(
    key: DeploymentKey, info: DeploymentInfo, policy: Policy, application: str | None = None
) -> Settings:
    """Settings of a deployment, with Ray's defaults for those not recorded.

    Without `application`, its name is what stands before the first slash of `key`.
    """
    return Settings(
        key=key,
        application=application or application_name(key, {}),
        info=info,
        policy=policy,
        max_ongoing=slots_of(info) or _MAX_ONGOING,
        max_queued=int(_number(info, "max_queued_requests", -1)),
        wait_loop_s=policy.shortest_drain_s,
        shutdown_timeout_s=_number(info, "graceful_shutdown_timeout_s", 20.0),
    )


def _number(info: DeploymentInfo, name: str, default: float) -> float:
    value = info.config.get(name)
    return float(value) if isinstance(value, int | float) else default
