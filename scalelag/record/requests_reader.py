"""Reader of `requests.arrow`, also while it is being written and if it breaks off."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scalelag.errors import RecordError
from scalelag.record.arrow_arrays import numbers
from scalelag.record.gathered import RowGatherer
from scalelag.record.input_file import open_file
from scalelag.record.requests_file import (
    ASKED_FIELDS,
    SCHEMA,
    STREAM_FIELDS,
    RequestColumns,
)

# https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
# Older records lack these columns. Those of tokens are null for all but streamed answers.
_LATER = frozenset({*STREAM_FIELDS, *ASKED_FIELDS, "method"})
_TOGETHER = 1 << 16
"""Rows of batches that are gathered together: some 130 bytes each, columns without values included."""
# For small batches threads do not pay.
_READ = pa.ipc.IpcReadOptions(use_threads=False)
# Flipped bits make lengths that no memory has, types that Arrow does not know, and texts that are none.
_DAMAGED = (pa.ArrowException, MemoryError, OSError, UnicodeDecodeError)


class RequestBatches:
    """Batches of a record in the order of writing, each with all columns.

    Iterating raises RecordError if the head of the file is missing. If the file breaks off, iterating
    ends there, and `problem` says so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problem: str | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Read from the beginning."""
        path = self._path
        try:
            with open_file(path) as file, pa.ipc.open_stream(file, options=_READ) as stream:
                _check_schema(path, stream.schema)
                yield from self._whole_batches(stream)
            if self.problem is None and not _ends_with(path, _END_OF_STREAM):
                self.problem = f"{path.name} was not closed: its last second may be missing"
        except _DAMAGED as error:
            raise _unreadable(path, error) from error

    def _whole_batches(self, stream: Any) -> Iterator[pa.RecordBatch]:  # noqa: ANN401  untyped in Arrow
        while True:
            try:
                batch = stream.read_next_batch()
            except StopIteration:
                return
            except _DAMAGED as error:
                self.problem = f"{self._path.name} ends in the middle of a batch ({error})"
                return
            try:
                # A flipped bit may point outside of a buffer, and reading there would end the process.
                batch.validate(full=True)
            except _DAMAGED as error:
                self.problem = f"{self._path.name} has a batch that is damaged ({error})"
                return
            yield _with_all_columns(batch)


def read_requests(path: Path) -> tuple[RequestColumns, str | None]:
    """Readable rows, sorted by intended start, and the problem with the rest, if there is one.

    Raises RecordError if the head of the file is missing.
    """
    batches, gathered = RequestBatches(path), RowGatherer()
    try:
        for several in _together(batches):
            gathered.add(several)
        return gathered.columns(), batches.problem
    except _DAMAGED as error:
        raise RecordError(f"Cannot read {path}: it is damaged ({error}).") from error


def _together(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Yield several batches at a time: what is done with small ones costs more than their rows."""
    several: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        several.append(batch)
        rows += batch.num_rows
        if rows >= _TOGETHER:
            yield several
            several, rows = [], 0
    if several:
        yield several


def due_by(path: Path, worker: int, name: str | None = None) -> NDArray[np.float64]:
    """Times at which the rows of one `worker` were due, or those called `name` among them.

    The record may still be being written.

    Raises RecordError if it cannot be read.
    """
    found = [np.empty(0, np.float64)]
    try:
        with open_file(path) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                # A turn is meant to start when it comes. The difference of two such times is exact.
                waited_s = numbers(batch.column("turn_wait_s"), np.float64, 0.0)
                due_s = numbers(batch.column("intended_s"), np.float64, 0.0) - waited_s
                chosen = numbers(batch.column("worker"), np.uint16, 0) == worker
                if name is not None:
                    named = batch.column("name")
                    texts = np.array([text == name for text in named.dictionary.to_pylist()])
                    chosen &= texts[numbers(named.indices, np.int32, 0)] if texts.size else False
                found.append(due_s[chosen])
    except _DAMAGED as error:
        raise _unreadable(path, error) from error
    return np.concatenate(found)


def _unreadable(path: Path, error: Exception) -> RecordError:
    why = getattr(error, "strerror", None) or f"it is damaged, or not whole ({error})"
    return RecordError(f"Cannot read {path}: {why}. Copy the run directory again, or name another.")


def _ends_with(path: Path, end: bytes) -> bool:
    with open_file(path) as file:
        file.seek(max(0, path.stat().st_size - len(end)))
        return file.read() == end


def _check_schema(path: Path, schema: pa.Schema) -> None:
    wrong = [
        field.name
        for field in SCHEMA
        if (
            schema.field(field.name).type != field.type
            if field.name in schema.names
            else field.name not in _LATER
        )
    ]
    if wrong:
        raise RecordError(
            f"{path} is no record of scalelag: its columns {', '.join(wrong)} are missing or of "
            "another type. Name a run directory that scalelag wrote."
        )


def _with_all_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Reduce a batch to our columns; columns that an older record lacks become null."""
    if batch.schema.equals(SCHEMA):
        return batch
    columns = [
        batch.column(field.name)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in SCHEMA
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
