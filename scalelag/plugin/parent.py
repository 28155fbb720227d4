"""The process that started this one."""

import os
import signal

import gevent

_LOOK_S = 1.0


def watch_parent(pid: int) -> None:
    """Stop when the command that started us is gone: nobody would end the load otherwise."""
    while os.getppid() == pid:
        gevent.sleep(_LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
