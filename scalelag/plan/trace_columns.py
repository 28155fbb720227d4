"""Choice of the columns of a trace."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from scalelag.errors import UsageError

TraceKind = Literal["arrivals", "rates"]

_NAMES: dict[TraceKind, re.Pattern[str]] = {
    "rates": re.compile(r"rps|qps|rate|requests_per_second", re.IGNORECASE),
    "arrivals": re.compile(r"arrival|time(?!out)|intended", re.IGNORECASE),
}
_NOT_SECONDS = re.compile(r"_(ms|us|ns|min|h)$", re.IGNORECASE)


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
    *,
    column: str | None,
    kind: TraceKind | None,
    time_column: str | None,
) -> Columns:
    """Choose the columns by the options; `numeric` are those with a number in the first row.

    Raises UsageError, with the columns, if the choice is not clear.
    """
    value = column or _only_value(header, numeric, kind, time_column)
    if value not in header:
        raise UsageError(f'there is no column "{value}". {_listed(header)}')
    kind = kind or kind_of(value)
    if kind is None:
        raise UsageError(
            f'does column "{value}" hold arrival times or rates? Set --trace-kind to tell.'
        )
    if kind == "arrivals":
        if time_column is not None:
            raise UsageError(
                "--trace-time-column goes with rates; arrival times are the --trace-column itself."
            )
        return Columns(kind, _position(header, value, seconds=True))
    time = time_column or _only_time(numeric, value)
    if time is None:
        return Columns(kind, _position(header, value))
    if time not in header:
        raise UsageError(f'there is no column "{time}". {_listed(header)}')
    return Columns(kind, _position(header, value), _position(header, time, seconds=True))


def _only_value(
    header: Sequence[str],
    numeric: Sequence[str],
    kind: TraceKind | None,
    time_column: str | None,
) -> str:
    """The only column with a known name, rates before times; else the only one with numbers."""
    candidates = [name for name in numeric if name != time_column]
    for wanted in _NAMES if kind is None else (kind,):
        named = [name for name in candidates if kind_of(name) == wanted]
        if len(named) > 1:
            raise UsageError(f"choose one with --trace-column. {_listed(named)}")
        if named:
            return named[0]
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


def _position(header: Sequence[str], name: str, *, seconds: bool = False) -> int:
    if header.count(name) > 1:
        raise UsageError(f'{header.count(name)} columns are named "{name}".')
    if seconds and (unit := _NOT_SECONDS.search(name)):
        raise UsageError(
            f'column "{name}" seems to be in {unit[1]}: times are taken in seconds. Convert it, and '
            f'give it a name without "{unit[0]}".'
        )
    return header.index(name)


def _listed(names: Sequence[str]) -> str:
    return "Columns: " + ", ".join(names) + "."
