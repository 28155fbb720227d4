"""Reader of traces: files with arrival times, or with rates, that a run replays."""

import hashlib
import math
import re
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.errors import UsageError
from scalelag.plan.stages import MAX_LEVEL
from scalelag.plan.trace_beside import refuse_even, refuse_late, refuse_untimed
from scalelag.plan.trace_columns import Columns, choose_columns
from scalelag.plan.trace_cut import Cut, Timeline, cut
from scalelag.plan.trace_dates import AUTO, DATE, DAY_S, PER_SECOND, duration
from scalelag.plan.trace_formats import (
    K6,
    LOCUST,
    LOCUST_SUMMARY,
    MAX_ROWS,
    format_of,
    k6_samples,
    known_unit,
    locust_history,
)
from scalelag.plan.trace_info import TraceInfo
from scalelag.plan.trace_lengths import LengthColumns, Lengths
from scalelag.plan.trace_names import TraceKind, kind_of, may_count
from scalelag.plan.trace_rows import Cell, Rows, is_time, may_be_number, number_in, open_rows
from scalelag.plan.trace_times import unit_of, unix_s
from scalelag.wording import count

__all__ = ["MAX_ROWS", "Trace", "TraceSpec", "read_trace"]

_MANY_AT_ONCE = 1000
_PACKED = "a compressed file: unpack it"
_BINARY = {
    **dict.fromkeys((b"\x1f\x8b", b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd"), _PACKED),
    b"PK\x03\x04": "a spreadsheet or another zip file: save it as CSV, or unpack it",
    b"PAR1": "Parquet: convert it to CSV",
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), "UTF-16: save it as UTF-8"),
}
_SEPARATORS = re.compile("[,;\t]")
MOST_REQUESTS = 50_000_000
"""Maximum number of requests that the rates of a trace ask for."""


class TraceSpec(msgspec.Struct, frozen=True):
    """Options for a trace. None or auto: to be found out from the file."""

    path: str
    column: str | None = None
    kind: TraceKind | None = None
    time_column: str | None = None
    unit: str = AUTO
    cut: Cut = Cut()


class Trace(msgspec.Struct, frozen=True):
    """A trace, shifted so that it begins at 0.

    A trace of arrivals has ascending `times_s` and no rates. In a trace of rates, `rates_rps[i]` holds
    from `times_s[i]` to `times_s[i + 1]`; the last of `times_s` is the end of the trace. `lengths` are
    those of the arrivals, if the file tells any.
    """

    info: TraceInfo
    times_s: NDArray[np.float64]
    rates_rps: NDArray[np.float64] | None = None
    lengths: Lengths | None = None


def read_trace(spec: TraceSpec) -> Trace:
    """Read a trace from a CSV file with a header line, or from JSON Lines.

    Raises UsageError with the file, and the line if one is wrong.
    """
    if "\0" in spec.path:
        raise UsageError(f"--trace {spec.path!r}: the name of a file has no NUL character.")
    path = Path(spec.path)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            # It is read twice; a pipe without a writer would be waited for.
            raise UsageError(f"--trace {path}: it is no file, but a pipe or a device.")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(file, spec)
    except OSError as error:
        raise UsageError(f"--trace {spec.path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--trace {spec.path}: {_no_text(path)}.") from error


def _no_text(path: Path) -> str:
    """Say what a file is that is no UTF-8 text."""
    with path.open("rb") as file:
        begins = file.read(4)
    known = next((what for start, what in _BINARY.items() if begins.startswith(start)), None)
    return f"it is no UTF-8 text{f', but {known}' if known else ''}"


class _ReadTrace(msgspec.Struct, frozen=True):
    """A whole trace as it was read, and what was read of it."""

    whole: Timeline
    info: TraceInfo


def _read(file: TextIO, spec: TraceSpec) -> Trace:
    rows = open_rows(file, spec.path)
    chosen = (spec.column, spec.kind, spec.time_column)
    known = format_of(rows.header)
    if known == LOCUST_SUMMARY and chosen == (None, None, None):
        raise rows.wrong(
            "it is Locust's summary, one row a name. Give the file beside it whose name ends with "
            "_stats_history.csv"
        )
    try:
        if known in (LOCUST, K6) and chosen == (None, None, None):
            found = _counted(rows, spec, known)
        else:
            found = _from_columns(rows, spec, known)
        return _trace(found, spec.cut)
    except UsageError as error:
        text = str(error)
        if text.startswith("--trace "):
            raise
        raise UsageError(f"--trace {spec.path}: {text}") from error


