"""Differences of two curves of a target, also where both swing and turn at other moments."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.stats import wasserstein_distance

from reports.analysis.elasticity.staircase import Staircase, pieces
from reports.model.intervals import Window

_UPWARD_TURNS: Final = 3
"""Turns from down to up that make a swing: two whole periods."""


def period_s(curve: Staircase, window: Window) -> float | None:
    """Mean time in seconds between turns from down to up within `window`; None below three of them."""
    at_s = curve.times_s
    within = (at_s >= window.from_s) & (at_s < window.to_s) & (np.diff(curve.values) != 0)
    rises = np.diff(curve.values)[within] > 0
    turns_s = at_s[within][1:][rises[1:] & ~rises[:-1]]
    if turns_s.size < _UPWARD_TURNS:
        return None
    return float(turns_s[-1] - turns_s[0]) / (turns_s.size - 1)


def area_between(
    one: Staircase, other: Staircase, window: Window, swings: Sequence[Window] = ()
) -> float:
    """Area between two curves within `window`, over the area under the first.

    In `swings`, where both swing, it is the area between the curves with their values in ascending
    order: chance decides when a swing turns, and what it costs is how long it stays at each level.
    """
    span_s, (first, second) = pieces((one, other), (window,))
    under = float(np.dot(span_s, first))
    apart = float(np.dot(span_s, np.abs(first - second)))
    for swing in swings:
        parts_s, (first, second) = pieces((one, other), (swing,))
        apart -= float(np.dot(parts_s, np.abs(first - second)))
        # The first Wasserstein distance is the area between two quantile functions.
        apart += float(parts_s.sum() * wasserstein_distance(first, second, parts_s, parts_s))
    return apart / under if under else 0.0
