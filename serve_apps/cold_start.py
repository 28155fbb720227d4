"""Scales to zero and starts slowly: the first requests wait for a replica to come up."""

import asyncio
import time

from pydantic import Field
from ray import serve
from ray.serve import Application

from serve_apps.scaling import (
    NEVER_FULL,
    DownscaleToZeroDelayS,
    MaxOngoingRequests,
    MinReplicas,
    ScalingArgs,
)


class ColdStartArgs(ScalingArgs):
    """The arguments of `serve_apps.cold_start:app`.

    Serve goes from N replicas to 1 after downscale_delay_s, and from there to 0 after
    downscale_to_zero_delay_s. The two differ here, so that a record shows which one passed.
    """

    service_time_s: float = Field(
        default=0.2, ge=0, le=3600, description="Time that a request takes."
    )
    init_time_s: float = Field(
        default=1.0, ge=0, le=3600, description="Time that the constructor of a replica takes."
    )
    min_replicas: MinReplicas = 0
    max_ongoing_requests: MaxOngoingRequests = NEVER_FULL
    downscale_to_zero_delay_s: DownscaleToZeroDelayS = 10.0


@serve.deployment()
class ColdStart:
    """Sleeps while it is constructed, as if it loaded a model, and again for every request."""

    def __init__(self, service_time_s: float, init_time_s: float) -> None:
        self._service_time_s = service_time_s
        time.sleep(init_time_s)

    async def __call__(self) -> dict[str, float]:
        """Sleep, and answer with the time slept; the constructor is not part of it."""
        await asyncio.sleep(self._service_time_s)
        return {"slept_s": self._service_time_s}


def app(args: ColdStartArgs) -> Application:
    """One autoscaled deployment, `ColdStart`, of no replicas until the first request."""
    return ColdStart.options(**args.deployment_options()).bind(
        args.service_time_s, args.init_time_s
    )
