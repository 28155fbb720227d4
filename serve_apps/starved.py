"""Replicas want more than there is, or than there is yet: those of a step wait to be placed."""

import asyncio
from typing import Annotated, Any

from pydantic import Field, model_validator
from ray import serve
from ray.serve import Application
from ray.util import placement_group, remove_placement_group

from serve_apps.scaling import NumCpus, nest_dotted_names
from serve_apps.sleeper import SleeperArgs
from serve_apps.truth import TruthFile

_PLACED_WITHIN_S = 30


class StarvedArgs(SleeperArgs):
    """The arguments of `serve_apps.starved:app`.

    With a cluster of 4 CPUs and `held_cpus` 2, there is room for 2 replicas, and for 4 once the
    held CPUs are let go.
    """

    num_cpus: NumCpus = 1.0
    held_cpus: float = Field(
        default=0.0, ge=0, description="CPUs of one node that the first replica keeps from others."
    )
    release_after_s: float | None = Field(
        default=None,
        ge=0,
        description="Time from its first request until it releases them; unset means never.",
    )
    resources: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={}, description="Custom resources that Ray reserves per replica, by name."
    )

    @model_validator(mode="before")
    @classmethod
    def _nest_dotted_names(cls, given: dict[str, Any]) -> dict[str, Any]:
        return nest_dotted_names(given)

    def deployment_options(self) -> dict[str, Any]:
        """Build the keyword arguments of `Deployment.options`."""
        options = super().deployment_options()
        if self.resources:
            options["ray_actor_options"]["resources"] = self.resources
        return options


@serve.deployment()
class Starved:
    """Sleeps for every request; the first replica holds CPUs besides those it runs with."""

    def __init__(
        self,
        *,
        service_time_s: float,
        held_cpus: float,
        release_after_s: float | None,
        truth_file: str | None,
    ) -> None:
        self._truth = TruthFile(truth_file)
        self._truth.note("constructor_entered")
        self._service_time_s = service_time_s
        self._release_after_s = release_after_s
        self._held = None
        if held_cpus > 0 and self._is_first():
            # Of no process, and Ray removes it when this replica is gone, however it ends.
            self._held = placement_group([{"CPU": held_cpus}])
            if not self._held.wait(_PLACED_WITHIN_S):
                raise RuntimeError(
                    f"starved: no node had {held_cpus:g} CPUs to hold within {_PLACED_WITHIN_S} s. "
                    "Lower held_cpus, or give the cluster more CPUs."
                )
        self._truth.note("constructor_left")

    async def __call__(self) -> dict[str, float]:
        """Sleep, and answer with the time slept."""
        self._truth.note_request()
        if self._held is not None and self._release_after_s is not None:
            release = (remove_placement_group, self._held)
            asyncio.get_running_loop().call_later(self._release_after_s, *release)
            self._held = None
        await asyncio.sleep(self._service_time_s)
        return {"slept_s": self._service_time_s}

    @staticmethod
    def _is_first() -> bool:
        """Return whether this replica is the oldest of those that are there."""
        rank = serve.get_replica_context().rank
        return getattr(rank, "rank", rank) == 0  # the rank was a plain number in Ray 2.52


def app(args: StarvedArgs) -> Application:
    """One autoscaled deployment, `Starved`."""
    return Starved.options(**args.deployment_options()).bind(
        service_time_s=args.service_time_s,
        held_cpus=args.held_cpus,
        release_after_s=args.release_after_s,
        truth_file=args.truth_file,
    )
