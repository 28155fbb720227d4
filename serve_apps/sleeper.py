"""The demo application: each request sleeps, so only the number of replicas limits the rate."""

import asyncio

from pydantic import Field
from ray import serve
from ray.serve import Application

from serve_apps.scaling import ScalingArgs
from serve_apps.truth import TruthFile, TruthFilePath


class SleeperArgs(ScalingArgs):
    """The arguments of `serve_apps.sleeper:app`, and of the applications that are it with a fault."""

    service_time_s: float = Field(
        default=0.2, ge=0, le=3600, description="Time that a request takes."
    )
    truth_file: TruthFilePath = None


@serve.deployment()
class Sleeper:
    """Sleeps for the service time, whatever the method and path of the request."""

    def __init__(self, service_time_s: float, truth_file: str | None) -> None:
        self._truth = TruthFile(truth_file)
        self._truth.note("constructor_entered")
        self._service_time_s = service_time_s
        self._truth.note("constructor_left")

    async def __call__(self) -> dict[str, float]:
        """Sleep, and answer with the time slept."""
        self._truth.note_request()
        await asyncio.sleep(self._service_time_s)
        return {"slept_s": self._service_time_s}


def app(args: SleeperArgs) -> Application:
    """One autoscaled deployment, `Sleeper`."""
    return Sleeper.options(**args.deployment_options()).bind(args.service_time_s, args.truth_file)
