"""Columns beside those that are read, watched for what would give these another meaning."""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scalelag.plan.trace_columns import count_question
from scalelag.plan.trace_lengths import is_length
from scalelag.plan.trace_names import (
    is_row_number,
    kind_of,
    may_count,
    may_time_rows,
    says_arrivals,
)
from scalelag.plan.trace_rows import Cell, Rows, is_time, may_be_number, number_in

_CLOCK = re.compile(r"\s*\d+:\d\d")
_FEWEST = 3
_MOSTLY = 0.9


class BesideRates:
    """Columns beside rates without times: one may hold the times, or how long each rate lasts."""

    def __init__(self, rows: Rows, rates: int) -> None:
        self._rows = rows
        self._count = 0
        self._named: list[int] = []
        self._ascending: dict[int, float] = {}
        self._by_one: set[int] = set()
        for at, (name, cell) in enumerate(zip(rows.header, rows.first, strict=False)):
            if at == rates:
                continue
            is_number = number_in(cell) is not None
            if _is_moment(cell) or (may_time_rows(name) and may_be_number(cell)):
                self._named.append(at)
            elif is_number:
                self._ascending[at] = -math.inf
                if is_row_number(name):
                    self._by_one.add(at)

    def take(self, row: Sequence[Cell]) -> None:
        """Look at one row."""
        self._count += 1
        for at, before in list(self._ascending.items()):
            value = number_in(row[at]) if at < len(row) else None
            if value is None or not value > before:
                del self._ascending[at]
                continue
            if self._count > 1 and value != before + 1:
                self._by_one.discard(at)
            self._ascending[at] = value

    def in_doubt(self) -> str | None:
        """Return the first column that may tell the times of the rows; None if none does."""
        ascending = [at for at in self._ascending if at not in self._by_one and self._count > 1]
        return next((self._rows.header[at] for at in (*self._named, *ascending)), None)


def _is_moment(cell: Cell) -> bool:
    """Return whether a cell holds a date or a time of day."""
    if not isinstance(cell, str) or number_in(cell) is not None:
        return False
    return is_time(cell) or _CLOCK.match(cell) is not None


def refuse_late(rows: Rows) -> None:
    """Raise UsageError for what would be read if the first line of JSON had it, too."""
    late = [name for name in rows.late if kind_of(name) or may_count(name) or is_length(name)]
    if late:
        raise rows.wrong(
            f'line {rows.late[late[0]]} has "{late[0]}", and the first line does not: give it in all '
            "lines, or in none"
        )


def refuse_even(rows: Rows, at: int, times_s: NDArray[np.float64], lengths: Sequence[str]) -> None:
    """Ask back where evenly spaced times with a number beside them may be rows of a metric.

    `at` is the position of the times. Columns of `lengths` are known to belong to single requests.
    """
    name = rows.header[at]
    numbers = [
        other
        for i, (other, cell) in enumerate(zip(rows.header, rows.first, strict=False))
        if i != at and number_in(cell) is not None and other not in lengths
    ]
    gap_s = _even_gap(times_s) if numbers and not says_arrivals(name) else None
    if gap_s is not None:
        raise count_question(name, numbers[0], gap_s)


def _even_gap(times_s: NDArray[np.float64]) -> float | None:
    """Return the distance of evenly spaced times, a tenth of which may be missing; else None.

    Rows of a metric are so, and no requests that came by themselves.
    """
    if times_s.size < _FEWEST:
        return None
    gaps = np.diff(times_s)
    least = float(gaps.min())
    if least <= 0:
        return None
    steps = gaps / least
    whole = np.round(steps)
    even = np.allclose(steps, whole, rtol=0, atol=1e-3)
    return least if even and np.count_nonzero(whole == 1) >= _MOSTLY * gaps.size else None
