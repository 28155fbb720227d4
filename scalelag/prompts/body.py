"""Bodies of requests to OpenAI's APIs, with a place for the prompt and for the length of the answer.

https://platform.openai.com/docs/api-reference/chat, .../completions, .../responses
"""

from typing import Any, Literal, cast

import msgspec

from scalelag.errors import UNREADABLE, UsageError

Kind = Literal["messages", "prompt", "input"]

_KINDS: tuple[Kind, ...] = ("messages", "prompt", "input")
_LIMITS: dict[Kind, tuple[str, ...]] = {
    "messages": ("max_completion_tokens", "max_tokens"),
    "prompt": ("max_tokens",),
    "input": ("max_output_tokens",),
}
_ROLES = {b"user": b'{"role":"user","content":"', b"assistant": b'{"role":"assistant","content":"'}
_PLACE, _LIMIT = "scalelag-place", "scalelag-limit"


class ChatBody:
    """Body of the options: its last message of a user, `prompt` or `input` makes way for a prompt.

    Texts are handed over and returned as they stand in a string of JSON.
    """

    def __init__(self, body: bytes | None) -> None:
        """Raise UsageError if it is no body of such an API."""
        found = _decoded(body)
        kind: Kind | None = next((kind for kind in _KINDS if kind in found), None)
        if kind is None:
            raise UsageError(
                "the body (--json-body or --body-file) has no messages, prompt or input that a prompt "
                "could take the place of. -f llm_chat.py has one"
            )
        self.kind: Kind = kind
        self._body = found
        self._is_text = isinstance(found[kind], str)
        kept, self.own_text = _without_prompt(kind, found[kind])
        self._kept = b",".join(msgspec.json.encode(message) for message in kept)
        self._limit_name = next(
            (name for name in _LIMITS[kind] if name in found), _LIMITS[kind][-1]
        )
        self._without_limit = self._parts(with_limit=False)
        self._with_limit = self._parts(with_limit=True)

    def _parts(self, *, with_limit: bool) -> tuple[tuple[bytes, bool], ...]:
        """Pieces of the body; each is followed by the prompt (True) or the limit (False)."""
        found = {**self._body, self.kind: _PLACE}
        if with_limit:
            found[self._limit_name] = _LIMIT
        # Each pair is encoded alone, so that a text of the body is never taken for a place.
        pieces: list[tuple[bytes, bool]] = []
        text = b"{"
        for number, (name, value) in enumerate(found.items()):
            text += (b"," if number else b"") + msgspec.json.encode(name) + b":"
            is_limit = with_limit and name == self._limit_name
            if name == self.kind or is_limit:
                pieces.append((text, not is_limit))
                text = b""
            else:
                text += msgspec.json.encode(value)
        return (*pieces, (text + b"}", True))

    def filled(self, history: bytes, text: bytes, answer_tokens: int | None) -> bytes:
        """Return the body with the `history` of a conversation and a new text."""
        limit = b"" if answer_tokens is None else str(answer_tokens).encode()
        *parts, (end, _) = self._without_limit if answer_tokens is None else self._with_limit
        prompt = self._prompt(history, text)
        joined = b"".join(piece + (prompt if is_prompt else limit) for piece, is_prompt in parts)
        return joined + end

    def _prompt(self, history: bytes, text: bytes) -> bytes:
        if self._is_text and not history:
            return b'"' + text + b'"'
        parts = [part for part in (self._kept, history, said(b"user", text)) if part]
        return b"[" + b",".join(parts) + b"]"


def said(role: bytes, text: bytes) -> bytes:
    """Return a message of a conversation, as JSON."""
    return _ROLES[role] + text + b'"}'


def escaped(text: str) -> bytes:
    """Return a text as it stands in a string of JSON."""
    return msgspec.json.encode(text)[1:-1]


def _decoded(body: bytes | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body or b"null")
    except UNREADABLE:
        found = None
    if not isinstance(found, dict):
        raise UsageError(
            "the body (--json-body or --body-file) is no JSON object with a place for a prompt. "
            "-f llm_chat.py has one"
        )
    return cast("dict[str, Any]", found)


def _without_prompt(kind: Kind, value: object) -> tuple[list[Any], bytes]:
    """Return the messages that are kept, and the text that a prompt takes the place of."""
    if isinstance(value, str):
        return [], escaped(value)
    messages = cast("list[Any]", value) if isinstance(value, list) else []
    if kind == "prompt" or not isinstance(value, list):
        raise UsageError(
            f"{kind} of the body is no {'text' if kind == 'prompt' else 'list or text'}"
        )
    last = messages[-1] if messages else None
    if not isinstance(last, dict) or cast("dict[str, Any]", last).get("role") != "user":
        return messages, b""
    content = cast("dict[str, Any]", last).get("content")
    return messages[:-1], escaped(content) if isinstance(content, str) else b""
