"""Moments, durations between two bounds, and windows of time (docs/metrics.md#time)."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec


class Instant(msgspec.Struct, frozen=True):
    """A moment in `(lo_s, hi_s]`; a point if both are equal.

    `clock` names the clock that it was read from, empty for the load generator's own. That clock
    may be off by `skew_s`, the same for all its moments, so that it cancels between two of them.
    """

    lo_s: float
    hi_s: float
    clock: str = ""
    skew_s: float = 0.0

    @property
    def mid_s(self) -> float:
        """Middle of the interval."""
        return (self.lo_s + self.hi_s) / 2

    def not_before(self, floor_s: float) -> "Instant":
        """The same moment, counted as `floor_s` if it was earlier."""
        lo_s, hi_s = max(self.lo_s, floor_s), max(self.hi_s, floor_s)
        return Instant(lo_s, hi_s, self.clock, self.skew_s)

    def not_after(self, ceiling_s: float) -> "Instant":
        """The same moment, counted as `ceiling_s` if it was later."""
        lo_s, hi_s = min(self.lo_s, ceiling_s), min(self.hi_s, ceiling_s)
        return Instant(lo_s, hi_s, self.clock, self.skew_s)


class Window(NamedTuple):
    """From one moment to a later one, in seconds."""

    from_s: float
    to_s: float


def union(windows: Iterable[tuple[float, float]]) -> tuple[Window, ...]:
    """The same time as windows in order that do not touch; empty ones are left out."""
    joined: list[Window] = []
    for from_s, to_s in sorted(windows):
        if to_s <= from_s:
            continue
        if joined and from_s <= joined[-1].to_s:
            joined[-1] = Window(joined[-1].from_s, max(joined[-1].to_s, to_s))
        else:
            joined.append(Window(from_s, to_s))
    return tuple(joined)


def overlap_s(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Seconds that two windows share."""
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def covered_s(window: tuple[float, float], by: Iterable[tuple[float, float]]) -> float:
    """Seconds of `window` that lie in any of `by`, which may overlap."""
    return sum(overlap_s(window, part) for part in union(by))


def seconds_in(windows: Iterable[tuple[float, float]]) -> float:
    """Seconds of all `windows`, which do not overlap."""
    return sum(to_s - from_s for from_s, to_s in windows)


def without(window: Window, holes: Iterable[tuple[float, float]]) -> tuple[Window, ...]:
    """Parts of `window` outside of `holes`, which may overlap."""
    left: list[Window] = []
    reached_s = window.from_s
    for from_s, to_s in union(holes):
        if min(from_s, window.to_s) > reached_s:
            left.append(Window(reached_s, min(from_s, window.to_s)))
        reached_s = max(reached_s, to_s)
    if window.to_s > reached_s:
        left.append(Window(reached_s, window.to_s))
    return tuple(left)


class Span(msgspec.Struct, frozen=True):
    """A duration or value in `[lo, hi]`, `value` its middle.

    Right-censored ("longer than lo"): `value` and `hi` are None.
    """

    value: float | None
    lo: float
    hi: float | None

    @property
    def upper(self) -> float:
        """`hi`, infinite if it is censored."""
        return math.inf if self.hi is None else self.hi


class Stat(msgspec.Struct, frozen=True):
    """Statistics of several spans: each applied to all `lo` and to all `hi` separately."""

    p50: Span
    p95: Span
    max: Span


def point(at_s: float) -> Instant:
    """A moment that is known exactly."""
    return Instant(at_s, at_s)


def around(value: float, lo: float, hi: float) -> Span:
    """Span of figures that were reckoned apart, and its bounds widened by their rounding."""
    return Span(value, min(lo, value), max(hi, value))


def between(first: Instant, then: Instant) -> Span:
    """Duration from `first` to `then`, which came no earlier.

    `[B.lo - A.hi, B.hi - A.lo]`, its lower bound and value raised to 0 since the order is known.
    Moments of different clocks add what those may be off.
    """
    skew_s = 0.0 if first.clock == then.clock else first.skew_s + then.skew_s
    return Span(
        value=max(0.0, then.mid_s - first.mid_s),
        lo=max(0.0, then.lo_s - first.hi_s - skew_s),
        hi=then.hi_s - first.lo_s + skew_s,
    )


def in_order(moments: Sequence[Instant | None]) -> list[Instant | None]:
    """The same moments, narrowed by the knowledge that they follow one another.

    Each begins no earlier than the one before it may have, and ends no later than the one after it
    may have. So their middles are in order too.
    """
    narrowed = list(moments)
    low = -math.inf
    for i, moment in enumerate(narrowed):
        if moment is not None:
            narrowed[i] = moment.not_before(low)
            low = max(low, moment.lo_s)
    high = math.inf
    for i in range(len(narrowed) - 1, -1, -1):
        moment = narrowed[i]
        if moment is not None:
            narrowed[i] = moment.not_after(high)
            high = min(high, moment.hi_s)
    return narrowed


def longer_than(seconds: float) -> Span:
    """A right-censored duration."""
    return Span(value=None, lo=seconds, hi=None)


def open_above(known: Sequence[Span], number: int) -> list[Span]:
    """So many spans that may be any, but are counted as no less than the least of those `known`.

    With them a quantile of all has no upper bound where one of them may decide it. Empty if nothing is
    known.
    """
    least = min((span.lo for span in known), default=None)
    return [] if least is None else [longer_than(least)] * number


def stat(spans: Sequence[Span]) -> Stat | None:
    """Median, 95th percentile (linear between order statistics) and maximum; None without spans."""
    if not spans:
        return None
    return Stat(p50=median(spans), p95=_quantile(spans, 0.95), max=_quantile(spans, 1.0))


def median(spans: Sequence[Span]) -> Span:
    """The median of at least one span."""
    return _quantile(spans, 0.5)


def _quantile(spans: Sequence[Span], q: float) -> Span:
    values = [math.inf if span.value is None else span.value for span in spans]
    value = _linear(values, q)
    hi = _linear([span.upper for span in spans], q)
    return Span(
        value=value if math.isfinite(value) else None,
        lo=_linear([span.lo for span in spans], q),
        hi=hi if math.isfinite(hi) else None,
    )


def _linear(values: Sequence[float], q: float) -> float:
    """Quantile as numpy's default computes it, for values among which some are infinite."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    share = place - math.floor(place)
    return below if share == 0 or below == above else below + share * (above - below)
