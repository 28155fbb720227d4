"""Names of a trace's columns, believed only where every word of them is known."""

import re
from typing import Literal

from scalelag.plan.trace_dates import PER_SECOND, unit_word

TraceKind = Literal["arrivals", "rates"]

_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# Words that are written as one, too: datetime, arrivaltime, createdat.
_MOMENT = re.compile(
    r"(?:arrival|arrived|intended|created|times?|stamps?|date|epoch|unix)+(?:at|utc)?"
)
_SHORT_MOMENTS = frozenset({"t", "ts"})
_BESIDE_MOMENTS = frozenset({"at", "utc", "gmt", "local", "iso", "8601"})
_ROW_NUMBERS = frozenset({"index", "idx", "row", "id", "no", "nr", "n", "i"})

_REQUESTS = re.compile(r"req(uest)?s?|calls?|hits?|quer(y|ies)|invocations?|arrivals?")
_RATES = frozenset({"rate", "rates"})
_AVERAGES = frozenset({"avg", "average", "mean", "total", "overall"})
_SHORT_RATE = re.compile(r"(k?)[rq]p([smhd])")
_PER = re.compile(r"\b(?:1 )?per (?:(\d+) )?([^\W\d_]+)$|(?<=\brate) (s|sec|secs|seconds?)$")
_TIMES_A_RATE = _RATES | frozenset({"requests", "reqs", "queries", "invocations", "arrivals"})
_COUNTS = frozenset(
    {"count", "counts", "cnt", "n", "num", "number", "sum", "total", "value", "values"}
    | {"throughput", "tps", "volume", "traffic", "load"}
)
_BESIDE_COUNTS = _AVERAGES | {"of", "per"}


def kind_of(name: str) -> TraceKind | None:
    """Kind of values in a column of this name; None if not every word of it is known."""
    if requests_per_s(name) == 1:
        return "rates"
    return "arrivals" if _is_moment(name) else None


def requests_per_s(name: str) -> float | None:
    """Return the requests per second that 1 is in a column of rates; None if it is none by its name."""
    text = " ".join(words_of(name.replace("/", " per ")))
    found: set[float] = set()
    if per := _PER.search(text):
        unit = _unit_of_rate(per[2] or per[3])
        if unit is None or int(per[1] or 1) == 0:
            return None
        found.add(PER_SECOND[unit] / int(per[1] or 1))
        text = text[: per.start()]
    words = text.split()
    short = [match for word in words if (match := _SHORT_RATE.fullmatch(word))]
    found |= {(1000 if m[1] else 1) * PER_SECOND[_unit_of_rate(m[2]) or "s"] for m in short}
    of = [word for word in words if word in _RATES or _REQUESTS.fullmatch(word)]
    if len(short) + len(of) + sum(word in _AVERAGES for word in words) < len(words):
        return None
    if not found and _RATES & set(words):
        return 1.0
    return found.pop() if len(found) == 1 and (short or of) else None


def says_arrivals(name: str) -> bool:
    """Return whether a name of times says that each is one request."""
    return _is_moment(name) and re.search(r"arriv|intended", name, re.IGNORECASE) is not None


def may_count(name: str) -> bool:
    """Return whether a column may say how many requests came in the time of its row."""
    words = words_of(name)
    if kind_of(name) == "arrivals":
        return False
    if any(word in _TIMES_A_RATE or _SHORT_RATE.fullmatch(word) for word in words):
        return True
    known = (
        word in _COUNTS or word in _BESIDE_COUNTS or _REQUESTS.fullmatch(word) or unit_word(word)
        for word in words
    )
    counts = any(word in _COUNTS or _REQUESTS.fullmatch(word) for word in words)
    return counts and all(known)


def has_time_word(name: str) -> bool:
    """Return whether any word of a name is one of times, or a unit of them."""
    return any(_is_time(word) or unit_word(word) for word in words_of(name))


def is_row_number(name: str) -> bool:
    """Return whether a column is named as one that counts the rows, or not at all."""
    return all(word in _ROW_NUMBERS for word in words_of(name))


def _unit_of_rate(word: str) -> str | None:
    return "min" if word == "m" else unit_word(word)


def _is_moment(name: str) -> bool:
    words = words_of(name)
    known = (_is_time(word) or word in _BESIDE_MOMENTS or unit_word(word) for word in words)
    return any(map(_is_time, words)) and all(known)


def _is_time(word: str) -> bool:
    return word in _SHORT_MOMENTS or _MOMENT.fullmatch(word) is not None


def words_of(name: str) -> list[str]:
    """Words and numbers of a name, in small letters: `timestampMs` has two, `rate_per_5min` four."""
    return [word.lower() for word in _WORD.findall(_CAPITAL.sub(" ", name))]
