"""Answers chat completions as OpenAI's API does, with scripted tokens at set times."""

import asyncio
import json
import sys
import time
import uuid
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from ray import cloudpickle, serve
from ray.serve import Application
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from serve_apps.scaling import MaxOngoingRequests, ScalingArgs, TargetOngoingRequests
from serve_apps.truth import TruthFile, TruthFilePath

SESSION_HEADER = "x-session-id"
_TOKENS_BEFORE_FAULT = 2
_FIRST_WORDS, _MOST_BEGINNINGS = 16, 12


class LlmStreamArgs(ScalingArgs):
    """The arguments of `serve_apps.llm_stream:app`.

    By default an answer takes 0.4 s, so that 40 rps keep 16 requests in progress. Every token costs
    Serve about 2 ms of CPU time on its way: 320 a second are what 2 cores bear well beside the load.
    """

    time_to_first_token_s: float = Field(
        default=0.12, ge=0, le=3600, description="From a request to the first token of its answer."
    )
    time_between_tokens_s: float = Field(
        default=0.04, ge=0, le=3600, description="From each token to the next."
    )
    tokens: int = Field(
        default=8,
        ge=1,
        le=1_000_000,
        description="Tokens of an answer; max_tokens may allow less.",
    )
    answer: str | None = Field(
        default=None,
        pattern=r"\S",
        description="Words to answer with, over and over again; unset means t0 t1 t2 and so on.",
    )
    target_ongoing_requests: TargetOngoingRequests = 4.0
    max_ongoing_requests: MaxOngoingRequests = 16
    truth_file: TruthFilePath = None


class BadRequestError(ValueError):
    """A request that is no chat completion; its text says why."""


@dataclass
class Reply:
    """One answer under way. Times are Unix time on the replica's machine.

    `turn` counts the messages of the user. `begins` are checksums of the first 16, 32, 64, ... words of
    the prompt: prompts that begin alike have the same.
    """

    model: str
    prompt_tokens: int
    planned_tokens: int
    finish_reason: str
    received_s: float
    turn: int = 1
    begins: tuple[int, ...] = ()
    session: str | None = None
    sent_tokens: int = 0
    first_token_s: float | None = None
    last_token_s: float | None = None

    def __post_init__(self) -> None:
        self._id = f"chatcmpl-{uuid.uuid4().hex}"

    @classmethod
    def to(
        cls, asked: dict[str, Any], tokens: int, received_s: float, session: str | None = None
    ) -> "Reply":
        """The reply to the request `asked`; `tokens` where it allows as many."""
        limits = [asked.get(name) for name in ("max_completion_tokens", "max_tokens")]
        limit = next((given for given in limits if given is not None), tokens)
        messages = asked.get("messages", [])
        if not isinstance(limit, int) or limit < 1:
            raise BadRequestError(f"max_tokens is {limit!r}: it takes a whole number from 1")
        if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
            raise BadRequestError("messages is no list of objects")
        words = [word for m in messages for word in str(m.get("content", "")).split()]
        return cls(
            model=str(asked.get("model", "scripted")),
            prompt_tokens=len(words),
            planned_tokens=min(limit, tokens),
            finish_reason="length" if limit < tokens else "stop",
            received_s=received_s,
            turn=sum(m.get("role") == "user" for m in messages),
            begins=beginnings(words),
            session=session,
        )

    def note_token(self) -> None:
        """A token is about to be sent."""
        self.sent_tokens += 1
        self.last_token_s = time.time()
        if self.first_token_s is None:
            self.first_token_s = self.last_token_s

    def object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        """Fields that every object of OpenAI's has, and its choices."""
        return {
            "id": self._id,
            "object": kind,
            "created": int(self.received_s),
            "model": self.model,
            "choices": choices,
        }

    def chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
        """One part of a stream."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return self.object("chat.completion.chunk", [choice])

    def usage(self) -> dict[str, int]:
        """OpenAI's count of what was said; words of the prompt count as tokens."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.sent_tokens,
            "total_tokens": self.prompt_tokens + self.sent_tokens,
        }

    def truth(self) -> dict[str, Any]:
        """Return what came and when it was answered, for a client whose figures are to be checked."""
        return {
            "received_s": self.received_s,
            "first_token_s": self.first_token_s,
            "last_token_s": self.last_token_s,
            "tokens": self.sent_tokens,
            "prompt_tokens": self.prompt_tokens,
            "session": self.session,
            "turn": self.turn,
            "begins": self.begins,
        }


