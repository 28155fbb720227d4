"""Counts of moments between edges of time."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_FEW: Final = 16
"""Up to this number of edges, a comparison with each takes less time than a search for each moment."""


def counted_between(
    moments_s: NDArray[np.float64], edges_s: NDArray[np.float64], *, at_edge_after: bool
) -> NDArray[np.int64]:
    """Return how many moments come before the first of ascending edges, between two, and at last.

    A moment at an edge comes after it if `at_edge_after`, else before it. None of them is NaN.
    """
    found = np.zeros(edges_s.size + 1, np.int64)
    if not moments_s.size:
        return found
    side = "right" if at_edge_after else "left"
    bounds_s = np.array([moments_s.min(), moments_s.max()])
    first, last = map(int, np.searchsorted(edges_s, bounds_s, side=side))
    near_s = edges_s[first:last]
    if near_s.size > _FEW:
        places = np.searchsorted(near_s, moments_s, side=side)
        found[first : last + 1] = np.bincount(places, minlength=near_s.size + 1)
        return found
    comes_before = np.less if at_edge_after else np.less_equal
    before = [int(np.count_nonzero(comes_before(moments_s, edge_s))) for edge_s in near_s]
    found[first : last + 1] = np.diff([0, *before, moments_s.size])
    return found
