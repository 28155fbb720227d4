"""Streams of language models, with known token times: every shape, cut at every byte."""

import json
import math
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.engine.stream_readers import ChatReader, EventStreamReader

DONE = "[DONE]"
ENDS = ["\n", "\r\n", "\r"]


class Part(NamedTuple):
    """Data of one event; `kind` of the token in it, None if it is no token."""

    data: str
    kind: str | None = None
    type: str = ""


def delta(kind: str | None, **fields: Any) -> Part:
    choice = {"index": 0, "delta": fields, "finish_reason": None}
    return Part(json.dumps({"id": "c", "choices": [choice]}), kind)


def finish(reason: str) -> Part:
    return Part(json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))


def usage(tokens: int, reasoning: int | None = None) -> Part:
    found: dict[str, Any] = {"prompt_tokens": 3, "completion_tokens": tokens}
    if reasoning is not None:
        found["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return Part(json.dumps({"choices": [], "usage": found}))


def completion(text: str, reason: str | None = None) -> Part:
    choice = {"index": 0, "text": text, "finish_reason": reason}
    return Part(json.dumps({"object": "text_completion", "choices": [choice]}), text and "text")


def response(kind: str, token: str | None = None, **fields: Any) -> Part:
    """An event of the Responses API, with its type in both places."""
    data = {"type": f"response.{kind}", "sequence_number": 1, **fields}
    return Part(json.dumps(data), token, data["type"])


def called(name: str | None, arguments: str) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {"tool_calls": [{"index": 0, "type": "function", "function": function}]}


ROLE = delta(None, role="assistant", content="")
COMPLETED = response("completed", response={"status": "completed", "usage": {"output_tokens": 3}})

SHAPES: dict[str, list[Part]] = {
    "chat": [
        ROLE,
        delta("text", content="Grüß"),
        delta(None, content=None),
        delta("text", content=" Gott"),
        finish("stop"),
        usage(2),
        Part(DONE),
    ],
    "reasoning_content": [
        ROLE,
        *(delta("reasoning", reasoning_content=f"r{n}") for n in range(4)),
        *(delta("text", content=f"t{n}") for n in range(3)),
        finish(""),
        finish("length"),
        usage(7, reasoning=4),
        Part(DONE),
    ],
    "reasoning": [delta("reasoning", reasoning="hm"), delta("text", content="a"), finish("stop")],
    "thinking parts": [
        delta("reasoning", content=[{"type": "thinking", "thinking": [{"text": "hm"}]}]),
        delta("text", content=[{"type": "text", "text": "a"}]),
        finish("stop"),
        Part(DONE),
    ],
    "tool calls only": [
        ROLE,
        delta("tool", **called("weather", "")),
        delta("tool", **called(None, '{"at":')),
        delta("tool", **called(None, '"Ulm"}')),
        delta(None, tool_calls=[]),
        finish("tool_calls"),
        Part(DONE),
    ],
    "function call": [
        delta("tool", function_call={"name": "f", "arguments": ""}),
        finish("function_call"),
        Part(DONE),
    ],
    "refusal": [delta("text", refusal="No."), finish("stop"), Part(DONE)],
    "completion": [completion("a"), completion(" b"), completion("", "length"), Part(DONE)],
    "responses": [
        response("created", response={"status": "in_progress", "error": None}),
        response("output_item.added", item={"type": "reasoning"}),
        response("reasoning_summary_text.delta", "reasoning", delta="hm"),
        response("output_item.added", "tool", item={"type": "function_call", "name": "f"}),
        response("function_call_arguments.delta", "tool", delta="{}"),
        response("output_text.delta", "text", delta="a"),
        response("output_text.done", text="a"),
        COMPLETED,
    ],
    "response cut by its limit": [
        response("output_text.delta", "text", delta="a"),
        response("incomplete", response={"incomplete_details": {"reason": "max_output_tokens"}}),
    ],
    "end with a space": [delta("text", content="a"), Part(f"{DONE} ")],
}


def encoded(parts: list[Part], end: str = "\n", *, bom: bool = False) -> list[bytes]:
    """Bytes of each event; comments, other fields and data on several lines among them."""
    events: list[bytes] = []
    for number, part in enumerate(parts):
        lines = [f"event: {part.type}"] if part.type else []
        if number % 3 == 1:
            lines += [": keep-alive", "id: 7", "retry: 10"]
        # JSON may go on in the next line of data after a comma.
        lines += [f"data:{' ' if number % 2 else ''}{one}" for one in lines_of(part.data)]
        events.append("".join(f"{line}{end}" for line in [*lines, ""]).encode())
    return [b"\xef\xbb\xbf" * bom + events[0], *events[1:]]


def lines_of(data: str) -> list[str]:
    head, comma, rest = data.partition(", ")
    return [head + ",", rest] if comma else [data]


def read(pieces: list[tuple[bytes, float]]) -> ChatReader:
    reader = ChatReader()
    for piece, at_s in pieces:
        reader.take(piece, at_s)
        if reader.is_over:
            break
    reader.ended()
    return reader


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


def failed(*parts: Part) -> str:
    events = encoded([delta("text", content="a"), *parts])
    with pytest.raises(WrongAnswerError) as raised:
        read([(event, float(n)) for n, event in enumerate(events)])
    return str(raised.value)


ERRORS: dict[str, Part] = {
    "OpenAI's": Part('{"error": {"message": "m", "type": "boom"}}'),
    "a text": Part('{"error": "alas", "error_type": "boom"}'),
    "beside choices": Part('{"error": {"code": "boom"}, "choices": []}'),
    "in a choice": Part('{"choices": [{"error": {"type": "boom"}, "delta": {"content": "x"}}]}'),
    "vLLM's": Part('{"object": "error", "message": "m", "type": "boom", "code": 500}'),
    "an event": Part('{"type": "boom"}', type="error"),
    "an event of no JSON": Part("alas", type="error"),
    "an event of a list": Part("[]", type="error"),
    "Anthropic's": Part('{"type": "error", "code": "boom"}'),
    "FastAPI's": Part('{"detail": "boom"}'),
    "a list": Part('{"errors": [{"message": "m"}]}'),
    "a state": Part('{"status": "failed"}'),
    "a status": Part('{"code": 503, "message": "boom"}'),
    "an event without data": Part("", type="error"),
    "an event in capitals": Part("alas", type="Error"),
    "an exception": Part('{"Exception": "boom"}'),
    "a type": Part('{"type": "invalid_request_error", "message": "boom"}'),
    "no success": Part('{"success": false, "message": "boom"}'),
    "a problem": Part('{"status": 404, "title": "boom", "detail": "boom"}'),
    "a status code": Part('{"statusCode": 500, "body": "boom"}'),
    "a failed response": response("failed", response={"error": {"code": "boom"}}),
    "a cancelled one": response("cancelled", response={}),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_in_the_stream_is_a_failure_in_every_shape(name: str):
    assert failed(ERRORS[name], finish("stop"), Part(DONE)).startswith("an error in the stream")


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


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_in_other_event_streams_is_a_failure_too(name: str):
    reader = EventStreamReader()
    reader.take(b"data: a\n\n", 1.0)
    with pytest.raises(WrongAnswerError, match="an error in the stream"):
        reader.take(encoded([ERRORS[name]])[0], 2.0)


@pytest.mark.parametrize(
    "token",
    [
        '{"token": "a", "detail": {"n": 1}}',
        '{"status": "running", "text": "a"}',
        '{"type": "ping"}',
    ],
)
def test_a_token_that_is_an_object_is_no_error(token: str):
    reader = EventStreamReader()
    reader.take(f"data: {token}\n\n".encode(), 1.0)

    assert reader.times.tokens == 1


@pytest.mark.parametrize("reason", ["STOP", "End_Turn"])
def test_a_good_reason_to_finish_may_be_in_capitals(reason: str):
    events = encoded([delta("text", content="a"), finish(reason)])

    assert read([(event, 1.0) for event in events]).content == b"a"


@pytest.mark.parametrize("reason", ["error", "abort", "content_filter", "x y"])
def test_an_answer_that_was_broken_off_says_so_by_its_reason_to_finish(reason: str):
    assert failed(finish(reason), Part(DONE)).startswith("finish_reason ")


def test_a_response_that_was_filtered_is_a_failure():
    why = {"incomplete_details": {"reason": "content_filter"}}

    assert failed(response("incomplete", response=why)) == "finish_reason content_filter"


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ([ROLE, finish("stop"), usage(0), Part(DONE)], "no token in it"),
        ([Part(DONE)], "no token in it"),
        ([COMPLETED], "no token in it"),
        ([ROLE], "no [DONE] at its end"),
        ([response("created")], "no response.completed at its end"),
        ([response("output_text.delta", "text", delta="a")], "no response.completed at its end"),
    ],
)
def test_a_stream_without_a_sign_of_success_is_a_failure(parts: list[Part], what: str):
    with pytest.raises(WrongAnswerError) as raised:
        read([(event, 1.0) for event in encoded(parts)])

    assert str(raised.value) == what


