"""Users whose answers come as streams: text over HTTP, server-sent events, OpenAI's chats."""

from typing import Any

from geventhttpclient.response import HTTPSocketPoolResponse

from scalelag.plugin.worker.recorder import StreamTimes
from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.engine.http_connections import Answer, Request
from scalelag.users.engine.stream_readers import ChatReader, EventStreamReader, StreamReader
from scalelag.users.http import HttpPlanUser


class StreamedAnswer(Answer, frozen=True):
    """An answer that came as a stream, whole: `content` are its tokens, `raw` is what came."""

    raw: bytes
    times: StreamTimes


class StreamUser(HttpPlanUser):
    """Sends the request that the options describe, and records when the tokens of its answer came.

    Each server-sent event is a token; of an answer that is no `text/event-stream`, each chunk. Where
    tokens are something else, override `reader` with a StreamReader of your own.
    """

    abstract = True

    def reader(self, response: HTTPSocketPoolResponse) -> StreamReader:
        """What reads the body of `response`, of which the head has come, with a success for status.

        Raises WrongAnswerError where it is no answer that can be read.
        """
        return EventStreamReader() if is_event_stream(response) else StreamReader()

    def receive(self, request: Request, context: dict[str, Any]) -> Answer:
        """Send `request`, and wait until its answer is there, whole. Raises WrongAnswerError."""
        response = self.connections.stream(request, self.worker.clock.now)
        # In the record also where the answer breaks off.
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
                reader.ended()
            finally:
                context["stream"] = reader.times
        finally:
            response.release()
        raw = b"".join(pieces)
        return StreamedAnswer(status, response.info(), reader.content, raw, reader.times)


class ChatUser(StreamUser):
    """Sends chats as OpenAI's API takes them; the body of the options must ask for a stream.

    Tokens are the chunks with text in them (`delta.content`), or as many as the server says at the
    end (`usage`, which `"stream_options": {"include_usage": true}` in the body asks for).
    """

    abstract = True

    def reader(self, response: HTTPSocketPoolResponse) -> StreamReader:
        """What reads the chunks. Raises WrongAnswerError for an answer that is no event stream."""
        if not is_event_stream(response):
            raise WrongAnswerError("no event stream")
        return ChatReader()


def is_event_stream(response: HTTPSocketPoolResponse) -> bool:
    """Whether the head of `response` announces server-sent events."""
    kind, _, _ = str(response.get("content-type")).partition(";")
    return kind.strip().lower() == "text/event-stream"
