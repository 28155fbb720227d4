"""The HTTP server of the stand-in: answers as Ray's dashboard does, or as a fault demands."""

import contextlib
import os
import select
import socket
import struct
import sys
import threading
import time
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tests.support.standin.cluster import Cluster, Control
from tests.support.standin.script import Fault
from tests.support.standin.shapes import (
    cluster_status_body,
    metrics_ports_body,
    nodes_body,
    nodes_summary_body,
    version_body,
)

APPLICATIONS: Final = "/api/serve/applications/"
PUBLIC_PATHS: Final = ("/api/authentication_mode", "/api/healthz")
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER for no time: close() sends RST
WAIT_STEP_S: Final = 0.005
JSON: Final = "application/json; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"


class Server(ThreadingHTTPServer):
    """One thread per connection, all playing the same cluster. Does not listen by itself."""

    daemon_threads = True

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.cluster = cluster
        self.ended = threading.Event()
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a connection, in a thread of its own."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def end(self) -> None:
        """Close the doors and every connection, as the end of a process would."""
        self.ended.set()
        self.cluster.control(
            Control(script=msgspec.structs.replace(self.cluster.script, faults=()))
        )
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away: some faults make them."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Door(threading.Thread):
    """Accepts connections on a port of its own, unless the script says to refuse them."""

    def __init__(self, server: Server, *, refuses: bool) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._refuses = refuses
        self._socket = _bound(0)
        self._socket.listen(128)
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """Address of this door."""
        return f"http://127.0.0.1:{self.port}"

    def run(self) -> None:
        """Accept until the server is at its end."""
        while not self._server.ended.is_set():
            if self._refuses and self._server.cluster.refusing():
                self._refuse()
            if select.select([self._socket], [], [], WAIT_STEP_S)[0]:
                self._server.process_request(*self._socket.accept())
        self._socket.close()

    def _refuse(self) -> None:
        """Keep the port but do not listen, so that the system answers "connection refused"."""
        closed = _bound(self.port)
        self._socket.close()
        self._socket = closed
        while self._server.cluster.refusing() and not self._server.ended.is_set():
            time.sleep(WAIT_STEP_S)
        self._socket.listen(128)


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    # With it, one socket can hold the port while another listens: nobody takes it in between.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock


class Handler(BaseHTTPRequestHandler):
    """Answers as the dashboard does, or as the fault of the moment does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        """Answer a request of the dashboard's API, or for the stand-in itself."""
        path = urlsplit(self.path).path
        if path.startswith("/standin/"):
            self._standin(path)
            return
        fault = self.server.cluster.fault(path)
        if fault is not None and fault.kind in {"reset", "refuse"}:
            self._drop()
        elif (denied := self._denied(path)) is not None:
            self._answer(denied[1].encode(), TEXT, denied[0])
        elif fault is None or not self._failed(fault, path):
            self._dashboard(path)

    def do_POST(self) -> None:
        """Change what happens: `POST /standin/control`, a `Control` as JSON."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/standin/control":
            self._answer(b"404: Not Found", TEXT, 404)
            return
        try:
            self.server.cluster.control(msgspec.json.decode(body, type=Control))
        except msgspec.DecodeError as error:
            self._answer(str(error).encode(), TEXT, 400)
        else:
            self._answer(b"{}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""

    def _standin(self, path: str) -> None:
        cluster = self.server.cluster
        bodies = {"/standin/stats": cluster.stats, "/standin/script": lambda: cluster.script}
        if path in bodies:
            self._answer(msgspec.json.encode(bodies[path]()))
        else:
            self._answer(b"404: Not Found", TEXT, 404)

    def _denied(self, path: str) -> tuple[int, str] | None:
        """The answer to a request without the token, in Ray's words; None if it may pass."""
        token = self.server.cluster.script.token
        if token is None or path in PUBLIC_PATHS:
            return None
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("ray-authentication-token")
        given = self.headers.get("Authorization") or self.headers.get("X-Ray-Authorization")
        given = given or (f"Bearer {cookie.value}" if cookie and cookie.value else None)
        if given is None:
            return 401, "Unauthorized: Missing authentication token"
        if given != f"Bearer {token}":
            return 403, "Forbidden: Invalid authentication token"
        return None

    def _failed(self, fault: Fault, path: str) -> bool:
        """Act out a fault; False if the answer is still to be given."""
        if fault.kind == "slow":
            self._wait(fault, path)
            return False
        if fault.kind == "hang":
            self._wait(fault, path)
            self.close_connection = True
        elif fault.kind == "http_status":
            text = "Failed to get a response from the controller. The GCS may be down."
            self._answer(text.encode(), TEXT, fault.status)
        elif fault.kind == "garbage":
            self._answer(b"<html><body>It works!</body></html>", JSON)
        else:
            self._truncated()
        return True

    def _wait(self, fault: Fault, path: str) -> None:
        cluster = self.server.cluster
        if fault.seconds is not None:
            time.sleep(fault.seconds)
            return
        while (current := cluster.fault(path)) is not None and current.kind == fault.kind:
            time.sleep(WAIT_STEP_S)

    def _drop(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        # Closed here: the base class would say goodbye with FIN before it closes.
        os.close(self.connection.detach())
        self.close_connection = True

    def _truncated(self) -> None:
        body = self.server.cluster.applications()
        self.wfile.write(self._head(len(body), JSON, 200) + body[: len(body) // 2])
        self.close_connection = True

    def _dashboard(self, path: str) -> None:
        cluster = self.server.cluster
        script = cluster.script
        if path == APPLICATIONS:
            self._answer(cluster.applications())
        elif self.path == "/api/cluster_status?format=1":
            body = cluster_status_body(script, cluster.now_s(), cluster.zero_s)
            self._answer(msgspec.json.encode(body))
        elif self.path == "/nodes?view=summary":
            self._answer(msgspec.json.encode(nodes_summary_body(script, cluster.now_s())))
        elif path == "/api/v0/nodes":
            self._answer(msgspec.json.encode(nodes_body(script)))
        elif path == "/api/prometheus/sd" and script.schema != "2.10":
            self._answer(msgspec.json.encode(metrics_ports_body(script)))
        elif path == "/api/version":
            self._answer(msgspec.json.encode(version_body(script)))
        elif path == "/api/authentication_mode":
            mode = "disabled" if script.token is None else "token"
            self._answer(msgspec.json.encode({"authentication_mode": mode}))
        else:
            self._answer(b"404: Not Found", TEXT, 404)

    def _answer(self, body: bytes, content_type: str = JSON, status: int = 200) -> None:
        # One write: a head and a body sent apart can cost the client a delayed acknowledgement.
        self.wfile.write(self._head(len(body), content_type, status) + body)

    def _head(self, length: int, content_type: str, status: int) -> bytes:
        reason = self.responses.get(status, ("Unknown", ""))[0]
        lines = [
            f"HTTP/1.1 {status} {reason}",
            f"Content-Type: {content_type}",
            f"Content-Length: {length}",
        ]
        return "\r\n".join([*lines, "", ""]).encode()
