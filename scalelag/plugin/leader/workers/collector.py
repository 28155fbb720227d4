"""Rows of requests from all workers, checked and written; counts for the live view."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.plugin.worker.messages import RequestRows
from scalelag.record.requests_file import (
    ASKED_FIELDS,
    STREAM_FIELDS,
    AskedColumns,
    RequestColumns,
    RequestWriter,
    StreamColumns,
)
from scalelag.record.text_codes import TextCodes, parts_of, request_key


class Counts(msgspec.Struct):
    """Running figures for the live line."""

    rows: int = 0
    failed: int = 0


class RowCollector:
    """Writes the rows of all workers, each under its number, and passes them to each of `shown`."""

    def __init__(
        self, writer: RequestWriter, shown: Sequence[Callable[[RequestColumns], None]] = ()
    ) -> None:
        self._writer = writer
        self._shown = shown
        self._names = TextCodes()
        self._errors = TextCodes()
        self.counts = Counts()
        self._rows: Counter[int] = Counter()

    def rows_of(self, worker: int) -> int:
        """Number of rows that one worker has written."""
        return self._rows[worker]

    def collect(self, sent: RequestRows, worker: int) -> None:
        """Write one worker's rows. Raises RecordError if the disk does not take them."""
        intended_s = np.frombuffer(sent.intended_s, np.float64)
        if not intended_s.size:
            return
        methods = sent.methods or ("",) * len(sent.names)
        keys = map(request_key, methods, sent.names)
        name_codes = np.array([self._names.code(key) for key in keys], np.int32)
        error_codes = np.array([self._errors.code(text) for text in sent.errors], np.int32)
        error = np.frombuffer(sent.error, np.int32)
        failed = error >= 0
        global_error = np.full(error.size, -1, np.int32)
        global_error[failed] = error_codes[error[failed]]
        self.counts.rows += int(intended_s.size)
        self._rows[worker] += int(intended_s.size)
        self.counts.failed += int(np.count_nonzero(failed))
        rows = RequestColumns(
            intended_s=intended_s,
            send_lag_s=np.frombuffer(sent.send_lag_s, np.float32),
            latency_s=np.frombuffer(sent.latency_s, np.float32),
            status=np.frombuffer(sent.status, np.uint16),
            name=name_codes[np.frombuffer(sent.name, np.int32)],
            error=global_error,
            worker=np.full(intended_s.size, worker, np.uint16),
            names=tuple(name for _, name in map(parts_of, self._names.texts)),
            methods=tuple(method for method, _ in map(parts_of, self._names.texts)),
            errors=tuple(self._errors.texts),
            streams=_streams(sent),
            asked=_asked(sent),
        )
        self._writer.append(rows)
        for show in self._shown:
            show(rows)


def _streams(sent: RequestRows) -> StreamColumns:
    columns: dict[str, NDArray[Any]] = {
        name: np.frombuffer(getattr(sent, name), kind) for name, kind in STREAM_FIELDS.items()
    }
    return StreamColumns(row=np.frombuffer(sent.stream_row, np.uint32), **columns)


def _asked(sent: RequestRows) -> AskedColumns:
    columns: dict[str, NDArray[Any]] = {
        name: np.frombuffer(getattr(sent, name), kind) for name, kind in ASKED_FIELDS.items()
    }
    return AskedColumns(row=np.frombuffer(sent.asked_row, np.uint32), **columns)
