"""A keep-alive connection of an HTTP server, one request a time, on asyncio's transports."""

import asyncio


class HttpConnection(asyncio.Protocol):
    """Puts requests together; a subclass answers them in `request`."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

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
            self.request(head, rest[:length])

    def request(self, head: bytes, body: bytes) -> None:
        """Answer the request that begins with `head`."""
        raise NotImplementedError


def parts_of(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, path and headers."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    return method, path, dict(line.split(": ", 1) for line in lines)
