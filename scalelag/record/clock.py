"""The clock of a run: one wall-clock anchor, then monotonic time."""

import time
from collections.abc import Callable


class Clock:
    """Unix seconds that a step of the wall clock does not move.

    `wall` is read once, when the clock is made; from then on only `monotonic` counts.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self.anchor_monotonic_s = monotonic()
        self.anchor_wall_s = wall()

    def now(self) -> float:
        """Unix seconds now."""
        return self.anchor_wall_s + (self._monotonic() - self.anchor_monotonic_s)