def _counted(rows: Rows, spec: TraceSpec, known: str) -> _ReadTrace:
    """Return the trace in a file of another load generator."""
    counted = (locust_history if known == LOCUST else k6_samples)(rows, spec.unit)
    whole = Timeline(counted.times_s, counted.rates_rps, counted.begun_s, counted.rows)
    info = TraceInfo(
        file=Path(spec.path).name,
        kind=counted.kind,
        column=counted.column,
        time_column=rows.header[rows.position("timestamp") or 0],
        rows=counted.rows,
        format=known,
        unit=counted.unit,
        rows_left=counted.left,
    )
    if counted.kind == "arrivals":
        info = msgspec.structs.replace(info, column=info.time_column, time_column=None)
    return _ReadTrace(whole, info)


def _from_columns(rows: Rows, spec: TraceSpec, known: str | None) -> _ReadTrace:
    """Return the trace in the columns that the options or their names choose."""
    columns = _columns(rows, spec)
    lengths = LengthColumns(rows)
    values, moments = _numbers(rows, columns, lengths)
    refuse_late(rows)
    is_arrivals = columns.kind == "arrivals"
    at = columns.value if is_arrivals else columns.time
    unit, begun_s = None, None
    if at is not None:
        unit = _unit(rows, at, values if moments is None else moments, spec, known, columns.kind)
        times_s = _seconds(values if moments is None else moments, unit)
        begun_s = _begun_s(values if moments is None else moments, unit)
    else:
        times_s = np.arange(values.size + 1, dtype=np.float64)
    if not is_arrivals:
        if not values.any():
            raise rows.wrong("it never sends a request: every rate is 0")
        times_s = times_s if at is None else _edges(times_s)
    names = lengths.names if is_arrivals else ()
    if is_arrivals and unit == DATE:
        _check_times_of_day(rows, columns.value, values)
    if is_arrivals and (known, spec.column, spec.kind) == (None, None, None):
        refuse_even(rows, columns.value, times_s, names)
    used = {at, columns.value}
    info = TraceInfo(
        file=Path(spec.path).name,
        kind=columns.kind,
        column=rows.header[columns.value],
        time_column=None if columns.time is None else rows.header[columns.time],
        rows=values.size,
        format=known,
        unit=unit,
        rows_over_lines=rows.over_lines,
        lengths=names,
        unused=tuple(n for i, n in enumerate(rows.header) if i not in used and n not in names),
    )
    read = (None, lengths.lengths()) if is_arrivals else (values, None)
    return _ReadTrace(Timeline(times_s, read[0], begun_s, values.size, read[1]), info)


def _columns(rows: Rows, spec: TraceSpec) -> Columns:
    """Return the columns that the options choose, or else the names and the cells of the first row."""
    first = list(zip(rows.header, rows.first, strict=False))
    readable = [name for name, cell in first if is_time(cell)]
    if not readable and any(map(kind_of, _SEPARATORS.split(",".join(map(str, rows.first))))):
        raise rows.wrong(
            "its first line does not name the columns, and the next one does: take the first one out"
        )
    columns = choose_columns(
        rows.header,
        [name for name, cell in first if number_in(cell) is not None],
        [name for name, cell in first if number_in(cell) is None and is_time(cell)],
        [name for name, cell in first if may_count(name) and may_be_number(cell)],
        column=spec.column,
        kind=spec.kind,
        time_column=spec.time_column,
    )
    if (columns.kind, columns.time, spec.time_column) == ("rates", None, None):
        refuse_untimed(rows, columns.value)
    return columns


def _unit(
    rows: Rows,
    at: int,
    values: NDArray[np.float64],
    spec: TraceSpec,
    known: str | None,
    kind: TraceKind,
) -> str:
    """Return the unit of the times in a column. Raises UsageError if it cannot be told."""
    if _is_date(rows.first, at):
        return DATE
    if spec.unit != AUTO:
        return spec.unit
    found = known_unit(known, values)
    return found or unit_of(rows.header[at], values, are_rows=kind == "rates")


def _seconds(values: NDArray[np.float64], unit: str) -> NDArray[np.float64]:
    """Return times in seconds after the first: shifted before they are divided, to the last digit."""
    shifted = values - values[0]
    return shifted if unit in (DATE, "s") else shifted / PER_SECOND[unit]


def _begun_s(values: NDArray[np.float64], unit: str) -> float | None:
    """Unix seconds of the first time; None if it is no date."""
    return float(values[0]) if unit == DATE else unix_s(float(values[0]), unit)


