"""HTTP connections that send each request exactly once.

The client of geventhttpclient (and with it Locust's FastHttpUser) repeats a GET if the server closes
the connection before it answers. That would hide the failure, and turn one arrival into many requests.
Therefore only the parser of that library is used here, on sockets of our own. Nothing is repeated,
redirects are answers, no cookies are kept.
"""

import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import SplitResult, unquote, urlsplit

import gevent
import gevent.select
import gevent.socket
import gevent.ssl
import msgspec
from geventhttpclient.header import Headers
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse

import scalelag
from scalelag.errors import UsageError

# Servers close connections that are idle for some seconds; a check costs as much as a request.
_FRESH_S = 1.0
_BLOCK_BYTES = 65_536


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
        self.address = (parts.hostname, parts.port or (443 if self.is_tls else 80))
        self._path = parts.path.rstrip("/")
        self._headers = {"Host": parts.netloc.rpartition("@")[2]} | authorization(parts)

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
        lines = [f"{method} {self._path}{path} HTTP/1.1", *(f"{n}: {v}" for n, v in fields.items())]
        if any(set("\r\n\0") & set(line) for line in lines) or " " in path:
            raise UsageError(
                f"{method} {path}: a path must have no spaces, and neither path nor headers line "
                "breaks. Encode them, such as %20 for a space."
            )
        head = "\r\n".join([*lines, "", ""])
        return Request(method, name or path, head.encode() + (body or b""))


def authorization(parts: SplitResult) -> dict[str, str]:
    """Header for the user and password of a URL; empty if it has none."""
    if not parts.username or not parts.password:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password)}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


class StreamingResponse(HTTPSocketPoolResponse):
    """An answer whose body is read as it comes; `now` returns Unix seconds."""

    def __init__(
        self, sock: gevent.socket.socket, pool: "Connections", method: str, now: Callable[[], float]
    ) -> None:
        self._pieces: list[bytes] = []
        super().__init__(sock, pool, block_size=_BLOCK_BYTES, method=method)  # pyright: ignore[reportArgumentType]  it calls two methods of the pool, and no more
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


class Connections:
    """Pool of connections to `server`, one for each request under way; the last used is reused first.

    They have no time-outs: the caller sets one for the whole request. Failures are raised as OSError,
    or as HTTPParseError if the answer is no HTTP or ends too early.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._idle: list[tuple[gevent.socket.socket, float]] = []
        # Certificates are not checked, as in Locust's own clients.
        self._tls = gevent.ssl._create_unverified_context() if server.is_tls else None  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]

    def answer(self, request: Request) -> Answer:
        """Send `request` and return its whole answer."""
        response = self.open(request)
        content = response.read()
        return Answer(response.status_code, response.info(), content)

    def open(self, request: Request) -> HTTPSocketPoolResponse:
        """Send `request` and return its answer as soon as the head has come.

        The connection returns to the pool when the body has been read to its end. `release()` of the
        response closes it earlier.
        """
        sock = self._sent(request)
        return HTTPSocketPoolResponse(sock, self, block_size=_BLOCK_BYTES, method=request.method)  # pyright: ignore[reportArgumentType]  it calls the two methods below, and no more

    def stream(self, request: Request, now: Callable[[], float]) -> StreamingResponse:
        """Do as `open`, for an answer whose body is read as it comes."""
        return StreamingResponse(self._sent(request), self, request.method, now)

    def _sent(self, request: Request) -> gevent.socket.socket:
        """Send `request`, and return its connection."""
        sock = self._connection()
        try:
            # sendall of gevent asks the kernel for its buffer size each time.
            sent = sock.send(request.data)
            if sent < len(request.data):
                sock.sendall(memoryview(request.data)[sent:])
        except BaseException:
            sock.close()
            raise
        return sock

    def _connection(self) -> gevent.socket.socket:
        while self._idle:
            sock, since_s = self._idle.pop()
            if time.monotonic() - since_s < _FRESH_S or not _is_readable(sock):
                return sock
            sock.close()
        return self._connect()

    def _connect(self) -> gevent.socket.socket:
        sock = gevent.socket.create_connection(self._server.address)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_hostname=self._server.address[0])
        except BaseException:
            sock.close()
            raise
        return sock

    def return_socket(self, sock: gevent.socket.socket) -> None:
        """Take back a connection that can be reused."""
        self._idle.append((sock, time.monotonic()))

    def release_socket(self, sock: gevent.socket.socket) -> None:
        """Close a connection that cannot be reused."""
        sock.close()

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop()[0].close()


def _is_readable(sock: gevent.socket.socket) -> bool:
    """Return whether an idle connection is unusable: closed by the server, or with stray data."""
    return bool(gevent.select.select([sock], [], [], 0)[0])
