"""Units of the times in a trace, which the name of the column or the values tell."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalelag.errors import UsageError
from scalelag.plan.trace_dates import duration

PER_SECOND: Final[dict[str, float]] = {
    "s": 1.0,
    "ms": 1e3,
    "us": 1e6,
    "ns": 1e9,
    "min": 1 / 60,
    "h": 1 / 3600,
}
"""Units of times, with how many of each are a second."""

_WORDS: Final = {
    "s": r"s|secs?|seconds?",
    "ms": r"ms|msecs?|millis|milliseconds?",
    "us": r"us|µs|usecs?|micros|microseconds?",
    "ns": r"ns|nsecs?|nanos|nanoseconds?",
    "min": r"min|mins|minutes?",
    "h": r"h|hours?",
}
_IN_NAMES = {
    unit: re.compile(rf"(?:^|[\W_])(?:{words})\W*$", re.IGNORECASE)
    for unit, words in _WORDS.items()
}
# As in timestampMs, where only capitals part the words.
_IN_CAPITALS = (("ms", re.compile(r"[a-z](Ms|Millis)$")), ("us", re.compile(r"[a-z](Us|Micros)$")))
# Unix times of the years 2001 to 2286, in each unit.
_FIRST_UNIX_S, _LAST_UNIX_S = 1e9, 1e10
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
    if known is None and _may_be_ms(values, are_rows=are_rows):
        raise UsageError(_question(name, values))
    return known or "s"


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


def _question(name: str, values: NDArray[np.float64]) -> str:
    span = float(values[-1] - values[0])
    ways = [
        f"as {words} they last {duration(span / PER_SECOND[unit])} with one every "
        f"{duration(span / PER_SECOND[unit] / (values.size - 1))}"
        for unit, words in (("s", "seconds"), ("ms", "milliseconds"))
    ]
    return (
        f'are the times in column "{name}" seconds or milliseconds? {ways[0].capitalize()}, '
        f"{ways[1]}. Set --trace-unit s or --trace-unit ms."
    )
