"""The clock of a run: one wall-clock anchor, then monotonic time."""

import time
from collections.abc import Callable
from typing import Self

import msgspec


class ClockOffset(msgspec.Struct, frozen=True):
    """The cluster's clock minus ours: `offset_s`, within `error_s`."""

    offset_s: float
    error_s: float


def clock_offset(sent_s: float, received_s: float, timestamp_s: float) -> ClockOffset:
    """Offset from one poll whose answer carries the cluster's time (docs/metrics.md#time)."""
    return ClockOffset(timestamp_s - (sent_s + received_s) / 2, (received_s - sent_s) / 2)


_TRIES = 20
_CLOSE_S = 50e-6


class Clock:
    """Unix seconds, unaffected by steps of the wall clock.

    `wall` is read once, when the clock is made; after that only `monotonic` counts. Time that passes
    between the two readings is an error of the clock, so both are repeated until they are close.
    `ahead_s` is this machine's clock minus the run's; 0 if the run uses this machine's clock.
    """

    ahead_s = 0.0

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.monotonic = monotonic
        narrowest_s = float("inf")
        for _ in range(_TRIES):
            before_s = monotonic()
            wall_s = wall()
            width_s = monotonic() - before_s
            if width_s < narrowest_s:
                narrowest_s = width_s
                self.anchor_monotonic_s = before_s + width_s / 2
                self.anchor_wall_s = wall_s
            if width_s <= _CLOSE_S:
                break

    @classmethod
    def at(cls, anchor_wall_s: float, anchor_monotonic_s: float) -> Self:
        """Return the clock of another process of this machine, by its anchor."""
        clock = cls()
        clock.anchor_wall_s, clock.anchor_monotonic_s = anchor_wall_s, anchor_monotonic_s
        return clock

    def own(self) -> float:
        """Unix seconds now, on this machine's clock."""
        return self.anchor_wall_s + (self.monotonic() - self.anchor_monotonic_s)

    def now(self) -> float:
        """Unix seconds now, on the run's clock."""
        return self.own() - self.ahead_s

    @property
    def zero_s(self) -> float:
        """Unix seconds on the run's clock at which `monotonic` reads 0."""
        return self.anchor_wall_s - self.anchor_monotonic_s - self.ahead_s
