"""Answers over HTTP, read from a connection by geventhttpclient's parser."""

from collections.abc import Callable, Iterator
from typing import Protocol

import gevent
from geventhttpclient._parser import HTTPResponseParser
from geventhttpclient.header import Headers
from geventhttpclient.response import (
    HTTPConnectionClosed,
    HTTPParseError,
    HTTPProtocolViolationError,
    HTTPResponse,
)

from scalelag.users.engine.sockets import PooledSocket

BLOCK_BYTES = 65_536
_FIRST_FINAL_STATUS = 200


class Pool(Protocol):
    """Taker of connections: back, to be used again, or to be closed."""

    def return_socket(self, sock: PooledSocket) -> None:
        """Take back a connection that can be used again."""

    def release_socket(self, sock: PooledSocket) -> None:
        """Close a connection."""


class Response(HTTPResponse):
    """An answer that ends with its own last byte.

    The library's class with a socket gives a connection back at the end of each message. It does so
    for an interim one (100, 103), too, whose final answer is still to come. It also calls an answer
    wrong that stray bytes follow. Here such a connection is closed, and the answer counts, as with
    curl. This class also takes less than two thirds of its time.
    """

    message_begun = message_complete = False
    _trailing_data_dropped = False
    _final_status = 0
    _sock: PooledSocket | None = None

    def __init__(self, sock: PooledSocket, pool: Pool, method: str) -> None:
        # That of HTTPResponse makes ready much that is not used here.
        HTTPResponseParser.__init__(self)
        self._has_no_body = method == "HEAD"
        # Name and value of each header, in turn.
        self._fields: list[str] = []
        self._headers_index = Headers()
        self._body_buffer = bytearray()
        self._pool = pool
        self._sock = sock
        try:
            self._read_head(sock)
        except BaseException:
            self.release()
            raise

    @property
    def status_code(self) -> int:
        """Status of the final answer, which stray bytes after it do not change."""
        return self._final_status

    def read(self) -> bytes:
        """Read the answer to its end, and return its body."""
        sock = self._sock
        try:
            while sock is not None and not self.message_complete:
                self.feed(sock.recv(BLOCK_BYTES))
        except BaseException:
            self.release()
            raise
        return bytes(self._body_buffer)

    def feed(self, data: str | bytes) -> None:
        """Parse what came; give the connection back once the final answer is whole."""
        try:
            HTTPResponseParser.feed(self, data)
        except HTTPParseError:
            if not self._is_whole:
                raise
            self._trailing_data_dropped = True
        if self._is_whole:
            self.release()

    def release(self) -> None:
        """Give the connection back; close it if the answer is not whole, or the last one on it."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        if not self._is_whole or self.should_close():
            self._pool.release_socket(sock)
        else:
            self._pool.return_socket(sock)

    def __del__(self) -> None:
        """Close the connection of an answer that nobody read to its end."""
        if self._sock is not None:
            self.release()

    def _read_head(self, sock: PooledSocket) -> None:
        """Read until the head of the final answer is there. Errors are those of the library."""
        nothing_came = True
        while not self._final_status:
            try:
                data = sock.recv(BLOCK_BYTES)
            except ConnectionResetError:
                if nothing_came:
                    raise HTTPConnectionClosed("connection closed.")  # noqa: B904  its context tells
                raise
            self.feed(data)
            if not data and nothing_came:
                raise HTTPConnectionClosed("connection closed.")
            if not data:
                raise HTTPParseError("connection closed before end of the headers")
            nothing_came = False

    @property
    def _is_whole(self) -> bool:
        return self.message_complete and self._final_status != 0

    def _on_message_begin(self) -> None:
        if self._is_whole:
            raise HTTPProtocolViolationError("bytes after the end of the answer")
        if self.message_begun and not self.message_complete:
            raise HTTPProtocolViolationError("a new answer began before the end of the last")
        self.message_begun, self.message_complete = True, False
        self._fields = []

    def _on_header_field(self, string: str) -> None:
        fields = self._fields
        if len(fields) % 2:  # a name that was cut in two
            fields[-1] += string
        else:
            fields.append(string)

    def _on_header_value(self, string: str) -> None:
        fields = self._fields
        if len(fields) % 2:
            fields.append(string)
        else:  # a value that was cut in two
            fields[-1] += string

    def _on_headers_complete(self) -> bool:
        code = self.get_code()
        if code >= _FIRST_FINAL_STATUS:
            self._final_status = code
            fields, add = self._fields, self._headers_index.add
            for at in range(0, len(fields), 2):
                add(fields[at], fields[at + 1])
        return self._has_no_body

    def _on_message_complete(self) -> None:
        self.message_complete = True


class StreamingResponse(Response):
    """An answer whose body is read as it comes; `now` returns Unix seconds."""

    def __init__(
        self, sock: PooledSocket, pool: Pool, method: str, now: Callable[[], float]
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
        data = self._sock.recv(BLOCK_BYTES)
        self._came_s = self._now()
        try:
            self.feed(data)
        except HTTPParseError as error:
            return error
        return None
