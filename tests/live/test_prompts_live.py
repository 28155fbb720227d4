"""Conversations with `llm_stream`, which tells in each answer what it got: turns, prefixes, lengths.

An answer takes about 0.6 s, and each conversation has a turn every 0.5 s, so that turns wait, on
several replicas that come while they talk.
"""

import itertools
import json
from collections import Counter, defaultdict

import pyarrow as pa
import pytest

pytestmark = pytest.mark.long

NOTES = """
import json

from locust import events

file = open("notes.jsonl", "w", buffering=1)


@events.request.add_listener
def note(response, context, **rest):
    lines = [line for line in response.raw.decode().splitlines() if line.startswith("data: {")]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines]
    (told,) = [chunk["scalelag"] for chunk in chunks if "scalelag" in chunk]
    (usage,) = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    file.write(json.dumps({**told, **usage, "asked": context["asked"]._asdict()}) + "\\n")
"""
"""Writes down, of each answer, what the app says in it, beside what was asked."""

TOKENS, FIRST_S, BETWEEN_S = 6, 0.1, 0.1
RPS, SECONDS, SESSIONS, TURNS = 12, 15, 6, 4
LEAST, MOST, PREFIX, GROUPS = 80, 120, 64, 3
PLANNED = RPS * SECONDS
CLOCKS_S = 0.002


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def run(on_cluster_once, folder):
    """The run that all look at, ended well, and what it printed."""
    (folder / "notes.py").write_text(NOTES.replace("notes.jsonl", str(folder / "notes.jsonl")))
    arguments = {
        "tokens": TOKENS,
        "time_to_first_token_s": FIRST_S,
        "time_between_tokens_s": BETWEEN_S,
        "target_ongoing_requests": 2,
        "max_replicas": 3,
    }
    command = on_cluster_once(
        *("run", "--app", "llm_stream", "-f", "llm_chat.py", "-f", str(folder / "notes.py")),
        *(f"--app-arg={name}={value}" for name, value in arguments.items()),
        *("--steps", f"{RPS}rps:{SECONDS}s", "--drain", "0", "--out", "runs"),
        *("--prompt-tokens", f"{LEAST}..{MOST}", "--max-tokens", f"4..{TOKENS}"),
        *("--prefix-groups", str(GROUPS), "--prefix-tokens", str(PREFIX)),
        *("--sessions", str(SESSIONS), "--turns", str(TURNS)),
    )
    code, output = command.wait()
    assert code in (0, 5), output  # 5: the machine was too busy to send on time
    return command, output


@pytest.fixture(scope="module")
def sessions(run, folder):
    """Turns of each conversation, as the app got them."""
    found = defaultdict(list)
    for line in (folder / "notes.jsonl").read_text().splitlines():
        told = json.loads(line)
        found[told["session"]].append(told)
    for told in found.values():
        told.sort(key=lambda one: one["turn"])
    return dict(found)


def test_turns_come_in_order_each_after_the_answer_before_it(run, sessions):
    told = [one for of_session in sessions.values() for one in of_session]

    assert len(told) == PLANNED, run[1]
    assert len(sessions) == SESSIONS * -(-PLANNED // (SESSIONS * TURNS))
    for of_session in sessions.values():
        assert [one["turn"] for one in of_session] == list(range(1, len(of_session) + 1))
        for before, after in itertools.pairwise(of_session):
            assert after["received_s"] >= before["last_token_s"] - CLOCKS_S


def test_the_app_counts_the_lengths_that_were_asked_with_all_that_was_said(sessions):
    for of_session in sessions.values():
        said = 0
        for one in of_session:
            assert one["prompt_tokens"] == one["asked"]["prompt_tokens"]
            assert LEAST <= one["prompt_tokens"] - said <= MOST
            assert one["completion_tokens"] == one["asked"]["answer_tokens"]
            said = one["prompt_tokens"] + one["completion_tokens"]


def test_conversations_of_a_group_share_their_prefix_and_no_more(sessions):
    """Checksums are those of the first 16, 32 and 64 words, and of more in later turns."""
    firsts = [of_session[0]["begins"] for of_session in sessions.values()]

    groups = Counter(begins[2] for begins in firsts)
    assert len(groups) == GROUPS
    assert sum(groups.values()) == len(sessions)
    longer = [of_session[1]["begins"][3] for of_session in sessions.values() if len(of_session) > 1]
    assert len(set(longer)) == len(longer)
    for of_session in sessions.values():
        assert len({tuple(one["begins"][:3]) for one in of_session}) == 1


def test_record_and_report_have_lengths_and_waits(run, sessions):
    command, output = run
    rows = pa.ipc.open_stream(command.run_dirs[-1] / "requests.arrow").read_all().to_pylist()
    prompts = command.report()["load"]["prompts"]

    told = sorted(one["prompt_tokens"] for of in sessions.values() for one in of)
    assert sorted(row["asked_prompt_tokens"] for row in rows) == told
    assert sorted(row["prompt_tokens"] for row in rows) == told
    assert prompts["prompt_tokens_asked_p50"] == prompts["prompt_tokens_p50"]
    assert prompts["sessions"]["turns"] == PLANNED
    assert prompts["sessions"]["waited"] == sum(row["turn_wait_s"] > 0 for row in rows) > 0
    assert "by words" in output
    assert all(row["send_lag_s"] < row["turn_wait_s"] for row in rows if row["turn_wait_s"] > 0.3)
