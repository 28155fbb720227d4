"""Rows of a record, gathered from its batches as columns in the order of their intended starts."""

import math
from collections.abc import Sequence
from tempfile import TemporaryFile, gettempdir
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scalelag.errors import RecordError
from scalelag.record.arrow_arrays import copy_numbers, is_valid, numbers
from scalelag.record.blocks import blocks
from scalelag.record.requests_file import (
    ASKED_FIELDS,
    NO_ASKED,
    NO_STREAMS,
    STREAM_FIELDS,
    AskedColumns,
    RequestColumns,
    StreamColumns,
)

_FIRST_ROOM: Final = 1 << 10
"""Rows that a column has room for at first: a short record would pay for the clearing of more."""
_MOST_ROOM: Final = 1 << 18
_IN_MEMORY: Final = 12_000_000
"""Rows of a column that are kept in memory: 0.4 GB for all columns."""
_MOST_LATE: Final = 4_000_000
_WORD_BITS: Final = 63
_NUMBERS: Final[dict[str, Any]] = {
    "intended_s": np.float64,
    "send_lag_s": np.float32,
    "latency_s": np.float32,
    "status": np.uint16,
    "worker": np.uint16,
}


class RowGatherer:
    """Columns of all batches that were added. Beside them it holds one column's copy at most."""

    def __init__(self) -> None:
        self._numbers = {name: _Column(kind) for name, kind in _NUMBERS.items()}
        self._name, self._method, self._error = (_Column(np.int32) for _ in range(3))
        self._names, self._methods, self._kinds = _Texts(), _Texts(), _Texts()
        self._streams = _SparseColumns("tokens", STREAM_FIELDS)
        self._asked = _SparseColumns("turn", ASKED_FIELDS)

    def add(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Add the rows of batches that have all columns."""
        first = self._error.size
        for batch in batches:
            for part in (self._streams, self._asked):
                part.add(batch, first)
            first += batch.num_rows
        for name, column in self._numbers.items():
            column.add_array(_joined(batches, name))
        for column, texts, name in (
            (self._name, self._names, "name"),
            (self._method, self._methods, "method"),
            (self._error, self._kinds, "error"),
        ):
            codes = _joined(batches, name)
            texts.copy_codes(codes, column.added(len(codes)))

    def columns(self) -> RequestColumns:
        """Return all rows, sorted by intended start; equal ones stay as they were added."""
        numbers = {name: column.whole() for name, column in self._numbers.items()}
        name, names = self._with_methods(self._name.whole(), self._method.whole())
        error = self._error.whole()
        marks = [one.marks(error.size) for one in (self._streams, self._asked)]
        _sort(
            numbers["intended_s"], [*list(numbers.values())[1:], name, error, *filter(len, marks)]
        )
        streams, asked = (
            one.sorted(m) for one, m in zip((self._streams, self._asked), marks, strict=True)
        )
        return RequestColumns(
            intended_s=numbers["intended_s"],
            send_lag_s=numbers["send_lag_s"],
            latency_s=numbers["latency_s"],
            status=numbers["status"],
            name=name,
            error=error,
            worker=numbers["worker"],
            names=names,
            errors=tuple(self._kinds.texts),
            streams=StreamColumns(**streams) if streams else NO_STREAMS,
            asked=AskedColumns(**asked) if asked else NO_ASKED,
        )

    def _with_methods(
        self, name: NDArray[np.int32], method: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Codes and names in which a name that was requested by several methods is one for each.

        A row without a method, such as one that was never sent, goes with the only method of its name.
        """
        names, methods = list(self._names.texts), list(self._methods.texts)
        asked = _pairs(name, len(names), method, len(methods))
        for one, by in zip(*np.nonzero(asked & (asked.sum(axis=1) > 1)[:, None]), strict=True):
            name[(name == one) & (method == by)] = len(names)
            names.append(f"{methods[by]} {names[one]}")
        return name, tuple(names)


def _joined(batches: Sequence[pa.RecordBatch], name: str) -> Any:  # noqa: ANN401  untyped in Arrow
    """Return a column of all batches as one array; dictionaries that differ become one."""
    return pa.concat_arrays([batch.column(name) for batch in batches])


def _pairs(
    name: NDArray[np.int32], names: int, method: NDArray[np.int32], methods: int
) -> NDArray[np.bool_]:
    """For each name (row) and method (column), True if some request has both."""
    found = np.zeros(names * methods, np.bool_)
    for block in blocks(name.size):
        both = (name[block] >= 0) & (method[block] >= 0)
        found[name[block][both].astype(np.int64) * methods + method[block][both]] = True
    return found.reshape(names, methods)


class _Column:
    """Values of one column, added in pieces; `missing` stands for null.

    Those of very many rows are kept in a temporary file, of which the system holds in memory what it
    has room for.
    """

    def __init__(self, kind: Any) -> None:  # noqa: ANN401  a type of NumPy
        self.kind = kind
        self.missing = math.nan if np.issubdtype(kind, np.floating) else 0
        self._values = np.empty(0, kind)
        self._used = 0
        self._file: BinaryIO | None = None
        self._in_file = 0

    @property
    def size(self) -> int:
        """Number of values."""
        return self._in_file + self._used

    def added(self, count: int) -> NDArray[Any]:
        """Return room for `count` values at the end. Raises RecordError if there is none."""
        if self._used + count > self._values.size:
            self._make_room(count)
        self._used += count
        return self._values[self._used - count : self._used]

    def add(self, values: NDArray[Any]) -> None:
        """Add values at the end. Raises RecordError if there is no room for them."""
        self.added(values.size)[:] = values

    def add_array(self, array: pa.Array) -> None:
        """Add the values of an array at the end. Raises RecordError if there is no room for them."""
        copy_numbers(array, self.added(len(array)), self.missing)

    def _make_room(self, more: int) -> None:
        """Double the room for values, up to `_MOST_ROOM` more, so that `more` fit."""
        if self._used + more > _IN_MEMORY and self._used:
            self._move_to_file()
        room = self._values.size
        if self._used + more > room:
            grown = max(_FIRST_ROOM, room + min(room, _MOST_ROOM), self._used + more)
            # The system moves the pages of large ones: nothing is copied. They are small pages, as
            # large ones that were not used for long can take a virtual machine milliseconds each.
            self._values.resize(grown, refcheck=False)

    def _move_to_file(self) -> None:
        try:
            # It lives as long as the column: closing it deletes it.
            self._file = self._file or TemporaryFile(prefix="scalelag-")  # noqa: SIM115
            self._file.write(self._values[: self._used].data)
            self._file.flush()
        except OSError as error:
            raise RecordError(
                f"Cannot keep the requests of the record in {gettempdir()}: {error.strerror}. Set "
                "TMPDIR to a folder with more room: 28 bytes a request."
            ) from error
        self._in_file += self._used
        self._used = 0

    def whole(self) -> NDArray[Any]:
        """Return all values and forget them."""
        if self._file is None:
            found = self._values
            found.resize(self._used, refcheck=False)
        else:
            self._move_to_file()
            found = np.asarray(np.memmap(self._file, self.kind, "r+", shape=(self._in_file,)))
        self._values, self._used = np.empty(0, self.kind), 0
        return found


class _Texts:
    """Texts of a dictionary column over all batches; batches have dictionaries of their own."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}
        self._dictionary: pa.Array | None = None
        self._code_of = np.empty(0, np.int32)
        self._same = False

    def copy_codes(self, column: pa.DictionaryArray, into: NDArray[np.int32]) -> None:
        """Write the codes of a batch in `texts`; -1 is null."""
        dictionary = column.dictionary
        if self._dictionary is None or not dictionary.equals(self._dictionary):
            texts = dictionary.to_pylist()
            codes = [self.texts.setdefault(text, len(self.texts)) for text in texts]
            self._code_of = np.array([*codes, -1], np.int32)
            self._dictionary = dictionary
            self._same = codes == list(range(len(codes)))
        copy_numbers(column.indices, into, -1)
        if not self._same:
            into[:] = self._code_of[into]


class _SparseColumns:
    """Columns that few rows have: those in which `told_by` is not null."""

    def __init__(self, told_by: str, fields: dict[str, Any]) -> None:
        self._told_by = told_by
        self._row = _Column(np.int64)
        self._columns = {name: _Column(kind) for name, kind in fields.items()}

    def add(self, batch: pa.RecordBatch, first: int) -> None:
        """Add the rows of a batch, whose own first row has the number `first`."""
        told_by = batch.column(self._told_by)
        if told_by.null_count == batch.num_rows:
            return
        is_told = is_valid(told_by)
        self._row.add(first + np.flatnonzero(is_told))
        for name, column in self._columns.items():
            column.add(numbers(batch.column(name), column.kind, column.missing)[is_told])

    def marks(self, count: int) -> NDArray[np.int32]:
        """For each of `count` rows the place of its values, -1 without; empty if no row has any."""
        row = self._row.whole()
        marks = np.full(count if row.size else 0, -1, np.int32)
        marks[row] = np.arange(row.size)
        return marks

    def sorted(self, marks: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
        """Columns in the order of `marks`, with the numbers of their rows; nothing without any."""
        if not marks.size:
            return {}
        row = np.flatnonzero(marks >= 0)
        order = marks[row]
        columns = {name: column.whole()[order] for name, column in self._columns.items()}
        return {"row": row.astype(np.uint32), **columns}


def _sort(at: NDArray[np.float64], others: list[NDArray[Any]]) -> None:
    """Sort `at`, and `others` with it, in place; equal ones stay in order.

    Rows are written in the order in which they ended, so that each is near to its place: a window
    goes over them. Rows that nothing later comes before leave it. It gets wider while few do.
    """
    places = [*blocks(at.size)]
    least_later = _least_later(at, places)
    from_row = seen = 0
    more = 1
    while from_row < at.size:
        seen = min(seen + more, len(places))
        if places[seen - 1].stop - from_row > _MOST_LATE:
            # One late row holds up all after it.
            seen = len(places)
        window = slice(from_row, places[seen - 1].stop)
        order = _order(at[window])
        for column in (at, *others):
            column[window] = column[window].take(order, mode="clip")
        left = int(np.searchsorted(at[window], least_later[seen - 1], side="right"))
        more = 1 if 2 * left > order.size else 2 * more
        from_row += left


def _least_later(at: NDArray[np.float64], places: list[slice]) -> list[float]:
    """For each block of rows, the least of `at` after it."""
    least = np.array([at[block].min() for block in places[1:]] + [np.inf])
    return np.minimum.accumulate(least[::-1])[::-1].tolist()


def _order(at: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of the values in ascending order, equal ones in theirs."""
    # The bits of numbers that are not negative ascend with them. In one word with its place, each is
    # sorted in half the time of `argsort`, which takes eight times as long where it is to be stable.
    bits = at.view(np.int64)
    least, greatest = int(bits.min()), int(bits.max())
    place_bits = at.size.bit_length()
    if least < 0 or (greatest - least).bit_length() + place_bits > _WORD_BITS:
        return np.argsort(at, kind="stable")
    words = bits - least
    words <<= place_bits
    words |= np.arange(at.size)
    words.sort()
    words &= (1 << place_bits) - 1
    return words
