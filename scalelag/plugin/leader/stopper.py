"""Code that ends a test from within: `runner.quit()` in a locustfile is no Ctrl-C."""

import sys
from pathlib import Path
from types import FrameType

_OURS = frozenset({"scalelag", "reports", "probes", "locustfiles", "serve_apps"})
_LOCUSTS = frozenset({"__main__", "locust", "gevent", "greenlet", "flask", "werkzeug"})
_PASSED_OVER = _OURS | _LOCUSTS | sys.stdlib_module_names


def stopping_code(frame: FrameType | None) -> str | None:
    """Place of the innermost code that is neither ours nor Locust's, above `frame` on the stack.

    A user's exception that makes Locust stop the test (`StopTest`) has left the stack: its words are
    returned. None if Locust stops the test by itself, as after a signal or on the page.
    """
    while frame is not None:
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module == "locust" and (said := _exception_handled_in(frame)):
            return said
        if is_foreign(frame):
            name = Path(frame.f_code.co_filename).name
            return f"{frame.f_code.co_name}() in {name}, line {frame.f_lineno}"
        frame = frame.f_back
    return None


def is_foreign(frame: FrameType) -> bool:
    """Return whether `frame` runs code that is neither ours nor Locust's nor Python's."""
    module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return module not in _PASSED_OVER and not frame.f_code.co_filename.startswith("<")


def exiting_code(raised: SystemExit) -> str | None:
    """Place of the code that called `sys.exit()`; None if it is ours."""
    tb = raised.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    return stopping_code(tb.tb_frame) if tb is not None else None


def _exception_handled_in(frame: FrameType) -> str | None:
    """Words of the exception because of which Locust's handler of greenlets stops the test."""
    if frame.f_code.co_name != "handler":
        return None
    kind, error, *_ = getattr(frame.f_locals.get("greenlet"), "exc_info", (None, None))
    return None if kind is None else f"{kind.__name__}: {error}"
