"""Writer of `requests.arrow`: an append-only Arrow IPC stream with one row per planned request."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scalelag.errors import RecordError
from scalelag.record.arrow_arrays import number_array, text_array
from scalelag.record.error_kinds import is_not_sent

_TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("intended_s", pa.float64()),
        ("send_lag_s", pa.float32()),
        ("latency_s", pa.float32()),
        ("status", pa.uint16()),
        ("name", _TEXT),
        ("error", _TEXT),
        ("worker", pa.uint16()),
        ("first_token_s", pa.float32()),
        ("tokens", pa.uint32()),
        ("token_gap_max_s", pa.float32()),
        ("last_token_s", pa.float32()),
        ("timed_tokens", pa.uint32()),
        ("first_text_s", pa.float32()),
        ("first_reasoning_s", pa.float32()),
        ("first_tool_call_s", pa.float32()),
        ("method", _TEXT),
        ("prompt_tokens", pa.uint32()),
        ("asked_prompt_tokens", pa.uint32()),
        ("asked_tokens", pa.uint32()),
        ("session", pa.uint32()),
        ("turn", pa.uint32()),
        ("turn_wait_s", pa.float64()),
    ]
)
STREAM_FIELDS: dict[str, Any] = {
    "first_token_s": np.float32,
    "tokens": np.uint32,
    "token_gap_max_s": np.float32,
    "last_token_s": np.float32,
    "timed_tokens": np.uint32,
    "first_text_s": np.float32,
    "first_reasoning_s": np.float32,
    "first_tool_call_s": np.float32,
    "prompt_tokens": np.uint32,
}
"""Columns of streamed answers, with their types."""
ASKED_FIELDS: dict[str, Any] = {
    "asked_prompt_tokens": np.uint32,
    "asked_tokens": np.uint32,
    "session": np.uint32,
    "turn": np.uint32,
    "turn_wait_s": np.float64,
}
"""Columns of requests with a prompt of ours, with their types."""
_EARLIER_STREAM_FIELDS = [name for name in STREAM_FIELDS if name != "prompt_tokens"]
_NO_MOMENTS = np.empty(0, np.float32)
_FEW_CODES = 8
"""Up to this number, one comparison for each takes less time than `np.isin`."""


class StreamColumns(msgspec.Struct, frozen=True):
    """Columns of the rows that are streamed answers, all of equal length.

    `row` uint32, ascending: number of the row in the table. Moments are float32, from the intended
    start, NaN if there was none: `first_token_s` and `last_token_s` of any kind, the first of text, of
    reasoning and of a tool call. `tokens` uint32, as the server counts; `timed_tokens` uint32, those
    from the first to the last moment, 0 if not known; `token_gap_max_s` float32, the longest time
    between two tokens, NaN if fewer than two came. `prompt_tokens` uint32, as the server counts them, 0
    if it does not. Columns that are left out are not known.
    """

    row: NDArray[np.uint32]
    first_token_s: NDArray[np.float32]
    tokens: NDArray[np.uint32]
    token_gap_max_s: NDArray[np.float32]
    last_token_s: NDArray[np.float32] = _NO_MOMENTS
    timed_tokens: NDArray[np.uint32] = np.empty(0, np.uint32)
    first_text_s: NDArray[np.float32] = _NO_MOMENTS
    first_reasoning_s: NDArray[np.float32] = _NO_MOMENTS
    first_tool_call_s: NDArray[np.float32] = _NO_MOMENTS
    prompt_tokens: NDArray[np.uint32] = np.empty(0, np.uint32)

    def __post_init__(self) -> None:
        for name, kind in STREAM_FIELDS.items():
            if getattr(self, name).size != self.row.size:
                unknown = np.nan if kind is np.float32 else 0
                msgspec.structs.force_setattr(self, name, np.full(self.row.size, unknown, kind))

    def chosen(self, where: slice) -> "StreamColumns":
        """Return the columns of some of the answers."""
        return StreamColumns(
            row=self.row[where], **{name: getattr(self, name)[where] for name in STREAM_FIELDS}
        )


NO_STREAMS = StreamColumns(
    row=np.empty(0, np.uint32),
    first_token_s=_NO_MOMENTS,
    tokens=np.empty(0, np.uint32),
    token_gap_max_s=_NO_MOMENTS,
)


class AskedColumns(msgspec.Struct, frozen=True):
    """Columns of the rows whose prompt we made, all of equal length.

    `row` uint32, ascending: number of the row in the table. uint32: the tokens that were asked of
    prompt and answer, 0 for an answer as long as it likes; number of the `session`, and `turn` in it,
    from 1, 0 if it is no part of one. `turn_wait_s` float64: how long after it was due its turn came,
    which is its intended start.
    """

    row: NDArray[np.uint32]
    asked_prompt_tokens: NDArray[np.uint32]
    asked_tokens: NDArray[np.uint32]
    session: NDArray[np.uint32]
    turn: NDArray[np.uint32]
    turn_wait_s: NDArray[np.float64]

    def from_row(self, first: int) -> "AskedColumns":
        """Return the columns of the rows from `first` on, which becomes row 0."""
        kept = slice(int(np.searchsorted(self.row, first)), None)
        return AskedColumns(
            row=self.row[kept] - np.uint32(first),
            **{name: getattr(self, name)[kept] for name in ASKED_FIELDS},
        )


_NO_COUNTS = np.empty(0, np.uint32)
NO_ASKED = AskedColumns(
    *(_NO_COUNTS, _NO_COUNTS, _NO_COUNTS, _NO_COUNTS, _NO_COUNTS), np.empty(0, np.float64)
)


class RequestColumns(msgspec.Struct, frozen=True):
    """Rows as columns of equal length n.

    `intended_s` float64, Unix seconds; `send_lag_s` and `latency_s` float32, NaN if not sent;
    `status` uint16, 0 if no answer came; `name` and `error` int32 codes into `names` and `errors`,
    with -1 for no error; `worker` uint16. `methods` are those of the `names`, which may then be equal;
    of rows that were read, the names differ, and there are no methods. `streams` has further columns
    for streamed answers, `asked` for requests whose prompt we made.
    """

    intended_s: NDArray[np.float64]
    send_lag_s: NDArray[np.float32]
    latency_s: NDArray[np.float32]
    status: NDArray[np.uint16]
    name: NDArray[np.int32]
    error: NDArray[np.int32]
    worker: NDArray[np.uint16]
    names: tuple[str, ...]
    errors: tuple[str, ...]
    streams: StreamColumns = NO_STREAMS
    methods: tuple[str, ...] = ()
    asked: AskedColumns = NO_ASKED

    @property
    def count(self) -> int:
        """Number of rows."""
        return int(self.intended_s.size)

    @property
    def not_sent(self) -> NDArray[np.bool_]:
        """Mask of the rows that were planned and never sent."""
        return self.not_sent_in(slice(None))

    def not_sent_in(self, where: slice | NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Mask of those of the chosen rows that were planned and never sent."""
        return self.with_errors(*filter(is_not_sent, self.errors), where=where)

    def chosen(self, where: slice | NDArray[np.bool_]) -> "RequestColumns":
        """Return some of the rows, without their columns of streamed answers."""
        return msgspec.structs.replace(
            self,
            intended_s=self.intended_s[where],
            send_lag_s=self.send_lag_s[where],
            latency_s=self.latency_s[where],
            status=self.status[where],
            name=self.name[where],
            error=self.error[where],
            worker=self.worker[where],
            streams=NO_STREAMS,
        )

    def with_errors(
        self, *kinds: str, where: slice | NDArray[np.uint32] = slice(None)
    ) -> NDArray[np.bool_]:
        """Mask of those of the chosen rows whose error is one of `kinds`."""
        error = self.error[where]
        codes = [code for code, kind in enumerate(self.errors) if kind in kinds]
        if len(codes) > _FEW_CODES:
            return np.isin(error, codes)
        found = np.zeros(error.size, np.bool_)
        for code in codes:
            found |= error == code
        return found


