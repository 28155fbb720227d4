"""Signs of success of a language model's stream: several answers, odd events, and counts of tokens."""

import json
from typing import Any

import pytest

from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.engine.stream_readers import ChatReader

DONE = "[DONE]"
UNENDED = "no [DONE] at its end"
ODD = "an event of no known kind, and no finish_reason"


def choice(number: int, reason: str | None = None, **fields: Any) -> str:
    """A chunk of one of several answers to a request (`n`)."""
    return json.dumps({"choices": [{"index": number, "delta": fields, "finish_reason": reason}]})


def usage(tokens: Any) -> str:
    return json.dumps({"choices": [], "usage": {"completion_tokens": tokens}})


def read(*events: str) -> ChatReader:
    reader = ChatReader()
    for at_s, event in enumerate(events):
        reader.take(f"data: {event}\n\n".encode(), float(at_s))
    reader.ended()
    return reader


def failure(*events: str) -> str:
    with pytest.raises(WrongAnswerError) as raised:
        read(*events)
    return str(raised.value)


A, B, STOP = choice(0, content="a"), choice(0, content="b"), choice(0, "stop")


@pytest.mark.parametrize(
    "events",
    [
        (A, choice(1, content="b"), STOP),
        (A, choice(1, role="assistant"), STOP),
        (A, choice(1, "stop", content="b")),
        ('{"choices": [{"text": "a", "finish_reason": "stop"}, {"index": 1, "text": "b"}]}',),
    ],
)
def test_of_several_answers_each_that_began_must_have_its_reason_to_finish(
    events: tuple[str, ...],
):
    assert failure(*events) == UNENDED
    assert read(*events, choice(0, "stop"), choice(1, "length")).times.tokens > 0
    assert read(*events, DONE).is_over


def test_of_several_answers_all_tokens_count_and_the_first_is_the_content():
    reader = read(A, choice(1, content="x"), choice(0, "stop", content="b"), choice(1, "length"))

    assert (reader.times.tokens, reader.content) == (3, b"ab")


@pytest.mark.parametrize(
    "failed",
    [
        '{"status": 500, "message": "boom"}',
        '{"statusCode": "429"}',
        '{"error_code": 18, "error_msg": "boom"}',
    ],
)
def test_a_status_of_an_error_is_one_whatever_it_is_called(failed: str):
    assert failure(A, failed, STOP, DONE) == "an error in the stream"


@pytest.mark.parametrize(
    "odd", ['{"message": "x"}', '{"ok": false}', '{"type": "trouble"}', '{"status": 200}']
)
def test_after_an_event_of_no_known_kind_done_is_no_sign_of_success(odd: str):
    assert failure(A, odd, DONE) == ODD
    assert read(A, odd, STOP, DONE).times.tokens == 1


@pytest.mark.parametrize(
    "known",
    ["{}", '{"type": "ping"}', '{"usage": {}}', '{"object": "chat.completion.chunk", "id": "c"}'],
)
def test_events_that_say_nothing_take_nothing_from_done(known: str):
    assert read(A, known, DONE).times.tokens == 1


@pytest.mark.parametrize(
    ("events", "tokens"),
    [
        # Gateways that count nothing say 0; others say what came so far, and no more of it later.
        ((A, B, STOP, usage(0)), 2),
        ((usage(0), A, B, STOP), 2),
        ((A, usage(1), B, STOP), 2),
        ((A, B, STOP, usage(40.0)), 40),
        ((A, B, STOP, usage(40.5)), 2),
        ((A, B, STOP, usage(1e300)), 2),
        # A server may cut its answer finer than into tokens.
        ((A, B, STOP, usage(1)), 1),
    ],
)
def test_a_count_that_cannot_be_that_of_the_whole_answer_is_none(
    events: tuple[str, ...], tokens: int
):
    times = read(*events, DONE).times

    assert (times.tokens, times.timed_tokens) == (tokens, tokens)
