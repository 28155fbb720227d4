"""Rows of a trace's file: CSV with a header line, or JSON Lines with one object a line."""

import csv
import math
from collections.abc import Iterator, Sequence
from typing import Any, TextIO, cast

import msgspec

from scalelag.errors import UsageError
from scalelag.plan.trace_dates import date_and_zone, date_s
from scalelag.wording import count

Cell = object
"""A text of CSV, or any value of JSON."""

LONGEST_FIELD = 64 * 2**20
"""Maximum characters of a CSV field. Python's own limit of 128 KiB is shorter than some prompts."""

MOST_TOKENS = 2_000_000
"""Maximum tokens of one prompt or answer."""

_SHOWN = 40
_UNCLOSED = "a quote that begins in this row is never closed, so that it takes in all rows below it"
_NOTHING = ("", "-", "n/a", "na", "null", "none")
_LONGEST_HEAD = 2**20


class Rows:
    """Rows below a header; errors name the file and the line. `first` is the first row."""

    def __init__(self, file: TextIO, path: str) -> None:
        self._path = path
        self._line = 0
        self._has_zone: dict[int, bool] = {}
        self.late: dict[str, int] = {}
        """Keys that the first row does not have, by the line that has them first."""
        self.over_lines = 0
        """Number of rows so far that go over several lines."""
        self._pending = self._all_rows(file)
        self.header: list[str] = []
        head = next(self._pending, None)
        if head is None:
            raise self.wrong("it is empty. The first line names the columns, such as arrival_s")
        self.first = self._begin(head)

    def _begin(self, head: Sequence[Cell]) -> Sequence[Cell]:
        """Take the header from the first line, and return the first row."""
        raise NotImplementedError

    def _all_rows(self, file: TextIO) -> Iterator[Sequence[Cell]]:
        raise NotImplementedError

    def wrong(self, reason: str) -> UsageError:
        """Error about the file."""
        return UsageError(f"--trace {self._path}: {reason}.")

    def bad(self, reason: str) -> UsageError:
        """Error about the line that was read last."""
        return UsageError(f"--trace {self._path} line {self._line}: {reason}.")

    def rows(self) -> Iterator[Sequence[Cell]]:
        """Yield all rows. Call it once."""
        yield self.first
        yield from self._pending

    def position(self, *names: str) -> int | None:
        """Position of the first column of one of these names; capitals do not matter."""
        lower = [name.lower() for name in self.header]
        return next((lower.index(name) for name in names if name in lower), None)

    def cell(self, row: Sequence[Cell], at: int) -> Cell:
        """Cell at position `at`."""
        if at >= len(row):
            raise self.bad(
                f"it has {count(len(row), 'cell')}, and {self.header[at]} would be number {at + 1}"
            )
        return row[at]

    def number(self, row: Sequence[Cell], at: int) -> float:
        """Number in the cell at position `at`, finite and not negative."""
        cell, name = self.cell(row, at), self.header[at]
        value = number_in(cell)
        if value is None:
            raise self.bad(f'{name} "{shown(cell)}" is not a number')
        if not 0 <= value < math.inf:
            raise self.bad(f'{name} "{shown(cell)}" is not a number of 0 or more')
        return value

    def date(self, row: Sequence[Cell], at: int) -> float:
        """Unix seconds of the date in the cell at position `at`."""
        cell = self.cell(row, at)
        found = date_and_zone(cell) if isinstance(cell, str) else None
        if found is None:
            raise self.bad(
                f'{self.header[at]} "{shown(cell)}" is not a date such as 2026-11-29T10:00:00.25Z'
            )
        value, has_zone = found
        if self._has_zone.setdefault(at, has_zone) is not has_zone:
            which = (
                "a zone, and those above have none" if has_zone else "no zone, and those above do"
            )
            raise self.bad(f'{self.header[at]} "{shown(cell)}" has {which}: write all dates alike')
        return value


