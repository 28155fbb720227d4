"""Applications, loads and changes of settings that `tools.whatif_check` predicts and then measures."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_SETTINGS: Final[Mapping[str, Any]] = {
    "min_replicas": 1,
    "max_replicas": 4,
    "target_ongoing_requests": 2.0,
    "metrics_interval_s": 1.0,
    "look_back_period_s": 2.0,
    "upscale_delay_s": 2.0,
    "downscale_delay_s": 5.0,
}


class App(NamedTuple):
    """An application, the load on it, its arguments, and the settings of the deployment that scales."""

    name: str
    app: str
    deployment: str
    steps: str
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, Any] = _SETTINGS


class Pair(NamedTuple):
    """A change of an application's settings; without any the run that it is predicted from."""

    app: App
    changes: tuple[str, ...] = ()
    held_out: bool = False

    @property
    def run_name(self) -> str:
        """Name of its run."""
        return "-".join([self.app.name, *(text.replace("=", "-") for text in self.changes)])

    @property
    def settings(self) -> dict[str, Any]:
        """The whole `autoscaling_config`."""
        made = (text.split("=") for text in self.changes)
        return {**self.app.settings, **{name: _value(value) for name, value in made}}


def _value(text: str) -> Any:  # noqa: ANN401  a number or a word
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text


_ROOM = ("max_ongoing_requests=50",)
SLEEPER = App("sleeper", "sleeper", "Sleeper", "5rps:12s,40rps:25s,5rps:18s", _ROOM)
USERS = App("users", "sleeper", "Sleeper", "2users:12s,14users:25s,2users:18s", _ROOM)
CPU = App(
    "cpu",
    "cpu_bound",
    "CpuBound",
    "4rps:12s,30rps:25s,4rps:18s",
    settings={**_SETTINGS, "max_replicas": 2, "target_ongoing_requests": 1.0},
)
PIPELINE = App(
    "pipeline",
    "pipeline",
    "Slow",
    "3rps:12s,25rps:25s,3rps:18s",
    (
        "ingress.num_replicas=1",
        "fast.service_time_s=0",
        "fast.min_replicas=1",
        "fast.max_replicas=1",
    ),
    {**_SETTINGS, "target_ongoing_requests": 3.0},
)
APPS = (SLEEPER, USERS, CPU, PIPELINE)
PAIRS = (
    Pair(SLEEPER, ("upscale_delay_s=5",)),
    Pair(SLEEPER, ("target_ongoing_requests=4",)),
    Pair(SLEEPER, ("look_back_period_s=6",)),
    Pair(SLEEPER, ("upscaling_factor=0.5",)),
    Pair(SLEEPER, ("downscale_delay_s=10",)),
    Pair(SLEEPER, ("min_replicas=2",), held_out=True),
    Pair(SLEEPER, ("aggregation_function=max",), held_out=True),
    Pair(SLEEPER, ("metrics_interval_s=3", "look_back_period_s=6"), held_out=True),
    Pair(USERS, ("upscale_delay_s=5",)),
    Pair(USERS, ("max_replicas=3",), held_out=True),
    Pair(CPU, ("upscale_delay_s=5",)),
    Pair(CPU, ("target_ongoing_requests=2",), held_out=True),
    Pair(PIPELINE, ("target_ongoing_requests=5",)),
    Pair(PIPELINE, ("upscale_delay_s=0.5",), held_out=True),
)
CALM = App(
    "calm",
    "sleeper",
    "Sleeper",
    "2rps:10s,24rps:75s",
    _ROOM,
    {**_SETTINGS, "max_replicas": 5, "upscale_delay_s": 0.5, "downscale_delay_s": 1.0},
)
SWING = Pair(CALM, ("upscaling_factor=3", "downscaling_factor=3"))
"""ray#63279 in small: factors that overshoot, so that the target swings under a constant load.

With a factor of 2 the policy goes as far beyond what is wanted as it was below: how long that lasts is
decided by noise. With 3 each overshoot is larger than the one before, up to min and max.
"""
SWING_SLO: Final = "p95<1s"
