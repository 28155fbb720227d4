"""Streams of language models in every shape, as parts of known kinds."""

import json
from typing import Any, NamedTuple

from scalelag.users.engine.stream_readers import ChatReader

DONE = "[DONE]"


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
