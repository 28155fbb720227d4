"""Prompts of given lengths and turns of conversations, as a server gets them, and on record."""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.locust_run import STEPPED, Run, started, table_of
from tests.support.servers.stream_server import StreamLog, StreamServer, running_stream_server
from tests.support.standin.process import ROOT, Standin, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

LLM_CHAT = str(ROOT / "locustfiles" / "llm_chat.py")
RPS, SECONDS, SESSIONS, TURNS = 40, 2, 4, 3
PREFIX, LEAST, MOST = 16, 20, 40
TWO = ("--processes", "2")
SAID = "Hello!"
"""Answer of the server, in three tokens and 0.19 s."""


@pytest.fixture(scope="module")
def standin() -> Iterator[Standin]:
    with running_standin(one_deployment(steady_replica())) as standin:
        yield standin


@pytest.fixture(scope="module")
def server() -> Iterator[StreamServer]:
    with running_stream_server() as server:
        yield server


class Sent(NamedTuple):
    """A run, and the requests that the server got, in the order of their coming."""

    run: Run
    requests: list[StreamLog]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return table_of(self.run.path).to_pylist()


def send(folder: Path, standin: Standin, server: StreamServer, *options: str) -> Sent:
    before = len(server.log())
    target = ("--host", server.url, "--dashboard", standin.url)
    with started(folder, *target, *options, locustfile=LLM_CHAT) as locust:
        run = locust.wait()
    assert run.exit_code in (0, 5), run.stderr  # 5: the machine was too busy to send on time
    return Sent(run, server.log()[before:])


@pytest.fixture(scope="module")
def talks(tmp_path_factory, standin, server) -> Callable[..., Sent]:
    """Run with these options more, made once for all tests that ask for it."""

    @cache
    def talk(*more: str) -> Sent:
        return send(
            tmp_path_factory.mktemp("talked"),
            standin,
            server,
            *("--steps", f"{RPS}rps:{SECONDS}s", *more),
            *("--prompt-tokens", f"{LEAST}..{MOST}", "--max-tokens", "5..9"),
            *("--prefix-groups", "2", "--prefix-tokens", str(PREFIX)),
            *("--sessions", str(SESSIONS), "--turns", str(TURNS), "--session-header", "X-Talk"),
        )

    return talk


@pytest.fixture(params=[(), TWO], ids=["one process", "two processes"])
def talked(request, talks) -> Sent:
    return talks(*request.param)


