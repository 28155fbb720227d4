"""Judgement of a soak: how much each figure of each process grew, per hour.

Everything here is pure. A figure is compared between the second quarter of the time and the last, by
their medians: the first quarter is for what is filled once, such as caches and the live view's points.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.record.requests_file import RequestColumns

Figure = Literal["resident", "own", "files", "spare", "threads", "heap"]
UNITS: Final[dict[Figure, str]] = {
    "resident": "MiB",
    "own": "MiB",
    "files": "open files",
    "spare": "open files",
    "threads": "threads",
    "heap": "MiB",
}
OF_PROCESS: Final[tuple[Figure, ...]] = ("resident", "own", "files", "threads")
BOUNDS: Final[dict[Figure, float]] = {
    "resident": 8.0,
    "own": 8.0,
    "spare": 2.0,
    "threads": 2.0,
    "heap": 8.0,
}
"""Growth an hour from which on a figure is not flat, in its unit. Others are only shown."""
ALL: Final = "all"
QUARTERS: Final = 4


class Curve(msgspec.Struct, frozen=True):
    """A figure of a process over time; None where the process was not there.

    `resident` is all that is mapped (RSS), `own` what of it is of no file, `heap` what JavaScript holds
    after a collection, with nothing compiled. `files` are all that are open; `spare`, of all processes
    together, the most up to then beyond a connection for each request that was open at once. The share
    of memory (PSS) also moves with other processes that map the same libraries.
    """

    process: str
    figure: Figure
    values: tuple[float | None, ...]


class Trend(msgspec.Struct, frozen=True):
    """A curve judged: medians of its second and last quarter. None if the process ended."""

    process: str
    figure: Figure
    second: float | None
    last: float | None
    growth_per_hour: float | None

    @property
    def is_flat(self) -> bool:
        """True if it grew by no more than its bound, where it has one."""
        bound = BOUNDS.get(self.figure, math.inf)
        return self.growth_per_hour is not None and self.growth_per_hour <= bound


def trend_of(at_s: Sequence[float], curve: Curve) -> Trend:
    """Judge a curve over the moments `at_s`, ascending."""
    if None in curve.values or len(at_s) < QUARTERS:
        return Trend(curve.process, curve.figure, None, None, None)
    times, values = np.asarray(at_s), np.asarray(curve.values, dtype=float)
    length_s = float(times[-1] - times[0])
    quarter = np.minimum((times - times[0]) / length_s * QUARTERS, QUARTERS - 1).astype(int)
    second, last = (float(np.median(values[quarter == number])) for number in (1, QUARTERS - 1))
    apart_s = length_s * (QUARTERS - 2) / QUARTERS
    return Trend(curve.process, curve.figure, second, last, (last - second) * 3600 / apart_s)


def spare_files(at_s: Sequence[float], curves: Iterable[Curve], rows: RequestColumns) -> Curve:
    """Return the most open files of all processes beyond the connections that requests take.

    A target closes connections that are idle: only the most up to each moment can tell of growth.
    """
    files = [curve.values for curve in curves if curve.figure == "files"]
    values: list[float | None] = []
    found = 0.0
    for most, *each in zip(most_open(rows, at_s).tolist(), *files, strict=True):
        known = [one for one in each if one is not None]
        found = max(found, sum(known) - most)
        values.append(found if len(known) == len(each) else None)
    return Curve(ALL, "spare", tuple(values))


def most_open(rows: RequestColumns, at_s: Sequence[float]) -> NDArray[np.int64]:
    """Most requests that each load process had open at once up to each moment, added up.

    It keeps a connection for each of them.
    """
    found = np.zeros(len(at_s), np.int64)
    for worker in np.unique(rows.worker):
        own = (rows.worker == worker) & ~rows.not_sent & np.isfinite(rows.latency_s)
        begun_s = np.sort(rows.intended_s[own] + rows.send_lag_s[own])
        ended_s = np.sort(rows.intended_s[own] + rows.latency_s[own])
        opened = np.arange(1, begun_s.size + 1) - np.searchsorted(ended_s, begun_s, side="right")
        most = np.concatenate(([0], np.maximum.accumulate(opened)))
        found += most[np.searchsorted(begun_s, at_s, side="right")]
    return found


def problems(trends: Iterable[Trend]) -> list[str]:
    """Return what is not flat, a line each."""
    return [_said(one) for one in trends if not one.is_flat]


def _said(one: Trend) -> str:
    if one.growth_per_hour is None:
        return f"{one.process}: it ended, or was watched too shortly"
    unit, bound = UNITS[one.figure], BOUNDS[one.figure]
    return (
        f"{one.process}: {one.figure} grew from {one.second:.1f} to {one.last:.1f} {unit}: "
        f"{one.growth_per_hour:.1f} an hour, more than {bound:g}"
    )


def thinned(values: Sequence[float], points: int) -> list[float]:
    """Return at most `points` of the values, evenly spread, the first and the last among them."""
    if len(values) <= points:
        return list(values)
    chosen = np.linspace(0, len(values) - 1, points).round().astype(int)
    return [values[index] for index in chosen]