def rows_from(rows: RequestColumns, at_s: float) -> RequestColumns:
    """Rows with an intended start at or after `at_s`; `rows` are sorted by `intended_s`."""
    first = int(np.searchsorted(rows.intended_s, at_s))
    streams = rows.streams
    kept = int(np.searchsorted(streams.row, first))
    return msgspec.structs.replace(
        rows.chosen(slice(first, None)),
        streams=msgspec.structs.replace(
            streams.chosen(slice(kept, None)), row=streams.row[kept:] - np.uint32(first)
        ),
        asked=rows.asked.from_row(first),
    )


def _no_rows() -> RequestColumns:
    return RequestColumns(
        intended_s=np.empty(0, np.float64),
        send_lag_s=np.empty(0, np.float32),
        latency_s=np.empty(0, np.float32),
        status=np.empty(0, np.uint16),
        name=np.empty(0, np.int32),
        error=np.empty(0, np.int32),
        worker=np.empty(0, np.uint16),
        names=(),
        errors=(),
    )


class RequestWriter:
    """Appends batches and flushes each: a killed process loses only rows it had not appended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # Unbuffered: the kernel has the batch when append() returns.
            self._file: BinaryIO = path.open("wb", buffering=0)
            # Compressed, a column of nulls costs nothing. For small batches threads do not pay.
            options = pa.ipc.IpcWriteOptions(
                emit_dictionary_deltas=True, compression="lz4", use_threads=False
            )
            self._stream: Any = pa.ipc.new_stream(self._file, SCHEMA, options=options)
        except OSError as error:
            raise RecordError(f"Cannot write {path}: {error.strerror}.") from error
        # Arrow writes the schema with the first batch. An empty one makes a run readable that is
        # killed before its first request.
        self.append(_no_rows())

    def append(self, rows: RequestColumns) -> None:
        """Write `rows`; their `names` and `errors` extend those of the batch before.

        Raises RecordError if they cannot be written.
        """
        batch = pa.RecordBatch.from_arrays(
            [
                number_array(rows.intended_s),
                number_array(rows.send_lag_s, ~np.isnan(rows.send_lag_s)),
                number_array(rows.latency_s, ~np.isnan(rows.latency_s)),
                number_array(rows.status),
                _dictionary(rows.name, rows.names),
                _coded(rows.error, rows.errors),
                number_array(rows.worker),
                *_more_arrays(rows.streams, _EARLIER_STREAM_FIELDS, rows.count),
                _dictionary(rows.name, [method or None for method in _methods_of(rows)]),
                *_more_arrays(rows.streams, ("prompt_tokens",), rows.count),
                *_more_arrays(rows.asked, ASKED_FIELDS, rows.count),
            ],
            schema=SCHEMA,
        )
        try:
            self._stream.write_batch(batch)
        except OSError as error:
            raise RecordError(f"Cannot write {self._path}: {error.strerror or error}.") from error

    def close(self) -> None:
        """End the stream. Raises RecordError if its end cannot be written."""
        try:
            self._stream.close()
        except OSError as error:
            raise RecordError(f"Cannot write {self._path}: {error.strerror or error}.") from error
        finally:
            self._file.close()


def _methods_of(rows: RequestColumns) -> tuple[str, ...]:
    return rows.methods or ("",) * len(rows.names)


def _dictionary(codes: NDArray[np.int32], texts: Sequence[str | None]) -> pa.DictionaryArray:
    """A dictionary column in which each of `texts` stands once; None is a null."""
    distinct = [text for text in dict.fromkeys(texts) if text is not None]
    places = {text: place for place, text in enumerate(distinct)}
    place_of = np.array([-1 if text is None else places[text] for text in texts], np.int32)
    chosen = place_of[codes] if codes.size else codes
    return _coded(chosen, distinct)


def _coded(codes: NDArray[np.int32], texts: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(number_array(codes, codes >= 0), text_array(texts))


def _more_arrays(
    part: StreamColumns | AskedColumns, names: Iterable[str], count: int
) -> list[pa.Array]:
    """Columns `names` for a batch of `count` rows; null in rows that `part` does not have."""

    def spread(values: NDArray[Any], missing: NDArray[np.bool_]) -> pa.Array:
        whole = np.zeros(count, values.dtype)
        valid = np.zeros(count, np.bool_)
        whole[part.row] = values
        valid[part.row] = ~missing
        return number_array(whole, valid)

    # isnan is False for every integer.
    columns = [getattr(part, name) for name in names]
    return [spread(values, np.isnan(values)) for values in columns]
