"""Differences larger than the extra uncertainty of the side that was measured less exactly.

The error of a measurement has the same size on both sides, so it explains no difference between
them. It may explain one if one side had logs and the other only polls.
"""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from reports.model.intervals import Span


class Exactness(NamedTuple):
    """Seconds by which a value of one side may lie above its truth, and below it: medians."""

    above_s: float
    below_s: float


def exactness(values: Sequence[Span]) -> Exactness:
    """Return how exactly values were measured; censored ones say nothing of it."""
    known = [(one.value, one.lo, one.upper) for one in values if one.value is not None]
    if not known:
        return Exactness(0.0, 0.0)
    return Exactness(
        median(value - lo for value, lo, _ in known), median(hi - value for value, _, hi in known)
    )


def drawn_together(
    shorter: Sequence[Span], longer: Sequence[Span]
) -> tuple[list[Span], list[Span]]:
    """Return the values moved towards one another, as far as either was measured less exactly."""
    one, other = exactness(shorter), exactness(longer)
    up_s = max(0.0, one.below_s - other.below_s)
    down_s = max(0.0, other.above_s - one.above_s)
    return [_moved(span, up_s) for span in shorter], [_moved(span, -down_s) for span in longer]


def _moved(span: Span, by_s: float) -> Span:
    if span.value is None:
        return span
    value = max(0.0, span.value + by_s)
    return Span(value, value, value)
