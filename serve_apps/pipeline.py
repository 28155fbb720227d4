"""An ingress in front of two deployments that scale differently under the same load."""

import asyncio
from typing import Any

from pydantic import BaseModel, Field, model_validator
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from serve_apps.scaling import (
    NEVER_FULL,
    STRICT,
    DownscaleDelayS,
    MaxOngoingRequests,
    MaxReplicas,
    ScalingArgs,
    TargetOngoingRequests,
    UpscaleDelayS,
    nest_dotted_names,
)
from serve_apps.truth import TruthFile, TruthFilePath


class IngressArgs(ScalingArgs):
    """Scaling of `Ingress`. A request spends its whole time here, but only waits."""

    num_replicas: int | None = Field(
        default=None, ge=1, description="Fixed number of replicas; unset means that it scales."
    )

    max_replicas: MaxReplicas = 2
    target_ongoing_requests: TargetOngoingRequests = 8.0
    max_ongoing_requests: MaxOngoingRequests = NEVER_FULL

    def deployment_options(self) -> dict[str, Any]:
        """Build the keyword arguments of `Deployment.options`, of one that scales or is fixed."""
        options = super().deployment_options()
        if self.num_replicas is not None:
            del options["autoscaling_config"]
            options["num_replicas"] = self.num_replicas
        return options


class FastArgs(ScalingArgs):
    """Service time and scaling of `Fast`."""

    service_time_s: float = Field(
        default=0.1, ge=0, le=3600, description="Time that a request takes in this deployment."
    )
    max_replicas: MaxReplicas = 2
    max_ongoing_requests: MaxOngoingRequests = NEVER_FULL
    downscale_delay_s: DownscaleDelayS = 3.0


class SlowArgs(ScalingArgs):
    """Service time and scaling of `Slow`."""

    service_time_s: float = Field(
        default=0.3, ge=0, le=3600, description="Time that a request takes in this deployment."
    )
    target_ongoing_requests: TargetOngoingRequests = 3.0
    max_ongoing_requests: MaxOngoingRequests = NEVER_FULL
    upscale_delay_s: UpscaleDelayS = 3.0
    downscale_delay_s: DownscaleDelayS = 8.0


class PipelineArgs(BaseModel):
    """The arguments of `serve_apps.pipeline:app`, one group for each deployment.

    A member of a group has a dotted name on the command line (`slow.service_time_s=0.5`), where
    Serve knows only flat names, and may have one in a file.
    """

    model_config = STRICT

    ingress: IngressArgs = Field(default=IngressArgs(), description="The deployment `Ingress`.")
    fast: FastArgs = Field(default=FastArgs(), description="The deployment `Fast`.")
    slow: SlowArgs = Field(default=SlowArgs(), description="The deployment `Slow`.")
    truth_file: TruthFilePath = None

    @model_validator(mode="before")
    @classmethod
    def _nest_dotted_names(cls, given: dict[str, Any]) -> dict[str, Any]:
        return nest_dotted_names(given)


@serve.deployment()
class Stage:
    """Sleeps for the service time."""

    def __init__(self, service_time_s: float, truth_file: str | None) -> None:
        self._truth = TruthFile(truth_file)
        self._service_time_s = service_time_s

    async def __call__(self) -> float:
        """Sleep, and answer with the time slept, in seconds."""
        self._truth.note("request_begun")
        await asyncio.sleep(self._service_time_s)
        self._truth.note("request_ended")
        return self._service_time_s


@serve.deployment()
class Ingress:
    """Asks both stages at once for every request, whatever its method and path."""

    # Quoted: the handle is a generic class in Ray 2.60, and was none in Ray 2.52.
    def __init__(
        self,
        fast: "DeploymentHandle[Any]",
        slow: "DeploymentHandle[Any]",
        truth_file: str | None,
    ) -> None:
        self._truth = TruthFile(truth_file)
        self._fast = fast
        self._slow = slow

    async def __call__(self) -> dict[str, float]:
        """Answer with the time slept in each stage; a request takes as long as the slower one."""
        self._truth.note("request_begun")
        fast_s, slow_s = await asyncio.gather(self._fast.remote(), self._slow.remote())
        self._truth.note("request_ended")
        return {"fast_slept_s": fast_s, "slow_slept_s": slow_s}


def app(args: PipelineArgs) -> Application:
    """Three autoscaled deployments: `Ingress`, which calls `Fast` and `Slow`."""
    fast = Stage.options(name="Fast", **args.fast.deployment_options())
    slow = Stage.options(name="Slow", **args.slow.deployment_options())
    return Ingress.options(**args.ingress.deployment_options()).bind(
        fast.bind(args.fast.service_time_s, args.truth_file),
        slow.bind(args.slow.service_time_s, args.truth_file),
        args.truth_file,
    )
