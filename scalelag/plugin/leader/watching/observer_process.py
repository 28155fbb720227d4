"""One process of the observer, on the side of the process that leads the run."""

import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import gevent
import msgspec
from gevent import socket
from gevent.lock import RLock

import scalelag
from scalelag.observer.messages import Order, Report, framed, frames

SILENCE_S: Final = 15.0
"""Time without a sign of life after which the process counts as hung, and is killed."""
_LAST_LOOK_S: Final = 1.0
_END_TIMEOUT_S: Final = 2.0
_POLL_S: Final = 0.01
_REPORTS: Final = msgspec.json.Decoder(Report)
_OURS: Final = Path(scalelag.__file__).parents[1]


class ObserverProcess:
    """The process; it ends when `close` is called, or when this one ends, however that is."""

    def __init__(self) -> None:
        """Start it. Raises OSError if the machine does not let us."""
        self._socket, theirs = socket.socketpair()
        self._sending = RLock()
        self._is_silent = False
        self._code: int | None = None
        try:
            # gevent's Popen forks in Python, which copies this process's page tables: load would wait.
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-m", "scalelag.observer.main"],
                _environment(),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                ],
            )
        except OSError:
            self._socket.close()
            raise
        finally:
            theirs.close()

    def send(self, *orders: Order) -> None:
        """Send orders. A process that does not take them is killed; `reports` tells that it ended."""
        with self._sending:
            try:
                with gevent.Timeout(SILENCE_S, TimeoutError()):
                    self._socket.sendall(b"".join(map(framed, orders)))
            except TimeoutError:
                self._is_silent = True
                self._kill()
            except OSError:
                return

    def reports(self) -> Iterator[Report]:
        """Yield what the process reports, until it ends, is silent for too long, or is closed."""
        for body in frames(self._receive):
            yield _REPORTS.decode(body)

    def _receive(self, size: int) -> bytes:
        gevent.sleep(0)  # many pieces may be there: users go on between them
        # If this process itself stood still, what has come meanwhile is there at the second read.
        for seconds in (SILENCE_S, _LAST_LOOK_S):
            try:
                with gevent.Timeout(seconds, TimeoutError()):
                    return self._socket.recv(size)
            except TimeoutError:
                continue
            except OSError:
                return b""
        self._is_silent = True
        return b""

    def close(self) -> None:
        """Let the process end: `reports` comes to its end too."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was quicker

    def end(self) -> str:
        """Wait until the process is gone, kill it if it does not go, and say how it ended."""
        if self._is_silent or not self._is_gone_within(_END_TIMEOUT_S):
            self._kill()
            self._is_gone_within(math.inf)
        self._socket.close()
        return f"it was silent for {SILENCE_S:.0f} s" if self._is_silent else self._how()

    def _is_gone_within(self, seconds: float) -> bool:
        deadline_s = time.monotonic() + seconds
        while not (gone := self._is_gone()) and time.monotonic() < deadline_s:
            gevent.sleep(_POLL_S)
        return gone

    def _is_gone(self) -> bool:
        if self._code is None:
            try:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
            except (
                ChildProcessError
            ):  # gevent takes every child's end where Locust has forked workers
                self._code = 0
            else:
                self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code is not None

    def _kill(self) -> None:
        if not self._is_gone():
            os.kill(self._pid, signal.SIGKILL)

    def _how(self) -> str:
        code = self._code or 0
        if code == 0:
            return "its end was not seen"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _environment() -> dict[str, str]:
    """Our environment, with our packages first: the process must not find others of their names."""
    path = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(_OURS), *([path] if path else [])])}
