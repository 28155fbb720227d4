"""Rows of requests, written down by hand, as they go into a file and come out of it."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.requests_file import RequestColumns, RequestWriter

NAN = float("nan")

Row = tuple[float, float, float, int, str, str | None, int]
"""intended, send lag, latency, status, name, error, worker."""


def code_of(text: str, texts: list[str]) -> int:
    if text not in texts:
        texts.append(text)
    return texts.index(text)


def columns(rows: list[Row], names: list[str], errors: list[str]) -> RequestColumns:
    """`rows` as a batch; `names` and `errors` grow by the texts that are new."""
    name_codes = [code_of(row[4], names) for row in rows]
    error_codes = [-1 if row[5] is None else code_of(row[5], errors) for row in rows]
    return RequestColumns(
        intended_s=np.array([row[0] for row in rows], np.float64),
        send_lag_s=np.array([row[1] for row in rows], np.float32),
        latency_s=np.array([row[2] for row in rows], np.float32),
        status=np.array([row[3] for row in rows], np.uint16),
        name=np.array(name_codes, np.int32),
        error=np.array(error_codes, np.int32),
        worker=np.array([row[6] for row in rows], np.uint16),
        names=tuple(names),
        errors=tuple(errors),
    )


def write(path: Path, batches: list[list[Row]], *, close: bool = True) -> list[int]:
    """Write `batches`; returns the size of the file after each."""
    writer = RequestWriter(path)
    names: list[str] = []
    errors: list[str] = []
    sizes: list[int] = []
    for batch in batches:
        writer.append(columns(batch, names, errors))
        sizes.append(path.stat().st_size)
    if close:
        writer.close()
    return sizes


def rows_of(read: RequestColumns) -> list[Row]:
    """Rows with the texts spelled out, floats rounded to what float32 holds."""
    return [
        (
            float(read.intended_s[i]),
            float(read.send_lag_s[i]),
            float(read.latency_s[i]),
            int(read.status[i]),
            read.names[read.name[i]],
            None if read.error[i] < 0 else read.errors[read.error[i]],
            int(read.worker[i]),
        )
        for i in range(read.count)
    ]


def same(a: list[Row], b: list[Row]) -> bool:
    """Return whether rows are equal; NaN equals NaN."""
    return repr(a) == repr(b)


def good(at_s: float, name: str = "/", worker: int = 0) -> Row:
    return (at_s, 0.5, 0.25, 200, name, None, worker)


THREE_BATCHES: list[list[Row]] = [
    [good(0.0), good(1.0), (2.0, 0.5, 1.5, 500, "/", "HTTP 500", 1)],
    [good(3.0, "/chat"), (4.0, NAN, NAN, 0, "/", NOT_SENT, 1)],
    [(5.0, 0.0, 8.0, 0, "/chat", "timeout", 0), good(6.0, "/late")],
]

ALL_ROWS = [row for batch in THREE_BATCHES for row in batch]


def write_table(path: Path, table: pa.Table) -> Path:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    return path
