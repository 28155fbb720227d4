"""A fast HTTP endpoint that notes what reaches it, in a process of its own.

As a command, `python -m tests.support.servers.http_echo` prints its URL when it listens and ends
when its standard input closes. In tests, `running_echo()` starts and stops that process. What it
does is in the path: `/delay/0.2` answers after 0.2 s, `/never` does not answer, `/status/500`
answers so, `/drip/0.3` sends a byte every 0.3 s and does not come to an end, `/one/0.01/10/5` is
served one at a time, 0.01 s each, and from 10 s after the first of them not at all for 5 s;
`/echo/log` tells what has come so far, and what comes there or to `/-/healthz` is not noted.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

import msgspec

from tests.support.servers.http_connection import HttpConnection, parts_of
from tests.support.servers.own_process import ServerProcess, announce_until_unneeded, running

UNNOTED: Final = (b"/-/healthz", b"/echo/log")
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Arrival(msgspec.Struct, frozen=True):
    """One request: when it came (Unix seconds), and how many were then open, itself among them."""

    at_s: float
    open: int
    method: str
    path: str
    headers: dict[str, str]
    body: str


class Queue:
    """One server for all: who comes waits for those before, and for the end of a stall."""

    def __init__(self) -> None:
        self._first_s = self._free_s = 0.0

    def then(self, how: bytes, call: Callable[[bytes], None], answer: bytes) -> asyncio.TimerHandle:
        """Have `call` called once one more was served; `how` is SERVICE_S/STALL_AT_S/STALL_S."""
        service_s, stall_at_s, stall_s = map(float, how.split(b"/"))
        loop = asyncio.get_running_loop()
        self._first_s = self._first_s or loop.time()
        begins_s = max(loop.time(), self._free_s)
        if stall_at_s <= begins_s - self._first_s < stall_at_s + stall_s:
            begins_s = self._first_s + stall_at_s + stall_s
        self._free_s = begins_s + service_s
        return loop.call_at(self._free_s, call, answer)


class Log:
    """All arrivals; headers and bodies are cut to pieces only when somebody asks for them."""

    def __init__(self) -> None:
        self.open = 0
        self.queue = Queue()
        self._noted: list[tuple[float, int, bytes, bytes]] = []

    def note(self, head: bytes, body: bytes) -> None:
        """Note an arrival."""
        self.open += 1
        self._noted.append((time.time(), self.open, head, body))

    def encoded(self) -> bytes:
        """The arrivals as JSON."""
        return msgspec.json.encode([_arrival(*noted) for noted in self._noted])


def _arrival(at_s: float, open_now: int, head: bytes, body: bytes) -> Arrival:
    return Arrival(at_s, open_now, *parts_of(head), body.decode())


class Connection(HttpConnection):
    """One connection."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self._waiting: asyncio.TimerHandle | None = None
        self._open = False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the base's name
        """Whoever has gone has no open request any more."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._closed()

    def request(self, head: bytes, body: bytes) -> None:
        """Note it, and do what its path says."""
        path = head.split(b" ", 2)[1]
        if not path.startswith(UNNOTED):
            self._log.note(head, body)
            self._open = True
        kind, _, value = path[1:].partition(b"/")
        if path == b"/echo/log":
            self._answer(_answer(200, self._log.encoded()))
        elif kind == b"delay":
            loop = asyncio.get_running_loop()
            self._waiting = loop.call_later(float(value), self._answer, OK)
        elif kind == b"one":
            self._waiting = self._log.queue.then(value, self._answer, OK)
        elif kind == b"drip":
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            self._drip(float(value))
        elif kind == b"status":
            self._answer(_answer(int(value), b"as you wish"))
        elif kind != b"never":
            self._answer(OK)

    def _answer(self, answer: bytes) -> None:
        self._waiting = None
        self._closed()
        self._transport.write(answer)

    def _drip(self, every_s: float) -> None:
        self._transport.write(b".")
        loop = asyncio.get_running_loop()
        self._waiting = loop.call_later(every_s, self._drip, every_s)

    def _closed(self) -> None:
        if self._open:
            self._open = False
            self._log.open -= 1


def _answer(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d As asked\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


async def serve() -> None:
    """Serve until standard input closes."""
    log = Log()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(log), "127.0.0.1", 0, backlog=4096)
    await announce_until_unneeded(server.sockets[0].getsockname()[1])
    server.close()


class Echo(ServerProcess):
    """A running endpoint at `url`."""

    module = "tests.support.servers.http_echo"

    def arrivals(self) -> list[Arrival]:
        """Requests so far, in the order in which they came."""
        return msgspec.json.decode(self.get("/echo/log"), type=list[Arrival])


def running_echo() -> AbstractContextManager[Echo]:
    """An endpoint in a process of its own, until the block ends."""
    return running(Echo())


if __name__ == "__main__":
    asyncio.run(serve())