def of_sessions(sent: Sent) -> dict[str, list[dict[str, Any]]]:
    """Bodies of each conversation in the order of their coming."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in sent.requests:
        (name,) = (value for key, value in one.headers.items() if key.lower() == "x-talk")
        found[name].append(json.loads(one.body))
    return dict(found)


def test_turns_come_in_order_with_all_that_was_said(talked):
    sessions = of_sessions(talked)

    assert len(talked.requests) == RPS * SECONDS
    assert len(sessions) == SESSIONS * -(-RPS * SECONDS // (SESSIONS * TURNS))
    for bodies in sessions.values():
        assert len(bodies) <= TURNS
        messages: list[dict[str, str]] = []
        for body in bodies:
            *before, new = body["messages"]
            assert before == messages
            assert new["role"] == "user"
            messages = [*before, new, {"role": "assistant", "content": SAID}]


def test_new_texts_have_the_lengths_that_were_asked(talked):
    bodies = [body for bodies in of_sessions(talked).values() for body in bodies]
    sizes = [len(body["messages"][-1]["content"].split()) for body in bodies]

    assert LEAST <= min(sizes) < max(sizes) <= MOST
    assert {body["max_tokens"] for body in bodies} == set(range(5, 10))
    assert all(body["stream"] for body in bodies)


def test_first_turns_begin_with_the_prefix_of_their_group(talked):
    firsts = [
        bodies[0]["messages"][0]["content"].split() for bodies in of_sessions(talked).values()
    ]

    assert len({tuple(words[:PREFIX]) for words in firsts}) == 2
    assert len({tuple(words[: PREFIX + 4]) for words in firsts}) == len(firsts)


@pytest.mark.long
def test_a_turn_is_sent_after_the_answer_before_it_and_the_wait_is_no_lateness(talked):
    """Each conversation has a turn every 0.1 s, and an answer takes 0.19 s."""
    turns: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in talked.rows:
        turns[row["session"]].append(row)

    waited = 0
    for rows in turns.values():
        rows.sort(key=lambda row: row["turn"])
        assert [row["turn"] for row in rows] == list(range(1, len(rows) + 1))
        for before, row in itertools.pairwise(rows):
            ended_s = before["intended_s"] + before["latency_s"]
            assert row["intended_s"] + row["send_lag_s"] >= ended_s - 1e-3
            waited += row["turn_wait_s"] > 0
    assert waited >= RPS * SECONDS // 4
    prompts = talked.run.load["prompts"]
    assert prompts["sessions"]["turns"] == RPS * SECONDS
    assert prompts["sessions"]["waited"] == sum(row["turn_wait_s"] > 0 for row in talked.rows)
    assert prompts["sessions"]["turn_wait_max_ms"] >= 80


def test_lengths_are_on_record_and_in_the_report(talked):
    rows = talked.rows
    asked = sorted(row["asked_prompt_tokens"] for row in rows)
    sizes = sorted(
        sum(len(m["content"].split()) if m["role"] == "user" else 3 for m in body["messages"])
        for bodies in of_sessions(talked).values()
        for body in bodies
    )

    assert asked == sizes
    prompts = talked.run.load["prompts"]
    assert (prompts["requests"], prompts["counted_by"]) == (RPS * SECONDS, "words")
    assert prompts["answer_tokens_p50"] == 3
    assert prompts["prompt_tokens_p50"] is None
    info = talked.run.info["prompts"]
    assert (info["prompt_tokens"], info["sessions"], info["turns"]) == ("20..40", SESSIONS, TURNS)
    assert f"Lengths of {RPS * SECONDS} prompts" in talked.run.stdout


@pytest.mark.long
def test_prompts_are_the_same_for_any_number_of_processes_and_others_for_another_seed(talks):
    one, two, other = (
        sorted(sent.body for sent in talks(*more).requests) for more in ((), TWO, ("--seed", "2"))
    )

    assert one == two
    assert not set(one) & set(other)


@pytest.mark.long
def test_a_trace_gives_lengths_blocks_and_sessions(tmp_path, standin, server):
    trace = tmp_path / "trace.jsonl"
    rows = [
        {"timestamp": 0, "input_length": 600, "output_length": 4, "hash_ids": [7, 8], "s": "a"},
        {"timestamp": 10, "input_length": 512, "output_length": 5, "hash_ids": [7], "s": "b"},
        {"timestamp": 20, "input_length": 700, "output_length": 6, "hash_ids": [9, 5], "s": "a"},
    ]
    lines = [json.dumps({**row, "session_id": row["s"]}) for row in rows]
    trace.write_text("\n".join(lines) + "\n")

    sent = send(tmp_path, standin, server, "--trace", str(trace))

    bodies = sorted((json.loads(one.body) for one in sent.requests), key=lambda b: b["max_tokens"])
    assert [body["max_tokens"] for body in bodies] == [4, 5, 6]
    first, second, third = bodies
    assert len(first["messages"][0]["content"].split()) == 600
    assert second["messages"][0]["content"].split() == first["messages"][0]["content"].split()[:512]
    assert third["messages"][:2] == [
        first["messages"][0],
        {"role": "assistant", "content": SAID},
    ]
    assert len(third["messages"][2]["content"].split()) == 700 - 600 - 3
    assert "; prompts are made by" in sent.run.stderr


@pytest.mark.long
def test_each_user_of_a_closed_loop_talks_in_turn(tmp_path, standin, server):
    sent = send(
        tmp_path,
        *(standin, server, "--steps", "3users:2s", "--prompt-tokens", "6", "--turns", "2"),
        *("--session-header", "X-Talk"),
    )

    sessions = of_sessions(sent)
    assert len(sessions) >= 3
    for bodies in sessions.values():
        assert [len(body["messages"]) for body in bodies] in ([1], [1, 3])
    assert {row["turn_wait_s"] for row in sent.rows} == {0.0}


OWN_SEND = """
from scalelag.users import ChatUser, StepShape, attach

attach(json_body='{"messages": []}')


class Own(ChatUser):
    def send(self):
        self.send_request(self.server.request("GET", "/", {}, None))
"""


@pytest.mark.parametrize(
    ("own", "options", "reason"),
    [
        ("", ["--sessions", "2"], "--sessions: the body (--json-body or --body-file) is no JSON"),
        (OWN_SEND, ["--prompt-tokens", "9"], "--prompt-tokens: no user class of this run makes"),
        (
            "",
            ["--json-body", '{"messages": []}', "--prompt-tokens", "9", "--tokenizer", "no/one"],
            "--tokenizer no/one: ",
        ),
    ],
)
def test_what_makes_no_prompts_is_refused_before_the_load(
    tmp_path, standin, server, own, options, reason
):
    file = tmp_path / "own.py"
    file.write_text(own)
    before = len(server.log())
    target = ("--host", server.url, "--dashboard", standin.url, "--steps", "5rps:1s")
    with started(tmp_path, *target, *options, locustfile=str(file) if own else STEPPED) as locust:
        code = locust.process.wait(60)

    assert code == 2
    assert reason in (tmp_path / "stderr").read_text()
    assert len(server.log()) == before
