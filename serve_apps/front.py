"""A front with a fixed number of replicas before a model that scales: either may be the limit."""

import asyncio
import time
from typing import Any

from pydantic import BaseModel, Field, model_validator
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from serve_apps.scaling import (
    NEVER_FULL,
    STRICT,
    MaxOngoingRequests,
    NumCpus,
    ScalingArgs,
    TargetOngoingRequests,
    nest_dotted_names,
)


class FrontArgs(BaseModel):
    """Room of `Front`, and what it does with a request itself before it asks `Model`."""

    model_config = STRICT

    num_replicas: int = Field(default=1, ge=1, description="Replicas, a fixed number.")
    num_cpus: NumCpus = 0.1
    max_ongoing_requests: MaxOngoingRequests = NEVER_FULL
    own_time_s: float = Field(
        default=0.02, ge=0, le=3600, description="Time that it waits itself, as for a database."
    )
    held_up_s: float = Field(
        default=0.0, ge=0, le=3600, description="Time for which it holds up its event loop."
    )


class ModelArgs(ScalingArgs):
    """Work and scaling of `Model`."""

    work_ms: float = Field(default=10.0, ge=0, le=60_000, description="CPU time of a request.")
    num_cpus: NumCpus = 0.5
    target_ongoing_requests: TargetOngoingRequests = 1.0
    max_ongoing_requests: MaxOngoingRequests = NEVER_FULL


class AppArgs(BaseModel):
    """The arguments of `serve_apps.front:app`, one group for each deployment."""

    model_config = STRICT

    front: FrontArgs = Field(default=FrontArgs(), description="The deployment `Front`.")
    model: ModelArgs = Field(default=ModelArgs(), description="The deployment `Model`.")

    @model_validator(mode="before")
    @classmethod
    def _nest_dotted_names(cls, given: dict[str, Any]) -> dict[str, Any]:
        return nest_dotted_names(given)


@serve.deployment()
class Model:
    """Burns the same CPU time for every request."""

    def __init__(self, work_ms: float) -> None:
        self._work_ms = work_ms

    async def __call__(self) -> float:
        """Burn CPU time in a thread, and answer with it, in milliseconds."""
        await asyncio.to_thread(self._burn, self._work_ms / 1000)
        return self._work_ms

    @staticmethod
    def _burn(cpu_time_s: float) -> None:
        """Keep this thread busy until it has used this much CPU time."""
        start_s = time.thread_time()
        while time.thread_time() - start_s < cpu_time_s:
            pass


@serve.deployment()
class Front:
    """Works on a request by itself, then asks the model, whatever its method and path."""

    # Quoted: the handle is a generic class in Ray 2.60, and was none in Ray 2.52.
    def __init__(self, model: "DeploymentHandle[Any]", own_time_s: float, held_up_s: float) -> None:
        self._model = model
        self._own_time_s = own_time_s
        self._held_up_s = held_up_s

    async def __call__(self) -> dict[str, float]:
        """Answer with the CPU time of the model."""
        await asyncio.sleep(self._own_time_s)
        if self._held_up_s:
            time.sleep(self._held_up_s)  # noqa: ASYNC251  what is shown: no other request goes on
        return {"work_ms": await self._model.remote()}


def app(args: AppArgs) -> Application:
    """Build `Front`, of a fixed number of replicas, before `Model`, which is autoscaled."""
    model = Model.options(**args.model.deployment_options()).bind(args.model.work_ms)
    front = Front.options(
        num_replicas=args.front.num_replicas,
        ray_actor_options={"num_cpus": args.front.num_cpus},
        max_ongoing_requests=args.front.max_ongoing_requests,
    )
    return front.bind(model, args.front.own_time_s, args.front.held_up_s)
