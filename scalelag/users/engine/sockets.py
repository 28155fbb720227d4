"""Connected sockets of a pool, and how a greenlet waits for what comes on them."""

import select
import socket
from collections.abc import Callable
from typing import Any

import gevent.socket
from gevent import get_hub, getcurrent
from gevent.monkey import get_original

_READ = 1
# gevent's own select takes as long as a whole request.
_poll = get_original("select", "poll")
_plain_socket = get_original("socket", "socket")


class PooledSocket:
    """A socket of gevent, such as one of TLS, that is asked before it is used again."""

    # Callables instead of methods that call them: a tenth of a microsecond each.
    send: Callable[[bytes | memoryview], int]
    recv: Callable[[int], bytes]

    def __init__(self, sock: socket.socket | gevent.socket.socket) -> None:
        self.sock = sock
        self.send, self.recv, self.fileno = sock.send, sock.recv, sock.fileno
        self._came = _poll()
        self._came.register(sock.fileno(), select.POLLIN)

    def is_readable(self) -> bool:
        """Return whether an idle one is unusable: closed by the server, or with stray data."""
        return bool(self._came.poll(0))

    def close(self) -> None:
        """Close it."""
        self.sock.close()


class WatchedSocket(PooledSocket):
    """A socket without TLS, which the loop watches for as long as it is open.

    A socket of gevent first checks if there is data already, which is never so right after a
    request. It also has the kernel watch it again for each answer. Both together take a tenth of a
    request's time.
    """

    def __init__(self, connected: gevent.socket.socket) -> None:
        """Take over a connected socket, which is of no use from here on."""
        super().__init__(_plain_socket(fileno=connected.detach()))
        self.sock.settimeout(0)
        self._hub = get_hub()
        self._read, self.recv = self.sock.recv, self._recv
        # Its type says nothing of `callback`, which may be set at any time.
        self._watcher: Any = self._hub.loop.io(self.fileno(), _READ)
        self._is_watched = True
        self._watcher.start(self._came_unasked)

    def close(self) -> None:
        """Close it. No greenlet may be waiting."""
        self._watcher.stop()
        self._watcher.close()
        self.sock.close()

    def _recv(self, size: int) -> bytes:
        """Wait for data, and return at most `size` bytes of it; none at its end."""
        if self._is_watched:
            self._wait()
        else:
            self._is_watched = True
            self._watcher.start(self._came_unasked)
        while True:
            try:
                return self._read(size)
            except BlockingIOError:
                self._wait()

    def _wait(self) -> None:
        watcher = self._watcher
        watcher.callback = getcurrent().switch
        try:
            self._hub.switch()
        finally:
            watcher.callback = self._came_unasked

    def _came_unasked(self) -> None:
        """Look no longer for what nobody waits for: the loop would be told again and again."""
        self._is_watched = False
        self._watcher.stop()
