"""Files of a run directory that is read: it may be somebody else's, and hold anything."""

import errno
import stat
from pathlib import Path
from typing import BinaryIO


def open_file(path: Path) -> BinaryIO:
    """Open a file to read. Raises OSError also for a pipe, which would be waited for, and a device."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return path.open("rb")


def read_file(path: Path) -> bytes:
    """Return the content of a file. Raises OSError as `open_file` does."""
    with open_file(path) as file:
        return file.read()
