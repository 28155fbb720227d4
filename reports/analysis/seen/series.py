"""One gauge of one deployment over time."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.model.intervals import Window
from scalelag.record.rows import DeploymentKey
from scalelag.record.seen_rows import DeploymentGauges, SeenRow

_LEAST_COVERED = 0.5
_SOON_S = 5.0

Gauge = Callable[[DeploymentGauges], float | None]


class Reading(msgspec.Struct, frozen=True):
    """A gauge's `value`, taken to hold from `from_s` until `to_s`, Unix seconds.

    It was written at most `blur_s` before or after `from_s`.
    """

    from_s: float
    to_s: float
    value: float
    blur_s: float = 0.0


class GaugeSeries:
    """A gauge over time; an `OpenRequests` if it counts requests.

    A value was written within the `age_s` before it was read; the middle of that counts. It holds
    until the next reading, failed or not, if that comes within two exports; otherwise for one
    export.
    """

    def __init__(self, readings: Sequence[Reading], blur_s: float) -> None:
        self.readings = tuple(readings)
        self._blur_s = blur_s
        edges = np.array([(one.from_s, one.to_s) for one in readings], np.float64).ravel()
        widths = np.diff(edges, prepend=edges[:1])
        # Every second edge ends a reading; what lies between two readings was not seen.
        seen = np.arange(edges.size) % 2 == 1
        values = np.repeat(np.array([one.value for one in readings], np.float64), 2)
        self._edges_s = edges
        self._covered_s = np.cumsum(np.where(seen, widths, 0.0))
        self._sums = np.cumsum(np.where(seen, widths * values, 0.0))

    @property
    def blur_s(self) -> float:
        """Seconds by which a value may be earlier or later than it says."""
        return self._blur_s

    def mean(self, from_s: float, to_s: float) -> float | None:
        """Mean of the gauge; None if less than half of the time was seen."""
        if to_s <= from_s:
            return None
        found = float(self.means(np.array([from_s, to_s]))[0])
        return None if np.isnan(found) else found

    def means(self, edges_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean between each two of `edges_s`; NaN if less than half of the time was seen."""
        covered_s, sums = self._between(edges_s)
        enough = covered_s >= _LEAST_COVERED * np.diff(edges_s)
        usable = enough & (covered_s > 0)
        return np.where(usable, sums / np.where(usable, covered_s, 1.0), np.nan)

    def within(self, hold: Window) -> "GaugeSeries":
        """The same, from readings that can only have been written in `hold`.

        The last of them holds for an export, even if the next one may be from after the hold.
        """
        age_s = 2 * self._blur_s
        kept = [
            one
            for one in self.readings
            if one.from_s - one.blur_s >= hold.from_s and one.from_s + one.blur_s <= hold.to_s
        ]
        longer = [
            msgspec.structs.replace(one, to_s=max(one.to_s, one.from_s + age_s))
            for one in kept[-1:]
        ]
        return GaugeSeries([*kept[:-1], *longer], self._blur_s)

    def covered_ratio(self, from_s: float, to_s: float) -> float:
        """Part of the time between two moments in which the gauge is known."""
        if to_s <= from_s:
            return 0.0
        return float(self._between(np.array([from_s, to_s]))[0][0]) / (to_s - from_s)

    def _between(
        self, edges_s: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds that were seen between each two edges, and the integral of the gauge over them."""
        if not self.readings:
            nothing = np.zeros(max(0, edges_s.size - 1))
            return nothing, nothing
        covered_s, sums = (
            np.interp(edges_s, self._edges_s, known) for known in (self._covered_s, self._sums)
        )
        return np.diff(covered_s), np.diff(sums)


def total_series(rows: Sequence[SeenRow], key: DeploymentKey) -> GaugeSeries:
    """Series of what the policy of deployment `key` was given, which the controller alone writes.

    A value that differs from the reading before has therefore been written since.
    """
    return _series(rows, _values(rows, key, lambda gauges: gauges.total), by_one=True)


def gauge_series(rows: Sequence[SeenRow], key: DeploymentKey, gauge: Gauge) -> GaugeSeries:
    """Series of `gauge` of deployment `key`, empty if it was never seen; `rows` are sorted."""
    return _series(rows, _values(rows, key, gauge), by_one=False)


def _values(rows: Sequence[SeenRow], key: DeploymentKey, gauge: Gauge) -> list[float | None]:
    found = [row.deployments.get(key) for row in rows]
    return [gauge(one) if one is not None else None for one in found]


def _series(
    rows: Sequence[SeenRow], values: Sequence[float | None], *, by_one: bool
) -> GaugeSeries:
    ages_s = _ages_s(rows, values) if by_one else [row.age_s for row in rows]
    written_s = [row.sent_s - age_s / 2 for row, age_s in zip(rows, ages_s, strict=True)]
    readings: list[Reading] = []
    for at, (row, value) in enumerate(zip(rows, values, strict=True)):
        if value is None:
            continue
        until_s = written_s[at] + row.age_s
        if at + 1 < len(rows) and rows[at + 1].sent_s - row.sent_s <= longest_hold_s(row.age_s):
            until_s = written_s[at + 1]
        readings.append(Reading(written_s[at], until_s, value, ages_s[at] / 2))
    blur_s = max((row.age_s for row in rows if row.deployments), default=0.0) / 2
    return GaugeSeries(_apart(readings), blur_s)


def _ages_s(rows: Sequence[SeenRow], values: Sequence[float | None]) -> list[float]:
    """Greatest age of each value in seconds: since the reading before, if that had another value."""
    ages_s = [row.age_s for row in rows[:1]]
    for before, row, was, value in zip(rows, rows[1:], values, values[1:], strict=False):
        is_new = was is not None and was != value
        ages_s.append(min(row.age_s, row.sent_s - before.sent_s) if is_new else row.age_s)
    return ages_s


def longest_hold_s(age_s: float) -> float:
    """Longest time for which a reading holds if the next one comes by then: two exports."""
    return max(2 * age_s, _SOON_S)


def _apart(readings: Sequence[Reading]) -> list[Reading]:
    """Readings that do not overlap: where ages differ, the later one counts."""
    cut = [
        msgspec.structs.replace(one, to_s=min(one.to_s, after.from_s))
        for one, after in pairwise(readings)
    ]
    return [one for one in [*cut, *readings[-1:]] if one.to_s > one.from_s]
