"""Units of the times in a trace, which the name of the column or the values tell."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalelag.errors import UsageError
from scalelag.plan.trace_dates import DAY_S, DAYS, UNIT_WORDS, UNIX_DAY, date_s, duration

PER_SECOND: Final[dict[str, float]] = {
    "s": 1.0,
    "ms": 1e3,
    "us": 1e6,
    "ns": 1e9,
    "min": 1 / 60,
    "h": 1 / 3600,
    DAYS: 1 / DAY_S,
}
"""Units of times, with how many of each are a second."""

_IN_NAMES = {
    unit: re.compile(rf"(?:^|[\W_])(?:{words})\W*$", re.IGNORECASE)
    for unit, words in UNIT_WORDS.items()
}
# As in timestampMs, where only capitals part the words.
_IN_CAPITALS = (("ms", re.compile(r"[a-z](Ms|Millis)$")), ("us", re.compile(r"[a-z](Us|Micros)$")))
# Unix times of the years 2001 to 2286, in each unit.
_FIRST_UNIX_S, _LAST_UNIX_S = 1e9, 1e10
# Spreadsheets' days of the years 2000 to 2099; a trace of days is shorter than a month.
_FIRST_DAY, _LAST_DAY, _MOST_DAYS = 36_526.0, 73_050.0, 31.0
_WRITTEN = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?")
_LONG = 1000.0
_SELDOM = 10.0


def unit_in_name(name: str) -> str | None:
    """Return the unit of times that a column's name tells, such as ms in `arrival_ms`."""
    by_word = next((unit for unit, words in _IN_NAMES.items() if words.search(name)), None)
    return by_word or next((unit for unit, end in _IN_CAPITALS if end.search(name)), None)


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
        _refuse_dates(name, values)
    if known is None and _may_be_ms(values, are_rows=are_rows):
        raise UsageError(_question(name, values, ("s", "ms")))
    return known or "s"


def unix_s(value: float, unit: str) -> float | None:
    """Return Unix seconds of a time; None if it is none of a calendar."""
    if unit == DAYS:
        return (value - UNIX_DAY) * DAY_S if _FIRST_DAY <= value < _LAST_DAY else None
    at_s = value / PER_SECOND[unit]
    return at_s if at_s >= _FIRST_UNIX_S else None


def _refuse_dates(name: str, values: NDArray[np.float64]) -> None:
    """Raise UsageError for what may be dates: days of a spreadsheet, or digits without separators."""
    first, last = float(values[0]), float(values[-1])
    if _is_written(first) and _is_written(last):
        raise UsageError(
            f'the values of column "{name}" look like dates without separators ({first:.0f}). Write '
            "them as 2026-11-29T10:00:00, or set --trace-unit s if they are seconds."
        )
    if _FIRST_DAY <= first <= last < _LAST_DAY and last - first <= _MOST_DAYS:
        raise UsageError(_question(name, values, ("s", DAYS)))


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


_NAMES: Final = {"s": "seconds", "ms": "milliseconds", DAYS: "days as in a spreadsheet"}


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
