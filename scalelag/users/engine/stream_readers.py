"""Readers of streamed answers: their tokens, the times of these, and a check of the end."""

import codecs
import json
from typing import Any, cast

import msgspec

from scalelag.plugin.worker.recorder import StreamTimes
from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.engine.chat_chunks import Chunk, bad_finishes, chunk_of, error_in
from scalelag.users.engine.event_stream import Event, EventParser

_NONE = float("nan")
_DONE = "[DONE]"
_NO_JSON = object()


class StreamReader:
    """Reads one answer in which each piece, a chunk of HTTP, is a token.

    For other answers override `take`, call `token` for each token, and raise WrongAnswerError if
    something is wrong. Override `ended` to check the end. Set `is_over` when the answer has ended
    before its stream: nothing more is read then.
    """

    is_over = False

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
        if self.tokens == 0:
            raise WrongAnswerError("no token in it")

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
        # Halves of a character that came in two tokens are one again.
        halves = "".join(self._said).encode("utf-16", "surrogatepass")
        return halves.decode("utf-16", "replace").encode()

    @property
    def times(self) -> StreamTimes:
        """Fields of the record for the answer so far."""
        return StreamTimes(
            self._first_s, self.tokens, self._longest_gap_s, self._last_s, self.tokens
        )


class JsonReader(StreamReader):
    """Reads JSON, or JSON Lines: each piece is a token, and an error in it is a wrong answer."""

    def ended(self) -> None:
        """Check the whole answer. Raises WrongAnswerError if it is empty, or has an error in it."""
        text = self.content.decode()
        whole = _decoded(text)
        for one in [whole] if whole is not _NO_JSON else map(_decoded, text.split("\n")):
            _check(one, "message")
        super().ended()


