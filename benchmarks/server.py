"""The server that load generators are measured against: it notes when each request came.

As a command, `python -m benchmarks.server` prints its URL, then `first` when the first request for
`/bench` comes, and, once its standard input closes, the arrival times as float64 bytes.
One epoll loop and no HTTP library: it takes 20 to 30 microseconds a request, most of them the
kernel's. Only `/bench` is noted, so that checks before a run do not count.
"""

import gc
import os
import select
import socket
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

ROOT: Final = Path(__file__).resolve().parents[1]
PATH: Final = "/bench"
STOP_DEADLINE_S: Final = 10.0
_END: Final = b"\r\n\r\n"
_NOTED: Final = f"GET {PATH} ".encode()
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """A running server at `url`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self.pid = process.pid
        self.url = self._stdout.readline().decode().strip()

    def first_has_come(self, timeout_s: float) -> bool:
        """Return whether the first request came within `timeout_s`, without asking the server."""
        return bool(select.select([self._stdout], [], [], timeout_s)[0])

    def stop(self) -> NDArray[np.float64]:
        """End the process; when each request came, as seconds of CLOCK_MONOTONIC, ascending."""
        self._stdin.close()
        said = self._stdout.read()
        self._process.wait(STOP_DEADLINE_S)
        return np.frombuffer(said.removeprefix(b"first\n"), np.float64)

    def close(self) -> None:
        """End the process if it is still there."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._stdin.close()
        self._stdout.close()


def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the server of a module of ours in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # what has been said can be seen by `select`
        start_new_session=True,  # Ctrl-C is for the benchmark, which then ends it
    )


@contextmanager
def running_server() -> Iterator[Server]:
    """A server in a process of its own, until the block ends."""
    server = Server(start("benchmarks.server"))
    try:
        yield server
    finally:
        server.close()


class Loop:
    """Answers every request at once, on one thread."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._epoll = select.epoll()
        self._connections: dict[int, socket.socket] = {}
        self._unfinished: dict[int, bytes] = {}
        self._arrivals = array("d")
        self._epoll.register(listener.fileno(), select.EPOLLIN)
        self._epoll.register(sys.stdin.fileno(), select.EPOLLIN)

    def run(self) -> "array[float]":
        """Serve until standard input closes; when each request came."""
        poll, now, listening = self._epoll.poll, time.monotonic, self._listener.fileno()
        while True:
            ready = poll()
            # One reading for all that were there when the call returned.
            at_s = now()
            for descriptor, _ in ready:
                if descriptor == listening:
                    self._accept()
                elif descriptor == sys.stdin.fileno():
                    return self._arrivals
                else:
                    self._read(descriptor, at_s)

    def _accept(self) -> None:
        try:
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(0)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[connection.fileno()] = connection
                self._epoll.register(connection.fileno(), select.EPOLLIN)
        except BlockingIOError:
            pass

    def _read(self, descriptor: int, at_s: float) -> None:
        data = self._received(descriptor)
        if not data:
            return
        if not data.endswith(_END):
            self._unfinished[descriptor] = data
            return
        if data.startswith(_NOTED):
            if not self._arrivals:
                os.write(1, b"first\n")
            self._arrivals.append(at_s)
        self._connections[descriptor].send(_ANSWER)

    def _received(self, descriptor: int) -> bytes:
        """Return what there is of a request by now; nothing if the connection was closed."""
        try:
            data = self._connections[descriptor].recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._close(descriptor)
        elif self._unfinished:
            data = self._unfinished.pop(descriptor, b"") + data
        return data

    def _close(self, descriptor: int) -> None:
        self._unfinished.pop(descriptor, None)
        self._connections.pop(descriptor).close()


def listen() -> socket.socket:
    """Listen on a free port, and print its URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.settimeout(0)
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    return listener


def main() -> None:
    """Serve until standard input closes, then print what came."""
    listener = listen()
    gc.disable()
    arrivals = Loop(listener).run()
    sys.stdout.buffer.write(arrivals.tobytes())
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
