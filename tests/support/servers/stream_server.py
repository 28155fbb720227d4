"""An HTTP endpoint that streams what a script says, byte by byte, and notes when it wrote each token.

As a command, `python -m tests.support.servers.stream_server` prints its URL when it listens and
ends when its standard input closes. The first part of a request's path names the script, the rest
is free: `/good/17`. What `/` and `/v1/chat/completions` get is `good`; `/-/healthz` is answered,
and `/log` tells what has come, and what was written when.
"""

import asyncio
import itertools
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

import msgspec

from tests.support.servers.http_connection import HttpConnection, parts_of
from tests.support.servers.own_process import ServerProcess, announce_until_unneeded, running


class StreamLog(msgspec.Struct, frozen=True):
    """One request, and when each token of its answer was written, in Unix seconds.

    `connection` tells apart the connections that requests came on.
    """

    connection: int
    method: str
    path: str
    headers: dict[str, str]
    body: str
    tokens_s: list[float]


class Write(msgspec.Struct, frozen=True):
    """Bytes to write `after_s` after those before; `token` if they complete one."""

    data: bytes
    after_s: float = 0.0
    token: bool = False


CLOSE, RESET = Write(b"close", 0.03), Write(b"reset", 0.03)
"""In place of a write: the connection ends."""

Script = Sequence[Write]


def head(kind: str, *more: str, status: int = 200) -> Write:
    """The head of an answer in chunks."""
    lines = [f"HTTP/1.1 {status} As asked", f"Content-Type: {kind}", *more]
    return Write(("\r\n".join([*lines, "Transfer-Encoding: chunked"]) + "\r\n\r\n").encode())


def chunk(data: str, after_s: float = 0.0, *, token: bool = False) -> Write:
    """A whole chunk."""
    body = data.encode()
    return Write(b"%x\r\n%b\r\n" % (len(body), body), after_s, token)


def said(text: str, after_s: float = 0.0) -> Write:
    """A chunk with an event that says `text`, as OpenAI's API has it."""
    data = f'{{"choices": [{{"index": 0, "delta": {{"content": "{text}"}}}}]}}'
    return chunk(f"data: {data}\n\n", after_s, token=True)


def other(data: str) -> Write:
    """A chunk with an event that says nothing."""
    return chunk(f"data: {data}\n\n")


def delta(fields: str, after_s: float = 0.0) -> Write:
    """A chunk with a token of a chat, of any kind."""
    return chunk(f'data: {{"choices": [{{"delta": {{{fields}}}}}]}}\n\n', after_s, token=True)


def response(kind: str, fields: str, after_s: float = 0.0, *, token: bool = False) -> Write:
    """A chunk with an event of the Responses API."""
    name = f"response.{kind}"
    return chunk(f'event: {name}\ndata: {{"type": "{name}", {fields}}}\n\n', after_s, token=token)


def cut(write: Write, size: int = 9, every_s: float = 0.002) -> list[Write]:
    """The same bytes in pieces, of which the last one completes the event."""
    most, last = write.data[:-4], write.data[-4:]
    pieces = [most[at : at + size] for at in range(0, len(most), size)]
    return [*(Write(piece, every_s) for piece in pieces), Write(last, every_s, token=True)]


EVENTS = head("text/event-stream; charset=utf-8")
ROLE = other('{"choices": [{"delta": {"role": "assistant", "content": ""}}]}')
STOP = other('{"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": null}')
USAGE = other('{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 7}}')
DONE, END = other("[DONE]"), Write(b"0\r\n\r\n")
FILTERED = other('{"choices": [{"delta": {}, "finish_reason": "content_filter"}]}')
COUNTED_20 = other('{"choices": [], "usage": {"completion_tokens": 20}}')
TWO = (EVENTS, said("Hel", 0.05), said("lo", 0.03))
MORE_THAN_A_READ = "x" * 200_000

