"""WebSocket conversations as the record holds them, whatever the server does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.locust_run import run, table_of
from tests.support.servers.websocket_server import (
    NEVER_S,
    WebSocketServer,
    running_websocket_server,
)
from tests.support.standin.process import ROOT, Standin, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

THEIRS = """
import itertools

from scalelag.users import WebSocketPlanUser

CASES = {cases}
NUMBER = itertools.count()


class Talks(WebSocketPlanUser):
    def send(self):
        number = next(NUMBER)
        case = CASES[number % len(CASES)]
        self.converse(f"/{{case}}/{{number}}", ["hello", b"\\x00\\xff"])
"""

CASES = {
    "good": (200, None),
    "other": (200, "wrong answer: without the expected text"),
    "closes": (0, "connection closed"),
    "close": (0, "connection closed"),
    "reset": (0, "connection reset"),
    "close-first": (0, "connection closed"),
    "reset-first": (0, "connection reset"),
    "bad-frame": (0, "wrong answer: no WebSocket"),
    "bad-text": (0, "wrong answer: no WebSocket"),
    "garbage": (0, "wrong answer: no WebSocket"),
    "bad-status": (0, "wrong answer: no WebSocket"),
    "no-upgrade": (0, "HTTP 200"),
    "moved": (0, "wrong answer: no WebSocket"),
    "busy": (0, "back-pressure"),
    "failed": (0, "HTTP 500"),
    "never": (0, "timeout"),
    "no-handshake": (0, "timeout"),
}
LOADS = {
    "open loop": ["--steps", "34rps:2s", "Talks"],
    "closed loop": ["--steps", "17users:2s", "Talks"],
}


@pytest.fixture(scope="module")
def standin() -> Iterator[Standin]:
    with running_standin(one_deployment(steady_replica())) as standin:
        yield standin


@pytest.fixture(scope="module")
def server() -> Iterator[WebSocketServer]:
    with running_websocket_server() as server:
        yield server


@pytest.fixture(
    scope="module",
    params=["open loop", pytest.param("closed loop", marks=pytest.mark.long)],
)
def recorded(request, tmp_path_factory, standin, server) -> tuple[list[dict], list[str]]:
    """Rows of the record, and the paths that the server saw."""
    folder: Path = tmp_path_factory.mktemp("talks")
    (folder / "theirs.py").write_text(THEIRS.format(cases=list(CASES)))
    before = len(server.log())
    path, _ = run(
        folder,
        *("locust", "-f", f"{ROOT / 'locustfiles' / 'attached.py'},{folder / 'theirs.py'}"),
        *("--headless", "--host", server.url, "--dashboard", standin.url, "--drain", "0"),
        *("--request-timeout", str(NEVER_S), "--expect", "hello", *LOADS[request.param]),
    )
    return table_of(path).to_pylist(), [one["path"] for one in server.log()[before:]]


def test_every_conversation_is_recorded_once_and_attempted_once(recorded):
    rows, paths = recorded

    assert sorted(row["name"] for row in rows) == sorted(paths)
    assert len(set(paths)) == len(paths) >= 2 * len(CASES)


@pytest.mark.long
def test_each_fault_is_told_apart(recorded):
    rows, _ = recorded
    found = {case: set() for case in CASES}
    for row in rows:
        found[row["name"].split("/")[1]].add((row["status"], row["error"]))

    assert found == {case: {told} for case, told in CASES.items()}


@pytest.mark.long
def test_one_that_never_answers_ends_at_its_time_out(recorded):
    rows, _ = recorded
    lasted_s = [row["latency_s"] for row in rows if row["error"] == "timeout"]

    assert NEVER_S - 0.01 <= min(lasted_s) <= max(lasted_s) <= NEVER_S + 0.5


@pytest.mark.long
def test_the_entry_file_says_what_the_options_say_to_each_model(standin, server, tmp_path):
    before = len(server.log())
    path, _ = run(
        tmp_path,
        *("scalelag.cli", "run", "-f", "websocket_echo.py", "--host", server.url),
        *("--dashboard", standin.url, "--steps", "6rps:1s", "--drain", "0"),
        *("--path", "/good", "--models", "a,b", "--json-body", '{"n": 1}', "--expect", '{"n": 1}'),
    )
    rows = table_of(path).to_pylist()

    assert path.name.endswith("-websocket-echo")
    assert [row["error"] for row in rows] == [None] * 6
    assert sorted(row["name"] for row in rows) == ["/good a"] * 3 + ["/good b"] * 3
    assert sorted(one["model"] for one in server.log()[before:]) == ["a"] * 3 + ["b"] * 3
