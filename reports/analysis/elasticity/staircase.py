"""Piecewise constant curves, and integrals over them."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.model.intervals import Window


class Staircase(msgspec.Struct, frozen=True):
    """A piecewise constant curve: `values[0]` until `times_s[0]`, `values[1]` from then on, ...

    `times_s` float64, ascending; `values` int64, one more than times.
    """

    times_s: NDArray[np.float64]
    values: NDArray[np.int64]

    def at(self, times_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Values at those moments; the new one at a change."""
        return self.values[np.searchsorted(self.times_s, times_s, side="right")]

    def variation(self, windows: Sequence[Window]) -> int:
        """Sum of its changes within `windows`, up or down; the end of a window is not in it."""
        within = np.zeros(self.times_s.size, np.bool_)
        for from_s, to_s in windows:
            within |= (self.times_s >= from_s) & (self.times_s < to_s)
        return int(np.abs(np.diff(self.values))[within].sum())

    def median(self, window: Window) -> int | None:
        """The value that it does not exceed for half of `window`; None if that has no time."""
        if window.to_s <= window.from_s:
            return None
        span_s, (values,) = pieces((self,), (window,))
        order = np.argsort(values, kind="stable")
        reached_s = np.cumsum(span_s[order])
        # Half of it but for rounding: of two values that share the time, the lower.
        place = np.searchsorted(reached_s, 0.5 * reached_s[-1] * (1 - 1e-9))
        return int(values[order][place])


def stairs(before: int, times_s: Sequence[float], deltas: Sequence[int]) -> Staircase:
    """The curve that is `before` and changes by each of `deltas` at its time, in any order."""
    times = np.asarray(times_s, np.float64)
    order = np.argsort(times, kind="stable")
    steps = np.asarray(deltas, np.int64)[order]
    return Staircase(times[order], before + np.concatenate([[0], np.cumsum(steps)]))


def pieces(
    curves: Sequence[Staircase], windows: Sequence[Window]
) -> tuple[NDArray[np.float64], list[NDArray[np.int64]]]:
    """Lengths in seconds of pieces of `windows` in which no curve changes, and each curve's values.

    The edges of the pieces are the union of all moments at which any of them changes.
    """
    begun: list[NDArray[np.float64]] = []
    spans: list[NDArray[np.float64]] = []
    for from_s, to_s in windows:
        inner = [c.times_s[(c.times_s > from_s) & (c.times_s < to_s)] for c in curves]
        edges = np.unique(np.concatenate([[from_s], *inner, [to_s]]))
        begun.append(edges[:-1])
        spans.append(np.diff(edges))
    starts = np.concatenate(begun) if begun else np.empty(0)
    return np.concatenate(spans) if spans else np.empty(0), [c.at(starts) for c in curves]
