"""HTTP connections that send each request exactly once.

The client of geventhttpclient (and with it Locust's FastHttpUser) repeats a GET if the server closes
the connection before it answers. That would hide the failure, and turn one arrival into many requests.
Therefore only the parser of that library is used here, on sockets of our own. Redirects are answers,
no cookies are kept.

The one exception is a connection that the server had closed while it was idle, which is nobody's
failure: each is checked before it is used again, and if the closing crosses our request on its way,
the request is sent once more, on a new connection. An answer that comes while the body is still being
sent, such as 413, is read, and the rest of the body is left out.
"""

import re
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar
from urllib.parse import SplitResult, quote, unquote, urlsplit

import gevent
import gevent.select
import gevent.socket
import gevent.ssl
import msgspec
from geventhttpclient.header import Headers
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

import scalelag
from scalelag.errors import UsageError
from scalelag.users.engine.http_responses import BLOCK_BYTES, Response, StreamingResponse
from scalelag.users.engine.sockets import PooledSocket, WatchedSocket

# A closing that crosses a request is seen within a round trip. What is closed later was at work on it.
_CROSSED_S = 0.5
# A look costs some microseconds a connection: seldom, and at few.
_LOOKED_AFTER = 64
_LOOKED_AT = 16
_GONE = (BrokenPipeError, ConnectionResetError)
_ZONE = re.compile(r"%[^\]]*(?=\])")
_ASCII = "".join(map(chr, range(33, 127)))


_Response = TypeVar("_Response", bound=Response)
_HeadOf = Callable[[PooledSocket, "Connections", str], _Response]


class Request(msgspec.Struct, frozen=True):
    """A request, ready to be sent; `name` is its name in the record."""

    method: str
    name: str
    data: bytes


class Answer(msgspec.Struct, frozen=True):
    """A whole answer; `content` is as it came, not decoded."""

    status_code: int
    headers: Headers
    content: bytes

    @property
    def text(self) -> str:
        """Content as UTF-8, with invalid bytes replaced."""
        return self.content.decode(errors="replace")


