"""Signals that ask a command to end, and the work that they must not break off."""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager

from scalelag.errors import InterruptedRunError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Generator[None]:
    """Raise InterruptedRunError at the first SIGINT, SIGTERM or SIGHUP within the block.

    Later ones are ignored: taking things down has its own time-outs and must not be interrupted half
    way. SIGHUP stays ignored if it is: that is what nohup is for.
    """
    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        wanted.append(signal.SIGHUP)

    def interrupt(number: int, _frame: object) -> None:
        for one in wanted:
            signal.signal(one, signal.SIG_IGN)
        name = signal.Signals(number).name
        # At once, since the rest may take a while; past the buffers, in which the signal may have come.
        os.write(2, f"scalelag: {name}: ending, and taking down what was set up\n".encode())
        raise InterruptedRunError(f"interrupted ({name})")

    before = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Generator[None]:
    """Hold signals back while the block runs; the first that came has its effect after it."""
    came: list[int] = []
    handled = [number for number in _ENDING if callable(signal.getsignal(number))]
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
