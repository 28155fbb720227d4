"""Requests are handled in batches: several take as long as one."""

import asyncio

from pydantic import Field
from ray import serve
from ray.serve import Application

from serve_apps.scaling import NEVER_FULL, MaxOngoingRequests, ScalingArgs
from serve_apps.truth import TruthFile, TruthFilePath


class BatcherArgs(ScalingArgs):
    """The arguments of `serve_apps.batcher:app`.

    By default a replica serves 80 rps: a full batch of 8 takes 0.1 s, and one is handled at a time.
    Serve closes a batch when its time is over, also while another is handled. With a shorter wait
    than a batch takes, small batches would queue up, and a backlog would not make them fuller.
    """

    batch_time_s: float = Field(
        default=0.1, ge=0, le=3600, description="Time that a batch takes, whatever its size."
    )
    max_batch_size: int = Field(default=8, ge=1, description="Most requests in a batch.")
    batch_wait_timeout_s: float = Field(
        default=0.2, ge=0, le=3600, description="Time that a batch waits for more requests."
    )
    max_ongoing_requests: MaxOngoingRequests = NEVER_FULL
    truth_file: TruthFilePath = None


@serve.deployment()
class Batcher:
    """Sleeps for every batch of requests, whatever their methods and paths."""

    def __init__(
        self,
        *,
        batch_time_s: float,
        max_batch_size: int,
        batch_wait_timeout_s: float,
        truth_file: str | None,
    ) -> None:
        self._truth = TruthFile(truth_file)
        self._truth.note("constructor_entered")

        # Decorated here, where the limits are known.
        @serve.batch(max_batch_size=max_batch_size, batch_wait_timeout_s=batch_wait_timeout_s)
        async def handle(requests: list[None]) -> list[dict[str, float]]:
            await asyncio.sleep(batch_time_s)
            return [{"batch_size": len(requests), "slept_s": batch_time_s}] * len(requests)

        self._handle = handle
        self._truth.note("constructor_left")

    async def __call__(self) -> dict[str, float]:
        """Answer with the size of the batch that the request was part of, and the time slept."""
        self._truth.note_request()
        return await self._handle(None)


def app(args: BatcherArgs) -> Application:
    """One autoscaled deployment, `Batcher`."""
    return Batcher.options(**args.deployment_options()).bind(
        batch_time_s=args.batch_time_s,
        max_batch_size=args.max_batch_size,
        batch_wait_timeout_s=args.batch_wait_timeout_s,
        truth_file=args.truth_file,
    )
