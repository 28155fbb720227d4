"""Units of the times in a trace, which the name of the column or the values tell."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalelag.errors import UsageError
from scalelag.plan.trace_dates import (
    DAY_S,
    DAYS,
    PER_SECOND,
    UNIX_DAY,
    date_s,
    duration,
    unit_word,
)
from scalelag.plan.trace_names import words_of

# Unix times of the years 2001 to 2286, in each unit.
_FIRST_UNIX_S, _LAST_UNIX_S = 1e9, 1e10
# Days of the years 2000 to 2099 in spreadsheets; a trace of days is shorter than a month.
_FIRST_DAY, _LAST_DAY, _MOST_DAYS = 36_526.0, 73_050.0, 31.0
# And as they are counted from the year 1 (Python, Matlab), and by astronomers (Julian days).
_DAYS_OF_YEARS = ((_FIRST_DAY, _LAST_DAY), (730_120.0, 767_010.0), (2_451_544.5, 2_488_069.5))
# More seconds, or even milliseconds, than anybody counts from a beginning of their own.
_TOO_LARGE = 1e11
_FIRST_CLOCK = 10_000
_WRITTEN = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?")
_LONG = 1000.0
_SELDOM = 10.0


def unit_in_name(name: str) -> str | None:
    """Return the unit of times that a column's name ends with, such as ms in `arrival_ms`."""
    words = words_of(name)
    return unit_word(words[-1]) if words else None


def unit_of(name: str, values: NDArray[np.float64], *, are_rows: bool = False) -> str:
    """Return the unit of ascending times in the column `name`.

    `are_rows`: each begins a row of rates, and is no request. Raises UsageError with a question if
    neither the name nor the values tell.
    """
    named = unit_in_name(name)
    by_values = _unix_unit(float(values[0]))
    if named == "s" and by_values not in (None, "s"):
        raise UsageError(
            f'the name of column "{name}" says seconds, and its values look like Unix times in '
            f"{by_values}. Set --trace-unit s or --trace-unit {by_values}."
        )
    known = named or by_values
    if known is None:
        if _may_be_days(values):
            raise UsageError(_question(name, values, ("s", DAYS)))
        _refuse_written(name, values)
    if known is None and _may_be_ms(values, are_rows=are_rows):
        raise UsageError(_question(name, values, ("s", "ms")))
    return known or "s"


def unix_s(value: float, unit: str) -> float | None:
    """Return Unix seconds of a time; None if it is none of a calendar."""
    if unit == DAYS:
        return (value - UNIX_DAY) * DAY_S if _FIRST_DAY <= value < _LAST_DAY else None
    at_s = value / PER_SECOND[unit]
    return at_s if at_s >= _FIRST_UNIX_S else None


def _refuse_written(name: str, values: NDArray[np.float64]) -> None:
    """Raise UsageError for what is no span: digits of a date or a clock, and what is far too large."""
    first, last = float(values[0]), float(values[-1])
    is_date = _is_written(first) and _is_written(last)
    if is_date or _are_clocks(values):
        what = "dates" if is_date else "times of day"
        raise UsageError(
            f'the values of column "{name}" look like {what} without separators ({last:.0f}). Write '
            "them as 2026-11-29T10:00:00, or set --trace-unit s if they are seconds."
        )
    if first >= _TOO_LARGE:
        raise UsageError(
            f'the values of column "{name}" ({first:.0f}) are too large for seconds, and no Unix times '
            "in s, ms, us or ns. Write them as 2026-11-29T10:00:00, or set --trace-unit if they are "
            "of one of its units."
        )


def _may_be_days(values: NDArray[np.float64]) -> bool:
    """Return whether times may be in days: by their size, or all within one, finer than a ms."""
    first, last = float(values[0]), float(values[-1])
    if last - first > _MOST_DAYS:
        return False
    if any(begin <= first <= last < end for begin, end in _DAYS_OF_YEARS):
        return True
    ms = values * 1000
    return 0 < last - first < 1 and not np.allclose(ms, np.round(ms), rtol=0, atol=1e-4)


def _are_clocks(values: NDArray[np.float64]) -> bool:
    """Return whether all numbers read as hours, minutes and seconds, such as 95959 and 100000."""
    if values.size < 2 or values[-1] < _FIRST_CLOCK or values[-1] >= 25 * _FIRST_CLOCK:
        return False
    minutes, seconds = np.divmod(values, 100)
    return bool(((seconds < 60) & (minutes % 100 < 60) & (values == np.floor(values))).all())


def _is_written(value: float) -> bool:
    """Return whether a number reads as a date, such as 20261129 or 20261129100000."""
    match = _WRITTEN.fullmatch(f"{value:.0f}") if value == np.floor(value) else None
    if match is None:
        return False
    year, month, day, hour, minute, second = match.groups("00")
    return date_s(f"{year}-{month}-{day}T{hour}:{minute}:{second}") is not None


def _unix_unit(value: float) -> str | None:
    return next(
        (
            unit
            for unit in ("s", "ms", "us", "ns")
            if _FIRST_UNIX_S <= value / PER_SECOND[unit] < _LAST_UNIX_S
        ),
        None,
    )


def _may_be_ms(values: NDArray[np.float64], *, are_rows: bool) -> bool:
    """Return whether times would make sense as milliseconds too.

    They do not where the whole would last less than a second, unless requests would be 10 s apart.
    """
    if values.size == 1:
        return False
    span, mean_gap = (
        float(values[-1] - values[0]),
        float(values[-1] - values[0]) / (values.size - 1),
    )
    if are_rows:
        return float(np.diff(values).min()) >= _LONG
    is_whole = bool((values == np.floor(values)).all())
    return mean_gap >= _SELDOM if not is_whole else span >= _LONG or mean_gap >= _SELDOM


_NAMES: Final = {"s": "seconds", "ms": "milliseconds", DAYS: "days"}


def _question(name: str, values: NDArray[np.float64], units: tuple[str, str]) -> str:
    span, gaps = float(values[-1] - values[0]), max(1, values.size - 1)
    ways = [
        f"as {_NAMES[unit]} they last {duration(span / PER_SECOND[unit])} with one every "
        f"{duration(span / PER_SECOND[unit] / gaps)}"
        for unit in units
    ]
    return (
        f'are the times in column "{name}" {_NAMES[units[0]]} or {_NAMES[units[1]]}? '
        f"{ways[0].capitalize()}, {ways[1]}. Set --trace-unit {units[0]} or --trace-unit {units[1]}."
    )
