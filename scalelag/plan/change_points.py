"""Change points of the rate in a trace. They are the edges of the load steps in the report.

The method is optimal partitioning (Jackson et al. 2005): of all ways to cut the trace into segments of
constant rate, it finds the one with the least sum of -N ln(N / T) + penalty, for N requests in a
segment of T seconds. Up to constants that is the negative log-likelihood of a Poisson process. The
penalty is twice Schwarz's, 2 ln(number of cells), times the dispersion of the counts, so that noise
wider than Poisson's makes no load steps.

No library fits: change point libraries such as `ruptures` take evenly sampled signals. Here rows have
lengths of their own, edges are moved to single arrivals, and a segment has a least duration in seconds.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

LEAST_CELL_S = 1.0
"""Cells are at least this long."""
LEAST_S = 5.0
"""A segment is at least this long."""
LEAST_CHANGE_RATIO = 0.1
"""Rates of neighbouring segments differ by at least this share of the higher one."""
MOST_CELLS = 4096
"""The work grows with the square of the cells: 4,096 take a third of a second."""

_MEDIAN_OF_CHI2 = 0.4549
_COUNTED = 10


class Counts(msgspec.Struct, frozen=True):
    """Cumulative requests of a trace at some moments, both ascending.

    For a whole trace the first entry is moment 0 with 0 requests, the last its end with all requests.
    """

    moments_s: NDArray[np.float64]
    reached: NDArray[np.float64]

    def within(self, from_s: float, to_s: float) -> "Counts":
        """Entries from `from_s` to `to_s`, both included."""
        low = np.searchsorted(self.moments_s, from_s, side="left")
        high = np.searchsorted(self.moments_s, to_s, side="right")
        return Counts(self.moments_s[low:high], self.reached[low:high])


PointsWithin = Callable[[float, float], Counts]


class _Point(NamedTuple):
    at_s: float
    reached: float


def change_points(cells: Counts, points: PointsWithin, *, scattered: bool) -> Counts:
    """Edges of the segments: the change points of the rate, and the two ends of the trace.

    `cells` are at most `MOST_CELLS` spans in which requests are counted. `points` returns the possible
    change points between two moments. Edges are first found between cells. Neighbours whose rates
    hardly differ are joined. Then each edge is moved to the best point. The dispersion is 1 unless the
    counts are `scattered`.
    """
    dispersion = _dispersion(cells) if scattered else 1.0
    cuts = _best_cuts(cells, 2 * np.log(cells.reached.size) * dispersion)
    cuts = _joined(cuts, cells)
    edges = [_Point(float(cells.moments_s[cut]), float(cells.reached[cut])) for cut in cuts]
    for number in range(1, len(edges) - 1):
        near_s = (cells.moments_s[cuts[number] - 1], cells.moments_s[cuts[number] + 1])
        before, cut, after = edges[number - 1 : number + 2]
        edges[number] = _best_point(before, cut, after, near_s, points)
    return Counts(
        np.array([edge.at_s for edge in edges]), np.array([edge.reached for edge in edges])
    )


def repeated(edges: Counts, repeat: int) -> Counts:
    """Edges of the segments of a trace that runs `repeat` times; similar neighbours are joined."""
    moments_s, reached = (
        np.append((part[:-1] + np.arange(repeat)[:, None] * part[-1]).ravel(), repeat * part[-1])
        for part in (edges.moments_s, edges.reached)
    )
    cuts = _joined(list(range(moments_s.size)), Counts(moments_s, reached))
    return Counts(moments_s[cuts], reached[cuts])


def _best_cuts(cells: Counts, penalty: float) -> list[int]:
    """Indices of the cell edges at which to cut, including the first and the last."""
    at_s, reached = cells.moments_s, cells.reached
    last = at_s.size - 1
    best = np.full(at_s.size, np.inf)
    best[0] = 0.0
    came_from = np.zeros(at_s.size, np.int64)
    # Number of edges that lie at least LEAST_S before each edge.
    before = np.searchsorted(at_s, at_s - LEAST_S + 1e-9, side="right")
    # A trace that is shorter than LEAST_S is one segment.
    before[last] = max(before[last], 1)
    for end in range(1, last + 1):
        begins = slice(0, int(before[end]))
        costs = (
            best[begins] + penalty + _cost(reached[end] - reached[begins], at_s[end] - at_s[begins])
        )
        if costs.size:
            came_from[end] = begin = int(np.argmin(costs))
            best[end] = costs[begin]
    cuts = [last]
    while cuts[-1] > 0:
        cuts.append(int(came_from[cuts[-1]]))
    return cuts[::-1]


def _cost(requests: NDArray[np.float64], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """-N ln(N / T); 0 for N = 0."""
    safe = np.maximum(requests, 1e-300)
    return np.where(requests > 0, -requests * np.log(safe / seconds), 0.0)


def _dispersion(cells: Counts) -> float:
    """Variance of the counts divided by their mean, at least 1.

    It is estimated from neighbouring cells. For Poisson counts of one rate, (x - y)^2 / (x + y) is
    about chi-squared with one degree of freedom. The median is robust against the few pairs with a
    change between them, if cells are much shorter than segments.
    """
    widths_s = np.diff(cells.moments_s)
    rates = np.diff(cells.reached) / widths_s
    change = np.diff(rates) ** 2
    variance = rates[1:] / widths_s[1:] + rates[:-1] / widths_s[:-1]
    # For small counts the median is coarse: it takes only a few whole numbers.
    known = cells.reached[2:] - cells.reached[:-2] >= _COUNTED
    if not known.any():
        return 1.0
    return max(1.0, float(np.median(change[known] / variance[known]) / _MEDIAN_OF_CHI2))


def _joined(cuts: list[int], cells: Counts) -> list[int]:
    """Remove the cuts at which the rate changes too little, the smallest change first."""
    cuts = list(cuts)
    while len(cuts) > 2:
        rates = np.diff(cells.reached[cuts]) / np.diff(cells.moments_s[cuts])
        changes = np.abs(np.diff(rates)) / np.maximum(rates[1:], rates[:-1])
        least = int(np.argmin(changes))
        if changes[least] >= LEAST_CHANGE_RATIO:
            break
        del cuts[least + 1]
    return cuts


def _best_point(
    before: _Point, cut: _Point, after: _Point, near_s: tuple[float, float], points: PointsWithin
) -> _Point:
    """Best point within `near_s` to separate the two segments at `cut`; it may be `cut` itself."""
    near = points(
        max(near_s[0], min(before.at_s + LEAST_S, cut.at_s)),
        min(near_s[1], max(after.at_s - LEAST_S, cut.at_s)),
    )
    at_s = np.append(near.moments_s, cut.at_s)
    reached = np.append(near.reached, cut.reached)
    costs = _cost(reached - before.reached, at_s - before.at_s)
    costs += _cost(after.reached - reached, after.at_s - at_s)
    best = int(np.argmin(costs))
    return _Point(float(at_s[best]), float(reached[best]))
