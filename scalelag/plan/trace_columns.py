"""Choice of the columns of a trace."""

from collections.abc import Sequence
from shlex import quote
from typing import NamedTuple

from scalelag.errors import UsageError
from scalelag.plan.trace_dates import duration, unit_word
from scalelag.plan.trace_names import TraceKind, kind_of, requests_per_s
from scalelag.wording import count

NO_TIMES = "none"
"""Name of a column of times that says that there is none: each row is a second."""

_KINDS: tuple[TraceKind, ...] = ("rates", "arrivals")


class Columns(NamedTuple):
    """Chosen columns by position in the header; `time` only for rates with a time column."""

    kind: TraceKind
    value: int
    time: int | None = None


def choose_columns(
    header: Sequence[str],
    numeric: Sequence[str],
    dates: Sequence[str] = (),
    counts: Sequence[str] = (),
    *,
    column: str | None,
    kind: TraceKind | None,
    time_column: str | None,
) -> Columns:
    """Choose the columns by the options.

    `numeric` are those with a number in the first row, `dates` those with a date there: numbers go
    before dates. `counts` may say how many requests a row stands for. Raises UsageError, with the
    columns, if the choice is not clear.
    """
    if column is None and time_column is None:
        _refuse_unread(header, (*numeric, *dates))
    if column is None and kind is None:
        _refuse_other_rates(numeric)
    value = column or _only_value(header, numeric, dates, kind, time_column)
    if column is None and kind is None:
        _refuse_counts(value, counts)
    at = _position(header, value)
    kind = kind or _kind(value, dates)
    if kind == "arrivals":
        if time_column is not None:
            raise UsageError(
                "--trace-time-column goes with rates; arrival times are the --trace-column itself."
            )
        return Columns(kind, at)
    time = time_column or _only_time(numeric, value) or _only_time(dates, value)
    time = None if time == NO_TIMES and NO_TIMES not in header else time
    return Columns(kind, at, None if time is None else _position(header, time))


def _kind(value: str, dates: Sequence[str]) -> TraceKind:
    """Kind of a column by its name, or by its dates."""
    kind = kind_of(value) or ("arrivals" if value in dates else None)
    if kind is None:
        raise UsageError(
            f'does column "{value}" hold arrival times or rates? Set --trace-kind to tell.'
        )
    return kind


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
    others = {name: factor for name in numeric if (factor := requests_per_s(name)) is not None}
    if 1 in others.values():
        return
    for name, factor in others.items():
        raise UsageError(
            f'by its name, 1 in column "{name}" is {_rate(factor)}, and rates are read per '
            f"second: give --trace-column {quote(name)} --trace-kind rates --rate-scale {factor:.6g}."
        )


def _rate(per_s: float) -> str:
    if per_s > 1:
        return f"{count(round(per_s), 'request')} a second"
    return f"one request in {1 / per_s:.6g} s"


def _refuse_counts(value: str, counts: Sequence[str]) -> None:
    """Ask back where each row may stand for many requests, and would be sent as one."""
    others = [name for name in counts if name != value]
    if others and kind_of(value) != "rates":
        raise count_question(value, others[0])


def count_question(value: str, counts: str, row_s: float = 60.0) -> UsageError:
    """Return the question whether the column `counts` tells how many requests a row stands for."""
    scale = f", with --rate-scale {1 / row_s:.6g} where it counts those of {duration(row_s)}"
    return UsageError(
        f'is each row one request, or does column "{counts}" say how many? Give --trace-column '
        f"{quote(value)} --trace-kind arrivals for the one, --trace-column {quote(counts)} "
        f"--trace-kind rates for the other{'' if row_s == 1 else scale}."
    )


def time_question(name: str) -> UsageError:
    """Return the question whether a column tells the times of the rates."""
    return UsageError(
        f'does column "{name}" hold the times of the rates? If it says when each begins, choose it '
        "with --trace-time-column, or name it time_s; if it says how long each lasts, give the "
        "beginnings in its place. If neither, set --trace-time-column none, or take it out: a row is a "
        "second then."
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
    for wanted in _KINDS if kind is None else (kind,):
        named = [name for name in candidates if kind_of(name) == wanted]
        if wanted == "arrivals":
            named = named or [name for name in dates if kind_of(name) == wanted]
        if len(named) > 1:
            raise _several("--trace-column", named)
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
        name
        for name in numeric
        if name != value and (kind_of(name) == "arrivals" or unit_word(name.lower()))
    ]
    if len(named) > 1:
        raise _several("--trace-time-column", named)
    return named[0] if named else None


def _position(header: Sequence[str], name: str) -> int:
    if name not in header:
        raise UsageError(f'there is no column "{name}". {_listed(header)}')
    if header.count(name) > 1:
        raise _twins(name)
    return header.index(name)


def _several(flag: str, named: Sequence[str]) -> UsageError:
    """Return the error of several columns that would do; no option tells those of one name apart."""
    twin = next((name for name in named if named.count(name) > 1), None)
    return _twins(twin) if twin else UsageError(f"choose one with {flag}. {_listed(named)}")


def _twins(name: str) -> UsageError:
    return UsageError(f'several columns are named "{name}": rename all but one.')


def _listed(names: Sequence[str]) -> str:
    return "Columns: " + ", ".join(names) + "."
