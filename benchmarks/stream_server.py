"""The server of streamed answers: it holds thousands of them open, and notes when it sent each chunk.

As a command, `python -m benchmarks.stream_server CHUNKS EVERY_S` prints its URL, then `first` when
the first request for `/bench` comes, and, once its standard input closes, what `StreamServer` reads.
Such a request is answered with a head at once, and with a chunk of a chat every `EVERY_S` seconds; the
last of `CHUNKS` ends the answer. One epoll loop, no HTTP library, and a queue: all chunks wait equally
long, so the next that is due is always its first.
"""

import gc
import os
import resource
import socket
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.server import PATH, STOP_DEADLINE_S, Loop, Server, listen, start

_END: Final = b"\r\n\r\n"
_NOTED: Final = f"POST {PATH} ".encode()
_LENGTH: Final = b"content-length: "
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_OTHER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_EVENT: Final = (
    b'data: {"object": "chat.completion.chunk", "choices": '
    b'[{"index": 0, "delta": {"content": "word "}, "finish_reason": %b}]}\n\n'
)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_CHUNK: Final = _chunk(_EVENT % b"null")
_LAST: Final = _chunk(_EVENT % b'"stop"' + b"data: [DONE]\n\n") + _chunk(b"")


class StreamServer(Server):
    """A running server of streamed answers.

    After `stop`: `peak` is the most that were open at once, `broken` how many the client closed, and
    `first_s` when the first chunk of each was sent, as seconds of CLOCK_MONOTONIC, ascending.
    """

    peak = broken = 0
    first_s: NDArray[np.float64] = np.empty(0)

    def stop(self) -> NDArray[np.float64]:
        """End the process; when each chunk was sent, as seconds of CLOCK_MONOTONIC, ascending."""
        self._stdin.close()
        said = self._stdout.read().removeprefix(b"first\n")
        self._process.wait(STOP_DEADLINE_S)
        counts, _, times = said.partition(b"\n")
        self.peak, self.broken, streams = map(int, counts.split())
        times_s = np.frombuffer(times, np.float64)
        self.first_s = times_s[:streams]
        return times_s[streams:]


@contextmanager
def running_stream_server(chunks: int, every_s: float) -> Iterator[StreamServer]:
    """A server in a process of its own, until the block ends."""
    server = StreamServer(start("benchmarks.stream_server", str(chunks), str(every_s)))
    try:
        yield server
    finally:
        server.close()


class _StreamLoop(Loop):
    """Streams answers, on one thread."""

    def __init__(self, listener: socket.socket, chunks: int, every_s: float) -> None:
        super().__init__(listener)
        self._chunks, self._every_s = chunks, every_s
        self._due: deque[tuple[float, socket.socket, int]] = deque()
        self._open: set[socket.socket] = set()
        self._first = array("d")
        self._peak = self._broken = 0

    def run(self) -> "array[float]":
        """Serve until standard input closes; when each chunk was sent."""
        due, now, listening = self._due, time.monotonic, self._listener.fileno()
        while True:
            ready = self._epoll.poll(max(0.0, due[0][0] - now()) if due else None)
            at_s = now()
            for descriptor, _ in ready:
                if descriptor == listening:
                    self._accept()
                elif descriptor == sys.stdin.fileno():
                    return self._arrivals
                else:
                    self._read(descriptor, at_s)
            while due and due[0][0] <= at_s:
                _, connection, number = due.popleft()
                if connection in self._open:
                    self._send(connection, number)

    def _read(self, descriptor: int, at_s: float) -> None:
        data = self._received(descriptor)
        if not data:
            return
        connection = self._connections[descriptor]
        if not _is_whole(data):
            self._unfinished[descriptor] = data
        elif data.startswith(_NOTED):
            self._begin(connection, at_s)
        else:
            connection.send(_OTHER)

    def _close(self, descriptor: int) -> None:
        connection = self._connections[descriptor]
        if connection in self._open:
            self._open.discard(connection)
            self._broken += 1
        super()._close(descriptor)

    def _begin(self, connection: socket.socket, at_s: float) -> None:
        if not self._peak:
            os.write(1, b"first\n")
        connection.send(_HEAD)
        self._open.add(connection)
        self._peak = max(self._peak, len(self._open))
        self._due.append((at_s + self._every_s, connection, 1))

    def _send(self, connection: socket.socket, number: int) -> None:
        is_last = number == self._chunks
        at_s = time.monotonic()
        try:
            connection.send(_LAST if is_last else _CHUNK)
        except ConnectionError:  # the loop is about to be told
            return
        self._arrivals.append(at_s)
        if number == 1:
            self._first.append(at_s)
        if is_last:
            self._open.discard(connection)
        else:
            self._due.append((at_s + self._every_s, connection, number + 1))

    def account(self) -> bytes:
        """Return what `StreamServer` reads."""
        counts = f"{self._peak} {self._broken} {len(self._first)}\n"
        return counts.encode() + self._first.tobytes() + self._arrivals.tobytes()


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(_END)
    length = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
    return bool(end) and len(body) >= int(length or 0)


def main() -> None:
    """Serve until standard input closes, then print what was sent."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = _StreamLoop(listen(), int(sys.argv[1]), float(sys.argv[2]))
    gc.disable()
    loop.run()
    sys.stdout.buffer.write(loop.account())
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
