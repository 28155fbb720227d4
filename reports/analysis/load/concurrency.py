"""Number of open requests over time, from the rows of requests."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from reports.model.intervals import Window
from scalelag.record.blocks import blocks
from scalelag.record.requests_file import RequestColumns

_KEPT_ROWS = 16_000_000
"""Rows whose sorted moments are kept: those of more are sorted for each question."""


class _Moments(NamedTuple):
    """Moments at which requests were sent, and at which they were answered, each ascending."""

    begun_s: NDArray[np.float64]
    ended_s: NDArray[np.float64]


class Concurrency:
    """Open requests over time: sent and not yet answered. Times in Unix seconds.

    The rows are read in blocks, so that many take little memory. Only blocks with requests that
    were open in the given time are read. Their times are sorted once, so that a question on a few
    rows does not read all of them.
    """

    def __init__(self, rows: RequestColumns) -> None:
        """Take the requests of all load processes."""
        self._rows, self._places = rows, [*blocks(rows.count)]
        self._opened_s = [open_between_s(rows, block) for block in self._places]
        self._kept: dict[int, _Moments] = {}

    def _block(self, index: int) -> _Moments:
        """Moments of the requests of a block."""
        found = self._kept.get(index)
        if found is None:
            found = _Moments(*map(_ascending, _sent_s(self._rows, self._places[index])))
            if self._places[index].stop <= _KEPT_ROWS:
                self._kept[index] = found
        return found

    def _blocks(self, from_s: float, to_s: float) -> Iterator[_Moments]:
        """Moments of the blocks in which a request was open between two moments."""
        for index, (begun_s, ended_s) in enumerate(self._opened_s):
            if begun_s <= to_s and ended_s >= from_s:
                yield self._block(index)

    @property
    def blur_s(self) -> float:
        """Always 0: each request has its own times."""
        return 0.0

    def mean(self, from_s: float, to_s: float) -> float | None:
        """Mean number of open requests between two moments; None for an empty time."""
        return float(self.means(np.array((from_s, to_s)))[0]) if to_s > from_s else None

    def within(self, _hold: Window, /) -> Self:
        """The same: of each number the time is known."""
        return self

    def last_open_s(self, until_s: float) -> float:
        """Moment by `until_s` up to which a request was open; minus infinity if none was."""
        found = -math.inf
        for index, (first_s, last_s) in reversed(list(enumerate(self._opened_s))):
            if first_s < until_s and last_s > found:
                begun_s, ended_s = self._block(index)
                begun, ended = (int(np.searchsorted(one, until_s)) for one in (begun_s, ended_s))
                if begun > ended:
                    return until_s
                if ended:
                    found = max(found, float(ended_s[ended - 1]))
        return found

    def at(self, moments_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Number of open requests at each of `moments_s`, which ascend."""
        found = np.zeros(moments_s.size, np.int64)
        if moments_s.size:
            for begun_s, ended_s in self._blocks(moments_s[0], moments_s[-1]):
                found += _open_at(moments_s, begun_s, ended_s)
        return found

    def least(self, from_s: float, to_s: float, within_s: float) -> float | None:
        """Least mean number of open requests in equal parts of a window; None for an empty one.

        The parts are about a third of `within_s` long.
        """
        if to_s <= from_s:
            return None
        parts = max(1, math.ceil(3 * (to_s - from_s) / within_s))
        return float(self.means(np.linspace(from_s, to_s, parts + 1)).min())

    def means(self, edges_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean number of open requests between each two of `edges_s`, which ascend."""
        widths_s = np.diff(edges_s)
        open_before, rest_s = np.zeros(widths_s.size, np.int64), np.zeros(widths_s.size)
        for times in self._blocks(edges_s[0], edges_s[-1]):
            for times_s, sign in zip(times, (1, -1), strict=True):
                places = np.searchsorted(times_s, edges_s)
                open_before += sign * places[:-1]
                rest_s += sign * _rest_s(times_s, edges_s, places)
        # Open all through a bin are those of before it; what begins or ends in it, to its end.
        return (open_before * widths_s + rest_s) / widths_s


def open_of_workers(
    rows: RequestColumns, asked_s: Mapping[int, NDArray[np.float64]]
) -> dict[int, NDArray[np.int64]]:
    """Number of open requests of each load process at the moments, ascending, that are asked of it."""
    found = {worker: np.zeros(at_s.size, np.int64) for worker, at_s in asked_s.items()}
    for block in blocks(rows.count):
        begun_s, ended_s = _sent_s(rows, block)
        for worker, at_s in asked_s.items():
            # A mask takes five times as long, where rows of several processes take turns.
            own = np.flatnonzero(rows.worker[block] == worker)
            begun, ended = _ascending(begun_s[own]), _ascending(ended_s[own])
            if begun.size:
                # At other moments none of them is open.
                first, last = np.searchsorted(at_s, (begun[0], ended[-1]))
                found[worker][first:last] += _open_at(at_s[first:last], begun, ended)
    return found


def _open_at(
    moments_s: NDArray[np.float64], begun_s: NDArray[np.float64], ended_s: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Number of requests that are open at each moment; times of both kinds ascend."""
    begun, ended = (np.searchsorted(one, moments_s, side="right") for one in (begun_s, ended_s))
    return begun - ended


def _sent_s(rows: RequestColumns, block: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Moments at which requests of a block were sent, and were answered; NaN of those not sent."""
    latency_s, due_s = rows.latency_s[block], rows.intended_s[block]
    missing = rows.not_sent_in(block) | ~np.isfinite(latency_s)
    begun_s, ended_s = due_s + rows.send_lag_s[block], due_s + latency_s
    begun_s[missing] = ended_s[missing] = np.nan
    return begun_s, ended_s


def _ascending(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sort times in place, and leave out NaN, which sorts to the end."""
    times_s.sort()
    return times_s[: times_s.size - np.count_nonzero(np.isnan(times_s))]


def open_between_s(rows: RequestColumns, block: slice) -> tuple[float, float]:
    """Moments between which all requests of a block were open."""
    due_s = rows.intended_s[block]
    # They pass over NaN.
    least_lag_s = np.fmin.reduce(rows.send_lag_s[block], initial=0.0)
    longest_s = np.fmax.reduce(rows.latency_s[block], initial=0.0)
    return float(due_s.min() + least_lag_s), float(due_s.max() + longest_s)


def _rest_s(
    times_s: NDArray[np.float64], edges_s: NDArray[np.float64], places: NDArray[np.intp]
) -> NDArray[np.float64]:
    """For each bin, the sum of the seconds from each of ascending `times_s` in it to its end.

    `places` are those of `edges_s` among the times.
    """
    counts = np.diff(places)
    rest_s = np.repeat(edges_s[1:], counts) - times_s[places[0] : places[-1]]
    found, used = np.zeros(counts.size), np.flatnonzero(counts)
    if used.size:
        found[used] = np.add.reduceat(rest_s, places[used] - places[0])
    return found
