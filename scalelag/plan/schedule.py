"""Due times of the requests of a run. The master makes the schedule and sends it to the workers."""

import zlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.plan.arrivals import arrival_blocks, before_end, mark_blocks, when_reached
from scalelag.plan.mix import Mix
from scalelag.plan.mixed_arrivals import MixedMarks
from scalelag.plan.stages import Arrivals, LoadPlan

_BLOCK = 65_536
# Apart from the numbers of stages, by which Poisson arrivals are drawn.
_DRAWN = 2**32 - 1

Turns = tuple[NDArray[np.float64], NDArray[np.uint16]]
"""Due times, ascending, and the number of the request of each."""


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
        rows = self._rows()
        for marks in mark_blocks(rows.expected, arrivals, (seed, 0)):
            yield rows.when_reached(marks)

    def turns(self, mix: Mix, seed: int) -> Iterator[Turns]:
        """Yield due times of all requests of `mix`, each with its share of the rates."""
        rows = self._rows()
        for marks, numbers in MixedMarks(mix, seed).of_stage(0, rows.expected):
            yield rows.when_reached(marks), numbers

    def _rows(self) -> "_Rows":
        edges_s, rates_rps = _unpacked(self.edges_s), _unpacked(self.rates_rps)
        return _Rows(edges_s, rates_rps, integral(edges_s, rates_rps))