def test_a_stream_of_nothing_is_a_failure():
    for reader, what in ((ChatReader(), "no [DONE] at its end"), (EventStreamReader(), "no token")):
        reader.take(b": keep-alive\n\n", 1.0)
        with pytest.raises(WrongAnswerError, match=what.replace("[", r"\[")):
            reader.ended()


@given(st.data())
def test_a_stream_that_is_truncated_before_its_end_is_a_failure(data):
    parts = [*SHAPES["reasoning_content"][:-4]]
    whole = b"".join(encoded(parts))
    cut = data.draw(st.integers(0, len(whole)))

    with pytest.raises(WrongAnswerError):
        read([(whole[:cut], 1.0)])


def test_after_its_end_nothing_is_read():
    reader = ChatReader()
    for event in encoded([*SHAPES["chat"], Part('{"error": "late"}'), delta("text", content="x")]):
        reader.take(event, 1.0)

    assert reader.is_over
    assert reader.content.decode() == "Grüß Gott"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "choices",
                        "delta",
                        "content",
                        "text",
                        "finish_reason",
                        "usage",
                        "error",
                        "type",
                    ),
                    *("tool_calls", "function", "arguments", "item", "response", "status", "code"),
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4), st.sampled_from(["", "error", "response.completed"]))
def test_any_json_is_read_or_refused_and_never_a_fault_of_ours(chunks: list[Any], kind: str):
    events = encoded([Part(json.dumps(chunk), type=kind) for chunk in chunks] or [ROLE])

    with suppress(WrongAnswerError):
        assert read([(event, 1.0) for event in events]).times.tokens > 0
