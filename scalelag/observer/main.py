"""The observer's own process: `python -m scalelag.observer.main`, with a socket as standard input.

It takes orders from the socket, and ends when that closes: so it goes away with the process that
leads the run, also after a crash. It uses threads, and neither gevent nor Locust.
"""

import contextlib
import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import msgspec

from scalelag.errors import ScalelagError
from scalelag.observer.messages import (
    LogsRead,
    Order,
    Progress,
    ReadLogs,
    Ready,
    Report,
    Setup,
    Start,
    Stop,
    WriteFailure,
    framed,
    frames,
)
from scalelag.observer.pulse import beat
from scalelag.observer.watch import Watch

_ORDERS = msgspec.json.Decoder(Order)
_PARENT_EVERY_S = 1.0
_NICE = 10


class Link:
    """Connection to the process that leads the run; this process ends with it, or with that one."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(None)  # gevent's socket, which it was, does not block
        self._parent = os.getppid()
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._reports: SimpleQueue[Report] = SimpleQueue()
        for work in (self._take, self._pass_on):
            threading.Thread(target=work, daemon=True).start()

    def orders(self) -> Iterator[Order]:
        """Yield orders as they come."""
        while True:
            yield self._orders.get()

    def send(self, report: Report) -> None:
        """Send a report. It waits for nobody: the other side may stand still for a while."""
        self._reports.put(report)

    def _take(self) -> None:
        for body in frames(self._receive):
            self._orders.put(_ORDERS.decode(body))
        os._exit(0)

    def _receive(self, size: int) -> bytes:
        # Another process that the leader forked may hold its end of the socket open.
        while not select.select([self._socket], [], [], _PARENT_EVERY_S)[0]:
            if os.getppid() != self._parent:
                return b""
        try:
            return self._socket.recv(size)
        except OSError:
            return b""

    def _pass_on(self) -> None:
        while True:
            try:
                self._socket.sendall(framed(self._reports.get()))
            except OSError:
                return  # nobody listens any more, which `_take` finds as well


class Observer:
    """Does what it is ordered to do, and gives signs of life meanwhile."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._watch: Watch | None = None

    def run(self) -> None:
        """Follow orders until the process ends."""
        threading.Thread(
            target=beat, args=(time.monotonic, self._sign, self._held_up), daemon=True
        ).start()
        for order in self._link.orders():
            self._follow(order)

    def _follow(self, order: Order) -> None:
        if isinstance(order, Setup):
            try:
                self._watch = Watch(order, self._link.send)
            except ScalelagError as error:
                self._link.send(WriteFailure(str(error)))
            else:
                self._link.send(Ready())
        elif self._watch is not None:
            self._go_on(self._watch, order)

    def _go_on(self, watch: Watch, order: Start | Stop | ReadLogs) -> None:
        match order:
            case Start():
                watch.start()
            case Stop():
                stopped = watch.stop()
                watch.report()
                self._link.send(stopped)
            case ReadLogs():
                watch.read_logs(order)
                self._link.send(LogsRead())

    def _sign(self) -> None:
        if self._watch is None:
            self._link.send(Progress())
        else:
            self._watch.report()

    def _held_up(self, from_s: float, to_s: float) -> None:
        if self._watch is not None:
            self._watch.held_up(to_s - from_s)


def _yield_to_the_load() -> None:
    """Let the load of this machine go first: requests must be sent on time.

    Linux may group processes by session (autogroup) and share the CPUs among the groups. In the load's
    own group our work would be charged to it, so we have a session of our own, whose nice value is its
    group's.
    """
    with contextlib.suppress(OSError):
        os.setsid()
    os.nice(_NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICE), encoding="ascii")


def _end(error: threading.ExceptHookArgs) -> None:
    """End the process for a bug in one of its threads: the leader starts another one."""
    threading.__excepthook__(error)
    os._exit(1)


def main() -> None:
    """Observe until the socket closes."""
    # Ctrl-C goes to every process of the terminal, and a service manager's SIGTERM to all of a group.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Its warnings would go into the live line; each failed request is on record.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    threading.excepthook = _end
    _yield_to_the_load()
    Observer(Link(socket.socket(fileno=0))).run()


if __name__ == "__main__":
    main()
