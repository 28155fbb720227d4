"""Choice of the columns of a trace."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from scalelag.errors import UsageError
from scalelag.plan.trace_dates import is_unit

TraceKind = Literal["arrivals", "rates"]

_NAMES: dict[TraceKind, re.Pattern[str]] = {
    "rates": re.compile(
        r"rps|qps|rate(?!_?(limit|of))"
        r"|(req(uest)?s?|calls|hits|queries)[_ ]?(per[_ ]?|/[_ ]?)s(ec(ond)?s?)?(?![a-z])",
        re.IGNORECASE,
    ),
    "arrivals": re.compile(
        r"arrival|@?time(?!out|_?zone|_to_)|intended|date|epoch|created|ts?(?!\w)", re.IGNORECASE
    ),
}
# Named like times, and no moments: durations, gaps, rates.
_NO_MOMENTS = re.compile(
    r"taken|spent|between|interval|gap|diff|delta|duration|latency|wait|cost|rate$|rate[_ ]|count",
    re.IGNORECASE,
)
# Columns that say how many requests a row stands for, so that it is none itself.
_COUNTS = re.compile(
    r"((num(ber)?|n|total|sum)[_ ]?(of[_ ]?)?)?(requests|reqs|calls|hits|invocations|queries|arrivals)"
    r"|(request|req|call|hit|invocation|query)[_ ]?(count|total|num)"
    r"|counts?|values?|total|throughput|tps|volume|traffic|load"
    # Queries of Prometheus, as Grafana names what it exports.
    r"|.*(rate|increase)\(.*",
    re.IGNORECASE,
)
# Rates of another unit than requests per second, with what one of them is in it.
_OTHER_RATES: tuple[tuple[float, str, re.Pattern[str]], ...] = tuple(
    (factor, unit, re.compile(words, re.IGNORECASE))
    for factor, unit, words in (
        (1000.0, "thousands of requests per second", r"(?<![a-z])k[rq]ps(?![a-z])"),
        (1 / 60, "requests per minute", r"(?<![a-z])[rq]pm(?![a-z])|(per|/)[_ ]?m(in|\b)"),
        (1 / 3600, "requests per hour", r"(?<![a-z])[rq]ph(?![a-z])|(per|/)[_ ]?h(our|r?\b)"),
        (1 / 86_400, "requests per day", r"(per|/)[_ ]?d(ay|\b)"),
    )
)
_OF_REQUESTS = re.compile(r"req|rate|quer|call|hit|invoc|[rq]p", re.IGNORECASE)


class Columns(NamedTuple):
    """Chosen columns by position in the header; `time` only for rates with a time column."""

    kind: TraceKind
    value: int
    time: int | None = None


def kind_of(name: str) -> TraceKind | None:
    """Kind of values in a column of this name; None if the name does not tell."""
    for kind, names in _NAMES.items():
        if names.match(name):
            return None if kind == "arrivals" and _NO_MOMENTS.search(name) else kind
    return None


def choose_columns(
    header: Sequence[str],
    numeric: Sequence[str],
    dates: Sequence[str] = (),
    *,
    column: str | None,
    kind: TraceKind | None,
    time_column: str | None,
) -> Columns:
    """Choose the columns by the options.

    `numeric` are those with a number in the first row, `dates` those with a date there: numbers go
    before dates. Raises UsageError, with the columns, if the choice is not clear.
    """
    if column is None and time_column is None:
        _refuse_unread(header, (*numeric, *dates))
    if column is None and kind is None:
        _refuse_other_rates(numeric)
    value = column or _only_value(header, numeric, dates, kind, time_column)
    if column is None and kind is None:
        _refuse_counts(value, numeric)
    if value not in header:
        raise UsageError(f'there is no column "{value}". {_listed(header)}')
    kind = kind or kind_of(value) or ("arrivals" if value in dates else None)
    if kind is None:
        raise UsageError(
            f'does column "{value}" hold arrival times or rates? Set --trace-kind to tell.'
        )
    if kind == "arrivals":
        if time_column is not None:
            raise UsageError(
                "--trace-time-column goes with rates; arrival times are the --trace-column itself."
            )
        return Columns(kind, _position(header, value))
    time = time_column or _time_of_rates(numeric, dates, value)
    if time is None:
        return Columns(kind, _position(header, value))
    if time not in header:
        raise UsageError(f'there is no column "{time}". {_listed(header)}')
    return Columns(kind, _position(header, value), _position(header, time))


def _refuse_unread(header: Sequence[str], readable: Sequence[str]) -> None:
    """Refuse a file whose only column of times, or of rates, holds something else in its first row."""
    for kind, what in (("arrivals", "neither numbers nor dates"), ("rates", "no number")):
        named = [name for name in header if kind_of(name) == kind]
        if named and not set(named) & set(readable):
            raise UsageError(
                f'column "{named[0]}" holds {what} in its first row: numbers such as 1000.5 are read, '
                "and dates such as 2026-11-29T10:00:00Z. Convert it, or choose another with "
                f"--trace-column. {_listed(header)}"
            )


def _refuse_other_rates(numeric: Sequence[str]) -> None:
    """Refuse rates of another unit, unless there are some per second beside them."""
    others = {
        name: (factor, unit)
        for name in numeric
        for factor, unit, words in _OTHER_RATES
        if words.search(name) and _OF_REQUESTS.search(name)
    }
    if any(kind_of(name) == "rates" and name not in others for name in numeric):
        return
    for name, (factor, unit) in others.items():
        raise UsageError(
            f'the name of column "{name}" says {unit}, and rates are read per second: give '
            f"--trace-column '{name}' --trace-kind rates --rate-scale {factor:.6g}."
        )


def _refuse_counts(value: str, numeric: Sequence[str]) -> None:
    """Ask back where each row may stand for many requests, and would be sent as one."""
    counts = [name for name in numeric if name != value and _COUNTS.fullmatch(name)]
    if counts and kind_of(value) != "rates":
        raise UsageError(
            f'is each row one request, or does column "{counts[0]}" say how many? Give --trace-column '
            f"'{value}' --trace-kind arrivals for the one, --trace-column '{counts[0]}' --trace-kind "
            "rates for the other, with --rate-scale 0.0166667 where it counts those of a minute."
        )


def _time_of_rates(numeric: Sequence[str], dates: Sequence[str], value: str) -> str | None:
    """The column with the times of rates; None if each lasts a second, and no other may be that."""
    found = _only_time(numeric, value) or _only_time(dates, value)
    readable = (*numeric, *dates)
    doubtful = [n for n in readable if n != value and _NAMES["arrivals"].match(n)]
    if found is None and doubtful:
        raise UsageError(
            f'does column "{doubtful[0]}" hold the times of the rates? Choose it with '
            "--trace-time-column if it does. If not, take it out: a row is a second then."
        )
    return found


def _only_value(
    header: Sequence[str],
    numeric: Sequence[str],
    dates: Sequence[str],
    kind: TraceKind | None,
    time_column: str | None,
) -> str:
    """The column with a known name, rates before times; else the only one with numbers, or a date."""
    candidates = [name for name in numeric if name != time_column]
    for wanted in _NAMES if kind is None else (kind,):
        named = [name for name in candidates if kind_of(name) == wanted]
        if wanted == "arrivals":
            named = named or [name for name in dates if kind_of(name) == wanted]
        if len(named) > 1:
            raise UsageError(f"choose one with --trace-column. {_listed(named)}")
        if named:
            return named[0]
    if not candidates and len(dates) == 1 and kind != "rates":
        return dates[0]
    if kind == "rates":
        candidates = [name for name in candidates if kind_of(name) != "arrivals"]
    if len(candidates) != 1:
        beside = f' beside "{time_column}"' if time_column else ""
        raise UsageError(
            f"no column is named arrival_s or rps, and {len(candidates)} hold numbers{beside}: "
            f"choose one with --trace-column. {_listed(header)}"
        )
    return candidates[0]


def _only_time(numeric: Sequence[str], value: str) -> str | None:
    named = [
        name for name in numeric if name != value and (kind_of(name) == "arrivals" or is_unit(name))
    ]
    if len(named) > 1:
        raise UsageError(f"choose one with --trace-time-column. {_listed(named)}")
    return named[0] if named else None


def _position(header: Sequence[str], name: str) -> int:
    if header.count(name) > 1:
        raise UsageError(f'{header.count(name)} columns are named "{name}".')
    return header.index(name)


def _listed(names: Sequence[str]) -> str:
    return "Columns: " + ", ".join(names) + "."
