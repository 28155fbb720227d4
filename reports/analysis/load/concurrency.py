"""Number of open requests over time, from the rows of requests."""

import math

import numpy as np
from numpy.typing import NDArray

from scalelag.record.requests_file import RequestColumns

_BLOCK = 1_000_000


class Concurrency:
    """Open requests over time: sent and not yet answered. Times in Unix seconds."""

    def __init__(self, rows: RequestColumns) -> None:
        sent = ~rows.not_sent & np.isfinite(rows.latency_s)
        intended_s = rows.intended_s[sent]
        self._begun_s: NDArray[np.float64] = intended_s + rows.send_lag_s[sent]
        self._ended_s: NDArray[np.float64] = intended_s + rows.latency_s[sent]

    @property
    def blur_s(self) -> float:
        """Always 0: each request has its own times."""
        return 0.0

    def mean(self, from_s: float, to_s: float) -> float | None:
        """Mean number of open requests between two moments; None for an empty time."""
        if to_s <= from_s:
            return None
        overlap_s = np.minimum(self._ended_s, to_s) - np.maximum(self._begun_s, from_s)
        return float(np.clip(overlap_s, 0.0, None).sum()) / (to_s - from_s)

    def last_open_s(self, until_s: float) -> float:
        """Moment by `until_s` up to which a request was open; minus infinity if none was."""
        begun = self._begun_s < until_s
        return float(np.minimum(self._ended_s[begun], until_s).max(initial=-math.inf))

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
        begun, left_s = _by_bin(self._begun_s, edges_s)
        ended, saved_s = _by_bin(self._ended_s, edges_s)
        # Open all through a bin are those of before it; what begins or ends in it, to its end.
        open_before = np.cumsum(begun - ended)[:-2]
        widths_s = np.diff(edges_s)
        return (open_before * widths_s + (left_s - saved_s)[1:-1]) / widths_s


def _by_bin(
    times_s: NDArray[np.float64], edges_s: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Number of times in each bin, and the sum of their distances to its end.

    The first bin is all before `edges_s`, the last all after; their distances mean nothing. In
    blocks, so that many rows take little memory.
    """
    counts = np.zeros(edges_s.size + 1, np.int64)
    distance_s = np.zeros(edges_s.size + 1)
    ends_s = np.append(edges_s, edges_s[-1])
    for first in range(0, times_s.size, _BLOCK):
        block_s = times_s[first : first + _BLOCK]
        place = np.searchsorted(edges_s, block_s, side="right")
        counts += np.bincount(place, minlength=counts.size)
        distance_s += np.bincount(place, weights=ends_s[place] - block_s, minlength=counts.size)
    return counts, distance_s
