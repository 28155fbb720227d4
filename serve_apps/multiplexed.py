"""Many models on each replica: a request names one, and waits where it has to be loaded first."""

import asyncio
from typing import Any

from pydantic import Field
from ray import serve
from ray.serve import Application

from serve_apps.sleeper import SleeperArgs
from serve_apps.truth import TruthFile


class MultiplexedArgs(SleeperArgs):
    """The arguments of `serve_apps.multiplexed:app`."""

    load_time_s: float = Field(
        default=0.5, ge=0, le=3600, description="Time that a replica takes to load a model."
    )
    max_models: int = Field(
        default=3, ge=1, description="Models a replica holds; the least recently used makes room."
    )


@serve.deployment()
class Multiplexed:
    """Loads the model that a request's header names, if it is not there, and sleeps."""

    def __init__(
        self, *, service_time_s: float, load_time_s: float, max_models: int, truth_file: str | None
    ) -> None:
        self._truth = TruthFile(truth_file)
        self._truth.note("constructor_entered")
        self._service_time_s = service_time_s

        # Decorated here, where the number of models is known.
        decorate: Any = serve.multiplexed(max_num_models_per_replica=max_models)

        @decorate
        async def load(_model_id: str) -> dict[str, bool]:
            await asyncio.sleep(load_time_s)
            return {"loaded_now": True}

        self._model = load
        self._truth.note("constructor_left")

    async def __call__(self) -> dict[str, str | bool | float]:
        """Answer with the model, whether it was loaded for this request, and the time slept."""
        self._truth.note_request()
        model_id = serve.get_multiplexed_model_id() or "default"
        model = await self._model(model_id)
        loaded = model.pop("loaded_now", False)  # the request that loads a model gets it first
        await asyncio.sleep(self._service_time_s)
        return {"model": model_id, "loaded": loaded, "slept_s": self._service_time_s}


def app(args: MultiplexedArgs) -> Application:
    """One autoscaled deployment, `Multiplexed`."""
    return Multiplexed.options(**args.deployment_options()).bind(
        service_time_s=args.service_time_s,
        load_time_s=args.load_time_s,
        max_models=args.max_models,
        truth_file=args.truth_file,
    )