class EventStreamReader(StreamReader):
    """Reads server-sent events: each event with data is a token, except OpenAI's `[DONE]`.

    A token counts as come when its event is complete. An error in the stream is a wrong answer, in any
    of its usual shapes. For other events override `event`, and `unended` for the last one if it lacks
    its empty line.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parser = EventParser()
        self._piece_s = _NONE

    def take(self, piece: bytes, at_s: float) -> None:
        """Take the next piece."""
        self._piece_s = at_s
        for event in self._parser.feed(piece):
            self.event(event, at_s)

    def event(self, event: Event, at_s: float) -> None:
        """Take an event that came at `at_s`. Raises WrongAnswerError if it is wrong."""
        if _is_done(event):
            return
        if event.type != "message" or event.data.lstrip().startswith("{"):
            _check(_decoded(event.data), event.type)
        if event.data:
            self.token(at_s, event.data)

    def unended(self, event: Event, at_s: float) -> None:  # noqa: ARG002  of use to others
        """Take a last event that lacks its empty line: the standard drops it, unless it is an error."""
        _check(_decoded(event.data), event.type)

    def ended(self) -> None:
        """Check the whole answer at its end. Raises WrongAnswerError if something is missing."""
        self._take_rest()
        super().ended()

    def _take_rest(self) -> None:
        event = self._parser.rest()
        if event is not None:
            self.unended(event, self._piece_s)


class ChatReader(EventStreamReader):
    """Reads chats, completions and responses as OpenAI's APIs stream them.

    A token is a chunk with something of the answer in it: text, reasoning, or a tool call. A chunk may
    hold several tokens: if the server counts them itself (`usage`), its count is recorded. One of 0, or
    one that more of the answer came after, is none of the whole answer. An answer is good if a token
    came, and the server said that it is whole: by `[DONE]`, by a reason to finish (`GOOD_FINISHES`) of
    each of its choices that began, or by `response.completed`. After an event that is nothing known
    `[DONE]` only says that the stream is over. A last event that lacks its empty line is taken if it is
    whole, as by openai-node and by clients that read lines: openai-python passes it over, and finds
    nothing wrong with such an answer (https://github.com/openai/openai-node/pull/2726).
    """

    def __init__(self) -> None:
        super().__init__()
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._is_response = self._has_odd_event = False
        self._counted: int | None = None
        self._counted_reasoning = self._prompt_tokens = 0
        self._first_text_s = self._first_reasoning_s = self._first_tool_call_s = _NONE

    def event(self, event: Event, at_s: float) -> None:
        """Take a chunk, `[DONE]` or an error. Events after the end are ignored."""
        if self.is_over or _is_done(event):
            self.is_over = True
            return
        found = _decoded(event.data)
        _check(found, event.type)
        if found is _NO_JSON:
            raise WrongAnswerError("an event that is no JSON")
        if not isinstance(found, dict):
            raise WrongAnswerError("an event that is no JSON object")
        self._take(cast("dict[str, Any]", found), at_s)

    def unended(self, event: Event, at_s: float) -> None:
        """Take `[DONE]`, or what is JSON; anything else was cut off."""
        if _is_done(event) or isinstance(_decoded(event.data), dict):
            self.event(event, at_s)

    def _take(self, found: dict[str, Any], at_s: float) -> None:
        chunk = chunk_of(found)
        self._is_response |= str(found.get("type")).startswith("response.")
        if chunk.is_token:
            self._moment(chunk, at_s)
            self.token(at_s, chunk.said)
            self._counted = None
        if chunk.tokens:
            self._counted, self._counted_reasoning = chunk.tokens, chunk.reasoning_tokens
        self._prompt_tokens = chunk.prompt_tokens or self._prompt_tokens
        for bad in bad_finishes(chunk):
            raise WrongAnswerError(bad)
        self._begun.update(chunk.answers)
        self._finished.update(chunk.finishes)
        self._has_odd_event |= not chunk.is_known
        self.is_over = chunk.ends

    def _moment(self, chunk: Chunk, at_s: float) -> None:
        """Note the first moment of each kind. NaN is not equal to itself."""
        if chunk.text and self._first_text_s != self._first_text_s:
            self._first_text_s = at_s
        if chunk.reasoning and self._first_reasoning_s != self._first_reasoning_s:
            self._first_reasoning_s = at_s
        if chunk.tool and self._first_tool_call_s != self._first_tool_call_s:
            self._first_tool_call_s = at_s

    def ended(self) -> None:
        """Check that the answer is whole, and not empty. Raises WrongAnswerError if it is not."""
        self._take_rest()
        has_finished = bool(self._finished) and self._begun <= self._finished
        if not self.is_over and not has_finished:
            missing = "response.completed" if self._is_response else _DONE
            raise WrongAnswerError(f"no {missing} at its end")
        if self._has_odd_event and not has_finished:
            raise WrongAnswerError("an event of no known kind, and no finish_reason")
        super().ended()

    @property
    def times(self) -> StreamTimes:
        """Fields of the record for the answer so far."""
        times = super().times._replace(
            first_text_s=self._first_text_s,
            first_reasoning_s=self._first_reasoning_s,
            first_tool_call_s=self._first_tool_call_s,
            prompt_tokens=self._prompt_tokens,
        )
        if self._counted is None:
            return times
        was_shown = self._first_reasoning_s == self._first_reasoning_s
        hidden = 0 if was_shown else self._counted_reasoning
        # Reasoning that was not streamed has no place between the first and the last token.
        timed = self._counted - hidden if self.tokens else 0
        return times._replace(tokens=self._counted, timed_tokens=max(0, timed))


def _is_done(event: Event) -> bool:
    """Return whether an event is OpenAI's end of a stream, as its own clients read it."""
    return event.data.startswith(_DONE)


def _check(found: object, kind: str) -> None:
    """Raise WrongAnswerError if an event of type `kind` is an error."""
    if (error := error_in(found, kind)) is not None:
        raise WrongAnswerError(error)


def _decoded(data: str) -> object:
    """Return the JSON in a text; some servers also send NaN, and others half of a character."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return _NO_JSON
