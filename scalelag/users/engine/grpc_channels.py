"""gRPC calls that let others go on while they wait, and that are made once.

grpcio does its work in threads of its own. Made fit for gevent it waits for them in gevent's pool of
threads: for a call that blocks, in one thread each, and the pool has ten; for futures, in one thread
a channel. So all calls here are futures.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import grpc
import grpc.experimental.gevent
from gevent import get_hub
from gevent.event import Event

Metadata = tuple[tuple[str, str | bytes], ...]

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # A call that failed is a row, not another call.
    ("grpc.enable_retries", 0),
    # Else all channels to one address would share a connection.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    # A server that comes back is found within a tenth of a second; as it is, within two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)


class CallError(Exception):
    """A call that ended with a status other than OK.

    It holds no more of grpc's own error: that has a text of its own for each call, and Locust keeps
    all texts.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        """The status."""
        return self._code

    def details(self) -> str:
        """What the server, or grpc itself, says about it."""
        return self._details


class _Line:
    """A channel, and how many calls are under way on it."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.unary: Callable[[str], Any] = cache(channel.unary_unary)
        self.stream: Callable[[str], Any] = cache(channel.unary_stream)
        self.under_way = 0


class Channels:
    """Channels, opened by `open_channel` when there are more calls than `calls_each` on the others.

    HTTP/2 servers limit the calls on one connection, often to 100. What is more waits in the client
    or is refused, and either would count against the application.
    """

    def __init__(self, open_channel: Callable[[], grpc.Channel], calls_each: int) -> None:
        self._open_channel = open_channel
        self._calls_each = calls_each
        self._lines: list[_Line] = []

    def answer(
        self, path: str, message: bytes, metadata: Metadata, timeout_s: float
    ) -> tuple[bytes, Metadata]:
        """Make a unary call; its answer as it came, and its trailing metadata. Raises CallError."""
        line = self._line()
        call = None
        try:
            call = line.unary(path).future(message, timeout_s, metadata)
            done = Event()
            call.add_done_callback(lambda _: done.set())  # pyright: ignore[reportUnknownLambdaType]
            done.wait()
            _raise_for_status(call)
            return call.result(), tuple(call.trailing_metadata() or ())
        finally:
            line.under_way -= 1
            _end(call)

    def stream(
        self, path: str, message: bytes, metadata: Metadata, timeout_s: float
    ) -> Iterator[bytes]:
        """Make a call whose answer is a stream; its messages as they come. Raises CallError."""
        line = self._line()
        call = None
        try:
            call = line.stream(path)(message, timeout_s, metadata)
            try:
                yield from call
            except grpc.RpcError:
                _raise_for_status(call)
        finally:
            line.under_way -= 1
            _end(call)

    def _line(self) -> _Line:
        line = next((line for line in self._lines if line.under_way < self._calls_each), None)
        if line is None:
            fit_for_gevent()
            # Each channel with calls under way holds one of the pool's threads.
            get_hub().threadpool.maxsize += 1
            line = _Line(self._open_channel())
            self._lines.append(line)
        line.under_way += 1
        return line


@cache
def fit_for_gevent() -> None:
    """Have grpc wait as gevent does: before the first channel of a process is opened."""
    grpc.experimental.gevent.init_gevent()


def _raise_for_status(call: Any) -> None:  # noqa: ANN401  no public type is both a Call and a Future
    code = call.code()
    if code is not grpc.StatusCode.OK:
        raise CallError(code, call.details() or "")


def _end(call: Any) -> None:  # noqa: ANN401
    """Cancel a call that has not come to its end."""
    if call is not None and not call.done():
        call.cancel()
