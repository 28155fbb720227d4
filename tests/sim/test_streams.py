"""Streamed answers as the record holds them, beside what the server wrote and when."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from scalelag.record.run_dir import RUN_FILE
from tests.support.locust_run import run, table_of
from tests.support.quiet import quietest
from tests.support.servers.stream_server import StreamLog, StreamServer, running_stream_server
from tests.support.standin.process import ROOT, Standin, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

CLOCKS_S = 0.002
"""Load generator and endpoint read the clock of one machine, each in its own way."""

TYPICAL_S = 0.003
"""Most that the middle one of many tokens is noted late, on a machine that others use too."""

TIMEOUT_S = 1.0

THEIRS = """
import itertools

from scalelag.users import ChatUser, StreamUser

CHATS = {chats}
TEXTS = {texts}
NUMBER = itertools.count()


class Cases:
    def send(self):
        number = next(NUMBER)
        case = self.cases[number % len(self.cases)]
        self.send_request(self.server.request("POST", f"/{{case}}/{{number}}", {{}}, b""))


class Chats(Cases, ChatUser):
    cases = CHATS


class Texts(Cases, StreamUser):
    cases = TEXTS
"""


class Row(NamedTuple):
    """A row of the record; times in seconds, None where there is none."""

    status: int
    error: str | None
    latency_s: float
    first_token_at_s: float | None
    tokens: int | None
    longest_gap_s: float | None


class Case(NamedTuple):
    """Expected record of an answer."""

    status: int
    error: str | None
    tokens: int | None


CHATS = {
    "good": Case(200, None, 3),
    "counted": Case(200, None, 7),
    "at-once": Case(200, None, 2),
    "cut": Case(200, None, 2),
    "long": Case(200, None, 2),
    "nothing-said": Case(200, "wrong answer: no token in it", 0),
    "finished": Case(200, None, 2),
    "held-open": Case(200, None, 2),
    "reasoning": Case(200, None, 20),
    "tools": Case(200, None, 2),
    "completion": Case(200, None, 1),
    "response": Case(200, None, 4),
    "response-failed": Case(200, "wrong answer: an error in the stream (boom)", 1),
    "error-event": Case(200, "wrong answer: an error in the stream (boom)", 2),
    "error-object": Case(200, "wrong answer: an error in the stream (boom)", 2),
    "filtered": Case(200, "wrong answer: finish_reason content_filter", 2),
    "no-json": Case(200, "wrong answer: an event that is no JSON", 2),
    "no-object": Case(200, "wrong answer: an event that is no JSON object", 2),
    "error": Case(200, "wrong answer: an error in the stream (server_error)", 2),
    "no-done": Case(200, "wrong answer: no [DONE] at its end", 2),
    "no-events": Case(200, "wrong answer: no event stream", None),
    "busy": Case(503, "back-pressure", None),
    "failed": Case(500, "HTTP 500", None),
    "garbage": Case(200, "wrong answer: no HTTP", 2),
    "close": Case(200, "connection closed", 2),
    "reset": Case(200, "connection reset", 2),
    "close-first": Case(0, "connection closed", None),
    "never": Case(0, "timeout", None),
    "no-token": Case(200, "timeout", 0),
    "stall": Case(200, "timeout", 2),
}
TEXTS = {
    "pieces": Case(200, None, 3),
    "unmeasured": Case(200, None, 2),
    "events": Case(200, None, 1),
}
LOADS = {
    "open loop": ["--steps", "40rps:2s", "Chats"],
    "closed loop": ["--steps", "34users:2s", "Chats", "Texts"],
}


@pytest.fixture(scope="module")
def standin() -> Iterator[Standin]:
    with running_standin(one_deployment(steady_replica())) as standin:
        yield standin


@pytest.fixture(scope="module")
def server() -> Iterator[StreamServer]:
    with running_stream_server() as server:
        yield server


@pytest.fixture
def target(standin, server) -> list[str]:
    return ["--host", server.url, "--dashboard", standin.url]


def rows_of(path: Path) -> dict[str, Row]:
    """The rows of the record by their name."""
    table = table_of(path).to_pylist()
    names = [row["name"] for row in table]
    assert len(set(names)) == len(names)
    return {
        row["name"]: Row(
            status=row["status"],
            error=row["error"],
            latency_s=row["latency_s"],
            first_token_at_s=None
            if row["first_token_s"] is None
            else row["intended_s"] + row["first_token_s"],
            tokens=row["tokens"],
            longest_gap_s=row["token_gap_max_s"],
        )
        for row in table
    }


class StreamRecord(NamedTuple):
    """Rows by name, and what the server knows of each."""

    rows: dict[str, Row]
    streamed: dict[str, StreamLog]
    table: list[dict[str, Any]]
    report: dict[str, Any]

    def of(self, case: str) -> list[tuple[Row, StreamLog]]:
        """Rows of one case."""
        return [
            (row, self.streamed[name]) for name, row in self.rows.items() if f"/{case}/" in name
        ]


@pytest.fixture(scope="module", params=LOADS)
def recorded(request, tmp_path_factory, standin, server) -> StreamRecord:
    folder = tmp_path_factory.mktemp("streams")
    theirs = folder / "theirs.py"
    theirs.write_text(THEIRS.format(chats=list(CHATS), texts=list(TEXTS)))
    before = len(server.log())
    path, _ = run(
        folder,
        *("locust", "-f", f"{ROOT / 'locustfiles' / 'attached.py'},{theirs}", "--headless"),
        *("--host", server.url, "--dashboard", standin.url, "--drain", "0"),
        *("--request-timeout", str(TIMEOUT_S), *LOADS[request.param]),
    )
    streamed = {one.path: one for one in server.log()[before:]}
    report = json.loads((path / "report.json").read_bytes())
    return StreamRecord(rows_of(path), streamed, table_of(path).to_pylist(), report)


def cases_of(recorded: StreamRecord) -> dict[str, Case]:
    return {case: told for case, told in (CHATS | TEXTS).items() if recorded.of(case)}


def test_every_request_is_recorded_once(recorded):
    assert recorded.rows.keys() == recorded.streamed.keys()
    assert set(CHATS) <= set(cases_of(recorded))


def test_each_fault_is_told_apart_with_the_tokens_before_it(recorded):
    found = {
        case: {Case(row.status, row.error, row.tokens) for row, _ in recorded.of(case)}
        for case in cases_of(recorded)
    }

    assert found == {case: {told} for case, told in cases_of(recorded).items()}


def with_tokens(recorded: StreamRecord) -> list[tuple[Row, StreamLog]]:
    pairs = [(row, recorded.streamed[name]) for name, row in recorded.rows.items()]
    return [(row, streamed) for row, streamed in pairs if row.first_token_at_s is not None]


@pytest.mark.long
def test_the_first_token_is_noted_when_its_bytes_come(recorded):
    """Never before they were written, and half of the times at once."""
    pairs = with_tokens(recorded)

    late_s = np.array([row.first_token_at_s - told.tokens_s[0] for row, told in pairs])

    assert late_s.size >= 40
    assert late_s.min() >= -CLOCKS_S
    assert quietest(late_s) <= TYPICAL_S


@pytest.mark.long
def test_an_answer_lasts_until_its_stream_ends_or_breaks_off(recorded):
    shortest_s = {"good": 0.19, "stall": TIMEOUT_S, "no-token": TIMEOUT_S, "never": TIMEOUT_S}

    for case, least_s in shortest_s.items():
        lasted_s = [row.latency_s for row, _ in recorded.of(case)]
        assert least_s - CLOCKS_S <= min(lasted_s) <= least_s + 0.2, (case, lasted_s)


@pytest.mark.long
def test_the_longest_gap_is_that_between_two_writes(recorded):
    """Of one write there is none; of the others a quarter are as long as the server made them.

    A client that adds something of its own adds it to each; a busy machine stretches some.
    """
    pairs = [(row, told) for row, told in with_tokens(recorded) if len(told.tokens_s) > 1]

    off_s = np.array([row.longest_gap_s - np.diff(told.tokens_s).max() for row, told in pairs])

    assert off_s.size >= 40
    assert np.quantile(np.abs(off_s), 0.25) <= TYPICAL_S
    assert {row.longest_gap_s for row, _ in recorded.of("at-once")} == {0.0}
    assert {row.longest_gap_s for row, _ in recorded.of("nothing-said")} == {None}


@pytest.mark.long
def test_an_answer_ends_with_its_done_also_on_a_connection_that_stays_open(recorded):
    """As the clients of this API read it; the scripts write the end 0.08 s after the request."""
    lasted_s = [row.latency_s for row, _ in recorded.of("held-open")]

    assert 0.08 - CLOCKS_S <= np.median(lasted_s) <= 0.2, lasted_s


def test_kinds_of_first_tokens_are_told_apart(recorded):
    """Against what the server wrote: ten of reasoning, then ten of text."""
    table = recorded.table
    rows = {row["name"]: row for row in table}
    for row, told in recorded.of("reasoning"):
        found = next(r for n, r in rows.items() if recorded.streamed.get(n) is told)
        begun_s = found["intended_s"]
        assert row.first_token_at_s == begun_s + found["first_reasoning_s"]
        late_s = [
            begun_s + found["first_reasoning_s"] - told.tokens_s[0],
            begun_s + found["first_text_s"] - told.tokens_s[10],
            begun_s + found["last_token_s"] - told.tokens_s[-1],
        ]
        assert min(late_s) >= -CLOCKS_S
        assert found["first_tool_call_s"] is None
        assert found["timed_tokens"] == 20
    for row, told in recorded.of("tools"):
        found = next(r for n, r in rows.items() if recorded.streamed.get(n) is told)
        assert found["first_text_s"] is None
        assert row.first_token_at_s == found["intended_s"] + found["first_tool_call_s"]


@pytest.mark.long
def test_the_report_has_the_time_between_tokens_of_one_count(recorded):
    """Twenty tokens, 20 ms apart: 3.4 ms was seen where the first ten were not timed."""
    names = recorded.report["load"]["names"]
    found = [one["stream"] for name, one in names.items() if "/reasoning/" in name]

    assert found
    assert min(one["time_between_tokens_p50_ms"] for one in found) >= 20 - 1
    assert min(one["first_token_p50_ms"] for one in found) >= 60 - 2
    assert min(one["first_text_p50_ms"] for one in found) >= 60 + 9 * 20 - 2
    assert {one["first_tool_call_p50_ms"] for one in found} == {None}


# The entry file


@pytest.mark.long
def test_the_command_finds_the_entry_file_and_sends_its_chats_on_one_connection(
    target, server, tmp_path
):
    before = len(server.log())
    path, done = run(
        tmp_path,
        *("scalelag.cli", "run", "-f", "llm_chat.py", *target),
        *("--steps", "1users:1s", "--drain", "0"),
    )
    rows = table_of(path).to_pylist()
    asked = server.log()[before:]
    info = json.loads((path / RUN_FILE).read_bytes())

    assert path.name.endswith("-llm-chat")
    assert [(r["status"], r["error"], r["tokens"]) for r in rows] == [(200, None, 3)] * len(rows)
    assert len(rows) == len(asked) >= 3
    assert {one.connection for one in asked} == {asked[0].connection}
    for one in asked:
        assert (one.method, one.path) == ("POST", "/v1/chat/completions")
        assert one.headers["Content-Type"] == "application/json"
        body = json.loads(one.body)
        assert body["stream"] is True
        assert body["stream_options"] == {"include_usage": True}
        assert [message["role"] for message in body["messages"]] == ["user"]
    options = info["options"]
    assert (options["path"], options["method"]) == ("/v1/chat/completions", "POST")
    assert options["json_body"] == asked[0].body
    assert [edge["stage"] for edge in info["edges"]] == [0, 1], done.stdout


@pytest.mark.long
def test_what_is_given_counts_also_where_it_is_the_usual_default(target, server, tmp_path):
    body = {"model": "mine", "messages": [], "stream": True}
    (tmp_path / "body.json").write_text(json.dumps(body))
    before = len(server.log())
    path, _ = run(
        tmp_path,
        *("scalelag.cli", "run", "-f", "locustfiles/llm_chat.py", *target, "--path", "/"),
        *("--body-file", "body.json", "--steps", "4rps:1s", "--drain", "0"),
    )

    asked = server.log()[before:]
    assert [(one.method, one.path, json.loads(one.body)) for one in asked] == [
        ("POST", "/", body)
    ] * 4
    assert table_of(path).column("tokens").to_pylist() == [3] * 4


@pytest.mark.long
def test_locust_takes_the_entry_file_and_a_body_of_ones_own(target, server, tmp_path):
    entry = str(ROOT / "locustfiles" / "llm_chat.py")
    body = '{"model": "mine", "messages": [], "stream": true}'
    before = len(server.log())
    path, _ = run(
        tmp_path,
        *("locust", "-f", entry, "--headless", *target, "--json-body", body),
        *("--steps", "4rps:1s", "--drain", "0", "--processes", "2"),
    )

    asked = server.log()[before:]
    assert [(one.path, one.body) for one in asked] == [("/v1/chat/completions", body)] * 4
    assert path.name.endswith("-llm-chat")
