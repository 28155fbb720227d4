"""Kinds of failed requests (`scalelag.record.error_kinds`), from the exceptions of the clients.

They are geventhttpclient (Locust's FastHttpUser), requests (its HttpUser), grpc, and any that a user
class brings along.
"""

import errno
import http.client
import re
import zlib
from collections.abc import Iterator
from typing import Any

from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from scalelag.record.error_kinds import (
    BACK_PRESSURE,
    CONNECTION_CLOSED,
    CONNECTION_REFUSED,
    CONNECTION_RESET,
    NO_HTTP,
    OPEN_FILES,
    TIMEOUT,
    grpc_status,
    http_status,
    wrong_answer,
)
from scalelag.record.secrets import hide_url_secrets, start_to_read

_MAX_LENGTH = 200
# https://docs.ray.io/en/latest/serve/: BackPressureError; its status is 503, or 429 as configured.
_TURNED_AWAY = (429, 503)
_TURNED_AWAY_TEXT = b"Request dropped due to backpressure"
# How geventhttpclient's parser words an answer that ends too soon.
_ENDED_EARLY = re.compile(r"Incomplete response|EOF|closed")
_BY_TYPE: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (ConnectionRefusedError, CONNECTION_REFUSED),
    # Before what they are derived from.
    ((http.client.RemoteDisconnected, http.client.IncompleteRead), CONNECTION_CLOSED),
    (HTTPConnectionClosed, CONNECTION_CLOSED),
    ((ConnectionResetError, BrokenPipeError), CONNECTION_RESET),
    (http.client.BadStatusLine, wrong_answer(NO_HTTP)),
    (zlib.error, wrong_answer("cannot be decompressed")),
)
# gevent.Timeout is no TimeoutError; requests, urllib3 and WebSocket clients have classes of their own.
_BY_NAME = (("Timeout", TIMEOUT), ("ConnectionClosed", CONNECTION_CLOSED))
_NO_FILE = (errno.EMFILE, errno.ENFILE)
# gRPC tells only in words why it has no connection.
_UNAVAILABLE: tuple[tuple[str, str], ...] = (
    ("Connection refused", CONNECTION_REFUSED),
    ("Connection reset", CONNECTION_RESET),
    ("Socket closed", CONNECTION_CLOSED),
    ("GOAWAY", CONNECTION_CLOSED),
)


class WrongAnswerError(Exception):
    """An answer came, whole, and is not what was asked for: `wrong answer: <what>` in the record.

    Say `what` in few words that are the same for the same fault, since they are counted. With
    Locust's own clients: `response.failure(WrongAnswerError("no label"))`.
    """


def error_kind(exception: object) -> str:
    """Short text that is the same for the same kind of failure, so that failures can be counted.

    Clients of a user's own may pass a text in place of an exception, as Locust shows it.
    """
    if not isinstance(exception, BaseException):
        return _fit(str(exception))
    if isinstance(exception, WrongAnswerError):
        return wrong_answer(_fit(str(exception)))[:_MAX_LENGTH]
    response = getattr(exception, "response", None)
    if status := getattr(response, "status_code", 0):
        return BACK_PRESSURE if _is_turned_away(status, response) else http_status(status)
    if callable(code := getattr(exception, "code", None)):
        return _grpc_kind(exception, code())
    for inner in _innermost_first(exception):
        if kind := _connection_kind(inner):
            return kind
    inner = next(_innermost_first(exception))
    text = f"{type(inner).__name__}: {inner}" if str(inner) else type(inner).__name__
    return _fit(text)


def _fit(text: str) -> str:
    """Return a text fit for the record; of a very long one no more is read than may be shown."""
    return hide_url_secrets(start_to_read(text, _MAX_LENGTH))[:_MAX_LENGTH]


def _is_turned_away(status: int, response: Any) -> bool:  # noqa: ANN401  each client has its own
    """Return True if Serve's queue was full; not for an error of the application."""
    if status not in _TURNED_AWAY:
        return False
    if "retry-after" in (getattr(response, "headers", None) or {}):
        return True
    return bytes(getattr(response, "content", None) or b"").startswith(_TURNED_AWAY_TEXT)


def _grpc_kind(exception: Any, code: Any) -> str:  # noqa: ANN401  grpc is not imported for it
    name = str(getattr(code, "name", code))
    details = str(exception.details() if callable(getattr(exception, "details", None)) else "")
    if name == "DEADLINE_EXCEEDED":
        return TIMEOUT
    # The same code is gRPC's own for a message that is too large.
    if name == "RESOURCE_EXHAUSTED" and "larger than max" not in details:
        return BACK_PRESSURE
    if name == "UNAVAILABLE":
        return next((kind for text, kind in _UNAVAILABLE if text in details), grpc_status(name))
    return grpc_status(name)


def _innermost_first(exception: BaseException) -> Iterator[BaseException]:
    """Exceptions from the innermost cause outwards."""
    inner = _reason(exception)
    if inner is not None:
        yield from _innermost_first(inner)
    yield exception


def _reason(exception: BaseException) -> BaseException | None:
    """Why it was raised.

    geventhttpclient's RetriesExceeded keeps that in `original`, urllib3 in `reason`, requests and
    urllib3 among the arguments; a reset before the first byte is only the context of a closing.
    """
    if isinstance(exception, HTTPConnectionClosed):
        return exception.__context__
    named = (exception.__cause__, *(getattr(exception, n, None) for n in ("original", "reason")))
    return next((e for e in (*named, *exception.args) if isinstance(e, BaseException)), None)


def _connection_kind(exception: BaseException) -> str | None:
    """The kind of a failure of the connection, or of reading what came over it."""
    for types, kind in _BY_TYPE:
        if isinstance(exception, types):
            return kind
    if isinstance(exception, OSError) and exception.errno in _NO_FILE:
        return OPEN_FILES
    if isinstance(exception, HTTPParseError):
        ended_early = _ENDED_EARLY.search(str(exception)) is not None
        return CONNECTION_CLOSED if ended_early else wrong_answer(NO_HTTP)
    names = " ".join(cls.__name__ for cls in type(exception).__mro__)
    return next((kind for name, kind in _BY_NAME if name in names), None)
