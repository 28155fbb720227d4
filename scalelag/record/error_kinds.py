"""Kinds of failure in the `error` column: short texts, the same for the same kind."""

import difflib
import re
from collections.abc import Iterable, Sequence

NOT_SENT = "not_sent"
"""A request that was planned and never sent; alone in records up to 0.2, which tell no reason."""

IN_FLIGHT_LIMIT = f"{NOT_SENT}: in_flight_limit"
"""Not sent, since `--max-in-flight` requests were open: the target was saturated."""

LATE = f"{NOT_SENT}: late"
"""Not sent though there was room: the load generator was too slow."""

WORKER_LOST = f"{NOT_SENT}: worker_lost"
"""Not sent, or its row lost, since the load process was lost."""

TURN = f"{NOT_SENT}: turn"
"""Not sent, since the answer before it in its session had not ended when the load was over."""

UNFINISHED = "unfinished"
"""A request that was still open when the load process stopped waiting."""

TIMEOUT = "timeout"
"""No complete answer within `--request-timeout`."""

CONNECTION_REFUSED = "connection refused"
"""No server listens at the address."""

CONNECTION_RESET = "connection reset"
"""The server, or a device on the way to it, broke the connection off."""

CONNECTION_CLOSED = "connection closed"
"""The server closed the connection before its answer was complete."""

OPEN_FILES = "too many open files"
"""The load process had as many files open as it may: a limit of its machine, not of the target."""

BACK_PRESSURE = "back-pressure"
"""Serve rejected the request, since its queue was full (`max_queued_requests`)."""

NO_REQUEST = "no request"
"""An arrival for which the user class sent nothing."""

WRONG_ANSWER = "wrong answer"
"""A complete answer that is not the one asked for; in the record `wrong answer: <reason>`."""

NO_HTTP = "no HTTP"
"""Reason of a wrong answer that cannot be parsed as HTTP."""

KINDS = (
    UNFINISHED,
    TIMEOUT,
    CONNECTION_REFUSED,
    CONNECTION_RESET,
    CONNECTION_CLOSED,
    OPEN_FILES,
    BACK_PRESSURE,
    NO_REQUEST,
)
"""Kinds of failure that are a text of their own; others are a status, or the words of a client."""

GRPC_STATUSES = (
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""Names of the statuses that gRPC has beside OK (`grpc.StatusCode`)."""


def is_not_sent(kind: str) -> bool:
    """Return whether an error means that a request was never sent."""
    return kind in (NOT_SENT, IN_FLIGHT_LIMIT, LATE, WORKER_LOST, TURN)


def http_status(code: int) -> str:
    """Kind of an answer whose status means failure."""
    return f"HTTP {code}"


def grpc_status(name: str) -> str:
    """Kind of a gRPC call that ended with another status, such as `gRPC NOT_FOUND`."""
    return f"gRPC {name}"


def wrong_answer(what: str) -> str:
    """Kind of an answer that is not the one asked for."""
    return f"{WRONG_ANSWER}: {what}"


def is_wrong_answer(kind: str) -> bool:
    """Return whether an error means that an answer was wrong."""
    return kind.startswith(WRONG_ANSWER)


def is_connection(kind: str) -> bool:
    """Return whether an error means that a connection failed or was lost."""
    return not is_wrong_answer(kind) and _CONNECTION.search(kind) is not None


# Words of our own kinds, of clients and of the operating system.
_CONNECTION = re.compile(r"onnection|nreachable|o route to host|gaierror|resol")


def slip_of(kind: str) -> list[str]:
    """Kinds that a name that can be none was meant to be, the nearest first; empty if it may be one.

    A record has the kinds of `KINDS`, `not_sent`, a status of HTTP or gRPC, `wrong answer: REASON`, and
    exceptions of clients: the name of a class, alone or with `: ` and its text.
    """
    folded = kind.strip().lower()
    if kind in KINDS or kind == NOT_SENT or _AS_WRITTEN.fullmatch(kind):
        return []
    if status := _slip_of_status(folded):
        return status
    if wrong := _near(folded.partition(":")[0].strip(), [WRONG_ANSWER]):
        return [f"{wrong[0]}: {kind.partition(':')[2].strip() or 'REASON'}"]
    if folded.startswith("grpc") or kind.strip() in GRPC_STATUSES:
        code = re.sub(r"[^a-z]+", "_", re.sub(r"^grpc\W*", "", folded)).strip("_").upper()
        return list(map(grpc_status, _near(code, GRPC_STATUSES, 0.6) or GRPC_STATUSES[:3]))
    if _TIMED_OUT.search(folded) and not _EXCEPTION.fullmatch(kind):
        return [TIMEOUT]
    near = _near(folded, [*KINDS, NOT_SENT])
    return near if near or _EXCEPTION.fullmatch(kind) else _near(folded, KINDS, 0.0)


def _slip_of_status(folded: str) -> list[str]:
    """Statuses of HTTP that a name in small letters was meant to be."""
    code = _HTTP.match(folded)
    if code is not None and (not code["word"] or _near(code["word"], _OF_STATUSES, 0.6)):
        return [http_status(int(code["status"].translate(_DIGITS)))]
    return [http_status(500), http_status(503)] if _HTTP_ALONE.match(folded) else []


def meant_by(kind: str, occurred: Iterable[str]) -> list[str]:
    """Kinds that occurred and that a name of none of them was meant to be; empty if it may be another.

    Those differ in few letters, or go on where the name ends: `wrong answer: no` for
    `wrong answer: no HTTP`. Names of our own kinds and of statuses are no slips.
    """
    if kind in KINDS or kind == NOT_SENT or _STATUS.fullmatch(kind):
        return []
    return [one for one in occurred if one not in KINDS and _is_like(kind, one)]


def _is_like(kind: str, other: str) -> bool:
    if re.match(rf"{re.escape(kind)}\W", other):
        return True
    if kind.startswith(WRONG_ANSWER) != other.startswith(WRONG_ANSWER):
        return False
    one, two = (text.removeprefix(WRONG_ANSWER).lower() for text in (kind, other))
    if re.findall(r"\d+", one) != re.findall(r"\d+", two):
        return False
    return difflib.SequenceMatcher(None, one, two).ratio() >= _ALIKE


def _near(name: str, known: Sequence[str], cutoff: float = 0.8) -> list[str]:
    return difflib.get_close_matches(name, known, n=3, cutoff=cutoff)


_ALIKE = 0.85
_STATUS = re.compile(rf"HTTP [1-5]\d\d|gRPC ({'|'.join(GRPC_STATUSES)})")
_AS_WRITTEN = re.compile(rf"{_STATUS.pattern}|{WRONG_ANSWER}: .*", re.DOTALL)
# The name of a class, and its text if it has one.
_EXCEPTION = re.compile(r"[^\W\d]\w*(: .*)?", re.DOTALL)
_TIMED_OUT = re.compile(r"time[sd]?[\W_]*out")
# Digits, and the letters that look like them.
_HTTP = re.compile(
    r"(?:(?:https?|status|code)\W*)*(?P<word>[a-z]*)[\W_]*(?P<status>[1-5][0-9oil][0-9oil])(?![0-9a-z])"
)
_OF_STATUSES = ("http", "https", "status", "code")
_HTTP_ALONE = re.compile(r"https?[\W_]*(?:\d|$)")
_DIGITS = str.maketrans("oil", "011")
