"""gRPC calls that yield to gevent while they wait, and that are made only once.

grpcio works in threads of its own. After `init_gevent` it waits for them in gevent's pool of ten
threads. A blocking call occupies one of these threads; futures need only one thread for each channel.
Therefore all calls here are futures.
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
    # A failed call is a row in the record; it is not repeated.
    ("grpc.enable_retries", 0),
    # Without it all channels to one address share a connection.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    # Reconnect to a restarted server within 0.1 s; the default is up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)


class CallError(Exception):
    """A call that ended with a status other than OK.

    It does not keep grpc's own error, whose text differs with each call: Locust keeps every text.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        return self._code

    def details(self) -> str:
        """Return the explanation of the server, or of grpc itself."""
        return self._details


class _OpenChannel:
    """A channel and its number of calls under way."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.unary: Callable[[str], Any] = cache(channel.unary_unary)
        self.stream: Callable[[str], Any] = cache(channel.unary_stream)
        self.under_way = 0


class Channels:
    """Pool of channels with at most `calls_each` calls on each; `open_channel` opens a further one.

    HTTP/2 servers limit the calls on one connection, often to 100. Further calls wait in the client or
    are refused, and either would be blamed on the application.
    """

    def __init__(self, open_channel: Callable[[], grpc.Channel], calls_each: int) -> None:
        self._open_channel = open_channel
        self._calls_each = calls_each
        self._open: list[_OpenChannel] = []

    def answer(
        self, path: str, message: bytes, metadata: Metadata, timeout_s: float
    ) -> tuple[bytes, Metadata]:
        """Make a unary call; return its answer's bytes and trailing metadata. Raises CallError."""
        channel = self._channel_with_room()
        call = None
        try:
            call = channel.unary(path).future(message, timeout_s, metadata)
            done = Event()
            call.add_done_callback(lambda _: done.set())  # pyright: ignore[reportUnknownLambdaType]
            done.wait()
            _raise_for_status(call)
            return call.result(), tuple(call.trailing_metadata() or ())
        finally:
            channel.under_way -= 1
            _end(call)

    def stream(
        self, path: str, message: bytes, metadata: Metadata, timeout_s: float
    ) -> Iterator[bytes]:
        """Make a streaming call; yield its messages as they come. Raises CallError."""
        channel = self._channel_with_room()
        call = None
        try:
            call = channel.stream(path)(message, timeout_s, metadata)
            try:
                yield from call
            except grpc.RpcError:
                _raise_for_status(call)
        finally:
            channel.under_way -= 1
            _end(call)

    def _channel_with_room(self) -> _OpenChannel:
        channel = next((c for c in self._open if c.under_way < self._calls_each), None)
        if channel is None:
            fit_for_gevent()
            # Each channel with calls under way holds one of the pool's threads.
            get_hub().threadpool.maxsize += 1
            channel = _OpenChannel(self._open_channel())
            self._open.append(channel)
        channel.under_way += 1
        return channel


@cache
def fit_for_gevent() -> None:
    """Make grpc yield to gevent. Call it before the first channel of a process is opened."""
    grpc.experimental.gevent.init_gevent()


def _raise_for_status(call: Any) -> None:  # noqa: ANN401  no public type is both a Call and a Future
    code = call.code()
    if code is not grpc.StatusCode.OK:
        raise CallError(code, call.details() or "")


def _end(call: Any) -> None:  # noqa: ANN401
    """Cancel a call that is not done."""
    if call is not None and not call.done():
        call.cancel()
