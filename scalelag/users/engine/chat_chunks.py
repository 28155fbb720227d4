"""Content of the events with which OpenAI's APIs stream: chats, completions, and responses.

https://platform.openai.com/docs/api-reference/chat-streaming, .../completions, .../responses-streaming
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

import msgspec

GOOD_FINISHES: Final = frozenset(
    {
        *("stop", "length", "tool_calls", "function_call"),
        # As other servers of this API word the same.
        *("eos", "eos_token", "end_turn", "stop_sequence", "max_tokens", "tool_use", "tool_call"),
    }
)
"""Reasons to finish with which an answer is what was asked for. Others mean that it is not whole."""

_MOST_TOKENS = 2**32 - 1
_WORD = re.compile(r"[\w.-]{1,50}")
_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)
_REASONING = ("reasoning_content", "reasoning", "thinking")
_TOOLS = ("tool_calls", "function_call")
_OF_TOOLS = re.compile(r"(function_call|custom_tool_call|mcp_call|code_interpreter_call)\b|_call_")
_OUTPUT_LIMIT = "max_output_tokens"
_STATES = ("error", "failed", "failure", "cancelled", "canceled")
_FIRST_BAD_STATUS = 400
_CODES = ("code", "status", "status_code", "statuscode")
_FAULTS = (
    *("error", "errors", "err", "exception"),
    *("error_code", "error_msg", "error_message", "errormessage"),
)
_ERROR_EVENTS = ("error", "exception")
# An event of these alone, with a detail, is what FastAPI and RFC 9457 make of an error.
_OF_PROBLEMS = frozenset(
    {"detail", "status", "title", "type", "instance", "code", "message", "success"}
)
_PINGS = ("ping", "heartbeat", "keepalive", "keep-alive")


class Chunk(msgspec.Struct, frozen=True):
    """Parts of one event: new `text`, `reasoning`, and text of a `tool` call.

    `said` is the text, with tool calls, of the first of several answers to one request (`n`).
    `answers` are the numbers of those that it is a part of, and `finishes` the reasons to finish that
    it gives, by these numbers. `tokens` is the server's count of the whole answer, `reasoning_tokens`
    those among them that are reasoning, `prompt_tokens` those of the prompt. `ends`: nothing comes
    after it. `is_known` is False for an event that is no part of an answer, and nothing else known.
    """

    text: str = ""
    reasoning: str = ""
    tool: str = ""
    said: str = ""
    answers: tuple[int, ...] = ()
    finishes: Mapping[int, str] = MappingProxyType({})
    tokens: int | None = None
    reasoning_tokens: int = 0
    prompt_tokens: int = 0
    ends: bool = False
    is_known: bool = True

    @property
    def is_token(self) -> bool:
        """Return whether something of the answer is in it."""
        return bool(self.text or self.reasoning or self.tool)


def chunk_of(event: dict[str, Any]) -> Chunk:
    """Return the parts of an event of a chat, a completion or a response."""
    kind = event.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        return _response_chunk(kind, event)
    choices = [_object(choice) for choice in _list(event.get("choices"))]
    deltas = [_object(choice.get("delta")) for choice in choices]
    numbers = [_count(choice.get("index")) or 0 for choice in choices]
    # A completion has its text in the choice itself.
    texts = [
        texts_in(choice.get("text"))
        + texts_in(delta.get("content"))
        + texts_in(delta.get("refusal"))
        for choice, delta in zip(choices, deltas, strict=True)
    ]
    tools = [_called(delta) for delta in deltas]
    of_each = zip(numbers, texts, tools, strict=True)
    usage = event.get("usage")
    tokens, reasoning_tokens = _usage(usage, "completion_tokens")
    return Chunk(
        text="".join(texts),
        reasoning="".join(_reasoning(delta) for delta in deltas),
        tool="".join(tools),
        said="".join(text + tool for number, text, tool in of_each if number == 0),
        answers=tuple(numbers),
        finishes={
            number: str(reason)
            for number, choice in zip(numbers, choices, strict=True)
            if (reason := choice.get("finish_reason"))
        },
        tokens=tokens,
        reasoning_tokens=reasoning_tokens,
        prompt_tokens=_count(_object(usage).get("prompt_tokens")) or 0,
        is_known=_is_known(event),
    )


def whole_chunk(found: object) -> Chunk:
    """Return the parts of an answer that is no stream: a chat, or a response."""
    answer = _object(found)
    choices = [_object(choice) for choice in _list(answer.get("choices"))]
    if choices:
        messages = [{**choice, "delta": choice.get("message")} for choice in choices]
        return chunk_of({"choices": messages, "usage": answer.get("usage")})
    items = [_object(item) for item in _list(answer.get("output"))]
    text = "".join(texts_in(one.get("content")) for one in items if one.get("type") != "reasoning")
    return Chunk(text=text, said=text, tokens=_usage(answer.get("usage"), "output_tokens")[0])


def _is_known(event: Mapping[str, Any]) -> bool:
    """Return whether an event is a part of an answer, or says nothing."""
    says_nothing = all(value is None for value in event.values())
    is_part = "choices" in event or "usage" in event
    is_named = str(event.get("object")).startswith(("chat.completion", "text_completion"))
    return says_nothing or is_part or is_named or event.get("type") in _PINGS


def error_in(event: object, kind: str = "message") -> str | None:
    """Return a description of the error that an event of type `kind` is, None if it is none.

    Errors come as `event: error`, `{"error": ..}`, `{"object": "error"}`, `{"type": "error"}`,
    `{"errors": ..}`, as a state, as a status of HTTP, and as the failure of a response.
    """
    found = _object(event)
    if found.get("error"):
        return _described(found["error"], found.get("error_type"))
    for choice in _list(found.get("choices")):
        if inner := _object(choice).get("error"):
            return _described(inner)
    named = found.get("type")
    if kind.lower() in _ERROR_EVENTS or "error" in (named, found.get("object")):
        return _described(found, found.get("code"))
    if named in ("response.failed", "response.error", "response.cancelled"):
        return _described(_object(found.get("response")).get("error") or {"type": named})
    return _described(found) if "choices" not in found and _has_failed(found) else None


def _has_failed(event: Mapping[str, Any]) -> bool:
    """Return whether an event that is part of no answer is that of a failure."""
    found = {name.lower(): value for name, value in event.items()}
    kind = found.get("type")
    return (
        any(_is_bad_status(found.get(name)) for name in _CODES)
        or any(found.get(name) for name in _FAULTS)
        or (bool(found.get("detail")) and found.keys() <= _OF_PROBLEMS)
        or found.get("status") in _STATES
        or found.get("success") is False
        or (isinstance(kind, str) and kind.lower().endswith(_ERROR_EVENTS))
    )


def _is_bad_status(code: object) -> bool:
    """Return whether a code is a status of HTTP that says so, or above; also as a text."""
    number = int(code) if isinstance(code, str) and _DIGITS.fullmatch(code) else code
    return type(number) is int and number >= _FIRST_BAD_STATUS


def _response_chunk(kind: str, event: dict[str, Any]) -> Chunk:
    """Return the parts of an event of the Responses API."""
    if kind in ("response.completed", "response.incomplete"):
        response = _object(event.get("response"))
        usage = response.get("usage")
        tokens, reasoning_tokens = _usage(usage, "output_tokens")
        why = _object(response.get("incomplete_details")).get("reason")
        finish = "length" if why == _OUTPUT_LIMIT else str(why or kind)
        return Chunk(
            finishes={0: "stop" if kind == "response.completed" else finish},
            tokens=tokens,
            reasoning_tokens=reasoning_tokens,
            prompt_tokens=_count(_object(usage).get("input_tokens")) or 0,
            ends=True,
        )
    item = _object(event.get("item"))
    if kind == "response.output_item.added":
        called = str(item.get("type", "")).endswith("_call")
        name = texts_in(item.get("name")) or str(item["type"]) if called else ""
        return Chunk(tool=name, said=name)
    if not kind.endswith(".delta"):
        return Chunk()
    delta = texts_in(event.get("delta"))
    if ".reasoning" in kind:
        return Chunk(reasoning=delta)
    if _OF_TOOLS.search(kind):
        return Chunk(tool=delta, said=delta)
    return Chunk(text=delta, said=delta)


def _reasoning(delta: Mapping[str, Any]) -> str:
    """Return the reasoning in a delta; servers that give it twice have the same in both."""
    named = next((text for name in _REASONING if (text := texts_in(delta.get(name)))), "")
    parts = (_object(part) for part in _list(delta.get("content")))
    return named or "".join(texts_in(part.get("thinking")) for part in parts)


def _called(delta: Mapping[str, Any]) -> str:
    """Return names and arguments of the tool calls in a delta."""
    called: list[str] = []
    for name in _TOOLS:
        given = delta.get(name)
        for call in _list(given) if isinstance(given, list) else [given]:
            one = _object(call)
            function = _object(one.get("function")) or one
            called += (texts_in(function.get("name")), texts_in(function.get("arguments")))
    return "".join(called)


def texts_in(value: object) -> str:
    """Return a text, or the joined texts of a list of parts."""
    if isinstance(value, str):
        return value
    parts = (_object(part) for part in _list(value))
    return "".join(text for part in parts if isinstance(text := part.get("text"), str))


def _usage(usage: object, name: str) -> tuple[int | None, int]:
    """Return the server's count of the answer's tokens, and those of its reasoning."""
    found = _object(usage)
    details = _object(found.get(f"{name}_details"))
    return _count(found.get(name)), _count(details.get("reasoning_tokens")) or 0


def _count(value: object) -> int | None:
    """Return a count; JSON has one kind of number, so that 40.0 is one, too."""
    if type(value) not in (int, float) or not 0 <= (number := cast("float", value)) <= _MOST_TOKENS:
        return None
    return int(number) if number == int(number) else None


def _described(error: object, *others: object) -> str:
    """Describe an error object for the record: by its type, which is the same for the same fault."""
    kinds = (*(_object(error).get(name) for name in ("type", "code")), *others)
    for kind in kinds:
        if isinstance(kind, str) and kind != "error" and _WORD.fullmatch(kind):
            return f"an error in the stream ({kind})"
    return "an error in the stream"


def bad_finishes(chunk: Chunk) -> Iterator[str]:
    """Yield a description of each reason to finish with which an answer is not whole."""
    for reason in chunk.finishes.values():
        if reason.lower() not in GOOD_FINISHES:
            yield f"finish_reason {reason if _WORD.fullmatch(reason) else 'of no known kind'}"


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
