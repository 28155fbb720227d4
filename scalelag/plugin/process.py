"""The load process, and the process that started it."""

import os
import signal
import sys

import gevent
from locust.runners import Runner

_LOOK_S = 1.0


def watch_parent(pid: int) -> None:
    """Stop when the command that started us is gone: nobody would end the load otherwise."""
    while os.getppid() == pid:
        gevent.sleep(_LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)


def leave(runner: Runner, code: int) -> None:
    """End the process before a run has begun: Locust would go on to wait for its workers."""
    runner.quit()
    sys.exit(code)  # gevent hands it to the main greenlet
