"""Time of Locust's runners, which steps of the wall clock do not move."""

import time
from typing import Any

from locust import runners

from scalelag.record.clock import Clock


class SteadyTime:
    """The `time` module whose `time()` is read once from the wall clock, and then continues by itself.

    Locust measures each turn of its load shape by the wall clock, and sleeps for the rest of a
    second. Our turns last for as long as a stage. When the clock was set back by an hour in one,
    the run stood still for an hour. Locust also judges by that clock if its master is still there.
    """

    def __init__(self, clock: Clock) -> None:
        self.time = clock.own

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  as the module has it
        return getattr(time, name)


def keep_steady_time() -> None:
    """Have the runners of this process go by a time that no step of the wall clock moves."""
    runners.time = SteadyTime(Clock())  # pyright: ignore[reportPrivateImportUsage]
