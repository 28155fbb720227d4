"""The `error` of a row: kinds of failure, as texts that are the same for the same kind."""

import re

NOT_SENT = "not_sent"
"""A request that was planned and never sent."""

UNFINISHED = "unfinished"
"""A request whose answer had not come when the load process stopped waiting."""

TIMEOUT = "timeout"
"""No whole answer within the time that a request may take."""

CONNECTION_REFUSED = "connection refused"
"""Nobody listened."""

CONNECTION_RESET = "connection reset"
"""The connection was broken off by the other side, or by what lies between."""

CONNECTION_CLOSED = "connection closed"
"""The server closed the connection before its answer was whole."""

BACK_PRESSURE = "back-pressure"
"""Serve turned the request away because its queue was full (`max_queued_requests`)."""

NO_REQUEST = "no request"
"""An arrival for which the user class sent nothing."""

WRONG_ANSWER = "wrong answer"
"""An answer that came whole and is not what was asked for; `wrong answer: <what>`."""

NO_HTTP = "no HTTP"
"""What is wrong with an answer that cannot be read as HTTP."""


def http_status(code: int) -> str:
    """The kind of an answer with a status that means failure."""
    return f"HTTP {code}"


def grpc_status(name: str) -> str:
    """The kind of a gRPC call that ended with a code of its own, such as `gRPC NOT_FOUND`."""
    return f"gRPC {name}"


def wrong_answer(what: str) -> str:
    """The kind of an answer that is not what was asked for."""
    return f"{WRONG_ANSWER}: {what}"


def is_wrong_answer(kind: str) -> bool:
    """Whether an error says that an answer was wrong."""
    return kind.startswith(WRONG_ANSWER)


def is_connection(kind: str) -> bool:
    """Whether an error says that there was no connection, or that it did not hold."""
    return not is_wrong_answer(kind) and _CONNECTION.search(kind) is not None


# Of our own kinds, and in the words of clients and of the operating system.
_CONNECTION = re.compile(r"onnection|nreachable|o route to host|gaierror|resol")
