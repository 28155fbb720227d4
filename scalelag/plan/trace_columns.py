"""Choice of the columns of a trace."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from scalelag.errors import UsageError

TraceKind = Literal["arrivals", "rates"]

_NAMES: dict[TraceKind, re.Pattern[str]] = {
    "rates": re.compile(r"rps|qps|rate|requests_per_second", re.IGNORECASE),
    "arrivals": re.compile(
        r"arrival|@?time(?!out|_?zone|_to_)|intended|date|epoch|created|ts?(?!\w)", re.IGNORECASE
    ),
}


class Columns(NamedTuple):
    """Chosen columns by position in the header; `time` only for rates with a time column."""

    kind: TraceKind
    value: int
    time: int | None = None


def kind_of(name: str) -> TraceKind | None:
    """Kind of values in a column of this name; None if the name does not tell."""
    return next((kind for kind, names in _NAMES.items() if names.match(name)), None)


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
    value = column or _only_value(header, numeric, dates, kind, time_column)
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
    time = time_column or _only_time(numeric, value) or _only_time(dates, value)
    if time is None:
        return Columns(kind, _position(header, value))
    if time not in header:
        raise UsageError(f'there is no column "{time}". {_listed(header)}')
    return Columns(kind, _position(header, value), _position(header, time))


def _refuse_unread(header: Sequence[str], numeric: Sequence[str]) -> None:
    """Refuse a file whose only column of times holds something else: nothing is passed over."""
    named = [name for name in header if kind_of(name) == "arrivals"]
    if named and not set(named) & set(numeric):
        raise UsageError(
            f'column "{named[0]}" holds neither numbers nor dates such as 2026-11-29T10:00:00Z. '
            f"Convert it, or choose another with --trace-column. {_listed(header)}"
        )


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
    named = [name for name in numeric if kind_of(name) == "arrivals" and name != value]
    if len(named) > 1:
        raise UsageError(f"choose one with --trace-time-column. {_listed(named)}")
    return named[0] if named else None


def _position(header: Sequence[str], name: str) -> int:
    if header.count(name) > 1:
        raise UsageError(f'{header.count(name)} columns are named "{name}".')
    return header.index(name)


def _listed(names: Sequence[str]) -> str:
    return "Columns: " + ", ".join(names) + "."
