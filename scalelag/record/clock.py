"""The clock of a run: one wall-clock anchor, then monotonic time."""

import time
from collections.abc import Callable

import msgspec


class ClockOffset(msgspec.Struct, frozen=True):
    """Cluster's clock minus ours, `offset_s`, right to within `error_s`."""

    offset_s: float
    error_s: float


def clock_offset(sent_s: float, received_s: float, timestamp_s: float) -> ClockOffset:
    """Offset from one poll whose answer carries the cluster's time (docs/metrics.md#time)."""
    return ClockOffset(timestamp_s - (sent_s + received_s) / 2, (received_s - sent_s) / 2)


_TRIES = 20
_CLOSE_S = 50e-6


class Clock:
    """Unix seconds that a step of the wall clock does not move.

    `wall` is read when the clock is made; from then on only `monotonic` counts. Both are read
    anew while something came between the two readings, which would set the clock off by as much.
    `ahead_s` is how far this machine's clock is ahead of the one that the run goes by: 0 where
    that is our own.
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

    def own(self) -> float:
        """Unix seconds now, as this machine has them."""
        return self.anchor_wall_s + (self.monotonic() - self.anchor_monotonic_s)

    def now(self) -> float:
        """Unix seconds now, as the run has them."""
        return self.own() - self.ahead_s

    @property
    def zero_s(self) -> float:
        """Unix seconds, as the run has them, at which `monotonic` would have read 0."""
        return self.anchor_wall_s - self.anchor_monotonic_s - self.ahead_s
