"""Streams of language models, with known token times: every shape, cut at every byte."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.users.engine.stream_readers import ChatReader
from tests.unit.chat_stream_cases import DONE, SHAPES, Part, delta, encoded, finish, read, usage

ENDS = ["\n", "\r\n", "\r"]


def first(parts: list[Part], at_s: list[float], *kinds: str) -> float:
    return next((t for part, t in zip(parts, at_s, strict=True) if part.kind in kinds), math.nan)


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def check(reader: ChatReader, parts: list[Part], at_s: list[float]) -> None:
    """Compare with what the script says: its own arithmetic, over its own times."""
    tokens_s = [t for part, t in zip(parts, at_s, strict=True) if part.kind]
    times = reader.times
    assert times.first_token_s == tokens_s[0]
    assert times.last_token_s == tokens_s[-1]
    assert same(times.first_text_s, first(parts, at_s, "text"))
    assert same(times.first_reasoning_s, first(parts, at_s, "reasoning"))
    assert same(times.first_tool_call_s, first(parts, at_s, "tool"))
    gap_s = max((b - a for a, b in pairwise(tokens_s)), default=math.nan)
    assert same(times.longest_gap_s, gap_s)
    if not any('"usage"' in part.data for part in parts):
        assert times.tokens == times.timed_tokens == len(tokens_s)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("bom", [False, True])
def test_cut_at_every_byte_each_token_has_the_time_of_its_last_byte(name: str, end: str, bom: bool):
    parts = SHAPES[name]
    events = encoded(parts, end, bom=bom)
    bytes_ = [bytes([one]) for one in b"".join(events)]
    ends_at: list[float] = []
    for event in events:
        # An LF that belongs to a CR comes after the line has ended.
        whole = len(event) - (end == "\r\n")
        ends_at.append((ends_at[-1] if ends_at else -1.0) + len(event))
        ends_at[-1] -= len(event) - whole
        if len(ends_at) > 1:
            ends_at[-1] += end == "\r\n"

    reader = read([(byte, float(at)) for at, byte in enumerate(bytes_)])

    check(reader, parts, ends_at)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("end", ENDS)
def test_cut_at_every_byte_a_stream_needs_no_empty_line_at_its_end(name: str, end: str):
    events = encoded(SHAPES[name], end)
    line = events[-1].rstrip()
    for last in (line, line + end.encode()):
        stream = b"".join([*events[:-1], last])

        reader = read([(bytes([byte]), float(at)) for at, byte in enumerate(stream)])

        whole = read([(b"".join(events), 0.0)])
        assert reader.content == whole.content
        assert reader.times.tokens == whole.times.tokens


@given(st.data())
def test_wherever_a_stream_is_cut_a_token_comes_with_the_piece_that_completes_it(data):
    parts = SHAPES[data.draw(st.sampled_from(sorted(SHAPES)))]
    events = encoded(parts, data.draw(st.sampled_from(["\n", "\r"])), bom=data.draw(st.booleans()))
    whole = b"".join(events)
    cuts = data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=12))
    edges = [0, *sorted(cuts), len(whole)]
    gaps = data.draw(st.lists(st.integers(0, 50), min_size=len(edges), max_size=len(edges)))
    times_s = [sum(gaps[: n + 1]) / 64 for n in range(len(edges) - 1)]
    ends = [sum(map(len, events[: n + 1])) for n in range(len(events))]
    at_s = [
        next(t for edge, t in zip(edges[1:], times_s, strict=True) if edge >= end) for end in ends
    ]

    pieces = [whole[a:b] for a, b in pairwise(edges)]

    check(read(list(zip(pieces, times_s, strict=True))), parts, at_s)


def at_set_times(name: str, every_s: float) -> ChatReader:
    events = encoded(SHAPES[name])
    return read([(event, 10 + n * every_s) for n, event in enumerate(events)])


def test_time_between_tokens_is_of_one_count():
    """Four of reasoning and three of text at 20 ms each, all counted by the server."""
    times = at_set_times("reasoning_content", 0.02).times

    assert times.first_token_s == times.first_reasoning_s == pytest.approx(10.02)
    assert times.first_text_s == pytest.approx(10.10)
    assert (times.tokens, times.timed_tokens) == (7, 7)
    mean_s = (times.last_token_s - times.first_token_s) / (times.timed_tokens - 1)
    assert mean_s == pytest.approx(0.02)


def test_reasoning_that_is_not_shown_counts_as_tokens_but_not_in_the_time_between():
    parts = [delta("text", content=str(n)) for n in range(5)]
    events = encoded([*parts, finish("stop"), usage(105, reasoning=100), Part(DONE)])
    times = read([(event, n * 0.02) for n, event in enumerate(events)]).times

    assert (times.tokens, times.timed_tokens) == (105, 5)
    assert (times.last_token_s - times.first_token_s) / 4 == pytest.approx(0.02)


def test_text_and_tool_calls_are_the_content_and_reasoning_is_not():
    assert at_set_times("reasoning_content", 1).content == b"t0t1t2"
    assert at_set_times("tool calls only", 1).content == b'weather{"at":"Ulm"}'
    assert at_set_times("responses", 1).content == b"f{}a"


@pytest.mark.parametrize("odd", ["NaN", "-Infinity", '"\\ud800"'])
def test_what_stands_beside_the_tokens_may_be_anything(odd: str):
    chunk = f'{{"choices": [{{"delta": {{"content": "a"}}, "logprobs": [{odd}]}}]}}'

    reader = read([(event, 1.0) for event in encoded([Part(chunk), finish("stop"), Part(DONE)])])

    assert (reader.times.tokens, reader.content) == (1, b"a")


def test_halves_of_a_character_in_two_tokens_are_one_again():
    halves = [
        Part(f'{{"choices": [{{"delta": {{"content": "\\u{n}"}}}}]}}') for n in ("d83d", "de00")
    ]
    alone = [halves[0], delta("text", content="b")]

    both = read([(event, 1.0) for event in encoded([*halves, finish("stop"), Part(DONE)])])
    one = read([(event, 1.0) for event in encoded([*alone, finish("stop"), Part(DONE)])])

    assert (both.times.tokens, both.content.decode()) == (2, "\U0001f600")
    assert one.content.decode() == "\ufffdb"


def test_after_its_end_nothing_is_read():
    reader = ChatReader()
    for event in encoded([*SHAPES["chat"], Part('{"error": "late"}'), delta("text", content="x")]):
        reader.take(event, 1.0)

    assert reader.is_over
    assert reader.content.decode() == "Grüß Gott"
