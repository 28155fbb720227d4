"""Readers of streamed answers: their tokens, the times of these, and a check of the end."""

import codecs
import re
from typing import Any

import msgspec

from scalelag.plugin.worker.recorder import StreamTimes
from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.engine.event_stream import Event, EventParser

_NONE = float("nan")
_DONE = "[DONE]"
_MOST_TOKENS = 2**32 - 1
_ERROR_TYPE = re.compile(r"[\w.-]{1,50}")


class StreamReader:
    """Reads one answer in which each piece, a chunk of HTTP, is a token.

    For other answers override `take`, call `token` for each token, and raise WrongAnswerError if
    something is wrong. Override `ended` to check the end.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self._first_s = self._last_s = self._longest_gap_s = _NONE
        self._said: list[str] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(self, piece: bytes, at_s: float) -> None:
        """Take the next piece, which was read from the socket at `at_s`, in Unix seconds."""
        self.token(at_s, self._decoder.decode(piece))

    def ended(self) -> None:
        """Check the whole answer at its end. Raises WrongAnswerError if something is missing."""

    def token(self, at_s: float, text: str) -> None:
        """Count a token that came at `at_s`."""
        if self.tokens == 0:
            self._first_s = at_s
        elif not at_s - self._last_s <= self._longest_gap_s:  # true for the first gap, against NaN
            self._longest_gap_s = at_s - self._last_s
        self.tokens += 1
        self._last_s = at_s
        self._said.append(text)

    @property
    def content(self) -> bytes:
        """Text of all tokens so far."""
        return "".join(self._said).encode()

    @property
    def times(self) -> StreamTimes:
        """Fields of the record for the answer so far."""
        return StreamTimes(self._first_s, self.tokens, self._longest_gap_s)


class EventStreamReader(StreamReader):
    """Reads server-sent events: each event with data is a token, except OpenAI's `[DONE]`.

    A token counts as come when its event is complete. For other events override `event`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parser = EventParser()

    def take(self, piece: bytes, at_s: float) -> None:
        """Take the next piece."""
        for event in self._parser.feed(piece):
            self.event(event, at_s)

    def event(self, event: Event, at_s: float) -> None:
        """Take an event that came at `at_s`. Raises WrongAnswerError if it is wrong."""
        if event.data not in ("", _DONE):
            self.token(at_s, event.data)


class ChatReader(EventStreamReader):
    """Reads a chat completion as OpenAI's API streams it.

    A token is a chunk with text in it (`delta.content`). A chunk may hold several tokens: if the server
    counts them itself (`usage.completion_tokens`), its count is recorded.
    """

    def __init__(self) -> None:
        super().__init__()
        self._done = False
        self._counted: int | None = None

    def event(self, event: Event, at_s: float) -> None:
        """Take a chunk, `[DONE]` or an error. Events after `[DONE]` are ignored."""
        if self._done or event.data == _DONE:
            self._done = True
            return
        try:
            chunk = msgspec.json.decode(event.data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise WrongAnswerError("an event that is no JSON") from error
        if not isinstance(chunk, dict):
            raise WrongAnswerError("an event that is no JSON object")
        if chunk.get("error") is not None:
            raise WrongAnswerError(_error(chunk["error"]))
        if text := self.text_of(chunk):
            self.token(at_s, text)
        self._counted = _completion_tokens(chunk.get("usage"), self._counted)

    def text_of(self, chunk: dict[str, Any]) -> str:
        """Text in a chunk; empty if it holds only a role, a reason to end, or a usage."""
        choices = chunk.get("choices")
        deltas = (_object(choice).get("delta") for choice in _list(choices))
        texts = (_object(delta).get("content") for delta in deltas)
        return "".join(text for text in texts if isinstance(text, str))

    def ended(self) -> None:
        """Check that the answer ended with `[DONE]`. Raises WrongAnswerError if it did not."""
        if not self._done:
            raise WrongAnswerError("no [DONE] at its end")

    @property
    def times(self) -> StreamTimes:
        """Fields of the record for the answer so far."""
        times = super().times
        return times if self._counted is None else times._replace(tokens=self._counted)


def _error(error: object) -> str:
    """Description of OpenAI's error object, for the record."""
    kind = _object(error).get("type")
    named = isinstance(kind, str) and _ERROR_TYPE.fullmatch(kind)
    return f"an error in the stream ({kind})" if named else "an error in the stream"


def _completion_tokens(usage: object, before: int | None) -> int | None:
    count = _object(usage).get("completion_tokens")
    return count if type(count) is int and 0 <= count <= _MOST_TOKENS else before


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
