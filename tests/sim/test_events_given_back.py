"""Commands with events on a cluster of others: however they end, all is as before.

The cluster is the one of `tests/unit/given_back_cases.py`, served over HTTP.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest

from scalelag.cluster.left_behind import journal_folder
from tests.support.standin.process import ROOT
from tests.support.waiting import wait_for
from tests.unit.given_back_cases import Cluster, app

pytestmark = pytest.mark.long

DEADLINE_S = 150.0


class Handler(BaseHTTPRequestHandler):
    """Serve's REST API over a cluster; nothing else is there."""

    protocol_version = "HTTP/1.1"
    cluster = Cluster()

    def do_GET(self):
        if self.path == "/api/version":
            self._answer(b'{"ray_version": "2.60.0"}')
        elif self.path == "/api/serve/applications/":
            self._answer(self.cluster.get(self.path).body)
        else:
            self._answer(b"{}", 404)

    def do_PUT(self):
        self._answer(self.cluster.put(self.path, self._body()).body)

    def do_POST(self):
        self._answer(self.cluster.post(self.path, self._body()).body)

    def _body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """Two applications of others, one with a target that the API has set, and their URL."""
    cluster = Cluster(app("one"), app("two"), targets={"one": 5})
    handler = type("Bound", (Handler,), {"cluster": cluster})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    yield cluster
    server.shutdown()
    server.server_close()


def scalelag(folder, *arguments):
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "scalelag.cli", *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


@contextmanager
def under_way(folder, serve, echo, duration_s):
    """A run whose events have all been carried out."""
    (folder / "new.yaml").write_text(json.dumps({"applications": [app("new")]}))
    process = scalelag(
        folder,
        *("run", "--dashboard", serve.url, "--host", echo.url, "--allow-faults"),
        *("--steps", f"5rps:{duration_s}s", "--drain", "0", "--gate", "none", "--out", "runs"),
        *("--event", "1s: delete one", "--event", "1s: scale two/D to 9"),
        *("--event", "1s: deploy new.yaml"),
    )
    try:
        wait_for(lambda: serve.targets == {"two": 9, "new": 2}, "what events do", DEADLINE_S)
        yield process, psutil.Process(process.pid).children()[0]
    finally:
        process.kill()
        process.wait()


def interrupt(command, _load):
    command.send_signal(signal.SIGINT)


def terminate(command, _load):
    command.send_signal(signal.SIGTERM)


def kill_the_load_process(_command, load):
    load.kill()


def kill_the_command(command, _load):
    command.kill()


def do_nothing(_command, _load):
    pass


@pytest.mark.parametrize(
    ("end", "duration_s"),
    [
        (do_nothing, 4),
        (interrupt, 60),
        (terminate, 60),
        (kill_the_load_process, 60),
        (kill_the_command, 60),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_all_is_as_before_however_a_run_ends(serve, echo, tmp_path, end, duration_s):
    before = serve.state
    with under_way(tmp_path, serve, echo, duration_s) as (command, load):
        end(command, load)
        command.wait(DEADLINE_S)
        wait_for(lambda: serve.state == before, "all as before", DEADLINE_S)

    wait_for(lambda: not load.is_running(), "the end of the load", DEADLINE_S)
    said = (tmp_path / "said").read_text()
    assert "the application one is deployed again as it was" in said
    assert "the target of two/D is 2 replicas again" in said
    assert left_in_the_journal() == []


def left_in_the_journal():
    folder = journal_folder(os.environ)
    return list(folder.iterdir()) if folder.exists() else []


def test_what_is_left_when_all_are_killed_is_given_back_by_doctor(serve, echo, tmp_path):
    before = serve.state
    with under_way(tmp_path, serve, echo, 60) as (command, load):
        for process in [*load.children(recursive=True), command, load]:
            process.kill()

    scalelag(tmp_path, "doctor", "--dashboard", serve.url).wait(DEADLINE_S)
    changed = serve.state
    scalelag(tmp_path, "doctor", "--dashboard", serve.url, "--take-away").wait(DEADLINE_S)

    said = " ".join((tmp_path / "said").read_text().split())
    assert f"a command that was killed left new, one, two at {serve.url}" in said
    assert changed != before
    assert serve.state == before
    assert left_in_the_journal() == []
