"""Number of open requests over time, from the rows of requests."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scalelag.record.error_kinds import is_not_sent
from scalelag.record.requests_file import RequestColumns

_BLOCK = 1_000_000

_Times = tuple[NDArray[np.float64], NDArray[np.float64]]


class Concurrency:
    """Open requests over time: sent and not yet answered. Times in Unix seconds.

    The rows are read in blocks, so that many take little memory, and only blocks with requests that
    were open in the time that is asked for.
    """

    def __init__(self, rows: RequestColumns, worker: int | None = None) -> None:
        """Take the requests of all load processes, or of one `worker`."""
        self._rows, self._worker = rows, worker
        self._is_sent = np.array([*(not is_not_sent(kind) for kind in rows.errors), True])
        self._opened_s = [self._bounds_s(first) for first in range(0, rows.count, _BLOCK)]

    def _bounds_s(self, first: int) -> tuple[float, float]:
        """Moments between which all requests of a block were open."""
        rows, block = self._rows, slice(first, first + _BLOCK)
        due_s = rows.intended_s[block]
        # They pass over NaN.
        least_lag_s = np.fmin.reduce(rows.send_lag_s[block], initial=0.0)
        longest_s = np.fmax.reduce(rows.latency_s[block], initial=0.0)
        return float(due_s.min() + least_lag_s), float(due_s.max() + longest_s)

    def _block_s(self, first: int) -> _Times:
        """Moments at which requests of a block were sent, and at which they were answered."""
        rows, block = self._rows, slice(first, first + _BLOCK)
        latency_s = rows.latency_s[block]
        sent = self._is_sent[rows.error[block]] & np.isfinite(latency_s)
        if self._worker is not None:
            sent &= rows.worker[block] == self._worker
        due_s = rows.intended_s[block][sent]
        return due_s + rows.send_lag_s[block][sent], due_s + latency_s[sent]

    def _times_s(self, from_s: float, to_s: float) -> Iterator[_Times]:
        """Moments of the blocks in which a request was open between two moments."""
        for index, (begun_s, ended_s) in enumerate(self._opened_s):
            if begun_s <= to_s and ended_s >= from_s:
                yield self._block_s(index * _BLOCK)

    @property
    def blur_s(self) -> float:
        """Always 0: each request has its own times."""
        return 0.0

    def mean(self, from_s: float, to_s: float) -> float | None:
        """Mean number of open requests between two moments; None for an empty time."""
        if to_s <= from_s:
            return None
        open_s = 0.0
        for begun_s, ended_s in self._times_s(from_s, to_s):
            overlap_s = np.minimum(ended_s, to_s) - np.maximum(begun_s, from_s)
            open_s += float(np.clip(overlap_s, 0.0, None).sum())
        return open_s / (to_s - from_s)

    def last_open_s(self, until_s: float) -> float:
        """Moment by `until_s` up to which a request was open; minus infinity if none was."""
        found = -math.inf
        for index, (first_s, last_s) in reversed(list(enumerate(self._opened_s))):
            if first_s < until_s and last_s > found:
                begun_s, ended_s = self._block_s(index * _BLOCK)
                last = np.minimum(ended_s[begun_s < until_s], until_s).max(initial=-math.inf)
                found = max(found, float(last))
        return found

    def at(self, moments_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Number of open requests at each of `moments_s`, which ascend."""
        change = np.zeros(moments_s.size + 1, np.int64)
        if not moments_s.size:
            return change[:-1]
        for begun_s, ended_s in self._times_s(moments_s[0], moments_s[-1]):
            for times_s, sign in ((begun_s, 1), (ended_s, -1)):
                place = np.searchsorted(moments_s, times_s, side="left")
                change += sign * np.bincount(place, minlength=change.size)
        return np.cumsum(change)[:-1]

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
        change, rest_s = np.zeros(edges_s.size + 1, np.int64), np.zeros(edges_s.size + 1)
        for begun_s, ended_s in self._times_s(edges_s[0], edges_s[-1]):
            for times_s, sign in ((begun_s, 1), (ended_s, -1)):
                counts, distance_s = _by_bin(times_s, edges_s)
                change += sign * counts
                rest_s += sign * distance_s
        # Open all through a bin are those of before it; what begins or ends in it, to its end.
        open_before = np.cumsum(change)[:-2]
        widths_s = np.diff(edges_s)
        return (open_before * widths_s + rest_s[1:-1]) / widths_s


def _by_bin(
    times_s: NDArray[np.float64], edges_s: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Number of times in each bin, and the sum of their distances to its end.

    The first bin is all before `edges_s`, the last all after; their distances mean nothing.
    """
    ends_s = np.append(edges_s, edges_s[-1])
    place = np.searchsorted(edges_s, times_s, side="right")
    counts = np.bincount(place, minlength=ends_s.size)
    distance_s = np.zeros(ends_s.size)
    distance_s += np.bincount(place, weights=ends_s[place] - times_s, minlength=ends_s.size)
    return counts, distance_s
