"""Files that are written whole: those of a record, and those that a user names.

A file is replaced by one that was written beside it, so that nobody reads half of it and a full disk
costs nothing; its mode is kept. What a user names may be something else: a link is followed, and a
device, a pipe or a socket is written to, never replaced.
"""

import os
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from scalelag.errors import RecordError

_STANDARD = (1, 2)


def write_file(path: Path, data: bytes) -> None:
    """Write a file of a record, in place of whatever has its name. Raises RecordError if it cannot."""
    with _replacing(path, path) as file:
        file.write(data)


def write_named(path: Path, data: bytes) -> None:
    """Write to what a user named. Raises RecordError if it cannot be written."""
    with writing_named(path) as file:
        file.write(data)


@contextmanager
def writing_named(path: Path) -> Generator[BinaryIO]:
    """File to write what a user named with; there once all is written. Raises RecordError."""
    if _is_special(path):
        with _told(path), _through(path) as file:
            yield file
    else:
        with _replacing(Path(os.path.realpath(path)), path) as file:
            yield file


def check_writable(path: Path) -> None:
    """Raise RecordError if no file of a record can be written at `path`, and leave all as it is."""
    with _told(path):
        _scratch(path, path)[0].unlink()


def check_named(path: Path) -> None:
    """Raise RecordError if what a user named cannot be written to, and leave all as it is."""
    if not _is_special(path):
        with _told(path):
            _scratch(Path(os.path.realpath(path)), path)[0].unlink()
    elif not os.access(path, os.W_OK):
        raise RecordError(f"Cannot write {path}: Permission denied.")


def _is_special(path: Path) -> bool:
    """Return True for what is there and no file or folder, and for standard output by any name."""
    with _told(path):
        try:
            found = path.stat()
        except OSError:
            return False
        if stat.S_ISDIR(found.st_mode):
            raise RecordError(f"Cannot write {path}: it is a folder. Name a file.")
        return not stat.S_ISREG(found.st_mode) or _standard(found) is not None


def _standard(found: os.stat_result) -> int | None:
    """Descriptor of standard output or standard error, if that is what was found."""
    for number in _STANDARD:
        with suppress(OSError):
            if os.path.samestat(found, os.fstat(number)):
                return number
    return None


def _through(path: Path) -> BinaryIO:
    """Open what stands at `path` for writing, as it is.

    Standard output goes on where it stands: opened by name, a file would be written from its start.
    """
    number = _standard(path.stat())
    if number is None:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_NOCTTY), "wb")
    sys.stdout.flush()
    return os.fdopen(os.dup(number), "wb")


@contextmanager
def _replacing(path: Path, name: Path) -> Generator[BinaryIO]:
    """A file beside `path`, which takes its place once it is written. `name` stands in messages."""
    with _told(name):
        scratch, file = _scratch(path, name)
        try:
            with file:
                yield file
            scratch.replace(path)
        except BaseException:
            with suppress(OSError):
                scratch.unlink(missing_ok=True)
            raise


def _scratch(path: Path, name: Path) -> tuple[Path, BinaryIO]:
    """A new file beside `path`, with owner and mode of what it will replace."""
    if path.is_dir():
        raise RecordError(f"Cannot write {name}: it is a folder. Name a file.")
    if not path.parent.exists():
        raise RecordError(f"Cannot write {name}: the folder {path.parent} does not exist.")
    old = None
    with suppress(FileNotFoundError, NotADirectoryError):
        old = path.lstat()
    kept = old is not None and stat.S_ISREG(old.st_mode)
    # A name that nobody has or guesses: what stands at another's is theirs, and another run may write.
    scratch = path.with_name(f".scalelag-{token_hex(8)}.tmp")
    file = os.fdopen(
        os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if kept else 0o666), "wb"
    )
    if old is not None and kept:
        # Only root may give a file to somebody else.
        with suppress(OSError):
            os.fchown(file.fileno(), old.st_uid, old.st_gid)
        with suppress(OSError):
            os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
    return scratch, file


@contextmanager
def _told(path: Path) -> Generator[None]:
    """Raise RecordError in place of what the system says about a path."""
    try:
        yield
    except OSError as error:
        raise RecordError(f"Cannot write {path}: {error.strerror or error}.") from error
    except ValueError as error:  # a NUL in the name
        raise RecordError(f"Cannot write {str(path)!r}: {error}.") from error
