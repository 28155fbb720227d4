"""Each replica takes long to initialise: a step is answered late, with all replicas placed."""

import asyncio
import time

from pydantic import Field
from ray import serve
from ray.serve import Application

from serve_apps.sleeper import SleeperArgs
from serve_apps.truth import TruthFile


class SlowStartArgs(SleeperArgs):
    """The arguments of `serve_apps.slow_start:app`."""

    init_time_s: float = Field(
        default=2.0, ge=0, le=3600, description="Time that the constructor of a replica takes."
    )


@serve.deployment()
class SlowStart:
    """Sleeps while it is constructed, and again for every request."""

    def __init__(self, service_time_s: float, init_time_s: float, truth_file: str | None) -> None:
        self._truth = TruthFile(truth_file)
        self._truth.note("constructor_entered")
        self._service_time_s = service_time_s
        time.sleep(init_time_s)
        self._truth.note("constructor_left")

    async def __call__(self) -> dict[str, float]:
        """Sleep, and answer with the time slept; the constructor is not part of it."""
        self._truth.note_request()
        await asyncio.sleep(self._service_time_s)
        return {"slept_s": self._service_time_s}


def app(args: SlowStartArgs) -> Application:
    """One autoscaled deployment, `SlowStart`."""
    return SlowStart.options(**args.deployment_options()).bind(
        args.service_time_s, args.init_time_s, args.truth_file
    )
