"""Options of prompts: what they go with, and the prompts that a trace asks for."""

import itertools
import json
from typing import Any

import msgspec
import pytest

from scalelag.errors import UsageError
from scalelag.options.run_options import LoadOptions, run_options
from scalelag.prompts.asks import Asks
from scalelag.prompts.plan import Turn
from tests.unit.prompt_cases import BODY, asked, plan_of, with_trace, words_of

# --- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"prefix_groups": 2}, "--prefix-groups and --prefix-tokens go together"),
        ({"prefix_groups": 2, "prefix_tokens": 5}, "--prefix-tokens goes with --prompt-tokens"),
        (
            {"prefix_groups": 2, "prefix_tokens": 50, "prompt_tokens": "40..60"},
            "--prefix-tokens 50: prompts have from 40 tokens",
        ),
        ({"tokenizer": "x", "sessions": 2}, "--tokenizer goes with --prompt-tokens"),
        ({"turns": 2}, "--turns goes with --sessions in a plan of rps"),
        (
            {"sessions": 2, "session_header": "content-length"},
            "this header says something of each request",
        ),
        (
            {"sessions": 2, "session_header": "X-Talk", "header": ["x-talk: a"]},
            "--session-header X-Talk: --header sets it, too",
        ),
        (
            {"sessions": 2, "steps": "2users:9s"},
            "in a plan of users each user has one conversation",
        ),
        (
            {"sessions": 2, "json_body": '{"prompt": "p"}'},
            "a body with a prompt has no place for the turns before",
        ),
        (
            {"sessions": 2, "turns": 5000, "prompt_tokens": "1000"},
            "--turns 5000: a conversation of 5,005,000 tokens",
        ),
        (
            {"sessions": 10**6, "turns": 10, "prompt_tokens": "1000"},
            "--sessions 1000000: 10,010,000,000 tokens",
        ),
        ({"session_header": "X-Talk"}, "there are no conversations that it could name"),
        (
            {"session_header": "X-Talk", "steps": "2users:9s", "prompt_tokens": "5"},
            "there are no conversations that it could name",
        ),
        ({"prompt_tokens": "9", "json_body": "{}"}, "--prompt-tokens: the body"),
        ({"max_tokens": "9", "json_body": None}, "--max-tokens: the body"),
    ],
)
def test_what_cannot_go_together_is_refused(options, reason):
    with pytest.raises(UsageError) as caught:
        asked(**options)

    assert reason in str(caught.value)


def test_options_of_prompts_are_refused_if_no_user_class_makes_any():
    with pytest.raises(UsageError, match="--sessions: no user class of this run makes prompts"):
        run_options({"json_body": BODY, "sessions": 3}, makes_prompts=False)
    assert run_options({"json_body": BODY, "sessions": 3}).prompts is None


def test_rows_of_data_have_prompts_of_their_own(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"a": 1}\n')

    with pytest.raises(UsageError, match="--prompt-tokens and --data"):
        asked(prompt_tokens="5", data=str(rows))


def trace_of(tmp_path: Any, rows: list[dict[str, Any]]) -> str:
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


MOONCAKE = [
    {"timestamp": 1000 * k, "input_length": 600, "output_length": 5, "hash_ids": [1, k]}
    for k in range(4)
]


def test_a_trace_with_lengths_makes_prompts_by_itself_and_says_so(tmp_path):
    options = with_trace(trace_of(tmp_path, MOONCAKE))

    assert options.prompt_info is not None
    assert (options.prompt_info.prompt_tokens, options.prompt_info.max_tokens) == ("trace", "trace")
    assert options.prompt_info.blocks
    assert options.trace is not None
    made = 'prompts are made by "input_length", "output_length", "hash_ids"'
    assert f"; {made}" in options.trace.line


def test_a_trace_with_lengths_and_a_body_without_a_place_is_sent_as_the_body_is(tmp_path):
    options = with_trace(trace_of(tmp_path, MOONCAKE), json_body='{"x": 1}')

    assert (options.prompts, options.prompt_info) == (None, None)
    assert options.trace is not None
    assert 'no prompts are made by "input_length"' in options.trace.line


