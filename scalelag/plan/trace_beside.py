"""Columns beside those that are read, which may give these another meaning."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scalelag.plan.trace_columns import count_question, time_question
from scalelag.plan.trace_lengths import is_length
from scalelag.plan.trace_names import (
    has_time_word,
    is_row_number,
    kind_of,
    may_count,
    says_arrivals,
)
from scalelag.plan.trace_rows import Rows, has_digits

_FEWEST = 3
_MOSTLY = 0.9


def refuse_untimed(rows: Rows, rates: int) -> None:
    """Ask back where rates have no times, and another column may tell these, or how long each lasts."""
    for at, (name, cell) in enumerate(zip(rows.header, rows.first, strict=False)):
        may_time = has_time_word(name) or (has_digits(cell) and not is_row_number(name))
        if at != rates and may_time:
            raise time_question(name)


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
        if i != at and has_digits(cell) and other not in lengths
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
