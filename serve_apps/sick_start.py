"""The first replicas start; of those that a step adds, the constructor raises some times first."""

import asyncio
import os
import tempfile
import time
import uuid
from pathlib import Path

from pydantic import Field
from ray import serve
from ray.serve import Application

from serve_apps.sleeper import SleeperArgs
from serve_apps.truth import TruthFile


class SickStartArgs(SleeperArgs):
    """The arguments of `serve_apps.sick_start:app`.

    Tries of the constructor are counted over all replicas. As many as the deployment begins with
    succeed, so that it deploys well; the next `failures` raise; all others succeed.
    """

    failures: int = Field(
        default=2,
        ge=-1,
        description="Number of failing tries after the first replicas; -1 means all.",
    )
    init_time_s: float = Field(
        default=0.0, ge=0, le=3600, description="Time that a try takes, failed or not."
    )
    state_file: str | None = Field(
        default=None,
        description="File that counts the tries; unset means a new one in the temporary folder.",
    )

    def healthy_tries(self) -> int:
        """Return the number of tries that succeed before the failures: one for each first replica."""
        return self.min_replicas if self.initial_replicas is None else self.initial_replicas


@serve.deployment()
class SickStart:
    """Raises in its constructor as arranged, and sleeps for every request."""

    def __init__(
        self,
        *,
        service_time_s: float,
        healthy_tries: int,
        failures: int,
        init_time_s: float,
        state_file: str,
        truth_file: str | None,
    ) -> None:
        self._truth = TruthFile(truth_file)
        self._truth.note("constructor_entered")
        self._service_time_s = service_time_s
        later_try = self._count_try(state_file) - healthy_tries
        time.sleep(init_time_s)
        if later_try > 0 and (failures == -1 or later_try <= failures):
            of_how_many = "" if failures == -1 else f" of {failures}"
            raise RuntimeError(f"sick_start: failure {later_try}{of_how_many}, as arranged")
        self._truth.note("constructor_left")

    async def __call__(self) -> dict[str, float]:
        """Sleep, and answer with the time slept."""
        self._truth.note_request()
        await asyncio.sleep(self._service_time_s)
        return {"slept_s": self._service_time_s}

    # Every try runs in a process of its own, and one that fails leaves nothing behind but this.
    @staticmethod
    def _count_try(state_file: str) -> int:
        """Add one try to the file, a byte each; which one it is, from 1."""
        path = Path(tempfile.gettempdir(), state_file)  # an absolute state_file stays as it is
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, b".")
            return os.lseek(file, 0, os.SEEK_CUR)  # behind our byte, whoever else writes
        finally:
            os.close(file)


def app(args: SickStartArgs) -> Application:
    """One autoscaled deployment, `SickStart`."""
    return SickStart.options(**args.deployment_options()).bind(
        service_time_s=args.service_time_s,
        healthy_tries=args.healthy_tries(),
        failures=args.failures,
        init_time_s=args.init_time_s,
        state_file=args.state_file or f"scalelag-sick_start-{uuid.uuid4().hex}",
        truth_file=args.truth_file,
    )