@serve.deployment()
class LlmStream:
    """Answers every request with scripted tokens, whatever its method and path."""

    def __init__(
        self,
        *,
        time_to_first_token_s: float,
        time_between_tokens_s: float,
        tokens: int,
        answer: str | None,
        truth_file: str | None,
    ) -> None:
        self._truth = TruthFile(truth_file)
        self._truth.note("constructor_entered")
        self._first_s = time_to_first_token_s
        self._between_s = time_between_tokens_s
        self._tokens = tokens
        self._words = answer.split() if answer else None
        self._truth.note("constructor_left")

    async def __call__(self, request: Request) -> Response:
        """The whole answer, or with `"stream": true` its tokens as they come."""
        received_s, begun_s = time.time(), asyncio.get_running_loop().time()
        self._truth.note_request()
        try:
            asked = parse(await request.body())
            session = request.headers.get(SESSION_HEADER)
            reply = Reply.to(asked, self._tokens, received_s, session)
        except BadRequestError as error:
            return JSONResponse({"error": error_object(str(error), "invalid_request_error")}, 400)
        if asked.get("stream"):
            events = self._events(reply, begun_s, with_usage=wants_usage(asked))
            return StreamingResponse(events, media_type="text/event-stream")
        message = {"role": "assistant", "content": ""}
        async for token in self._spoken(reply, begun_s):
            message["content"] += token
        choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
        whole = reply.object("chat.completion", [choice])
        return JSONResponse(whole | {"usage": reply.usage(), "scalelag": reply.truth()})

    async def _spoken(self, reply: Reply, begun_s: float) -> AsyncIterator[str]:
        """The tokens, each when it is due: counted from the beginning, so that none is late twice."""
        clock = asyncio.get_running_loop().time
        for number in range(reply.planned_tokens):
            due_s = begun_s + self._first_s + number * self._between_s
            await asyncio.sleep(due_s - clock())
            word = self._words[number % len(self._words)] if self._words else f"t{number}"
            reply.note_token()
            yield word if number == 0 else f" {word}"

    async def _events(
        self, reply: Reply, begun_s: float, *, with_usage: bool
    ) -> AsyncIterator[str]:
        async for token in self._spoken(reply, begun_s):
            role = {"role": "assistant"} if reply.sent_tokens == 1 else {}
            yield event(reply.chunk({**role, "content": token}))
            if reply.model in BAD_STREAMS and reply.sent_tokens == _TOKENS_BEFORE_FAULT:
                for line in BAD_STREAMS[reply.model]:
                    yield line
                if reply.model == "bad-close":
                    raise ConnectionAbortedError("llm_stream: closed in mid-stream, as asked")
                return
        end = event(reply.chunk({}, reply.finish_reason) | {"scalelag": reply.truth()})
        if with_usage:
            end += event(reply.object("chat.completion.chunk", []) | {"usage": reply.usage()})
        yield end + DONE


def parse(body: bytes) -> dict[str, Any]:
    """The request's JSON object, an empty one for no body. Raises BadRequestError for others."""
    try:
        asked = json.loads(body or b"{}")
    except ValueError as error:
        raise BadRequestError(f"the body is no JSON: {error}") from error
    if not isinstance(asked, dict):
        raise BadRequestError("the body is no JSON object")
    return asked


def beginnings(words: list[str]) -> tuple[int, ...]:
    """Return checksums of the first 16, 32, 64, ... words, as far as there are as many."""
    lengths = [_FIRST_WORDS << power for power in range(_MOST_BEGINNINGS)]
    return tuple(
        zlib.crc32(" ".join(words[:length]).encode()) for length in lengths if length <= len(words)
    )


def wants_usage(asked: dict[str, Any]) -> bool:
    """Return whether `stream_options` ask for a chunk with `usage` at the end."""
    options = asked.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def event(data: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(data)}\n\n"


def error_object(message: str, kind: str) -> dict[str, str]:
    """An error as OpenAI words it."""
    return {"message": message, "type": kind}


DONE = "data: [DONE]\n\n"
BAD_STREAMS: dict[str, tuple[str, ...]] = {
    "bad-json": ("data: {no json\n\n", DONE),
    "bad-error": (event({"error": error_object("as asked", "server_error")}), DONE),
    "bad-end": (),
    "bad-close": (),
}
"""By the name of the model: what a stream ends with in place of the rest of its tokens."""


def app(args: LlmStreamArgs) -> Application:
    """One autoscaled deployment, `LlmStream`."""
    return LlmStream.options(**args.deployment_options()).bind(
        time_to_first_token_s=args.time_to_first_token_s,
        time_between_tokens_s=args.time_between_tokens_s,
        tokens=args.tokens,
        answer=args.answer,
        truth_file=args.truth_file,
    )


# Replicas get the functions above with the deployment's class, so that they need nothing but Ray.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
