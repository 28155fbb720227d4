"""Reader of `requests.arrow`, also while it is being written and if it breaks off."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scalelag.errors import RecordError
from scalelag.record.requests_file import (
    ASKED_FIELDS,
    NO_ASKED,
    NO_STREAMS,
    SCHEMA,
    STREAM_FIELDS,
    AskedColumns,
    RequestColumns,
    StreamColumns,
)

# https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
# Older records lack these columns. Those of tokens are null for all but streamed answers.
_LATER = frozenset({*STREAM_FIELDS, *ASKED_FIELDS, "method"})
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
            with path.open("rb") as file, pa.ipc.open_stream(file) as stream:
                _check_schema(path, stream.schema)
                yield from self._whole_batches(stream)
            if self.problem is None and not _ends_with(path, _END_OF_STREAM):
                self.problem = f"{path.name} was not closed: its last second may be missing"
        except _DAMAGED as error:
            raise RecordError(f"Cannot read {path}: {error}.") from error

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
    batches = RequestBatches(path)
    try:
        table = pa.Table.from_batches(batches, schema=SCHEMA).unify_dictionaries().combine_chunks()
        return _columns(table.sort_by("intended_s")), batches.problem
    except _DAMAGED as error:
        raise RecordError(f"Cannot read {path}: it is damaged ({error}).") from error


def write_parquet(requests: Path, output: Path) -> tuple[int, str | None]:
    """Write all rows to a Parquet file with the same columns, in the order of writing.

    Returns their number, and the problem with the rest, if there is one. Raises RecordError if the
    record cannot be read or the file cannot be written.
    """
    batches, rows = RequestBatches(requests), 0
    scratch = output.with_name(f"{output.name}.tmp")
    try:
        with pq.ParquetWriter(scratch, SCHEMA, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
        scratch.replace(output)
    except OSError as error:
        raise RecordError(f"Cannot write {output}: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
    return rows, batches.problem


def due_by(path: Path, worker: int, name: str | None = None) -> NDArray[np.float64]:
    """Times at which the rows of one `worker` were due, or those called `name` among them.

    The record may still be being written.

    Raises RecordError if it cannot be read.
    """
    found = [np.empty(0, np.float64)]
    try:
        with path.open("rb") as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                # A turn is meant to start when it comes. The difference of two such times is exact.
                waited_s = batch.column("turn_wait_s").to_numpy(zero_copy_only=False)
                due_s = batch.column("intended_s").to_numpy() - np.nan_to_num(waited_s)
                chosen = batch.column("worker").to_numpy() == worker
                if name is not None:
                    named = batch.column("name")
                    texts = np.array([text == name for text in named.dictionary.to_pylist()])
                    chosen &= texts[named.indices.to_numpy()] if texts.size else False
                found.append(due_s[chosen])
    except _DAMAGED as error:
        raise RecordError(f"Cannot read {path}: {error}.") from error
    return np.concatenate(found)


def _ends_with(path: Path, end: bytes) -> bool:
    with path.open("rb") as file:
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
    columns = [
        batch.column(field.name)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in SCHEMA
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _streams(table: pa.Table) -> StreamColumns:
    """Stream columns of a table."""
    is_stream = table.column("tokens").is_valid().to_numpy(zero_copy_only=False)
    if not is_stream.any():
        return NO_STREAMS
    chosen = table.filter(pa.array(is_stream))

    def values(name: str) -> NDArray[Any]:
        # Null becomes NaN; older records lack the later columns.
        found = chosen.column(name).to_numpy(zero_copy_only=False)
        return np.nan_to_num(found) if STREAM_FIELDS[name] is np.uint32 else found

    return StreamColumns(
        row=np.flatnonzero(is_stream).astype(np.uint32),
        **{name: values(name).astype(kind, copy=False) for name, kind in STREAM_FIELDS.items()},
    )


def _asked(table: pa.Table) -> AskedColumns:
    """Columns of requests with a prompt of ours, of a table."""
    is_asked = table.column("turn").is_valid().to_numpy(zero_copy_only=False)
    if not is_asked.any():
        return NO_ASKED
    chosen = table.filter(pa.array(is_asked))
    return AskedColumns(
        row=np.flatnonzero(is_asked).astype(np.uint32),
        **{
            name: np.nan_to_num(chosen.column(name).to_numpy(zero_copy_only=False)).astype(kind)
            for name, kind in ASKED_FIELDS.items()
        },
    )


def _with_methods(
    name: NDArray[np.int32],
    names: tuple[str, ...],
    method: NDArray[np.int32],
    methods: tuple[str, ...],
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Codes and names in which a name that was requested by several methods is one for each.

    A row without a method, such as one that was never sent, goes with the only method of its name.
    """
    pairs = np.unique(np.stack((name, method)), axis=1)
    of_name: dict[int, list[int]] = {}
    for one, by in pairs.T.tolist():
        of_name.setdefault(one, []).extend([by] if by >= 0 else [])
    if all(len(by) < 2 for by in of_name.values()):
        return name, names
    found = [*names]
    codes = name.copy()
    for one, by in of_name.items():
        for code in by if len(by) > 1 else ():
            codes[(name == one) & (method == code)] = len(found)
            found.append(f"{methods[code]} {names[one]}")
    return codes, tuple(found)


def _columns(table: pa.Table) -> RequestColumns:
    def floats(name: str) -> NDArray[np.float32]:
        return table.column(name).to_numpy(zero_copy_only=False).astype(np.float32, copy=False)

    def codes(name: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        column = table.column(name)
        if column.num_chunks == 0:
            return np.empty(0, np.int32), ()
        chunk = column.combine_chunks() if column.num_chunks > 1 else column.chunk(0)
        numbers = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return numbers.astype(np.int32, copy=False), tuple(chunk.dictionary.to_pylist())

    name, names = _with_methods(*codes("name"), *codes("method"))
    error, errors = codes("error")
    return RequestColumns(
        intended_s=table.column("intended_s").to_numpy(),
        send_lag_s=floats("send_lag_s"),
        latency_s=floats("latency_s"),
        status=table.column("status").to_numpy(),
        name=name,
        error=error,
        worker=table.column("worker").to_numpy(),
        names=names,
        errors=errors,
        streams=_streams(table),
        asked=_asked(table),
    )
