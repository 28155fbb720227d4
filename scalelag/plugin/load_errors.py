"""Errors while Locust loads its locustfiles: a line with the place, in place of Locust's internals."""

import os
import sys
import traceback
from pathlib import Path
from types import TracebackType

from scalelag.console import say
from scalelag.errors import ScalelagError, UsageError
from scalelag.plugin.leader.stopper import is_foreign


def explain_load_errors() -> None:
    """End this process with one line for an exception that nobody catches, until the test is set up."""
    sys.excepthook = _end


def leave_later_errors() -> None:
    """Show what is raised from now on as Python does."""
    sys.excepthook = sys.__excepthook__


def _end(kind: type[BaseException], error: BaseException, tb: TracebackType | None) -> None:
    said = load_error(error, tb)
    if said is None:
        sys.__excepthook__(kind, error, tb)
        return
    say(said)
    sys.stdout.flush()
    sys.stderr.flush()
    # Python would end with 1 after this hook, whatever it did.
    os._exit(error.exit_code if isinstance(error, ScalelagError) else UsageError.exit_code)


def load_error(error: BaseException, tb: TracebackType | None) -> str | None:
    """Return the words for what ended the loading of a locustfile; None for a bug and an exit."""
    if isinstance(error, ScalelagError):
        return str(error)
    frames = list(traceback.walk_tb(tb))
    places = [
        f"{Path(frame.f_code.co_filename).name}, line {line}"
        for frame, line in frames
        if is_foreign(frame)
    ]
    is_locusts = bool(frames) and str(frames[-1][0].f_globals.get("__name__")).startswith("locust.")
    if not isinstance(error, Exception) or not (places or is_locusts):
        return None
    said = "".join(traceback.format_exception_only(error)).strip()
    where = ", through ".join(dict.fromkeys((places[-1], places[0]))) if places else "Locust"
    return f"the locustfile cannot be loaded: {said} (in {where})"
