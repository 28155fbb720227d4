"""Due times of the requests of a run. The master makes the schedule and sends it to the workers."""

import zlib
from collections.abc import Iterator
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.plan.arrivals import arrival_blocks, mark_blocks
from scalelag.plan.stages import Arrivals, LoadPlan

_BLOCK = 65_536


class RateTable(msgspec.Struct, frozen=True, tag=True):
    """Rates of a trace; each holds from its edge to the next. Make one with `of`."""

    edges_s: bytes
    rates_rps: bytes

    @classmethod
    def of(cls, edges_s: NDArray[np.float64], rates_rps: NDArray[np.float64]) -> "RateTable":
        """Make a table of `n` rates between `n + 1` ascending edges."""
        return cls(_packed(edges_s), _packed(rates_rps))

    def blocks(self, arrivals: Arrivals, seed: int) -> Iterator[NDArray[np.float64]]:
        """Yield due times; the integral of the rate continues from row to row.

        Unlike in a stage, the first arrival of a row is not due at its edge: at 0.2 rps five rows of
        one second share one arrival.
        """
        edges_s, rates_rps = _unpacked(self.edges_s), _unpacked(self.rates_rps)
        reached = integral(edges_s, rates_rps)
        for marks in mark_blocks(float(reached[-1]), arrivals, (seed, 0)):
            # The last row that begins at or below the mark; its rate is never 0.
            row = np.searchsorted(reached, marks, side="right") - 1
            due_s = edges_s[row] + (marks - reached[row]) / rates_rps[row]
            yield np.minimum(due_s, edges_s[row + 1])


class DueTimes(msgspec.Struct, frozen=True, tag=True):
    """Due times of a trace, one for each arrival. Make one with `of`.

    All arrivals of one of its `lines` are sent by the same process.
    """

    times_s: bytes
    lines: bytes = b""

    @classmethod
    def of(cls, times_s: NDArray[np.float64]) -> "DueTimes":
        """Make it from `times_s`, which are ascending."""
        return cls(_packed(times_s))

    def with_lines(self, lines: NDArray[np.int64]) -> "DueTimes":
        """Return the same due times, of which each belongs to one of `lines`."""
        return DueTimes(self.times_s, zlib.compress(lines.astype("<i8").tobytes(), 1))

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """Yield the due times."""
        times_s = _unpacked(self.times_s)
        for at in range(0, times_s.size, _BLOCK):
            yield times_s[at : at + _BLOCK]

    def every(self, first: int, count: int) -> "DueTimes":
        """Every `count`-th due time or line, starting with number `first`."""
        times_s = _unpacked(self.times_s)
        lines = np.frombuffer(zlib.decompress(self.lines), "<i8") if self.lines else None
        return DueTimes.of(times_s[picked(lines, times_s.size, first, count)])


class Schedule(msgspec.Struct, frozen=True):
    """Due times of a plan, or of one process's share: every `every`-th arrival from `first` on.

    Each process computes constant and Poisson arrivals from plan and seed; those of a `trace` are part
    of the schedule. With `lines` the arrivals of a plan take turns through so many, and a share has
    every `every`-th line.
    """

    plan: LoadPlan
    arrivals: Arrivals = "constant"
    seed: int = 0
    trace: RateTable | DueTimes | None = None
    first: int = 0
    every: int = 1
    lines: int = 0

    @property
    def kind(self) -> Arrivals | Literal["replayed"]:
        """Kind of arrivals; `replayed` if a trace gives each arrival."""
        return "replayed" if isinstance(self.trace, DueTimes) else self.arrivals

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """Yield due times, ascending, in seconds after the plan's start, in blocks of at most 65,536.

        A plan of users has none.
        """
        if self.lines:
            yield from self._of_lines()
            return
        first = self.first
        for block in self._whole():
            yield block[first :: self.every]
            first = (first - block.size) % self.every

    def _of_lines(self) -> Iterator[NDArray[np.float64]]:
        at = 0
        for block in self._whole():
            lines = (at + np.arange(block.size)) % self.lines
            yield block[picked(lines, block.size, self.first, self.every)]
            at += block.size

    def _whole(self) -> Iterator[NDArray[np.float64]]:
        if self.plan.unit == "users":
            return iter(())
        if isinstance(self.trace, DueTimes):
            return self.trace.blocks()
        if self.trace is not None:
            return self.trace.blocks(self.arrivals, self.seed)
        return arrival_blocks(self.plan, self.arrivals, self.seed)

    def count(self) -> int:
        """Number of requests that are due."""
        return sum(block.size for block in self.blocks())

    def share(self, index: int, count: int) -> "Schedule":
        """Share of process `index` of `count`; together the shares have each arrival once.

        Their union is the arrival process of the plan, also for Poisson arrivals.
        """
        if isinstance(self.trace, DueTimes):
            return msgspec.structs.replace(self, trace=self.trace.every(index, count))
        return msgspec.structs.replace(
            self, first=self.first + index * self.every, every=self.every * count
        )


def picked(lines: NDArray[np.int64] | None, size: int, first: int, every: int) -> NDArray[np.int64]:
    """Return the places of a share among `size` arrivals: each `every`-th, or line, from `first`."""
    if lines is None:
        return np.arange(first, size, every)
    return np.flatnonzero(lines % every == first)


def integral(edges_s: NDArray[np.float64], rates_rps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected requests up to each edge; 0 at the first."""
    # In long doubles: rounding errors of a million sums would add or drop an arrival.
    sums = np.cumsum(np.diff(edges_s) * rates_rps, dtype=np.longdouble)
    return np.concatenate(([0.0], sums.astype(np.float64)))


def _packed(values: NDArray[np.float64]) -> bytes:
    """Compress floats: 5 million take 0.3 to 0.8 s, and shrink from 40 MB to 10 to 27 MB."""
    return zlib.compress(values.astype("<f8", copy=False).tobytes(), 1)


def _unpacked(packed: bytes) -> NDArray[np.float64]:
    return np.frombuffer(zlib.decompress(packed), "<f8")
