"""The load process: its signals, the process that started it, and how it ends."""

import os
import signal
import sys
import time
from collections.abc import Callable
from types import TracebackType

import gevent
from locust.runners import (
    STATE_CLEANUP,
    STATE_INIT,
    STATE_STOPPED,
    STATE_STOPPING,
    MasterRunner,
    Runner,
)

from scalelag.console import say
from scalelag.errors import EXIT_TARGET
from scalelag.plugin.parent import Outcome, note_outcome
from scalelag.wording import count

_POLL_S = 0.2


def handle_signals(end: Callable[[str], None], *, headless_leader: bool) -> None:
    """Call `end` with the name of each signal that asks this process to end.

    Our own handlers, since the inherited ones may ignore the signal: a script without job control
    starts `cmd &` with SIGINT ignored. SIGHUP stays ignored if it is: that is what nohup is for.
    """
    numbers = [signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    if headless_leader:
        # Locust handles SIGTERM only once a headless test with a shape is over.
        numbers.append(signal.SIGTERM)
    for number in numbers:
        gevent.signal_handler(number, end, number.name)


def handle_exits(takes: Callable[[SystemExit], bool]) -> None:
    """Have `takes` deal with each `sys.exit()` in a greenlet, if it returns True.

    gevent hands any other to the main greenlet, where Locust would end at once, without its report.
    """
    hub = gevent.get_hub()
    hand_over = hub.handle_system_error

    def handle(
        type: type[BaseException],  # noqa: A002  gevent passes it by this name
        value: BaseException | None,
        tb: TracebackType | None = None,
    ) -> None:
        if not (isinstance(value, SystemExit) and takes(value)):
            hand_over(type, value, tb)

    hub.handle_system_error = handle


def is_stopping(runner: Runner) -> bool:
    """Return whether the users are being stopped or gone: another interrupt would break off that."""
    return runner.state in (STATE_STOPPING, STATE_STOPPED, STATE_CLEANUP)


def awaits_workers(runner: Runner) -> bool:
    """Return whether a headless master waits for its workers: Locust handles no signal then."""
    idle = runner.state == STATE_INIT and runner.shape_greenlet is None
    return isinstance(runner, MasterRunner) and idle


def interrupt_locust() -> None:
    """Have Locust end as by Ctrl-C, which it expects in its main greenlet."""
    main = gevent.get_hub().parent
    if main is not None:
        gevent.kill(main, KeyboardInterrupt)


def watch_parent(pid: int) -> None:
    """Stop when the command that started us is gone: nobody would end the load otherwise."""
    while os.getppid() == pid:
        gevent.sleep(_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)


def await_workers(
    runner: MasterRunner, expected: int, wait_s: float, has_begun: Callable[[], bool]
) -> None:
    """Refuse the run, and end the process, if fewer workers than expected have come in time."""
    deadline_s = time.monotonic() + wait_s
    while time.monotonic() < deadline_s:
        if has_begun() or runner.worker_count >= expected:
            return
        gevent.sleep(_POLL_S)
    wanted = count(expected, "load process", "load processes")
    text = f"{runner.worker_count} of {wanted} came within {wait_s:g} s."
    say(text)
    note_outcome(Outcome(refusal=text, unstaffed=True), os.environ)
    leave(runner, EXIT_TARGET)


def leave(runner: Runner, code: int) -> None:
    """End the process before a run has begun: Locust would go on to wait for its workers."""
    runner.quit()
    sys.exit(code)  # gevent hands it to the main greenlet
