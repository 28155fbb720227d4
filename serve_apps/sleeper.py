"""The demo application: each request sleeps, so only the number of replicas limits the rate."""

import asyncio

from pydantic import Field
from ray import serve
from ray.serve import Application

from serve_apps.scaling import ScalingArgs


class SleeperArgs(ScalingArgs):
    """The arguments of `serve_apps.sleeper:app`."""

    service_time_s: float = Field(
        default=0.2, ge=0, le=3600, description="How long a request takes."
    )


@serve.deployment()
class Sleeper:
    """Sleeps for the service time, whatever the method and path of the request."""

    def __init__(self, service_time_s: float) -> None:
        self._service_time_s = service_time_s

    async def __call__(self) -> dict[str, float]:
        """Sleep, and answer with the time slept."""
        await asyncio.sleep(self._service_time_s)
        return {"slept_s": self._service_time_s}


def app(args: SleeperArgs) -> Application:
    """One autoscaled deployment, `Sleeper`."""
    return Sleeper.options(**args.deployment_options()).bind(args.service_time_s)
