"""Metrics ports of nodes, in threads: each answers as a Ray agent does, or as a fault demands."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.ports import free_port

WAIT_STEP_S = 0.01


class MetricsServer(ThreadingHTTPServer):
    """One port. `answer` makes the body of each request; `behaviour` is how it is sent.

    plain    with its length
    hang     nothing until the server ends
    trickle  a byte each 0.05 s, without an end
    refuse   with the HTTP status 500
    away     a redirect to `elsewhere`

    `headers` are those of each request so far, `path` is that of the last.
    """

    daemon_threads = True

    def __init__(self, answer: Callable[[], bytes], behaviour: str = "plain") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.behaviour = behaviour
        self.elsewhere = ""
        self.headers: list[dict[str, str]] = []
        self.path = ""
        self.ended = threading.Event()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MetricsServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        server = self.server
        server.headers.append(dict(self.headers.items()))
        server.path = self.path
        if server.behaviour == "hang":
            while not server.ended.is_set():
                time.sleep(WAIT_STEP_S)
            self.close_connection = True
        elif server.behaviour == "trickle":
            self._trickle()
        else:
            self._plain()

    def _plain(self) -> None:
        codes = {"refuse": 500, "away": 302}
        body = self.server.answer()
        self.send_response(codes.get(self.server.behaviour, 200))
        if self.server.behaviour == "away":
            self.send_header("Location", f"http://{self.server.elsewhere}/metrics")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _trickle(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.server.ended.is_set():
            self.wfile.write(b"#")
            time.sleep(0.05)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Log nothing."""

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, BrokenPipeError):
            self.close_connection = True


@contextmanager
def running_metrics(
    answer: Callable[[], bytes] | bytes, behaviour: str = "plain"
) -> Iterator[MetricsServer]:
    """Serve metrics at a port of its own until the block ends."""
    make = answer if callable(answer) else lambda: answer
    server = MetricsServer(make, behaviour)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def free_address() -> str:
    """HOST:PORT at which nobody listens."""
    return f"127.0.0.1:{free_port()}"


def gauge(name: str, value: float, labels: dict[str, str], stamp_ms: int | None = None) -> str:
    """One line as Ray 2.60 writes it."""
    known = {"Component": "core_worker", "NodeAddress": "127.0.0.1", "SessionName": "s"} | labels
    text = ",".join(f'{key}="{value}"' for key, value in known.items())
    stamp = "" if stamp_ms is None else f" {stamp_ms}"
    return f"ray_serve_{name}{{{text}}} {value}{stamp}\n"


def controller_text(
    total: float, loops: float, worker: str = "c1", stamp_ms: int | None = None
) -> bytes:
    """Gauges that the controller writes about `default/Model`."""
    where = {"application": "default", "deployment": "Model", "WorkerId": worker}
    return "".join(
        [
            "# HELP ray_serve_autoscaling_total_requests Total\n",
            "# TYPE ray_serve_autoscaling_total_requests gauge\n",
            gauge("autoscaling_total_requests", total, where, stamp_ms),
            gauge("autoscaling_desired_replicas", 4, where, stamp_ms),
            gauge("autoscaling_target_replicas", 3, where, stamp_ms),
            gauge("controller_num_control_loops", loops, {"WorkerId": worker, "actor_id": "a"}),
        ]
    ).encode()


def router_text(queued: float, running: float, served: float = 10) -> bytes:
    """Gauges that a router, and a replica, write about `default/Model`."""
    where = {"application": "default", "deployment": "Model", "handle": "h"}
    return "".join(
        [
            gauge("deployment_queued_queries", queued, where),
            gauge("num_ongoing_requests_at_replicas", running, where),
            gauge(
                "deployment_request_counter_total", served, where | {"replica": "r", "route": "/"}
            ),
        ]
    ).encode()
