"""Users whose answers are streams: text over HTTP, server-sent events, OpenAI-style answers."""

from typing import Any

from scalelag.plugin.worker.recorder import StreamTimes
from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.chats import Said
from scalelag.users.engine.http_connections import Answer, Request
from scalelag.users.engine.http_responses import Response
from scalelag.users.engine.stream_readers import (
    ChatReader,
    EventStreamReader,
    JsonReader,
    StreamReader,
)
from scalelag.users.http import HttpPlanUser

_REST_S = 0.25
_UNREAD = "unread"


class StreamedAnswer(Answer, frozen=True):
    """A whole streamed answer: `content` holds its tokens, `raw` the bytes as they came."""

    raw: bytes
    times: StreamTimes


class StreamUser(HttpPlanUser):
    """Sends the request of the options, and records when the tokens of its answer came.

    Each server-sent event is a token. If the answer is no `text/event-stream`, each chunk is one. For
    other tokens override `reader`, and return a StreamReader of your own.
    """

    abstract = True

    def reader(self, response: Response) -> StreamReader:
        """Return a reader for the body of `response`. Its head has come, with a 2xx status.

        Raises WrongAnswerError if the head announces no stream that can be read.
        """
        if is_event_stream(response):
            return EventStreamReader()
        return JsonReader() if "json" in _content_type(response) else StreamReader()

    def receive(self, request: Request, context: dict[str, Any]) -> Answer:
        """Send `request` and return its whole answer. Raises WrongAnswerError."""
        response = self.connections.stream(request, self.worker.clock.now)
        # Recorded even if the answer breaks off.
        status = context["status"] = response.status_code
        pieces: list[bytes] = []
        try:
            if not 200 <= status < 300:
                pieces += [piece for piece, _ in response.pieces()]
                return Answer(status, response.info(), b"".join(pieces))
            reader = self.reader(response)
            try:
                for piece, at_s in response.pieces():
                    pieces.append(piece)
                    reader.take(piece, at_s)
                    if reader.is_over:
                        break
                reader.ended()
                if reader.is_over:
                    context[_UNREAD] = response
            finally:
                context["stream"] = reader.times
        finally:
            if _UNREAD not in context:
                response.release()
        raw = b"".join(pieces)
        return StreamedAnswer(status, response.info(), reader.content, raw, reader.times)

    def said(self, answer: Answer) -> Said:
        """Return the text of a stream and its tokens, or those of a whole answer."""
        if isinstance(answer, StreamedAnswer):
            return Said(answer.text, answer.times.tokens)
        return super().said(answer)

    def recorded(self, context: dict[str, Any]) -> None:
        """Read what comes after the end of the answer, so that its connection can be used again."""
        response = context.get(_UNREAD)
        if response is not None:
            response.finish(_REST_S)
            response.release()


class ChatUser(StreamUser):
    """Sends chats to an OpenAI-style API; the body of the options must ask for a stream.

    Chats, completions and the Responses API are read, whatever the path. A token is a chunk with text,
    reasoning or a tool call in it. If the server counts the tokens itself (`usage`; ask for it with
    `"stream_options": {"include_usage": true}`), its count is recorded.
    """

    abstract = True

    def reader(self, response: Response) -> StreamReader:
        """Return a reader for chunks of a chat. Raises WrongAnswerError for any other answer."""
        if not is_event_stream(response):
            raise WrongAnswerError("no event stream")
        return ChatReader()


def is_event_stream(response: Response) -> bool:
    """Return whether the head of `response` announces server-sent events.

    Raises WrongAnswerError if they are compressed: they would not be found in it.
    """
    if _content_type(response) != "text/event-stream":
        return False
    if str(response.get("content-encoding", "identity")).strip().lower() not in ("", "identity"):
        raise WrongAnswerError("a compressed stream")
    return True


def _content_type(response: Response) -> str:
    kind, _, _ = str(response.get("content-type")).partition(";")
    return kind.strip().lower()
