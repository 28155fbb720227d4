"""Prompts of exact lengths, their shared beginnings, and the conversations that they are turns of."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.errors import UsageError
from scalelag.plan.trace_lengths import Lengths
from scalelag.prompts.asks import Asks
from scalelag.prompts.body import ChatBody, escaped
from scalelag.prompts.plan import PromptPlan, TraceRows, Turn, turns_of
from scalelag.prompts.texts import Texts
from scalelag.prompts.token_range import TokenRange, mixed, parse_tokens
from scalelag.prompts.words import WORDS
from tests.unit.prompt_cases import asked, plan_of, with_trace, words_of

# --- texts -------------------------------------------------------------------------------------


@given(st.integers(0, 2**63), st.integers(1, 200_000), st.integers(0, 200_000))
def test_a_text_has_the_number_of_words_asked_and_begins_as_a_longer_one(key, count, more):
    texts = Texts(WORDS[:100], 7)

    short, long = texts.of(1, key, count), texts.of(1, key, count + more)

    assert len(short.split(b" ")) == count
    assert long.startswith(short)
    assert (long + b" ").startswith(short + b" ")


def test_texts_of_different_keys_begin_differently_and_those_of_one_key_are_the_same():
    texts, again = Texts(WORDS, 7), Texts(WORDS, 7)

    found = [texts.of(kind, key, 8) for kind in (1, 2) for key in range(5_000)]

    assert len(set(found)) == len(found)
    assert found == [again.of(kind, key, 8) for kind in (1, 2) for key in range(5_000)]
    assert texts.of(1, 5, 8) != Texts(WORDS, 8).of(1, 5, 8)


def test_words_are_plain_so_that_json_needs_no_quoting():
    assert len(set(WORDS)) == len(WORDS)
    assert all(word.isascii() and word.isalpha() and word.islower() for word in WORDS)


def test_chance_is_the_same_everywhere():
    """The value is the first output of SplitMix64 for the seed 0, as published."""
    assert mixed(0) == 0xE220A8397B1DCDAF
    assert len({mixed(1, 2, number) for number in range(100_000)}) == 100_000


@pytest.mark.parametrize(
    ("text", "expected"), [("200", (200, 200)), ("1..9", (1, 9)), (" 5 .. 7 ", (5, 7))]
)
def test_ranges_are_read(text, expected):
    found = parse_tokens(text)

    assert (found.least, found.most) == expected
    assert parse_tokens(found.text) == found


@pytest.mark.parametrize("text", ["0", "9..1", "-1", "1.5", "1...2", "a", "", "2000001", "1..9e9"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(UsageError, match="give a number of tokens such as 200"):
        parse_tokens(text)


def test_lengths_are_spread_evenly_over_their_range():
    lengths = TokenRange(10, 13)

    counts = Counter(lengths.pick(mixed(1, number)) for number in range(8_000))

    assert sorted(counts) == [10, 11, 12, 13]
    assert all(1_800 <= count <= 2_200 for count in counts.values())


# --- prompts -----------------------------------------------------------------------------------


def test_prompts_have_the_lengths_asked_and_begin_with_the_prefix_of_their_group():
    asks = Asks(plan_of(prompt_tokens="40..60", prefix_groups=3, prefix_tokens=32))

    prompts = [words_of(asks, own) for own in range(300)]

    assert {len(words) for words in prompts} == set(range(40, 61))
    groups = Counter(tuple(words[:32]) for words in prompts)
    assert len(groups) == 3
    assert min(groups.values()) > 50
    assert len({tuple(words[:36]) for words in prompts}) == 300


def test_a_prompt_may_be_nothing_but_its_prefix():
    asks = Asks(plan_of(prompt_tokens="32", prefix_groups=1, prefix_tokens=32))

    assert words_of(asks, 0) == words_of(asks, 1)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_processes_ask_together_what_one_asks(count):
    plan = plan_of(prompt_tokens="5..50", max_tokens="1..9")
    whole = Asks(plan)

    for index in range(count):
        share = Asks(plan.share(index, count))
        for own in range(20):
            number = index + own * count
            assert share.number_of(own) == number
            assert words_of(share, own) == words_of(whole, number)
            assert share.answer_tokens(number, own) == whole.answer_tokens(number, number)


def lengths(**columns: list[int]) -> Lengths:
    def column(name: str, kind: type) -> Any:
        return np.array(columns.get(name, []), kind)

    return Lengths(
        column("prompts", np.int32),
        column("answers", np.int32),
        column("blocks", np.int64),
        column("ends", np.int64),
        columns.get("size", [512])[0],
        column("sessions", np.int64),
    )


def test_blocks_of_a_trace_are_shared_beginnings():
    rows = lengths(
        prompts=[40, 40, 33, 20], blocks=[1, 2, 3, 1, 2, 4, 1, 9, 5], ends=[3, 6, 8, 9], size=[16]
    )
    asks = Asks(PromptPlan(rows=TraceRows.of(rows, 4, with_sessions=False)))

    first, second, third, last = (words_of(asks, own) for own in range(4))

    assert [len(words) for words in (first, second, third, last)] == [40, 40, 33, 20]
    assert first[:32] == second[:32]
    assert first[32] != second[32] or first[33:] != second[33:]
    assert third[:16] == first[:16]
    assert third[16:32] != first[16:32]
    assert last[:16] != first[:16]


def test_blocks_without_lengths_are_whole():
    rows = lengths(blocks=[1, 2, 1], ends=[2, 3], size=[16])
    asks = Asks(PromptPlan(rows=TraceRows.of(rows, 2, with_sessions=False)))

    first, second = words_of(asks, 0), words_of(asks, 1)

    assert (len(first), len(second)) == (32, 16)
    assert first[:16] == second


@pytest.mark.parametrize("count", [1, 2, 3])
def test_rows_of_a_trace_go_with_their_arrivals_to_the_processes(count):
    rows = lengths(prompts=[9, 8, 7, 6, 5], answers=[1, 2, 3, 4, 0], sessions=[0, 1, 0, 2, 1])
    plan = PromptPlan(rows=TraceRows.of(rows, 5, with_sessions=True))

    found = {}
    for index in range(count):
        asks = Asks(plan.share(index, count))
        own_rows = [row for row in range(5) if rows.sessions[row] % count == index]
        for own, row in enumerate(own_rows):
            assert asks.number_of(own) == row
            found[row] = (asks.turn_of(own), asks.answer_tokens(row, own))

    assert [found[row] for row in range(5)] == [
        (Turn(0, 1, is_last=False), 1),
        (Turn(1, 1, is_last=False), 2),
        (Turn(0, 2, is_last=True), 3),
        (Turn(2, 1, is_last=True), 4),
        (Turn(1, 2, is_last=True), 1),
    ]


def test_a_later_turn_of_a_trace_fills_up_what_was_said_to_the_length_of_its_prompt():
    rows = lengths(prompts=[9, 30, 12], sessions=[0, 0, 0])
    asks = Asks(PromptPlan(rows=TraceRows.of(rows, 3, with_sessions=True)))

    assert len(words_of(asks, 1, said=13)) == 17
    assert len(words_of(asks, 2, said=40)) == 1


# --- sessions ----------------------------------------------------------------------------------


@given(
    st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(1, 120), st.integers(0, 1)
)
def test_conversations_have_all_their_turns_in_order_in_one_process(
    sessions, turns, count, rps, poisson
):
    options = asked(
        steps=f"{rps}rps:3s",
        sessions=sessions,
        turns=turns,
        arrivals=("constant", "poisson")[poisson],
    )
    whole_s = np.concatenate([np.empty(0), *options.schedule.blocks()])

    seen: dict[int, list[tuple[int, float, int, bool]]] = {}
    numbers: list[int] = []
    for index in range(count):
        share = options.for_share(index, count)
        assert share.prompts is not None
        asks = Asks(share.prompts)
        due_s = np.concatenate([np.empty(0), *share.schedule.blocks()])
        for own, at_s in enumerate(due_s.tolist()):
            number, turn = asks.number_of(own), asks.turn_of(own)
            assert turn is not None
            assert at_s == whole_s[number]
            numbers.append(number)
            seen.setdefault(turn.session, []).append((turn.turn, at_s, index, turn.is_last))
    assert sorted(numbers) == list(range(whole_s.size))
    for said in seen.values():
        assert [turn for turn, *_ in said] == list(range(1, len(said) + 1))
        assert len({index for *_, index, _ in said}) == 1
        assert [is_last for *_, is_last in said] == [turn == turns for turn, *_ in said]
    # No more go on at the same time than were asked for.
    open_at_once = {session for session, said in seen.items() if len(said) < turns}
    assert len(open_at_once) <= sessions


@given(st.lists(st.integers(0, 5), max_size=60))
def test_turns_of_a_trace_count_up_in_each_session(sessions):
    turns = turns_of(np.array(sessions, np.int64))

    counts: Counter[int] = Counter()
    for session, turn in zip(sessions, turns.tolist(), strict=True):
        counts[session] += 1
        assert turn == counts[session]


def test_sessions_of_a_trace_without_any_take_turns_through_it(tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("arrival_s\n" + "".join(f"{k}\n" for k in range(10)))
    options = with_trace(str(trace), sessions=2, turns=3)

    found = []
    for index in range(2):
        share = options.for_share(index, 2)
        assert share.prompts is not None
        asks = Asks(share.prompts)
        due_s = np.concatenate(list(share.schedule.blocks())).tolist()
        found += [(at_s, asks.turn_of(own)) for own, at_s in enumerate(due_s)]

    turns = [turn for _, turn in sorted(found)]
    assert [(turn.session, turn.turn) for turn in turns if turn] == [
        *((0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3)),
        *((2, 1), (3, 1), (2, 2), (3, 2)),
    ]


# --- bodies ------------------------------------------------------------------------------------


def filled(body: str, *, history: bytes = b"", text: str = "a b", limit: int | None = None) -> Any:
    return json.loads(ChatBody(body.encode()).filled(history, escaped(text), limit))


def test_a_prompt_takes_the_place_of_the_last_message_and_all_else_stays():
    messages = '[{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]'
    body = f'{{"model": "m", "messages": {messages}, "x": [1]}}'

    assert filled(body, text='q"\n', limit=7) == {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": 'q"\n'}],
        "x": [1],
        "max_tokens": 7,
    }


def test_turns_before_stand_between_the_kept_messages_and_the_new_one():
    body = '{"messages": [{"role": "system", "content": "s"}]}'
    history = b'{"role":"user","content":"1"},{"role":"assistant","content":"2"}'

    assert [m["content"] for m in filled(body, history=history)["messages"]] == [
        "s",
        "1",
        "2",
        "a b",
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"prompt": "p"}', {"prompt": "a b", "max_tokens": 7}),
        ('{"input": "p"}', {"input": "a b", "max_output_tokens": 7}),
        (
            '{"input": [{"role": "user", "content": "p"}], "max_output_tokens": 3}',
            {"input": [{"role": "user", "content": "a b"}], "max_output_tokens": 7},
        ),
        (
            '{"messages": [], "max_completion_tokens": 1}',
            {"messages": [{"role": "user", "content": "a b"}], "max_completion_tokens": 7},
        ),
    ],
)
def test_each_api_has_its_own_names(body, expected):
    assert filled(body, limit=7) == expected


def test_texts_of_the_body_are_never_taken_for_a_place():
    body = '{"a": "scalelag-place", "messages": [], "b": "scalelag-limit"}'

    found = filled(body, limit=3)

    assert (found["a"], found["b"], found["max_tokens"]) == ("scalelag-place", "scalelag-limit", 3)


@pytest.mark.parametrize(
    "body", ["", "[]", "{", '{"text": "a"}', '{"prompt": 5}', '{"messages": 5}']
)
def test_a_body_without_a_place_for_a_prompt_is_refused(body):
    with pytest.raises(UsageError):
        ChatBody(body.encode() or None)
