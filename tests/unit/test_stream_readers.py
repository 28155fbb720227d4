"""Tokens of a stream, and streams that are wrong answers."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.engine.stream_readers import (
    ChatReader,
    EventStreamReader,
    JsonReader,
    StreamReader,
)

DONE = "data: [DONE]\n\n"


def event(data: object) -> str:
    return f"data: {json.dumps(data)}\n\n"


def said(text: str | None, **more: object) -> str:
    return event({"choices": [{"index": 0, "delta": {"content": text, **more}}]})


def read(reader: StreamReader, *pieces: str) -> StreamReader:
    """A whole answer, of which piece k came at 100 + k."""
    for number, piece in enumerate(pieces):
        reader.take(piece.encode(), 100.0 + number)
    reader.ended()
    return reader


def wrong(*pieces: str) -> tuple[str, ChatReader]:
    """Reason why a chat is a wrong answer, and the part that was read."""
    reader = ChatReader()
    with pytest.raises(WrongAnswerError) as raised:
        read(reader, *pieces)
    return str(raised.value), reader


def test_tokens_are_timed_from_the_first_to_the_last():
    reader = StreamReader()
    for at_s in (10.0, 10.25, 11.0, 11.5):
        reader.take(b"x", at_s)

    assert reader.times[:3] == (10.0, 4, 0.75)
    assert reader.content == b"xxxx"


def test_of_one_token_there_is_no_gap_and_of_none_no_first():
    first_s, tokens, gap_s = StreamReader().times[:3]
    assert (math.isnan(first_s), tokens, math.isnan(gap_s)) == (True, 0, True)

    first_s, tokens, gap_s = read(StreamReader(), "a").times[:3]
    assert (first_s, tokens, math.isnan(gap_s)) == (100.0, 1, True)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=20))
def test_the_longest_gap_is_at_most_the_whole_time_and_at_least_its_share(times_s: list[float]):
    times_s.sort()
    reader = StreamReader()
    for at_s in times_s:
        reader.take(b"x", at_s)

    first_s, tokens, gap_s = reader.times[:3]
    whole_s = times_s[-1] - times_s[0]
    assert (first_s, tokens) == (times_s[0], len(times_s))
    assert whole_s / (tokens - 1) * (1 - 1e-9) <= gap_s <= whole_s


def test_each_event_with_data_is_a_token():
    reader = read(EventStreamReader(), "data: a\n", "\n: hi\n\n", "id: 1\n\ndata: b\n\n", DONE)

    assert reader.times[:3] == (101.0, 2, 1.0)
    assert reader.content == b"ab"


def test_each_chunk_with_text_is_a_token_of_a_chat():
    reader = read(
        ChatReader(),
        event({"choices": [{"delta": {"role": "assistant", "content": ""}}]}),
        said("Hel"),
        said(None, tool_calls=[]),
        said("lo"),
        event({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None}),
        event({"choices": [], "usage": {"prompt_tokens": 1}}),
        DONE,
    )

    assert reader.times[:3] == (101.0, 2, 2.0)
    assert reader.content == b"Hello"


def test_the_servers_own_count_of_tokens_goes_before_that_of_chunks():
    usage = [{"choices": [], "usage": {"completion_tokens": count}} for count in (4, 9)]
    reader = read(ChatReader(), said("Hello"), event(usage[0]), said("you"), event(usage[1]), DONE)

    assert reader.times[:3] == (100.0, 9, 2.0)


@pytest.mark.parametrize("count", [-1, 2**32, 1.5, "9", True, None, [], {}])
def test_a_count_that_is_none_is_passed_over(count: object):
    usage = event({"choices": [], "usage": {"completion_tokens": count}})

    assert read(ChatReader(), said("a"), usage, DONE).times.tokens == 1


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"choices": None},
        {"choices": "text"},
        {"choices": [None, 3, []]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": 7}}]},
        {"choices": [{"delta": {"content": ["a"]}}]},
        {"error": None},
    ],
)
def test_chunks_of_another_shape_are_no_tokens(chunk: object):
    assert read(ChatReader(), event(chunk), said("a"), DONE).times[:2] == (101.0, 1)


@pytest.mark.parametrize("data", ["", "{no json", '"\\ud8', "[" * 100_000, "\x00", "{} {}"])
def test_an_event_that_is_no_json_is_told_with_the_tokens_before(data: str):
    what, reader = wrong(said("a"), said("b"), f"data: {data}\n\n", said("c"))

    assert what == "an event that is no JSON"
    assert reader.times[:3] == (100.0, 2, 1.0)


@pytest.mark.parametrize("data", ["[]", "null", "7", '"[DONE]"'])
def test_an_event_that_is_no_object_is_told(data: str):
    assert wrong(f"data: {data}\n\n")[0] == "an event that is no JSON object"


@pytest.mark.parametrize(
    ("error", "what"),
    [
        ({"message": "a b c", "type": "server_error"}, "an error in the stream (server_error)"),
        ({"message": "no type"}, "an error in the stream"),
        ({"type": "<script>"}, "an error in the stream"),
        ({"type": "x" * 51}, "an error in the stream"),
        ({"type": 5}, "an error in the stream"),
        ("just words", "an error in the stream"),
    ],
)
def test_an_error_in_the_stream_is_told_by_its_type(error: object, what: str):
    found, reader = wrong(said("a"), event({"error": error}), DONE)

    assert found == what
    assert reader.times.tokens == 1


@pytest.mark.parametrize("end", ["", "data: [DON", 'data: {"choices"', ": [DONE]\n\n", "[DONE]"])
def test_a_chat_without_its_end_is_told(end: str):
    what, reader = wrong(said("a"), end)

    assert what == "no [DONE] at its end"
    assert reader.times.tokens == 1


@pytest.mark.parametrize(
    "end", ["data: [DONE]", "data: [DONE]\n", "data: [DONE]\r", "data:[DONE]\r\n"]
)
def test_the_end_of_a_chat_needs_no_empty_line(end: str):
    assert read(ChatReader(), said("a"), end).times.tokens == 1


def test_a_last_event_without_its_empty_line_counts_when_it_is_whole():
    last = said("b", finish_reason=None).rstrip()
    finish = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).rstrip()

    assert read(ChatReader(), said("a"), finish).content == b"a"
    what, reader = wrong(said("a"), last)
    assert (what, reader.content) == ("no [DONE] at its end", b"ab")
    assert reader.times.last_token_s == 101.0


def test_what_is_cut_off_behind_a_whole_answer_is_passed_over():
    finish = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})

    assert read(ChatReader(), said("a"), finish, 'data: {"usage": {"compl').content == b"a"


@pytest.mark.parametrize("reader", [ChatReader, EventStreamReader])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_an_error_without_its_empty_line_is_told(reader: type[StreamReader], end: str):
    with pytest.raises(WrongAnswerError, match="an error in the stream"):
        read(reader(), said("a"), 'data: {"error": "no memory"}' + end)


def test_of_other_streams_an_event_without_its_empty_line_is_no_token():
    assert read(EventStreamReader(), "data: a\n\n", "data: cut o").content == b"a"


def test_what_comes_after_the_end_is_passed_over():
    reader = read(ChatReader(), said("a"), DONE, said("b"), "data: {no json\n\n", DONE)

    assert reader.times.tokens == 1


def test_text_whose_characters_are_cut_is_put_together_again():
    reader = StreamReader()
    for byte in "grün €".encode():
        reader.take(bytes([byte]), 1.0)

    assert reader.content.decode() == "grün €"


@pytest.mark.parametrize(
    "pieces",
    [
        ('{"error": ', '"no memory"}'),
        ('{\n  "detail": "boom"\n}\n',),
        ('{"response": "a", "done": false}\n', '{"error": "boom"}\n'),
        ('{"response": "a"}\n{"er', 'ror": "boom"}'),
        ('{"response": "a"}\n{"error": "no\u2028memory"}',),
    ],
)
def test_an_error_in_json_or_lines_of_it_is_a_failure(pieces: tuple[str, ...]):
    with pytest.raises(WrongAnswerError, match="an error in the stream"):
        read(JsonReader(), *pieces)


def test_lines_of_json_are_tokens_as_they_come():
    lines = ('{"response": "a", "done": false}\n', '{"response": "", "done": true}\n')

    assert read(JsonReader(), *lines).times[:3] == (100.0, 2, 1.0)