SCRIPTS: Final[dict[str, Script]] = {
    # Chats
    "good": (EVENTS, ROLE, said("Hel", 0.05), said("lo", 0.02), said("!", 0.12), STOP, DONE, END),
    "counted": (EVENTS, said("Hel", 0.03), said("lo", 0.03), STOP, USAGE, DONE, END),
    "at-once": (Write(b"".join(w.data for w in (*TWO, DONE, END)), 0.05, token=True),),
    "cut": (
        *(EVENTS, chunk(": hello\r\n\r\n")),
        *cut(said("Grüß")),
        *cut(said("Gott")),
        *(DONE, END),
    ),
    "long": (EVENTS, said(MORE_THAN_A_READ, 0.02), said("b", 0.02), DONE, END),
    "nothing-said": (EVENTS, ROLE, STOP, DONE, END),
    "no-json": (*TWO, other("{no json"), DONE, END),
    "no-object": (*TWO, other("[1, 2]"), DONE, END),
    "error": (*TWO, other('{"error": {"message": "42", "type": "server_error"}}'), DONE, END),
    "no-done": (*TWO, END),
    "finished": (*TWO, STOP, END),
    "held-open": (*TWO, STOP, DONE),
    "reasoning": (
        *(EVENTS, ROLE, delta('"reasoning_content": "r"', 0.06)),
        *(delta('"reasoning_content": "r"', 0.02) for _ in range(9)),
        *(delta('"content": "t"', 0.02) for _ in range(10)),
        *(STOP, COUNTED_20, DONE, END),
    ),
    "tools": (
        *(EVENTS, ROLE, delta('"tool_calls": [{"function": {"name": "f"}}]', 0.05)),
        *(delta('"tool_calls": [{"function": {"arguments": "{}"}}]', 0.02), STOP, DONE, END),
    ),
    "completion": (
        *(EVENTS, chunk('data: {"choices": [{"text": "a"}]}\n\n', 0.05, token=True)),
        *(other('{"choices": [{"text": "", "finish_reason": "length"}]}'), DONE, END),
    ),
    "response": (
        *(EVENTS, response("output_text.delta", '"delta": "a"', 0.05, token=True)),
        *(response("completed", '"response": {"usage": {"output_tokens": 4}}'), END),
    ),
    "response-failed": (
        *(EVENTS, response("output_text.delta", '"delta": "a"', 0.05, token=True)),
        *(response("failed", '"response": {"error": {"code": "boom"}}'), END),
    ),
    "error-event": (*TWO, chunk('event: error\ndata: {"code": "boom"}\n\n'), DONE, END),
    "error-object": (*TWO, other('{"object": "error", "type": "boom"}'), DONE, END),
    "filtered": (*TWO, FILTERED, DONE, END),
    "no-events": (head("application/json"), chunk("{}"), END),
    "busy": (head("text/plain", "Retry-After: 1", status=503), chunk("later"), END),
    "failed": (head("text/plain", status=500), chunk("alas"), END),
    "garbage": (*TWO, Write(b"data: {}\n\n", 0.02)),
    "close": (*TWO, Write(b"ff\r\ndata: {", 0.02), CLOSE),
    "reset": (*TWO, RESET),
    "close-first": (CLOSE,),
    "never": (),
    "no-token": (EVENTS, ROLE),
    "stall": TWO,
    # Texts
    "pieces": (
        head("text/plain"),
        chunk("Grü", 0.05, token=True),
        chunk("ße", 0.02, token=True),
        chunk("!", 0.08, token=True),
        END,
    ),
    "unmeasured": (
        Write(b"HTTP/1.1 200 OK\r\n\r\n"),
        Write(b"one", 0.05, token=True),
        Write(b"two", 0.15, token=True),
        CLOSE,
    ),
    "events": (EVENTS, chunk("event: a\rdata: x\r\r", 0.05, token=True), chunk("id: 7\n\n"), END),
}


class Connection(HttpConnection):
    """One connection, known by its number."""

    def __init__(self, log: list[StreamLog], number: int) -> None:
        super().__init__()
        self._log = log
        self._number = number
        self._script: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the base's name
        """Whoever has gone gets nothing more."""
        if self._script is not None:
            self._script.cancel()

    def request(self, head: bytes, body: bytes) -> None:
        """Note it, and begin the script that its path names."""
        method, path, headers = parts_of(head)
        if path == "/log":
            self._answer(msgspec.json.encode(self._log))
        elif path == "/-/healthz":
            self._answer(b"success")
        else:
            name = "good" if path in ("/", "/v1/chat/completions") else path.split("/")[1]
            streamed = StreamLog(self._number, method, path, headers, body.decode(), [])
            self._log.append(streamed)
            self._script = asyncio.create_task(self._play(SCRIPTS[name], streamed.tokens_s))

    def _answer(self, body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async def _play(self, script: Script, tokens_s: list[float]) -> None:
        for write in script:
            if write.after_s:
                await asyncio.sleep(write.after_s)
            if write is CLOSE:
                self._transport.close()
            elif write is RESET:
                linger = struct.pack("ii", 1, 0)
                sock = self._transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self._transport.abort()
            else:
                if write.token:
                    tokens_s.append(time.time())
                self._transport.write(write.data)


async def serve() -> None:
    """Serve until standard input closes."""
    log: list[StreamLog] = []
    loop = asyncio.get_running_loop()
    numbers = itertools.count()
    server = await loop.create_server(
        lambda: Connection(log, next(numbers)), "127.0.0.1", 0, backlog=4096
    )
    await announce_until_unneeded(server.sockets[0].getsockname()[1])
    server.close()


class StreamServer(ServerProcess):
    """A running endpoint at `url`."""

    module = "tests.support.servers.stream_server"

    def log(self) -> list[StreamLog]:
        """Requests that have come so far, and what was written."""
        return msgspec.json.decode(self.get("/log"), type=list[StreamLog])


def running_stream_server() -> AbstractContextManager[StreamServer]:
    """An endpoint in a process of its own, until the block ends."""
    return running(StreamServer())


if __name__ == "__main__":
    asyncio.run(serve())
