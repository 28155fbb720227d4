"""Ctrl-C and SIGTERM become one exception, so that everything opened is closed on the way out."""

import signal
from collections.abc import Generator
from contextlib import contextmanager

from scalelag.errors import InterruptedRunError


@contextmanager
def interruptible() -> Generator[None]:
    """Within, the first SIGINT or SIGTERM raises InterruptedRunError; later ones are ignored.

    Taking things down has its own time-outs and must not be broken off half way.
    """

    def interrupt(number: int, _frame: object) -> None:
        for wanted in (signal.SIGINT, signal.SIGTERM):
            signal.signal(wanted, signal.SIG_IGN)
        raise InterruptedRunError(f"interrupted ({signal.Signals(number).name})")

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
