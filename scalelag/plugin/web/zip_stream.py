"""A ZIP archive of files that is made while it is sent: no copy is kept."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_BLOCK_BYTES = 256 * 1024


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        """Return True; it cannot seek."""
        return True

    def write(self, data: bytes, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Keep `data`."""
        self._blocks.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken, self._blocks = b"".join(self._blocks), []
        return taken


def zip_stream(folder: str, files: Iterable[Path]) -> Iterator[bytes]:
    """Yield blocks of an archive with `files` in a `folder`, not compressed."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            info = zipfile.ZipInfo.from_file(path, f"{folder}/{path.name}")
            with path.open("rb") as source, archive.open(info, "w") as target:
                while block := source.read(_BLOCK_BYTES):
                    target.write(block)
                    yield sink.take()
            yield sink.take()
    yield sink.take()
