"""Reader of traces: CSV files with arrival times, or with rates, that a run replays."""

import csv
import hashlib
import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.errors import UsageError
from scalelag.plan.stages import MAX_LEVEL
from scalelag.plan.trace_columns import Columns, TraceKind, choose_columns
from scalelag.plan.trace_info import TraceInfo

MAX_ROWS = 10_000_000
"""Maximum number of rows: up to 160 MB in memory."""

_SHOWN = 40


class TraceSpec(msgspec.Struct, frozen=True):
    """Options for a trace. None: to be found out from the file."""

    path: str
    column: str | None = None
    kind: TraceKind | None = None
    time_column: str | None = None


class Trace(msgspec.Struct, frozen=True):
    """A trace, shifted so that it begins at 0.

    A trace of arrivals has ascending `times_s` and no rates. In a trace of rates, `rates_rps[i]` holds
    from `times_s[i]` to `times_s[i + 1]`; the last of `times_s` is the end of the trace.
    """

    info: TraceInfo
    times_s: NDArray[np.float64]
    rates_rps: NDArray[np.float64] | None = None


def read_trace(spec: TraceSpec) -> Trace:
    """Read a trace from a CSV file with a header line.

    Raises UsageError with the file, and the line if one is wrong.
    """
    try:
        with Path(spec.path).open(encoding="utf-8-sig", newline="") as file:
            return _read(file, spec)
    except OSError as error:
        raise UsageError(f"--trace {spec.path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--trace {spec.path}: it is no UTF-8 text.") from error


class _Table:
    """Rows of a CSV file below its header; errors name the file and the line."""

    def __init__(self, file: TextIO, path: str) -> None:
        self._path = path
        self._reader = csv.reader(file, skipinitialspace=True)
        self._rows = self._all_rows()
        self.header = [name.strip() for name in next(self._rows, [])]
        if not self.header:
            raise self.wrong("it is empty. The first line names the columns, such as arrival_s")
        if all(_is_number(name) for name in self.header):
            raise self.bad(f'"{self.header[0]}" is no name: the first line names the columns')
        first = next(self._rows, None)
        if first is None:
            raise self.wrong("it has a header and no rows")
        self._first = first
        self.numeric = [
            name for name, cell in zip(self.header, first, strict=False) if _is_number(cell)
        ]

    def _all_rows(self) -> Iterator[list[str]]:
        try:
            # Skip blank lines.
            yield from filter(None, self._reader)
        except csv.Error as error:
            raise self.bad(f"it is no CSV: {error}") from error

    def wrong(self, reason: str) -> UsageError:
        """Error about the file."""
        return UsageError(f"--trace {self._path}: {reason}.")

    def bad(self, reason: str) -> UsageError:
        """Error about the line that was read last."""
        return UsageError(f"--trace {self._path} line {self._reader.line_num}: {reason}.")

    def rows(self) -> Iterator[list[str]]:
        """Yield all rows. Call it once."""
        yield self._first
        yield from self._rows

    def number(self, row: Sequence[str], at: int) -> float:
        """Number in the cell at position `at`, finite and not negative."""
        name = self.header[at]
        if at >= len(row):
            raise self.bad(f"it has {len(row)} cells, and {name} would be number {at + 1}")
        try:
            value = float(row[at])
        except ValueError:
            raise self.bad(f'{name} "{_shown(row[at])}" is not a number') from None
        if not 0 <= value < math.inf:
            raise self.bad(f'{name} "{_shown(row[at])}" is not a number of 0 or more')
        return value


def _shown(cell: str) -> str:
    return " ".join(cell.split())[:_SHOWN]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read(file: TextIO, spec: TraceSpec) -> Trace:
    table = _Table(file, spec.path)
    try:
        columns = choose_columns(
            table.header,
            table.numeric,
            column=spec.column,
            kind=spec.kind,
            time_column=spec.time_column,
        )
    except UsageError as error:
        raise UsageError(f"--trace {spec.path}: {error}") from error
    values, times_s = _numbers(table, columns)
    info = TraceInfo(
        file=Path(spec.path).name,
        kind=columns.kind,
        column=table.header[columns.value],
        time_column=None if columns.time is None else table.header[columns.time],
        rows=values.size,
    )
    if columns.kind == "arrivals":
        return _identified(Trace(info, values - values[0]))
    if not values.any():
        raise table.wrong("it never sends a request: every rate is 0")
    return _identified(Trace(info, _edges(times_s, values.size), values))


def _identified(trace: Trace) -> Trace:
    digest = hashlib.sha256(trace.times_s.astype("<f8").tobytes())
    if trace.rates_rps is not None:
        digest.update(b"rates")
        digest.update(trace.rates_rps.astype("<f8").tobytes())
    info = msgspec.structs.replace(trace.info, sha256=digest.hexdigest())
    return msgspec.structs.replace(trace, info=info)


def _numbers(
    table: _Table, columns: Columns
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Values of the columns in the order of the file, checked; None if there is no time column."""
    values, times_s = array("d"), array("d")
    arrivals = columns.kind == "arrivals"
    name = table.header[columns.value]
    last = -1.0
    for row in table.rows():
        value = table.number(row, columns.value)
        if arrivals and value < last:
            raise table.bad(
                f"{name} {value!r} is before the {last!r} of the row above: sort the rows"
            )
        if columns.time is not None:
            times_s.append(_later(table, row, columns.time, times_s))
        if not arrivals and value > MAX_LEVEL:
            raise table.bad(f"{name} {value!r} is over {MAX_LEVEL:,}")
        values.append(last := value)
        if len(values) > MAX_ROWS:
            raise table.bad(f"more than {MAX_ROWS:,} rows are not taken")
    times = np.frombuffer(times_s) if columns.time is not None else None
    return np.frombuffer(values), times


def _later(table: _Table, row: Sequence[str], at: int, before: Sequence[float]) -> float:
    value = table.number(row, at)
    if before and value <= before[-1]:
        raise table.bad(
            f"{table.header[at]} {value!r} is not after the {before[-1]!r} of the row above"
        )
    return value


def _edges(times_s: NDArray[np.float64] | None, rows: int) -> NDArray[np.float64]:
    """Start of each row, and the end of the last, which is as long as the row before it."""
    if times_s is None:
        return np.arange(rows + 1, dtype=np.float64)
    last_s = times_s[-1] - times_s[-2] if rows > 1 else 1.0
    return np.append(times_s, times_s[-1] + last_s) - times_s[0]