class _Rows(NamedTuple):
    """Unpacked rows of a RateTable, and the integral of the rate up to each edge."""

    edges_s: NDArray[np.float64]
    rates_rps: NDArray[np.float64]
    reached: NDArray[np.float64]

    @property
    def expected(self) -> float:
        return float(self.reached[-1])

    def when_reached(self, marks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the times at which the integral of the rate reaches `marks`."""
        # The last row that begins at or below the mark; its rate is never 0.
        row = np.searchsorted(self.reached, marks, side="right") - 1
        due_s = self.edges_s[row] + (marks - self.reached[row]) / self.rates_rps[row]
        return np.minimum(due_s, self.edges_s[row + 1])


class DueTimes(msgspec.Struct, frozen=True, tag=True):
    """Due times of a trace, one for each arrival. Make one with `of`.

    All arrivals of one of its `lines` are sent by the same process. `numbers` are those of requests of
    a mix.
    """

    times_s: bytes
    lines: bytes = b""
    numbers: bytes = b""

    @classmethod
    def of(cls, times_s: NDArray[np.float64]) -> "DueTimes":
        """Make it from `times_s`, which are ascending."""
        return cls(_packed(times_s))

    def with_lines(self, lines: NDArray[np.int64]) -> "DueTimes":
        """Return the same due times, of which each belongs to one of `lines`."""
        return DueTimes(self.times_s, zlib.compress(lines.astype("<i8").tobytes(), 1))

    def drawn(self, mix: Mix, seed: int) -> "DueTimes":
        """Return the same due times, with a request drawn for each by the weights of `mix`."""
        size = _unpacked(self.times_s).size
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, _DRAWN))))
        numbers = np.searchsorted(np.cumsum(mix.shares(0))[:-1], random.random(size), side="right")
        return msgspec.structs.replace(self, numbers=_packed_numbers(numbers))

    def turns(self) -> Iterator[Turns]:
        """Yield the due times, each with the number of its request."""
        times_s, numbers = _unpacked(self.times_s), self._numbers()
        for at in range(0, times_s.size, _BLOCK):
            due_s = times_s[at : at + _BLOCK]
            yield due_s, _zeros(due_s) if numbers is None else numbers[at : at + _BLOCK]

    def _numbers(self) -> NDArray[np.uint16] | None:
        return np.frombuffer(zlib.decompress(self.numbers), "<u2") if self.numbers else None

    def every(self, first: int, count: int) -> "DueTimes":
        """Every `count`-th due time or line, starting with number `first`."""
        times_s = _unpacked(self.times_s)
        lines = np.frombuffer(zlib.decompress(self.lines), "<i8") if self.lines else None
        chosen, numbers = picked(lines, times_s.size, first, count), self._numbers()
        share = DueTimes.of(times_s[chosen])
        if numbers is None:
            return share
        return msgspec.structs.replace(share, numbers=_packed_numbers(numbers[chosen]))


class Schedule(msgspec.Struct, frozen=True):
    """Due times of a plan, or of one process's share: every `every`-th arrival from `first` on.

    Each process computes constant and Poisson arrivals from plan and seed; those of a `trace` are part
    of the schedule. With `lines` the arrivals of a plan go to the lines in turn, and a share has
    every `every`-th line. Without a `mix` all arrivals are of request 0; `mixed` makes one with it.
    """

    plan: LoadPlan
    arrivals: Arrivals = "constant"
    seed: int = 0
    trace: RateTable | DueTimes | None = None
    first: int = 0
    every: int = 1
    lines: int = 0
    mix: Mix | None = None

    def mixed(self, mix: Mix) -> "Schedule":
        """Return the schedule of the whole load with the requests of `mix`."""
        trace = self.trace
        if isinstance(trace, DueTimes):
            trace = trace.drawn(mix, self.seed)
        return msgspec.structs.replace(self, mix=mix, trace=trace)

    @property
    def kind(self) -> Arrivals | Literal["replayed"]:
        """Kind of arrivals; `replayed` if a trace gives each arrival."""
        return "replayed" if isinstance(self.trace, DueTimes) else self.arrivals

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """Yield due times, ascending, in seconds after the plan's start, in blocks of at most 65,536.

        A plan of users has none.
        """
        for due_s, _ in self.turns():
            yield due_s

    def turns(self) -> Iterator[Turns]:
        """Yield the blocks of due times, each with the numbers of its requests."""
        at = 0
        for due_s, numbers in self._whole():
            chosen = self._chosen(at, due_s.size)
            yield due_s[chosen], numbers[chosen]
            at += due_s.size

    def _chosen(self, at: int, size: int) -> slice | NDArray[np.int64]:
        """Return the places of our share in a block of the whole that begins with arrival `at`."""
        if not self.lines:
            return slice((self.first - at) % self.every, None, self.every)
        return picked((at + np.arange(size)) % self.lines, size, self.first, self.every)

    def _whole(self) -> Iterator[Turns]:
        if self.plan.unit == "users":
            return
        if isinstance(self.trace, DueTimes):
            yield from self.trace.turns()
        elif self.mix is not None:
            yield from self._mixed_turns(self.mix)
        else:
            blocks = (
                arrival_blocks(self.plan, self.arrivals, self.seed)
                if self.trace is None
                else self.trace.blocks(self.arrivals, self.seed)
            )
            for due_s in blocks:
                yield due_s, _zeros(due_s)

    def _mixed_turns(self, mix: Mix) -> Iterator[Turns]:
        if isinstance(self.trace, RateTable):
            yield from self.trace.turns(mix, self.seed)
            return
        mixed = MixedMarks(mix, self.seed)
        for number, stage in enumerate(self.plan.stages):
            for marks, numbers in mixed.of_stage(number, stage.at_most.expected):
                due_s = when_reached(stage, marks)
                end = before_end(stage, due_s)
                yield stage.at_s + due_s[:end], numbers[:end]

    def ended(self, stage: int, at_s: float) -> "Schedule":
        """Return the schedule of which a stage ends early (see `LoadPlan.ended`).

        Until then it has the same arrivals.
        """
        return msgspec.structs.replace(self, plan=self.plan.ended(stage, at_s))

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


def _zeros(due_s: NDArray[np.float64]) -> NDArray[np.uint16]:
    return np.zeros(due_s.size, np.uint16)


def _packed_numbers(numbers: NDArray[np.integer]) -> bytes:
    return zlib.compress(numbers.astype("<u2").tobytes(), 1)


def _packed(values: NDArray[np.float64]) -> bytes:
    """Compress floats: 5 million take 0.3 to 0.8 s, and shrink from 40 MB to 10 to 27 MB."""
    return zlib.compress(values.astype("<f8", copy=False).tobytes(), 1)


def _unpacked(packed: bytes) -> NDArray[np.float64]:
    return np.frombuffer(zlib.decompress(packed), "<f8")
