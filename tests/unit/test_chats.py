"""Conversations as they are sent: all that was said, and what is left out."""

import itertools
import json
from typing import Any

import pytest

from scalelag.options.run_options import run_options
from scalelag.users.chats import Chats, Said, said_in

BODY = '{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}]}'


def chats(**options: Any) -> Chats:
    asked = run_options({"json_body": BODY, **options}, makes_prompts=True)
    assert asked.prompts is not None
    return Chats(asked.prompts, asked.request, itertools.count(7).__next__)


def contents(body: bytes) -> list[str]:
    return [message["content"] for message in json.loads(body)["messages"]]


def test_a_turn_is_sent_with_all_that_was_said_before():
    talk = chats(steps="9rps:9s", sessions=2, turns=3, prompt_tokens="3")
    first, other = talk.of_arrival(0), talk.of_arrival(1)
    talk.ended(first, Said('"quoted"\n ü', 2))
    talk.ended(other, Said("b", 1))
    second = talk.of_arrival(2)
    talk.ended(second, Said("c", 1))

    third = talk.of_arrival(4)

    one, two, three = (chat.text.decode() for chat in (first, second, third))
    assert contents(first.body) == ["s", one]
    assert contents(second.body) == ["s", one, '"quoted"\n ü', two]
    assert contents(third.body) == ["s", one, '"quoted"\n ü', two, "c", three]
    assert [chat.asked.prompt_tokens for chat in (first, second, third)] == [3, 8, 12]
    assert [chat.asked.turn for chat in (first, second, third)] == [1, 2, 3]
    assert {chat.headers["X-Session-Id"] for chat in (first, second, third)} == {"1-0"}
    assert other.headers == {"X-Session-Id": "1-1"}


def test_a_turn_that_failed_is_left_out_of_the_next_one():
    talk = chats(steps="9rps:9s", sessions=1, turns=3, prompt_tokens="3")
    talk.ended(talk.of_arrival(0), None)

    second = talk.of_arrival(1)

    assert contents(second.body) == ["s", second.text.decode()]
    assert (second.asked.turn, second.asked.prompt_tokens) == (2, 3)


def test_a_conversation_is_forgotten_after_its_last_turn_also_if_that_was_not_sent():
    talk = chats(steps="9rps:9s", sessions=1, turns=2, prompt_tokens="3")
    talk.ended(talk.of_arrival(0), Said("a", 1))
    talk.ended(talk.of_arrival(1), Said("a", 1))
    assert talk._histories == {}

    talk.ended(talk.of_arrival(2), Said("a", 1))
    assert list(talk._histories) == [1]
    talk.dropped(3)

    assert talk._histories == {}


def test_without_lengths_the_text_of_the_body_is_said_again():
    talk = chats(steps="9rps:9s", sessions=1, turns=2)
    talk.ended(talk.of_arrival(0), Said("a", 1))

    assert contents(talk.of_arrival(1).body) == ["s", "hello", "a", "hello"]


def test_each_user_of_a_closed_loop_has_a_conversation():
    talk = chats(steps="2users:9s", turns=2, prompt_tokens="3", session_header="X-Talk")
    said = []
    for _ in range(3):
        chat = talk.next()
        talk.ended(chat, Said("a", 1))
        said.append((chat.headers["X-Talk"], chat.asked.turn, len(contents(chat.body))))

    assert said == [("1-7", 1, 2), ("1-7", 2, 4), ("1-8", 1, 2)]


def test_prompts_of_a_closed_loop_take_numbers_in_turn():
    talk = chats(steps="2users:9s", prompt_tokens="5")

    first, second = talk.next(), talk.next()

    assert first.text != second.text
    assert (first.asked, first.headers, first.turn) == (second.asked, {}, None)
    assert [chat.key for chat in (first, second)] == [7, 8]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"choices": [{"index": 0, "message": {"content": "a"}}], "usage": %s}', "a"),
        ('{"choices": [{"message": {"content": [{"type": "text", "text": "a"}]}}]}', "a"),
        ('{"choices": [{"message": {"content": "a"}}, {"index": 1, "message": {}}]}', "a"),
        ('{"output": [{"type": "reasoning", "content": [{"text": "hm"}]}, {"content": "a"}]}', "a"),
    ],
)
def test_of_a_whole_answer_the_text_counts_whatever_stands_beside_it(answer: str, said: str):
    odd = '{"completion_tokens": null, "prompt_tokens": "3"}'

    assert said_in(answer.replace("%s", odd).encode()) == Said(said, 1)


def test_whole_answers_are_read_of_both_apis():
    chat = b'{"choices": [{"message": {"content": "a b"}}], "usage": {"completion_tokens": 9}}'
    response = b'{"output": [{"content": [{"text": "a"}, {"text": "b"}]}]}'

    assert said_in(chat) == Said("a b", 9)
    assert said_in(response) == Said("ab", 1)
    assert said_in(b"no json") == said_in(b'{"choices": 5}') == Said("", 0)
