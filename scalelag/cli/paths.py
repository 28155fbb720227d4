"""Paths on the command line that no file can have, or that may not be looked at."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from scalelag.errors import UsageError

_MOST_SHOWN = 120


def check_paths(values: Sequence[object]) -> None:
    """Raise UsageError for a path, or a list with one, that the system refuses to look up.

    A file that is not there is no fault: it may be about to be written.
    """
    for value in values:
        if isinstance(value, list | tuple):
            check_paths(cast("Sequence[object]", value))
        elif isinstance(value, Path):
            for part in str(value).split(","):  # -f takes several files with commas between them
                _check(Path(part))


def _check(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        why = getattr(error, "strerror", None) or error
        shown = str(path)
        if len(shown) > _MOST_SHOWN:
            shown = f"{shown[:_MOST_SHOWN]}..."
        raise UsageError(f"{shown!r} is no path that can be used: {why}.") from error