def test_options_go_before_the_trace(tmp_path):
    options = with_trace(trace_of(tmp_path, MOONCAKE), prompt_tokens="10", max_tokens="3")

    assert options.prompts is not None
    assert options.prompt_info is not None
    assert not options.prompt_info.blocks
    asks = Asks(options.prompts)
    assert [len(words_of(asks, own)) for own in range(4)] == [10] * 4
    assert asks.answer_tokens(0, 0) == 3


def test_prefixes_beside_the_blocks_of_a_trace_are_refused(tmp_path):
    path = trace_of(tmp_path, MOONCAKE)

    with pytest.raises(UsageError, match="the trace tells which prompts share their beginnings"):
        with_trace(path, prefix_groups=2, prefix_tokens=16)


SESSIONS = [{**row, "session_id": name} for row, name in zip(MOONCAKE, "abab", strict=True)]


def test_sessions_of_a_trace_are_turns_in_its_order(tmp_path):
    options = with_trace(trace_of(tmp_path, SESSIONS), repeat=2)

    assert options.prompts is not None
    asks = Asks(options.prompts)
    assert [asks.turn_of(own) for own in range(8)] == [
        *(Turn(0, 1, is_last=False), Turn(1, 1, is_last=False)),
        *(Turn(0, 2, is_last=True), Turn(1, 2, is_last=True)),
        *(Turn(2, 1, is_last=False), Turn(3, 1, is_last=False)),
        *(Turn(2, 2, is_last=True), Turn(3, 2, is_last=True)),
    ]
    assert options.prompt_info is not None
    assert (options.prompt_info.sessions, options.prompt_info.turns) == (4, None)


def test_chats_of_alibabas_traces_are_followed_by_their_parents(tmp_path):
    rows = [
        {**row, "chat_id": chat, "parent_chat_id": parent}
        for row, chat, parent in zip(MOONCAKE, (5, 6, 7, 8), (-1, -1, 5, 7), strict=True)
    ]

    options = with_trace(trace_of(tmp_path, rows))

    assert options.prompts is not None
    asks = Asks(options.prompts)
    turns = [asks.turn_of(own) for own in range(4)]
    assert [(turn.session, turn.turn) for turn in turns if turn] == [(0, 1), (1, 1), (0, 2), (0, 3)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sessions": 2}, "the trace has sessions of its own"),
        ({"rate_scale": 2.0}, "it would repeat turns within the sessions"),
        ({"turns": 2}, "--turns goes with --sessions"),
    ],
)
def test_what_sessions_of_a_trace_do_not_go_with_is_refused(tmp_path, options, reason):
    with pytest.raises(UsageError, match=reason):
        with_trace(trace_of(tmp_path, SESSIONS), **options)


def test_no_sessions_are_asked_for_with_0(tmp_path):
    options = with_trace(trace_of(tmp_path, SESSIONS), sessions=0, rate_scale=2.0)

    assert options.prompts is not None
    assert not options.prompts.has_sessions
    assert Asks(options.prompts).turn_of(0) is None


def test_a_worker_gets_its_prompts_typed(tmp_path):
    options = with_trace(trace_of(tmp_path, SESSIONS))

    wire = msgspec.to_builtins(options.for_share(1, 2), builtin_types=(bytes,))

    received = msgspec.convert(wire, LoadOptions)
    assert received == options.for_share(1, 2)
    assert received.prompts is not None
    assert [Asks(received.prompts).number_of(own) for own in range(2)] == [1, 3]


def test_prompts_of_a_run_differ_from_one_another():
    asks = Asks(plan_of(prompt_tokens="4..400"))

    prompts = [tuple(words_of(asks, own)[:4]) for own in range(2_000)]

    assert len(set(prompts)) == len(prompts)
    assert not any(a[:2] == b[:2] for a, b in itertools.pairwise(prompts))
