"""Each request burns CPU time: replicas compete for cores, as with a model that runs on CPUs."""

import asyncio
import time

from pydantic import Field
from ray import serve
from ray.serve import Application

from serve_apps.scaling import (
    NEVER_FULL,
    MaxOngoingRequests,
    MaxReplicas,
    NumCpus,
    ScalingArgs,
    TargetOngoingRequests,
)


class CpuBoundArgs(ScalingArgs):
    """The arguments of `serve_apps.cpu_bound:app`.

    One replica cannot use more than one core, because its threads share Python's interpreter
    lock. It reserves that core, and two of them fill the machine the defaults are made for. A
    target of more than 1 would flap: two replicas that keep up look idle enough for one.
    """

    work_ms: float = Field(default=25.0, ge=0, le=60_000, description="CPU time of a request.")
    num_cpus: NumCpus = 1.0
    max_replicas: MaxReplicas = 2
    target_ongoing_requests: TargetOngoingRequests = 1.0
    max_ongoing_requests: MaxOngoingRequests = NEVER_FULL


@serve.deployment()
class CpuBound:
    """Burns the same CPU time for every request, whatever its method and path."""

    def __init__(self, work_ms: float) -> None:
        self._work_ms = work_ms

    async def __call__(self) -> dict[str, float]:
        """Burn CPU time, and answer with what was used."""
        # In a thread of its own: a busy event loop could not answer Serve's health checks.
        used_s = await asyncio.to_thread(self._burn, self._work_ms / 1000)
        return {"cpu_ms": round(used_s * 1000, 3)}

    # Not a function of the module: Ray sends the class to the replicas by value, but functions
    # of its module by reference, and then this package would have to be installed there.
    @staticmethod
    def _burn(cpu_time_s: float) -> float:
        """Keep this thread busy until it has used this much CPU time; what it used, in seconds.

        Time spent waiting for a core or for the interpreter lock does not count, so on a busy
        machine a request takes longer and its work stays the same.
        """
        start_s = time.thread_time()
        while (used_s := time.thread_time() - start_s) < cpu_time_s:
            pass
        return used_s


def app(args: CpuBoundArgs) -> Application:
    """One autoscaled deployment, `CpuBound`."""
    return CpuBound.options(**args.deployment_options()).bind(args.work_ms)
