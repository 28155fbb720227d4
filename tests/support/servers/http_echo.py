"""A fast HTTP endpoint that notes what reaches it, in a process of its own.

As a command, `python -m tests.support.servers.http_echo` prints its URL when it listens and ends
when its standard input closes. In tests, `running_echo()` starts and stops that process. What it
does is in the path: `/delay/0.2` answers after 0.2 s, `/never` does not answer, `/status/500`
answers so, `/drip/0.3` sends a byte every 0.3 s and does not come to an end, `/one/0.01/10/5` is
served one at a time, 0.01 s each, and from 10 s after the first of them not at all for 5 s;
`/echo/log` tells what has come so far, and what comes there or to `/-/healthz` is not noted.
"""

import asyncio
import http.client
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import Final

import msgspec

from tests.support.standin.process import ROOT

UNNOTED: Final = (b"/-/healthz", b"/echo/log")
DEADLINE_S: Final = 10.0
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
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    return Arrival(at_s, open_now, method, path, headers, body.decode())


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request a time."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._buffer = b""
        self._waiting: asyncio.TimerHandle | None = None
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the base's name
        """Whoever has gone has no open request any more."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._closed()

    def data_received(self, data: bytes) -> None:
        """Take bytes until a request is there."""
        self._buffer += data
        head, ended, rest = self._buffer.partition(b"\r\n\r\n")
        if not ended:
            return
        length = 0
        at = head.lower().find(b"\r\ncontent-length:")
        if at >= 0:
            length = int(head[at + 17 :].split(b"\r\n", 1)[0])
        if len(rest) >= length:
            self._buffer = rest[length:]
            self._request(head, rest[:length])

    def _request(self, head: bytes, body: bytes) -> None:
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
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


class Echo:
    """A running endpoint at `url`."""

    def __init__(self, process: Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self.url = process.stdout.readline().decode().strip()

    def arrivals(self) -> list[Arrival]:
        """Requests so far, in the order in which they came."""
        connection = http.client.HTTPConnection(
            self.url.removeprefix("http://"), timeout=DEADLINE_S
        )
        try:
            connection.request("GET", "/echo/log")
            return msgspec.json.decode(connection.getresponse().read(), type=list[Arrival])
        finally:
            connection.close()

    def stop(self) -> None:
        """End the process; nothing listens there any more."""
        self._stdin.close()
        self._process.wait(DEADLINE_S)
        self._stdout.close()


@contextmanager
def running_echo() -> Iterator[Echo]:
    """An endpoint in a process of its own, until the block ends."""
    command = [sys.executable, "-m", "tests.support.servers.http_echo"]
    echo = Echo(Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, start_new_session=True))
    try:
        yield echo
    finally:
        echo.stop()


if __name__ == "__main__":
    asyncio.run(serve())
