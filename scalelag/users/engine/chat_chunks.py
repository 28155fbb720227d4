"""Content of the events with which OpenAI's APIs stream: chats, completions, and responses.

https://platform.openai.com/docs/api-reference/chat-streaming, .../completions, .../responses-streaming
"""

import re
from collections.abc import Iterator, Mapping
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
_REASONING = ("reasoning_content", "reasoning", "thinking")
_TOOLS = ("tool_calls", "function_call")
_OF_TOOLS = re.compile(r"(function_call|custom_tool_call|mcp_call|code_interpreter_call)\b|_call_")
_OUTPUT_LIMIT = "max_output_tokens"
_ERROR_EVENTS = ("error", "exception")
_ERRORS = ("error", "errors", "err", "exception")
_STATES = ("error", "failed", "cancelled")
_STATUSES = ("status", "statuscode", "status_code")
# An event of these alone, with a detail, is what FastAPI and RFC 9457 make of an error.
_OF_PROBLEMS = frozenset(
    {"detail", "status", "title", "type", "instance", "code", "message", "success"}
)
_FIRST_BAD_STATUS = 400


class Chunk(msgspec.Struct, frozen=True):
    """Parts of one event: new `text`, `reasoning`, and text of a `tool` call.

    `finishes` are the reasons to finish that it gives. `tokens` is the server's count of the whole
    answer, `reasoning_tokens` those among them that are reasoning, `prompt_tokens` those of the prompt.
    `ends`: nothing comes after it.
    """

    text: str = ""
    reasoning: str = ""
    tool: str = ""
    finishes: tuple[str, ...] = ()
    tokens: int | None = None
    reasoning_tokens: int = 0
    prompt_tokens: int = 0
    ends: bool = False

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
    usage = event.get("usage")
    tokens, reasoning_tokens = _usage(usage, "completion_tokens")
    return Chunk(
        # A completion has its text in the choice itself.
        text="".join(_texts(choice.get("text")) for choice in choices)
        + "".join(_texts(delta.get("content")) + _texts(delta.get("refusal")) for delta in deltas),
        reasoning="".join(_reasoning(delta) for delta in deltas),
        tool="".join(_called(delta) for delta in deltas),
        finishes=tuple(
            str(reason) for choice in choices if (reason := choice.get("finish_reason"))
        ),
        tokens=tokens,
        reasoning_tokens=reasoning_tokens,
        prompt_tokens=_count(_object(usage).get("prompt_tokens")) or 0,
    )


def error_in(event: object, kind: str = "message") -> str | None:
    """Return a description of the error that an event of type `kind` is, None if it is none.

    Errors come as `event: error`, `{"error": ..}`, `{"object": "error"}`, `{"type": "error"}`,
    `{"errors": ..}`, as a state or a status, and as the failure of a response.
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
    kind, status = found.get("type"), [found.get(name) for name in _STATUSES]
    return (
        any(found.get(name) for name in _ERRORS)
        or (bool(found.get("detail")) and found.keys() <= _OF_PROBLEMS)
        or (_is_bad_status(found.get("code")) and "message" in found)
        or any(_is_bad_status(one) or one in _STATES for one in status)
        or found.get("success") is False
        or (isinstance(kind, str) and kind.lower().endswith(_ERROR_EVENTS))
    )


def _is_bad_status(value: object) -> bool:
    return type(value) is int and value >= _FIRST_BAD_STATUS


def _response_chunk(kind: str, event: dict[str, Any]) -> Chunk:
    """Return the parts of an event of the Responses API."""
    if kind in ("response.completed", "response.incomplete"):
        response = _object(event.get("response"))
        usage = response.get("usage")
        tokens, reasoning_tokens = _usage(usage, "output_tokens")
        why = _object(response.get("incomplete_details")).get("reason")
        finish = "length" if why == _OUTPUT_LIMIT else str(why or kind)
        finishes = ("stop",) if kind == "response.completed" else (finish,)
        return Chunk(
            finishes=finishes,
            tokens=tokens,
            reasoning_tokens=reasoning_tokens,
            prompt_tokens=_count(_object(usage).get("input_tokens")) or 0,
            ends=True,
        )
    item = _object(event.get("item"))
    if kind == "response.output_item.added":
        called = str(item.get("type", "")).endswith("_call")
        return Chunk(tool=_texts(item.get("name")) or str(item["type"])) if called else Chunk()
    if not kind.endswith(".delta"):
        return Chunk()
    delta = _texts(event.get("delta"))
    if ".reasoning" in kind:
        return Chunk(reasoning=delta)
    return Chunk(tool=delta) if _OF_TOOLS.search(kind) else Chunk(text=delta)


def _reasoning(delta: Mapping[str, Any]) -> str:
    """Return the reasoning in a delta; servers that give it twice have the same in both."""
    named = next((text for name in _REASONING if (text := _texts(delta.get(name)))), "")
    parts = (_object(part) for part in _list(delta.get("content")))
    return named or "".join(_texts(part.get("thinking")) for part in parts)


def _called(delta: Mapping[str, Any]) -> str:
    """Return names and arguments of the tool calls in a delta."""
    called: list[str] = []
    for name in _TOOLS:
        given = delta.get(name)
        for call in _list(given) if isinstance(given, list) else [given]:
            one = _object(call)
            function = _object(one.get("function")) or one
            called += (_texts(function.get("name")), _texts(function.get("arguments")))
    return "".join(called)


def _texts(value: object) -> str:
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
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None


def _described(error: object, *others: object) -> str:
    """Describe an error object for the record: by its type, which is the same for the same fault."""
    kinds = (*(_object(error).get(name) for name in ("type", "code")), *others)
    for kind in kinds:
        if isinstance(kind, str) and kind != "error" and _WORD.fullmatch(kind):
            return f"an error in the stream ({kind})"
    return "an error in the stream"


def bad_finishes(chunk: Chunk) -> Iterator[str]:
    """Yield a description of each reason to finish with which an answer is not whole."""
    for reason in chunk.finishes:
        if reason.lower() not in GOOD_FINISHES:
            yield f"finish_reason {reason if _WORD.fullmatch(reason) else 'of no known kind'}"


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