class CsvRows(Rows):
    """Rows of a CSV file."""

    def _begin(self, head: Sequence[Cell]) -> Sequence[Cell]:
        self.header = [str(name).strip() for name in head]
        if all(number_in(name) is not None or date_s(name) is not None for name in self.header):
            raise self.bad(f'"{self.header[0]}" is no name: the first line names the columns')
        first = next(self._pending, None)
        if first is None:
            raise self.wrong("it has a header and no rows")
        return first

    def _all_rows(self, file: TextIO) -> Iterator[Sequence[Cell]]:
        csv.field_size_limit(LONGEST_FIELD)
        delimiter = _delimiter(file)
        ended = False

        def lines() -> Iterator[str]:
            nonlocal ended
            yield from file
            ended = True

        reader = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True)
        try:
            for row in reader:
                begun, self._line = self._line + 1, reader.line_num
                if ended:
                    # The last line shows that the row is whole: no other is looked for.
                    self._line = begun
                    raise self.bad(_UNCLOSED)
                self.over_lines += bool(self.header) and self._line > begun
                if 0 < len(self.header) < len(row) and any(row[len(self.header) :]):
                    raise self.bad(
                        f"it has {count(len(row), 'cell')}, and the header names {len(self.header)}"
                    )
                if row:  # blank lines are skipped
                    yield row
        except csv.Error as error:
            self._line = reader.line_num
            raise self.bad(f"it is no CSV: {error}") from error


def _delimiter(file: TextIO) -> str:
    """Return what separates the cells of the header: a semicolon or a tab if it has no comma."""
    head = "\n"
    while head.isspace() and not head.strip("\r\n"):
        head = file.readline(_LONGEST_HEAD)
    file.seek(0)
    return next((char for char in ",;\t" if char in head), ",")


class JsonRows(Rows):
    """Rows of JSON Lines; the keys of the first object are the columns."""

    def _begin(self, head: Sequence[Cell]) -> Sequence[Cell]:
        return head

    def _all_rows(self, file: TextIO) -> Iterator[Sequence[Cell]]:
        names: set[str] = set()
        for self._line, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                found = msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.MsgspecError, RecursionError) as error:
                raise self.bad(f"it is no JSON object: {error}") from error
            self.header = self.header or list(found)
            names = names or set(self.header)
            if not found.keys() <= names:
                late = found.keys() - names - self.late.keys()
                self.late |= dict.fromkeys(sorted(late), self._line)
            if missing := [name for name in self.header if name not in found]:
                # Only what is read from a row must be in it.
                found |= dict.fromkeys(missing)
            yield [found[name] for name in self.header]


def open_rows(file: TextIO, path: str) -> Rows:
    """Return the rows of a file of either kind. Raises UsageError if it has none."""
    begins = file.read(1)
    while begins.isspace():
        begins = file.read(1)
    file.seek(0)
    if begins == "[":
        raise UsageError(f"--trace {path}: it is a JSON array: give JSON Lines, one object a line.")
    return JsonRows(file, path) if begins == "{" else CsvRows(file, path)


def number_in(cell: Cell) -> float | None:
    """Return the number in a cell, which may be nan or infinite; None if it holds none."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def has_digits(cell: Cell) -> bool:
    """Return whether a cell holds a number, perhaps with a unit, or a date or time of any form."""
    return number_in(cell) is not None or (isinstance(cell, str) and cell.strip()[:1].isdigit())


def may_be_number(cell: Cell) -> bool:
    """Return whether a cell is no text: it has digits, or nothing yet."""
    return has_digits(cell) or str(cell if cell is not None else "").strip().lower() in _NOTHING


def is_time(cell: Cell) -> bool:
    """Return whether a cell holds a number or a date."""
    return number_in(cell) is not None or (isinstance(cell, str) and date_s(cell) is not None)


def shown(cell: Cell) -> str:
    """Return the beginning of a cell, for a message."""
    return " ".join(str(cell if cell is not None else "").split())[:_SHOWN]


def whole_numbers(cell: Cell) -> list[int] | None:
    """Return a list of whole numbers of 0 or more; None if the cell is none."""
    if not isinstance(cell, list):
        return None
    items = cast("list[object]", cell)
    found = [one for one in items if type(one) is int and 0 <= one < 2**63]
    return found if len(found) == len(items) else None
