"""Streams of language models that end in a failure, or hold what nobody expects."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.engine.stream_readers import ChatReader, EventStreamReader
from tests.unit.chat_stream_cases import (
    COMPLETED,
    DONE,
    ROLE,
    SHAPES,
    Part,
    delta,
    encoded,
    finish,
    read,
    response,
    usage,
)


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
