"""The applications that speak other protocols than a plain answer, without a cluster."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve.generated import serve_pb2
from starlette.requests import Request
from starlette.responses import Response

from serve_apps.grpc_echo import GrpcEcho
from serve_apps.llm_stream import LlmStream

DONE = "data: [DONE]"


def llm(tokens: int = 4, answer: str | None = None, first_s: float = 0.0, between_s: float = 0.0):
    return LlmStream.func_or_class(
        time_to_first_token_s=first_s,
        time_between_tokens_s=between_s,
        tokens=tokens,
        answer=answer,
        truth_file=None,
    )


def ask(replica: Any, body: bytes, **headers: str) -> tuple[int, str]:
    """Status and text of the answer to `body`; a stream that breaks off ends with BROKEN."""
    sent = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def answer() -> tuple[int, str]:
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": sent}
        response: Response = await replica(Request(scope, receive))
        if not hasattr(response, "body_iterator"):
            return response.status_code, bytes(response.body).decode()
        parts: list[str] = []
        try:
            async for part in response.body_iterator:
                parts.append(part)  # noqa: PERF401  what came before it broke off is kept
        except ConnectionAbortedError:
            parts.append("BROKEN\n\n")
        return response.status_code, "".join(parts)

    return asyncio.run(answer())


def whole(replica: Any, **asked: Any) -> dict[str, Any]:
    status, text = ask(replica, json.dumps(asked).encode())
    assert status == 200
    return json.loads(text)


def lines(replica: Any, **asked: Any) -> list[str]:
    """The events of a stream, each without its blank line."""
    status, text = ask(replica, json.dumps({"stream": True, **asked}).encode())
    assert status == 200
    *events, rest = text.split("\n\n")
    assert rest == ""
    return events


def chunks(events: list[str]) -> list[dict[str, Any]]:
    return [json.loads(event.removeprefix("data: ")) for event in events]


def content(replica: Any, **asked: Any) -> list[str | None]:
    *events, _done = lines(replica, **asked)
    return [chunk["choices"][0]["delta"].get("content") for chunk in chunks(events)]


def test_a_stream_is_one_chunk_for_each_token_then_the_reason_and_done():
    *events, last = lines(llm(tokens=3), model="mine", messages=[{"role": "user", "content": "a"}])

    found = chunks(events)
    assert [chunk["choices"] for chunk in found] == [
        [{"index": 0, "delta": {"role": "assistant", "content": "t0"}, "finish_reason": None}],
        [{"index": 0, "delta": {"content": " t1"}, "finish_reason": None}],
        [{"index": 0, "delta": {"content": " t2"}, "finish_reason": None}],
        [{"index": 0, "delta": {}, "finish_reason": "stop"}],
    ]
    assert {(c["object"], c["model"]) for c in found} == {("chat.completion.chunk", "mine")}
    assert len({chunk["id"] for chunk in found}) == 1
    assert last == DONE


def test_usage_comes_in_a_chunk_of_its_own_where_it_is_asked_for():
    asked = {"messages": [{"content": "how are you"}], "stream_options": {"include_usage": True}}
    *_, usage, done = lines(llm(tokens=2), **asked)

    (chunk,) = chunks([usage])
    assert chunk["choices"] == []
    expected = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert chunk["usage"] == expected
    assert done == DONE


def test_a_whole_answer_says_what_a_stream_says():
    answer = whole(llm(tokens=3), model="mine")

    assert (answer["object"], answer["model"]) == ("chat.completion", "mine")
    message = {"role": "assistant", "content": "t0 t1 t2"}
    assert answer["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 3}


def said(*messages: tuple[str, str]) -> bytes:
    return json.dumps({"messages": [{"role": r, "content": c} for r, c in messages]}).encode()


def test_an_answer_says_what_came_of_which_turn_of_which_session():
    prompt = " ".join(f"w{k}" for k in range(40))
    body = said(("system", "s"), ("user", prompt), ("assistant", "a b"), ("user", "c"))

    _, text = ask(llm(tokens=1), body, x_session_id="1-7")

    told = json.loads(text)["scalelag"]
    assert (told["session"], told["turn"], told["prompt_tokens"]) == ("1-7", 2, 44)
    assert len(told["begins"]) == 2


def test_prompts_that_begin_alike_have_the_same_checksums():
    same = " ".join(f"w{k}" for k in range(32))
    texts = [
        ask(llm(tokens=1), said(("user", f"{same} {tail}")))[1] for tail in ("a " * 40, "b " * 40)
    ]

    one, other = (json.loads(text)["scalelag"] for text in texts)
    assert one["begins"][:2] == other["begins"][:2]
    assert one["begins"][2] != other["begins"][2]
    assert (one["session"], one["turn"]) == (None, 1)


def test_the_words_of_a_script_begin_again_at_its_end():
    assert content(llm(tokens=5, answer="once upon  a")) == [
        "once",
        " upon",
        " a",
        " once",
        " upon",
        None,
    ]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(("limit", "tokens", "reason"), [(2, 2, "length"), (9, 4, "stop")])
def test_an_answer_ends_where_the_request_says(name: str, limit: int, tokens: int, reason: str):
    answer = whole(llm(tokens=4), **{name: limit})

    assert answer["usage"]["completion_tokens"] == tokens
    assert answer["choices"][0]["finish_reason"] == reason
    assert len(lines(llm(tokens=4), **{name: limit})) == tokens + 2


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_tells_when_its_tokens_were_said(stream: bool):
    replica = llm(tokens=3, first_s=0.05, between_s=0.02)
    answer = chunks(lines(replica)[-2:-1])[0] if stream else whole(replica)
    truth = answer["scalelag"]

    assert truth["tokens"] == 3
    # The tokens are due by the loop's clock and told by the wall clock, which may be set meanwhile.
    assert truth["first_token_s"] - truth["received_s"] >= 0.05 - 0.005
    assert truth["last_token_s"] - truth["received_s"] >= 0.05 + 2 * 0.02 - 0.005


@pytest.mark.parametrize(
    ("model", "end"),
    [
        ("bad-json", ["data: {no json", DONE]),
        ("bad-error", ['data: {"error": {"message": "as asked", "type": "server_error"}}', DONE]),
        ("bad-end", []),
        ("bad-close", ["BROKEN"]),
    ],
)
def test_a_bad_stream_goes_wrong_after_two_tokens(model: str, end: list[str]):
    first, second, *rest = lines(llm(tokens=9), model=model)

    said = [chunk["choices"][0]["delta"]["content"] for chunk in chunks([first, second])]
    assert said == ["t0", " t1"]
    assert rest == end


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the body is no JSON: "),
        (b"[]", "the body is no JSON object"),
        (b'{"max_tokens": 0}', "max_tokens is 0: "),
        (b'{"max_tokens": "9"}', "max_tokens is '9': "),
        (b'{"messages": "hello"}', "messages is no list of objects"),
    ],
)
def test_what_is_no_chat_completion_is_refused(body: bytes, message: str):
    status, text = ask(llm(), body)

    error = json.loads(text)["error"]
    assert status == 400
    assert error["message"].startswith(message)
    assert error["type"] == "invalid_request_error"


def test_a_request_without_a_body_is_answered():
    status, text = ask(llm(tokens=1), b"")

    assert (status, json.loads(text)["model"]) == (200, "scripted")


def test_grpc_echo_sends_back_what_it_was_sent_and_when_it_came():
    sent: list[tuple[str, str]] = []
    context = SimpleNamespace(set_trailing_metadata=sent.extend)
    replica = GrpcEcho.func_or_class(0.05, None)

    answer = asyncio.run(
        replica.Method1(serve_pb2.UserDefinedMessage(name="hello", num=21), context)
    )
    times_s = {name: float(text) for name, text in sent}
    assert (answer.greeting, answer.num_x2) == ("hello", 42)
    assert list(times_s) == ["scalelag-received-s", "scalelag-answered-s"]
    assert times_s["scalelag-answered-s"] - times_s["scalelag-received-s"] >= 0.05 - 0.005
