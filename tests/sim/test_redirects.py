"""A redirect takes nothing that was meant for the dashboard to another host."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from probes.dashboard import Dashboard, DashboardError
from scalelag.errors import RetryAdvice


@contextmanager
def server(answer):
    """Yield (port, what was asked); `answer(path)` is a status and a place to go to."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def _any(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked.append((self.command, self.path, body))
            status, place = answer(self.path)
            self.send_response(status)
            if place:
                self.send_header("Location", place)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_POST = do_DELETE = _any  # noqa: N815  http.server's names

        def log_message(self, *_args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield http.server_port, asked
        http.shutdown()
        thread.join()


@pytest.fixture
def other():
    with server(lambda _path: (200, None)) as made:
        yield made


def asking(client, method):
    if method in ("put", "post"):
        return getattr(client, method)("/a", {"secret": 1})
    if method == "stream":
        with client.stream("/a") as pieces:
            return list(pieces)
    return getattr(client, method)("/a")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("method", ["put", "post", "delete", "get", "stream"])
def test_no_request_follows_to_another_host(method, status, other):
    port, asked_there = other
    place = f"http://user:word@localhost:{port}/elsewhere?key=1"

    with (
        server(lambda _path: (status, place)) as (here, _asked),
        pytest.raises(DashboardError) as caught,
    ):
        asking(Dashboard(f"http://127.0.0.1:{here}", time.time, "token"), method)

    assert asked_there == []
    assert f"answered {status}: a redirect to http://localhost:{port}/elsewhere" in str(
        caught.value
    )
    assert "--dashboard" in str(caught.value)
    assert "word" not in str(caught.value)
    assert caught.value.retry is RetryAdvice.NEVER


@pytest.mark.parametrize("method", ["put", "post", "delete"])
def test_what_changes_something_is_sent_on_nowhere(method):
    with (
        server(lambda path: (307, "/b") if path == "/a" else (200, None)) as (here, asked),
        pytest.raises(DashboardError, match="a redirect to"),
    ):
        asking(Dashboard(f"http://127.0.0.1:{here}", time.time), method)

    assert [path for _, path, _ in asked] == ["/a"]


@pytest.mark.parametrize("method", ["get", "stream"])
def test_a_get_follows_within_the_host(method):
    with server(lambda path: (307, "/b") if path == "/a" else (200, None)) as (here, asked):
        asking(Dashboard(f"http://127.0.0.1:{here}", time.time), method)

    assert [path for _, path, _ in asked] == ["/a", "/b"]
