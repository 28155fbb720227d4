"""A WebSocket endpoint that does what the first part of a path says: `/good/17`.

As a command, `python -m tests.support.servers.websocket_server` prints its URL
when it listens and ends when its standard input closes. `/-/healthz` is answered
over HTTP, and `/log` tells the paths that have come.
"""

import asyncio
import json
import socket
import struct
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.support.servers.own_process import ServerProcess, announce_until_unneeded, running

NEVER_S: Final = 1.0
"""The longest that a client of ours waits."""

log: list[dict[str, Any]] = []


def _http(status: HTTPStatus, body: bytes, **headers: str) -> Response:
    fields = Headers({"Content-Length": str(len(body)), "Connection": "close", **headers})
    return Response(status.value, status.phrase, fields, body)


def _end(connection: ServerConnection, *, reset: bool) -> None:
    transport = connection.transport
    if reset:
        linger = struct.pack("ii", 1, 0)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        transport.close()


_ANSWERS: Final = {
    "/-/healthz": (HTTPStatus.OK, b"success", {}),
    "busy": (
        HTTPStatus.SERVICE_UNAVAILABLE,
        b"Request dropped due to backpressure (num_queued_requests=1).",
        {},
    ),
    "failed": (HTTPStatus.INTERNAL_SERVER_ERROR, b"no", {}),
    "no-upgrade": (HTTPStatus.OK, b"hello", {}),
    "moved": (HTTPStatus.TEMPORARY_REDIRECT, b"", {"Location": "/good/0"}),
}
_RAW: Final = {"garbage": b"\x00\x01 garbage\r\n\r\n", "bad-status": b"HTTP/1.1 abc no\r\n\r\n"}


async def before(connection: ServerConnection, request: Request) -> Response | None:
    """The answer in place of a WebSocket."""
    if request.path == "/log":
        return _http(HTTPStatus.OK, json.dumps(log).encode())
    case = request.path if request.path in _ANSWERS else request.path.split("/")[1]
    if not case.startswith("/"):
        model = request.headers.get("serve_multiplexed_model_id")
        log.append({"path": request.path, "model": model})
    if case in _ANSWERS:
        status, body, headers = _ANSWERS[case]
        return _http(status, body, **headers)
    if case in _RAW:
        connection.transport.write(_RAW[case])
        _end(connection, reset=False)
    if case in ("close-first", "reset-first"):
        _end(connection, reset=case == "reset-first")
    if case == "no-handshake":
        await asyncio.sleep(2 * NEVER_S)
    return None


async def talk(connection: ServerConnection) -> None:
    """Answer each message with itself, or do what the path says."""
    assert connection.request is not None
    case = connection.request.path.split("/")[1]
    async for message in connection:
        if case == "never":
            await connection.wait_closed()
        elif case in ("close", "reset"):
            _end(connection, reset=case == "reset")
        elif case == "closes":
            await connection.close(1011, "no")
        elif case == "bad-frame":
            connection.transport.write(b"\xf3\x00")
        elif case == "bad-text":
            connection.transport.write(b"\x81\x02\xc3\x28")
        elif case == "other":
            await connection.send("something else")
        else:
            await connection.send(message)


async def main() -> None:
    """Serve until standard input closes."""
    async with serve(talk, "127.0.0.1", 0, process_request=before) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        await announce_until_unneeded(port)
        server.close(close_connections=True)


class WebSocketServer(ServerProcess):
    """A running endpoint at `url`."""

    module = "tests.support.servers.websocket_server"

    def log(self) -> list[dict[str, Any]]:
        """Path and model of every request for a WebSocket that has come so far."""
        return json.loads(self.get("/log", _UPGRADE))


_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def running_websocket_server() -> AbstractContextManager[WebSocketServer]:
    """An endpoint in a process of its own, until the block ends."""
    return running(WebSocketServer())


if __name__ == "__main__":
    asyncio.run(main())
