"""Dates and places in a trace, without numpy: the catalog of options parses with them."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import msgspec

from scalelag.errors import UsageError

DATE: Final = "date"
AUTO: Final = "auto"
DAYS: Final = "d"
"""Unit of times in days, such as the dates of a spreadsheet."""

DAY_S = 86_400.0
UNIX_DAY = 25_569.0
"""First day of Unix time in the numbers of spreadsheets, which count from 1899-12-30."""

UNIT_WORDS: Final = {
    "s": r"s|secs?|seconds?",
    "ms": r"ms|msecs?|millis?|milliseconds?",
    "us": r"us|µs|usecs?|micros?|microseconds?",
    "ns": r"ns|nsecs?|nanos?|nanoseconds?",
    "min": r"min|mins|minutes?",
    "h": r"h|hrs?|hours?",
    DAYS: r"d|days?",
}
"""Units of times, and their names as patterns."""

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

_DATE = re.compile(
    r"(\d{4})[-/](\d\d?)[-/](\d\d?)"
    r"(?:[T ](\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?"
    r"\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE,
)
# ISO 8601's basic form, such as 20261129T100000.25Z.
_BASIC = re.compile(
    r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(?:(\d\d)(?:[.,](\d+))?)?(Z|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE,
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?", re.IGNORECASE)
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


class Moment(msgspec.Struct, frozen=True):
    """A place in a trace: seconds after its beginning, or a date in Unix seconds."""

    text: str
    seconds: float
    is_date: bool = False


def parse_moment(text: str) -> Moment:
    """Parse `90`, `10m`, `1.5h` or an ISO date. Raises UsageError for anything else."""
    if match := _SPAN.fullmatch(text.strip()):
        return Moment(text, float(match[1]) * _SECONDS[(match[2] or "").lower()])
    if (at_s := date_s(text)) is not None:
        return Moment(text, at_s, is_date=True)
    raise UsageError(
        f'"{text}" is no place in a trace: give seconds after its beginning, a span such as 10m or '
        "1.5h, or a date such as 2026-11-29T10:00:00Z"
    )


def date_s(text: str) -> float | None:
    """Return Unix seconds of an ISO date, UTC if it names no zone; None if it is none."""
    found = date_and_zone(text)
    return None if found is None else found[0]


def date_and_zone(text: str) -> tuple[float, bool] | None:
    """Return Unix seconds of an ISO date, and whether it names a zone; None if it is none."""
    text = text.strip()
    match = _DATE.fullmatch(text) or _BASIC.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        at = datetime(
            *(int(part or 0) for part in (year, month, day, hour, minute, second)),
            tzinfo=_zone(zone),
        )
    except ValueError:
        return None
    return at.timestamp() + (float(f"0.{fraction}") if fraction else 0.0), zone is not None


def _zone(text: str | None) -> timezone:
    if text is None or text.upper() in ("Z", "UTC"):
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def unit_word(word: str) -> str | None:
    """Return the unit of times that a word names, such as min for `minutes`; None if it names none."""
    named = (unit for unit, names in UNIT_WORDS.items() if re.fullmatch(names, word))
    return next(named, None)


def duration(seconds: float) -> str:
    """Return a span of time in words, to three digits."""
    for unit, length_s in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= 2 * length_s or (unit == "s" and seconds >= 0.9995):
            return f"{seconds / length_s:.3g} {unit}"
    return f"{seconds * 1000:.3g} ms"
