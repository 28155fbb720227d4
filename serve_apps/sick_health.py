"""Health checks fail while a file exists: replicas are stopped, and new ones do not get up."""

import asyncio
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from ray import serve
from ray.serve import Application

from serve_apps.sleeper import SleeperArgs
from serve_apps.truth import TruthFile

_LOOK_AGAIN_S = 0.1


class SickHealthArgs(SleeperArgs):
    """The arguments of `serve_apps.sick_health:app`."""

    sick_file: str | None = Field(
        default=None, description="Health checks fail while this exists; unset means never."
    )
    sick_replicas: Literal["all", "new"] = Field(
        default="all", description="Sick replicas: all, or new (constructed while the file exists)."
    )
    mode: Literal["raise", "hang"] = Field(
        default="raise", description="A failing check raises, or hangs until the file is gone."
    )
    health_check_period_s: float = Field(
        default=1.0, gt=0, description="Time between the starts of two checks of a replica."
    )
    health_check_timeout_s: float = Field(
        default=2.0,
        gt=0,
        description="Time after which a check without an answer counts as failed.",
    )

    def deployment_options(self) -> dict[str, Any]:
        """Build the keyword arguments of `Deployment.options`."""
        return super().deployment_options() | {
            "health_check_period_s": self.health_check_period_s,
            "health_check_timeout_s": self.health_check_timeout_s,
        }


@serve.deployment()
class SickHealth:
    """Sleeps for every request, also while it is sick."""

    def __init__(
        self,
        *,
        service_time_s: float,
        sick_file: str | None,
        sick_replicas: str,
        mode: str,
        truth_file: str | None,
    ) -> None:
        self._truth = TruthFile(truth_file)
        self._truth.note("constructor_entered")
        self._service_time_s = service_time_s
        self._sick_file = None if sick_file is None else Path(sick_file)
        self._hangs = mode == "hang"
        if sick_replicas == "new" and not self._is_sick():
            self._sick_file = None
        self._truth.note("constructor_left")

    async def __call__(self) -> dict[str, float]:
        """Sleep, and answer with the time slept."""
        self._truth.note_request()
        await asyncio.sleep(self._service_time_s)
        return {"slept_s": self._service_time_s}

    async def check_health(self) -> None:
        """Serve calls this periodically, and once before a new replica counts as RUNNING."""
        if self._is_sick() and not self._hangs:
            raise RuntimeError(f"sick_health: sick while {self._sick_file} exists")
        while self._is_sick():  # noqa: ASYNC110  a file has no event to wait for
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _is_sick(self) -> bool:
        return self._sick_file is not None and self._sick_file.exists()


def app(args: SickHealthArgs) -> Application:
    """One autoscaled deployment, `SickHealth`."""
    return SickHealth.options(**args.deployment_options()).bind(
        service_time_s=args.service_time_s,
        sick_file=args.sick_file,
        sick_replicas=args.sick_replicas,
        mode=args.mode,
        truth_file=args.truth_file,
    )
