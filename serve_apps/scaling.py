"""The scaling arguments that every application takes, and the Serve options they become."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

# Misspelt names are errors, and inf or nan are not durations.
STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

# For max_ongoing_requests, where a backlog shall wait in the replicas. When all replicas are full,
# Serve's router retries with pauses of up to 0.5 s, in which replicas become idle, and often stays
# behind for good: with a limit of 5, 2 replicas answered 40 rps of 25 ms each at 10 rps.
NEVER_FULL = 200

# An application that changes a default repeats only the annotation, not the bounds and the words.
NumCpus = Annotated[float, Field(ge=0, description="Logical CPUs that Ray reserves per replica.")]
MinReplicas = Annotated[
    int, Field(ge=0, description="Fewest replicas; 0 lets the deployment scale to zero.")
]
MaxReplicas = Annotated[int, Field(ge=1, description="Most replicas.")]
InitialReplicas = Annotated[
    int | None, Field(ge=0, description="Replicas at first deployment; unset means min_replicas.")
]
TargetOngoingRequests = Annotated[
    float, Field(gt=0, description="Requests in progress or queued that one replica should have.")
]
MaxOngoingRequests = Annotated[
    int, Field(ge=1, description="Requests a replica accepts at once; the rest wait in the router.")
]
MetricsIntervalS = Annotated[
    float, Field(gt=0, description="Time between two reports of request counts to the controller.")
]
LookBackPeriodS = Annotated[
    float, Field(gt=0, description="Window over which the controller averages those counts.")
]
UpscaleDelayS = Annotated[
    float,
    Field(ge=0, description="Time for which more replicas must be wanted before they are added."),
]
DownscaleDelayS = Annotated[
    float, Field(ge=0, description="Time for which fewer replicas must be wanted before some stop.")
]
DownscaleToZeroDelayS = Annotated[
    float | None,
    Field(ge=0, description="The same for the last replica; unset means downscale_delay_s."),
]
GracefulShutdownWaitLoopS = Annotated[
    float, Field(ge=0, description="Time between two checks that a stopping replica is idle.")
]
GracefulShutdownTimeoutS = Annotated[
    float, Field(ge=0, description="Time after which a replica that is still stopping gets killed.")
]


class ScalingArgs(BaseModel):
    """Scaling of one deployment.

    The defaults are far quicker than those of Serve, so that a load of 75 s on 2 cores
    (`5rps:15s,40rps:30s,5rps:30s`) shows a whole scale-up and scale-down. What the bounds here
    cannot say, such as max_replicas below min_replicas, Serve refuses when the options are used.
    """

    model_config = STRICT

    num_cpus: NumCpus = 0.1
    min_replicas: MinReplicas = 1
    max_replicas: MaxReplicas = 4
    initial_replicas: InitialReplicas = None
    target_ongoing_requests: TargetOngoingRequests = 2.0
    max_ongoing_requests: MaxOngoingRequests = 8
    metrics_interval_s: MetricsIntervalS = 1.0
    look_back_period_s: LookBackPeriodS = 2.0
    upscale_delay_s: UpscaleDelayS = 2.0
    downscale_delay_s: DownscaleDelayS = 5.0
    downscale_to_zero_delay_s: DownscaleToZeroDelayS = None
    graceful_shutdown_wait_loop_s: GracefulShutdownWaitLoopS = 1.0
    graceful_shutdown_timeout_s: GracefulShutdownTimeoutS = 20.0

    def deployment_options(self) -> dict[str, Any]:
        """Build the keyword arguments of `Deployment.options`; what is unset is left to Serve."""
        return {
            "ray_actor_options": {"num_cpus": self.num_cpus},
            "max_ongoing_requests": self.max_ongoing_requests,
            "graceful_shutdown_wait_loop_s": self.graceful_shutdown_wait_loop_s,
            "graceful_shutdown_timeout_s": self.graceful_shutdown_timeout_s,
            "autoscaling_config": self.model_dump(include=AUTOSCALING_FIELDS, exclude_none=True),
        }


AUTOSCALING_FIELDS = {
    "min_replicas",
    "max_replicas",
    "initial_replicas",
    "target_ongoing_requests",
    "metrics_interval_s",
    "look_back_period_s",
    "upscale_delay_s",
    "downscale_delay_s",
    "downscale_to_zero_delay_s",
}


def nest_dotted_names(given: dict[str, Any]) -> dict[str, Any]:
    """Return arguments given as `{"group.member": 1}` as `{"group": {"member": 1}}`.

    Raises ValueError for a group that is given in both forms.
    """
    nested = {name: value for name, value in given.items() if "." not in name}
    for name in given.keys() - nested.keys():
        group, _, member = name.partition(".")
        if group in given:
            raise ValueError(f"{group} and {name} are both given: use one of the two forms")
        nested.setdefault(group, {})[member] = given[name]
    return nested
