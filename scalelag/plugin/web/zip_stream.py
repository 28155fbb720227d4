"""Files as one ZIP archive, made while it is sent: no copy of them is kept."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_BLOCK_BYTES = 256 * 1024


class _Sink(io.RawIOBase):
    """Takes what is written until it is asked for."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        """It is; but it cannot be wound back."""
        return True

    def write(self, data: bytes, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Keep `data`."""
        self._blocks.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """What was written since the last call."""
        taken, self._blocks = b"".join(self._blocks), []
        return taken


def zip_stream(folder: str, files: Iterable[Path]) -> Iterator[bytes]:
    """Blocks of an archive with `files` in a `folder`, not compressed."""
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
