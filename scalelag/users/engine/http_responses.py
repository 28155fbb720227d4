"""Answers over HTTP, read from a connection by geventhttpclient's parser."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import gevent
import gevent.socket
from geventhttpclient.response import (
    HTTPParseError,
    HTTPProtocolViolationError,
    HTTPResponse,
    HTTPSocketPoolResponse,
)

BLOCK_BYTES = 65_536
_FIRST_FINAL_STATUS = 200


class Pool(Protocol):
    """Taker of connections: back, to be used again, or to be closed."""

    def return_socket(self, sock: gevent.socket.socket) -> None:
        """Take back a connection that can be used again."""

    def release_socket(self, sock: gevent.socket.socket) -> None:
        """Close a connection."""


class Response(HTTPSocketPoolResponse):
    """An answer that ends with its own last byte.

    The library gives a connection back with the end of each message, also of an interim one (100, 103),
    whose final answer is still to come on it; and it calls an answer wrong that stray bytes follow.
    Here such a connection is closed, and the answer counts, as with curl.
    """

    def __init__(self, sock: gevent.socket.socket, pool: Pool, method: str) -> None:
        self._final_status = 0
        named: Any = pool  # the library calls these two methods, and no more
        super().__init__(sock, named, block_size=BLOCK_BYTES, method=method)

    @property
    def status_code(self) -> int:
        """Status of the final answer, which stray bytes after it do not change."""
        return self._final_status or self.get_code()

    def get_code(self) -> int:
        """Return the status as the library reads it while it looks for the final answer."""
        return self._final_status or super().get_code()

    def feed(self, data: str | bytes) -> None:
        """Parse what came; give the connection back once the final answer is whole."""
        try:
            super().feed(data)
        except HTTPParseError:
            if not self._is_whole:
                raise
            self._trailing_data_dropped = True
        if self._is_whole:
            self.release()

    @property
    def _is_whole(self) -> bool:
        return self.message_complete and bool(self._final_status)

    def _on_message_begin(self) -> None:
        if self._is_whole:
            raise HTTPProtocolViolationError("bytes after the end of the answer")
        super()._on_message_begin()

    def _on_headers_complete(self) -> int | bool | None:
        code = super().get_code()
        self._final_status = code if code >= _FIRST_FINAL_STATUS else 0
        return super()._on_headers_complete()

    def _on_message_complete(self) -> None:
        # Not that of the class above, which gives the connection back at once.
        HTTPResponse._on_message_complete(self)  # noqa: SLF001  of a class that this one is derived from


class StreamingResponse(Response):
    """An answer whose body is read as it comes; `now` returns Unix seconds."""

    def __init__(
        self, sock: gevent.socket.socket, pool: Pool, method: str, now: Callable[[], float]
    ) -> None:
        self._pieces: list[bytes] = []
        super().__init__(sock, pool, method)
        self._now = now
        self._came_s = now()

    def _on_body(self, buf: bytearray) -> None:
        self._pieces.append(bytes(buf))

    def pieces(self) -> Iterator[tuple[bytes, float]]:
        """Yield the chunks of the body, each with the time at which it was read from the socket.

        If the answer breaks off, OSError or HTTPParseError is raised after the last piece.
        """
        fault = None
        while True:
            pieces, self._pieces = self._pieces, []
            for piece in pieces:
                yield piece, self._came_s
            if fault is not None:
                raise fault
            if self.message_complete:
                return
            fault = self._receive()

    def finish(self, within_s: float) -> None:
        """Read what is left after the end of the answer, so that its connection can be used again.

        If nothing ends it `within_s` seconds, or it breaks off, the connection is closed by `release`.
        """
        try:
            with gevent.Timeout(within_s):
                for _ in self.pieces():
                    pass
        except (OSError, HTTPParseError, gevent.Timeout):
            self._pieces = []

    def _receive(self) -> HTTPParseError | None:
        assert self._sock is not None  # it is there until the message is complete
        data = self._sock.recv(self.block_size)
        self._came_s = self._now()
        try:
            self.feed(data)
        except HTTPParseError as error:
            return error
        return None