def _trace(found: _ReadTrace, how: Cut) -> Trace:
    part = cut(found.whole, how)
    requests, peak_rps = _load(part)
    if part.rates_rps is not None and part.rates_rps.max() > MAX_LEVEL:
        raise UsageError(f"its highest rate is {part.rates_rps.max():g} rps: over {MAX_LEVEL:,}.")
    if max(part.times_s.size, requests) > (MAX_ROWS if part.rates_rps is None else MOST_REQUESTS):
        raise UsageError(
            f"{count(requests, 'request')} are more than a run sends. Take a part with --from "
            "and --to, or "
            "fewer with --rate-scale 0.1."
        )
    if part.rates_rps is not None and not part.rates_rps.any():
        raise UsageError("it never sends a request: every rate is 0.")
    if requests == 0:
        raise UsageError(
            f"its rates come to less than one request in {duration(float(part.times_s[-1]))}: are its "
            "times in another unit (--trace-unit)?"
        )
    info = msgspec.structs.replace(
        found.info,
        rows=part.rows if found.info.format not in (LOCUST, K6) else found.info.rows,
        rows_left=found.info.rows_left + found.whole.rows - part.rows
        if found.info.format not in (LOCUST, K6)
        else found.info.rows_left,
        sha256=_digest(part),
        requests=requests,
        span_s=float(part.times_s[-1]),
        peak_rps=peak_rps,
        cut_from=how.begin.text if how.begin else None,
        cut_to=how.end.text if how.end else None,
        rate_scale=how.rate_scale,
        time_scale=how.time_scale,
    )
    return Trace(info, part.times_s, part.rates_rps, part.lengths)


def _load(part: Timeline) -> tuple[int, float]:
    """Return the number of requests, and the most of them in one second."""
    if part.rates_rps is not None:
        expected = float(np.sum(np.diff(part.times_s) * part.rates_rps))
        return math.floor(expected + 1e-6), float(part.rates_rps.max())
    size = part.times_s.size
    if size > _MANY_AT_ONCE and part.times_s[-1] == 0:
        raise UsageError(
            f"all {count(size, 'time')} are the same: they are too coarse to be replayed. "
            "Choose another "
            "column with --trace-column."
        )
    seconds = np.floor(part.times_s)
    _, counts = np.unique(seconds, return_counts=True)
    return size, float(counts.max())


def _digest(part: Timeline) -> str:
    digest = hashlib.sha256(part.times_s.astype("<f8").tobytes())
    if part.rates_rps is not None:
        digest.update(b"rates")
        digest.update(part.rates_rps.astype("<f8").tobytes())
    return digest.hexdigest()


def _is_date(row: Sequence[Cell], at: int) -> bool:
    return number_in(row[at]) is None and is_time(row[at])


def _numbers(
    rows: Rows, columns: Columns, lengths: LengthColumns
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Values of the columns in the order of the file, checked; None if there is no time column."""
    values, moments = array("d"), array("d")
    arrivals = columns.kind == "arrivals"
    name = rows.header[columns.value]
    read = rows.date if arrivals and _is_date(rows.first, columns.value) else rows.number
    last = -math.inf
    for row in rows.rows():
        value = read(row, columns.value)
        if arrivals and value < last:
            raise rows.bad(
                f"{name} {value!r} is before the {last!r} of the row above: sort the rows"
            )
        if columns.time is not None:
            moments.append(_later(rows, row, columns.time, moments))
        if not arrivals and value > MAX_LEVEL:
            raise rows.bad(f"{name} {value!r} is over {MAX_LEVEL:,}")
        if arrivals:
            lengths.take(row)
        values.append(last := value)
        if len(values) > MAX_ROWS:
            raise rows.bad(f"more than {MAX_ROWS:,} rows are not taken")
    times = np.frombuffer(moments) if columns.time is not None else None
    return np.frombuffer(values), times


def _check_times_of_day(rows: Rows, at: int, values: NDArray[np.float64]) -> None:
    """Raise UsageError for days without a time of day: all requests of a day would be sent at once."""
    has_times = ":" in str(rows.first[at]) or np.any(values % DAY_S)
    if has_times or not np.any(np.diff(values) == 0):
        return
    raise rows.wrong(
        f'column "{rows.header[at]}" holds days without a time of day, so that all requests of a day '
        "would be sent at once. Join date and time in one column, such as 2026-11-29T10:00:00Z"
    )


def _later(rows: Rows, row: Sequence[Cell], at: int, before: Sequence[float]) -> float:
    value = rows.date(row, at) if _is_date(rows.first, at) else rows.number(row, at)
    if before and value <= before[-1]:
        raise rows.bad(
            f"{rows.header[at]} {value!r} is not after the {before[-1]!r} of the row above"
        )
    return value


def _edges(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Start of each row, and the end of the last, which is as long as the row before it."""
    last_s = times_s[-1] - times_s[-2] if times_s.size > 1 else 1.0
    return np.append(times_s, times_s[-1] + last_s)
