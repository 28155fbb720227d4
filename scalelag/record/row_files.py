"""JSON Lines files of a run directory: one writer at a time, and a reader of what can be read."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from scalelag.errors import UNREADABLE, RecordError
from scalelag.record.event_rows import EventRow
from scalelag.record.evidence_rows import EvidenceRow
from scalelag.record.input_file import read_file
from scalelag.record.rows import Row
from scalelag.record.seen_rows import SeenRow
from scalelag.wording import count

_T = TypeVar("_T")
_TAIL_BYTES = 1 << 16


class RowWriter:
    """Appends rows to a JSON Lines file; the kernel has them when `append` returns.

    Half a row at the end, of a process that was killed while it wrote, is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder = msgspec.json.Encoder()
        try:
            _cut_half_row(path)
            self._file: BinaryIO = path.open("ab", buffering=0)
        except OSError as error:
            raise RecordError(f"Cannot write {path}: {error.strerror}.") from error

    def append(self, rows: Sequence[Row | EvidenceRow | SeenRow | EventRow]) -> None:
        """Write `rows`, one per line. Raises RecordError if they cannot be written."""
        try:
            left = memoryview(b"".join(self._encoder.encode(row) + b"\n" for row in rows))
            # A full disk may take only a part, and raise an error at the next write.
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise RecordError(f"Cannot write {self._path}: {error.strerror}.") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _cut_half_row(path: Path) -> None:
    """Cut off what follows the last line end. Raises OSError."""
    if not path.exists() or not path.is_file():
        return
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - _TAIL_BYTES)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                file.truncate(begin + found + 1)
                return
            end = begin
        file.truncate(0)


def read_rows(path: Path, decoder: msgspec.json.Decoder[_T]) -> tuple[list[_T], tuple[str, ...]]:
    """Return the rows of a file in its order, and a sentence on the lines that cannot be read."""
    try:
        lines = read_file(path).split(b"\n")
    except OSError as error:
        return [], (f"{path.name} cannot be read: {error.strerror}",)
    rows: list[_T] = []
    bad: list[int] = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            rows.append(decoder.decode(line))
        except UNREADABLE:
            bad.append(number)
    if not bad:
        return rows, ()
    return rows, (
        f"{path.name}: {count(len(bad), 'line')} cannot be read, the first is line {bad[0]}",
    )