class StatusError(Exception):
    """An answer with a status other than 2xx."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"status {answer.status_code}")
        self.response = answer


class Server:
    """Destination of requests: Locust's `host`, such as `http://127.0.0.1:8000/app`."""

    def __init__(self, url: str) -> None:
        """Parse `url`. Raises UsageError if it is no http or https URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f'--host "{url}" is no URL: give one like http://127.0.0.1:8000.')
        self.is_tls = parts.scheme == "https"
        # The zone of an IPv6 address is written %25eth0 in a URL, and is nobody else's business.
        host = parts.hostname.replace("%25", "%")
        self.address = (host, parts.port or (443 if self.is_tls else 80))
        self._path = parts.path.rstrip("/")
        shown = _ZONE.sub("", parts.netloc.rpartition("@")[2])
        self._headers = {"Host": shown} | authorization(parts)

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        name: str | None = None,
    ) -> Request:
        """Make a request. Raises UsageError if a header has a line break, or the path a space."""
        own = {**self._headers, "User-Agent": f"scalelag/{scalelag.__version__}"}
        if body is not None or method in ("POST", "PUT", "PATCH"):
            own["Content-Length"] = str(len(body or b""))
        given = {name.lower() for name in headers}
        fields = {n: value for n, value in own.items() if n.lower() not in given} | dict(headers)
        target = as_sent(self._path + path)
        lines = [f"{method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in fields.items())]
        if any(set("\r\n\0") & set(line) for line in lines) or " " in path:
            raise UsageError(
                f"{method} {path}: a path must have no spaces, and neither path nor headers line "
                "breaks. Encode them, such as %20 for a space."
            )
        head = "\r\n".join([*lines, "", ""])
        return Request(method, name or path, head.encode() + (body or b""))


def as_sent(path: str) -> str:
    """Return `path` with what is beyond ASCII encoded as browsers do: servers answer it with 400."""
    return path if path.isascii() else quote(path, safe=_ASCII)


def authorization(parts: SplitResult) -> dict[str, str]:
    """Header for the user and password of a URL; empty if it has none."""
    if not parts.username and not parts.password:
        return {}
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


class Connections:
    """Pool of connections to `server`, one for each request under way; the last used is reused first.

    After a rush many are idle for long, and the server closes them: of those, some are closed here
    from time to time, so that they do not stay open files until the next rush.

    They have no time-outs: the caller sets one for the whole request. Failures are raised as OSError,
    or as HTTPParseError if the answer is no HTTP or ends too early.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._idle: list[PooledSocket] = []
        self._returned = 0
        # They still expect the rest of a body.
        self._spent: set[PooledSocket] = set()
        # Certificates are not checked, as in Locust's own clients.
        self._tls = gevent.ssl._create_unverified_context() if server.is_tls else None  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]

    def answer(self, request: Request) -> Answer:
        """Send `request` and return its whole answer."""
        response = self.open(request)
        content = response.read()
        return Answer(response.status_code, response.info(), content)

    def open(self, request: Request) -> Response:
        """Send `request` and return its answer as soon as the head has come.

        The connection returns to the pool when the body has been read to its end. `release()` of the
        response closes it earlier.
        """
        return self._answered(request, Response)

    def stream(self, request: Request, now: Callable[[], float]) -> StreamingResponse:
        """Do as `open`, for an answer whose body is read as it comes."""
        return self._answered(request, partial(StreamingResponse, now=now))

    def _answered(self, request: Request, head_of: _HeadOf[_Response]) -> _Response:
        """Send `request`, and return its answer as `head_of` reads its head from the connection."""
        idle = self._usable()
        if idle is None:
            return self._exchange(self._connect(), request, head_of)
        begun_s = time.monotonic()
        try:
            return self._exchange(idle, request, head_of)
        except (HTTPConnectionClosed, *_GONE):
            if time.monotonic() - begun_s > _CROSSED_S:
                raise
        return self._exchange(self._connect(), request, head_of)

    def _exchange(
        self, sock: PooledSocket, request: Request, head_of: _HeadOf[_Response]
    ) -> _Response:
        try:
            lost = self._send(sock, request.data)
            try:
                return head_of(sock, self, request.method)
            except (OSError, HTTPParseError):
                if lost is None:
                    raise
                raise lost from None
        except BaseException:
            self._spent.discard(sock)
            sock.close()
            raise

    def _send(self, sock: PooledSocket, data: bytes) -> OSError | None:
        """Send `data`; return the error if the server took only a part. It may have answered then."""
        try:
            sent = _sent(sock, data)
            while sent < len(data):
                # A TLS connection is readable for reasons of its own.
                if self._tls is None and gevent.select.select([sock], [sock], [])[0]:
                    self._spent.add(sock)
                    return None
                sent += _sent(sock, memoryview(data)[sent : sent + BLOCK_BYTES])
        except _GONE as error:
            self._spent.add(sock)
            return error
        return None

    def _usable(self) -> PooledSocket | None:
        """Take an idle connection that the server has not closed; None if there is none."""
        while self._idle:
            sock = self._idle.pop()
            if not sock.is_readable():
                return sock
            sock.close()
        return None

    def _connect(self) -> PooledSocket:
        sock = gevent.socket.create_connection(self._server.address)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return WatchedSocket(sock)
            sock = self._tls.wrap_socket(sock, server_hostname=self._server.address[0])
            return PooledSocket(sock)
        except BaseException:
            sock.close()
            raise

    def return_socket(self, sock: PooledSocket) -> None:
        """Take back a connection that can be reused, unless it still expects the rest of a body."""
        if sock in self._spent:
            self.release_socket(sock)
            return
        self._idle.append(sock)
        self._returned += 1
        if self._returned % _LOOKED_AFTER == 0:
            self._close_closed()

    def _close_closed(self) -> None:
        """Close some that the server has closed, of those that have been idle the longest."""
        closed = 0
        for sock in self._idle[:_LOOKED_AT]:
            if not sock.is_readable():
                break
            sock.close()
            closed += 1
        del self._idle[:closed]

    def release_socket(self, sock: PooledSocket) -> None:
        """Close a connection that cannot be reused."""
        self._spent.discard(sock)
        sock.close()

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()


def _sent(sock: PooledSocket, data: bytes | memoryview) -> int:
    """Send what the kernel takes of `data`, and return how much that is."""
    # sendall of gevent asks the kernel for its buffer size each time.
    try:
        return sock.send(data)
    except BlockingIOError:
        return 0
