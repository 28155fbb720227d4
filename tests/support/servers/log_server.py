"""A stand-in for the logs of a Ray dashboard: files of several nodes, served as Ray serves them.

Each node's agent notes each request in its own log, by its own clock, as Ray's does. Faults are set
on `LogServer.faults` by the name of a file, of a node, or `*`.
"""

import fnmatch
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

AGENT_LOG = "dashboard_agent.log"
PIECE_BYTES = 1 << 16

Content = bytes | Callable[[], Iterator[bytes]]


def stamp(at_s: float, theta_s: float) -> str:
    """The time that a node's log shows: its clock is `theta_s` ahead of Unix time."""
    shown = datetime.fromtimestamp(at_s + theta_s, UTC)
    return f"{shown:%Y-%m-%d %H:%M:%S},{shown.microsecond // 1000:03}"


@dataclass
class Node:
    """A node: its clock against Unix time (time zone included), and its logs by name."""

    theta_s: float = 0.0
    files: dict[str, Content] = field(default_factory=dict)
    notes: bool = True
    agent_log: str = AGENT_LOG

    def write(self, name: str, at_s: float, head: str, *texts: str) -> None:
        """Append an entry: `head` is the component and its id; further texts are lines after it."""
        entry = f"INFO {stamp(at_s, self.theta_s)} {head} -- " + "\n".join(texts) + "\n"
        self.files[name] = self.files.get(name, b"") + entry.encode()


@dataclass
class Fault:
    """A fault: a status, or, after `after_bytes`, silence or a lost connection."""

    status: int = 0
    text: str = ""
    hang: bool = False
    drop: bool = False
    after_bytes: int = 0


class LogServer(ThreadingHTTPServer):
    """Serves `nodes`. `requests` are the queries asked, `sent` the bytes of files by name.

    `marked`: a byte stands before each piece, and errors are answers of 200, as before Ray 2.45.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.nodes: dict[str, Node] = {}
        self.faults: dict[str, Fault] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sent: dict[str, int] = {}
        self.released = threading.Event()
        self.marked = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that closed early: they are meant to."""

    def fault(self, node: str, name: str) -> Fault | None:
        """The fault of a file, else of its node, else of all."""
        return self.faults.get(name) or self.faults.get(node) or self.faults.get("*")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each small answer waits for a delayed acknowledgement
    server: LogServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.server.requests.append((parts.path, query))
        node_id, name = query.get("node_id", ""), query.get("filename", query.get("glob", ""))
        fault = self.server.fault(node_id, name) or Fault()
        if fault.status:
            self._answer(fault.status, fault.text.encode())
        elif fault.hang and not fault.after_bytes:
            self.server.released.wait(60)
            self.close_connection = True
        elif fault.drop and not fault.after_bytes:
            self.close_connection = True
        elif node_id not in self.server.nodes:
            self._answer(500, f"Agent for node id: {node_id} doesn't exist.".encode())
        elif parts.path == "/api/v0/logs":
            self._list(self.server.nodes[node_id], name)
        else:
            self._file(self.server.nodes[node_id], name, int(query["lines"]), fault)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _list(self, node: Node, glob: str) -> None:
        names = [name for name in node.files if fnmatch.fnmatch(name, glob)]
        found = {"internal": names[::2], "serve": names[1::2]} if names else {}
        self._answer(200, json.dumps({"result": True, "data": {"result": found}}).encode())

    def _file(self, node: Node, name: str, lines: int, fault: Fault) -> None:
        node.files.setdefault(AGENT_LOG, b"")
        if name not in node.files:
            missing = f"A file is not found at: /tmp/ray/logs/{name}"
            if self.server.marked:
                text = f"0Closing HTTP stream due to internal server error.\n{missing}"
                self._answer(200, text.encode())
            else:
                self._answer(500, missing.encode())
            return
        content = node.files[name]
        if isinstance(content, bytes) and lines >= 0:
            content = b"".join(content.splitlines(keepends=True)[-lines:])
        if node.notes:
            self._note(node, lines)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = 0
        for piece in _pieces(content):
            if (fault.hang or fault.drop) and sent >= fault.after_bytes:
                if fault.hang:
                    self.server.released.wait(60)
                self.close_connection = True
                return
            marked = b"1" + piece if self.server.marked else piece
            self.wfile.write(f"{len(marked):x}\r\n".encode() + marked + b"\r\n")
            sent += len(piece)
            self.server.sent[name] = self.server.sent.get(name, 0) + len(piece)
        self.wfile.write(b"0\r\n\r\n")

    def _note(self, node: Node, lines: int) -> None:
        # What Ray's agent writes, in Ray's own words.
        line = (
            f"{stamp(time.time(), node.theta_s)}\tINFO log_agent.py:401 -- Tailing logs from 0 to 9 "
            f"for lines={lines}, with keep_alive=-1\n"
        )
        node.files[node.agent_log] = node.files.get(node.agent_log, b"") + line.encode()


def _pieces(content: Content) -> Iterator[bytes]:
    if not isinstance(content, bytes):
        yield from content()
        return
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


@contextmanager
def running_log_server() -> Iterator[LogServer]:
    """Serve until the block ends."""
    server = LogServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
