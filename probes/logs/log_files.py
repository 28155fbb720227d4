"""Reads log files of a cluster's nodes over its dashboard, within limits.

The dashboard streams a file from its start, or its last N lines. To read a head, close early.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import msgspec

from probes.dashboard import Dashboard, DashboardError
from probes.logs.marked_stream import FailedStreamError, without_marks
from scalelag.errors import UNREADABLE, TargetError
from scalelag.ray_versions import LOGS_WITH_TOKEN, PLAIN_LOGS, is_before, named
from scalelag.record.rows import NO_ANSWER_IN_TIME
from scalelag.record.secrets import hide_url_secrets
from scalelag.wording import count

LIST_PATH = "/api/v0/logs"
FILE_PATH = "/api/v0/logs/file"

_LONGEST_LINE = 1 << 20
_FIRST_TAIL_LINES = 2000
_TAIL_GROWTH = 4
_SILENT_AFTER = 2
"""Time-outs in a row after which a node is skipped; others may still answer."""
_REFUSALS = (401, 403, 404)


class Limits(msgspec.Struct, frozen=True):
    """Limits for reading logs. `total_s` and `total_bytes` hold for all logs together.

    `access_lines` and `access_bytes` limit the search for a replica's first request, counted from the
    first access line: requests do not end in the order in which they begin.
    """

    total_s: float = 30.0
    total_bytes: int = 100_000_000
    read_timeout_s: float = 5.0
    timeouts: int = 3
    controller_bytes: int = 8_000_000
    proxy_bytes: int = 4_000_000
    replica_bytes: int = 2_000_000
    replicas: int = 200
    proxies: int = 20
    access_lines: int = 200
    access_bytes: int = 256_000
    margin_s: float = 5.0


class LogFile(msgspec.Struct, frozen=True):
    """A log file: the id of its node, and its name below Ray's log folder there."""

    node: str
    name: str


class SpentError(TargetError):
    """A total limit is reached, or nothing answers any more: read no further logs."""


class UnreadableError(TargetError):
    """A log cannot be read; the message is a short reason."""


class Tail(msgspec.Struct, frozen=True):
    """Last lines of a log. `whole` is true if they are the entire file."""

    lines: list[bytes]
    whole: bool


class LogReader:
    """Reads logs through the `dashboard` of version `ray`, within `limits`.

    `bytes_read` counts all bytes so far.
    """

    def __init__(
        self,
        dashboard: Dashboard,
        limits: Limits,
        now: Callable[[], float],
        ray: str | None = None,
    ) -> None:
        self._dashboard = dashboard
        self._ray = ray
        self._limits = limits
        self._now = now
        self._deadline_s = now() + limits.total_s
        self._timeouts = 0
        self._silent: Counter[str] = Counter()
        self._ever = False
        self.bytes_read = 0

    def names(self, node: str, glob: str) -> list[str]:
        """Names of a node's logs that match `glob`, such as `serve/controller_*.log`."""
        body = b""
        with self._open(node, f"{LIST_PATH}?node_id={quote(node)}&glob={quote(glob)}") as pieces:
            for piece in pieces:
                body += piece
                if len(body) > _LONGEST_LINE:
                    raise UnreadableError(f"its list of logs is longer than {_LONGEST_LINE} bytes")
        return sorted(_names(body))

    def rotated(self, log: LogFile) -> list[LogFile]:
        """Files rotated out of `log`, newest first: `x.log.1`, `x.log.2`, ..."""
        numbered: list[tuple[int, str]] = []
        for name in self.names(log.node, f"{log.name}.*"):
            number = name.removeprefix(f"{log.name}.")
            if number.isascii() and number.isdecimal():
                numbered.append((int(number), name))
        return [LogFile(log.node, name) for _, name in sorted(numbered)]

    @contextmanager
    def head(self, log: LogFile, max_bytes: int) -> Generator[Iterator[bytes]]:
        """Yield the first lines of `log`, at most `max_bytes`; leave the context to stop."""
        with self._open_file(log, -1) as pieces:
            yield _lines(_bounded(pieces, max_bytes))

    def tail(self, log: LogFile, max_bytes: int, enough: Callable[[bytes], bool]) -> Tail:
        """Return the end of `log`, back to a line that is `enough` or to the limit."""
        asked = _FIRST_TAIL_LINES
        best = self._last(log, asked, max_bytes)
        while best is None and asked > 1:
            asked //= _TAIL_GROWTH
            best = self._last(log, asked, max_bytes)
        if best is None:
            raise UnreadableError(f"its last line is more than {max_bytes} bytes")
        while not (best.whole or _reaches(best, enough)):
            size = sum(len(line) + 1 for line in best.lines)
            affordable = int(0.9 * max_bytes / size * len(best.lines))
            wanted = min(asked * _TAIL_GROWTH, affordable)
            longer = self._last(log, wanted, max_bytes) if wanted > asked else None
            if longer is None:
                break
            asked, best = wanted, longer
        return best

    def last(self, log: LogFile, lines: int) -> list[bytes]:
        """Return the last lines of `log`."""
        tail = self._last(log, lines, self._limits.proxy_bytes)
        return tail.lines if tail else []

    def _last(self, log: LogFile, lines: int, max_bytes: int) -> Tail | None:
        """Return the last `lines` lines; None if they exceed `max_bytes`."""
        read = 0
        gathered: list[bytes] = []
        with self._open_file(log, lines) as pieces:
            for piece in pieces:
                read += len(piece)
                if read > max_bytes:
                    return None
                gathered.append(piece)
        found = list(_lines(iter(gathered)))
        return Tail(found, whole=len(found) < lines)

    @contextmanager
    def _open_file(self, log: LogFile, lines: int) -> Generator[Iterator[bytes]]:
        """Open the last `lines` lines of `log`, all of it for -1."""
        with self._open(log.node, _file_path(log, lines)) as pieces:
            if not is_before(self._ray, PLAIN_LOGS):
                yield pieces
                return
            try:
                yield without_marks(pieces)
            except FailedStreamError as error:
                raise UnreadableError(_known(str(error)) or _shortened(str(error))) from error

    @contextmanager
    def _open(self, node: str, path: str) -> Generator[Iterator[bytes]]:
        if self._silent[node] >= _SILENT_AFTER:
            raise UnreadableError("its node did not answer earlier requests")
        left_s = self._left_s()
        try:
            with self._dashboard.stream(path, min(self._limits.read_timeout_s, left_s)) as pieces:
                yield self._counted(pieces)
        except DashboardError as error:
            raise self._unreadable(node, error) from error
        self._answered(node)

    def _answered(self, node: str) -> None:
        self._timeouts = self._silent[node] = 0
        self._ever = True

    def _unreadable(self, node: str, error: DashboardError) -> TargetError:
        reason = _reason(error)
        if (error.status in _REFUSALS or reason == _NO_TOKEN) and not self._ever:
            return SpentError(reason)  # every other log would be refused too
        if error.status:
            self._timeouts = 0
            return UnreadableError(reason)
        self._timeouts += 1
        # For any other reason the dashboard itself is gone.
        self._silent[node] += reason == NO_ANSWER_IN_TIME
        if self._timeouts >= self._limits.timeouts:
            return SpentError(f"{reason}, {count(self._timeouts, 'time')} in a row")
        return UnreadableError(reason)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.bytes_read += len(piece)
            yield piece
            self._left_s()

    def _left_s(self) -> float:
        """Return the seconds left. Raises SpentError if no time or no bytes are left."""
        left_s = self._deadline_s - self._now()
        if left_s <= 0:
            raise SpentError(f"reading logs took longer than {self._limits.total_s:g} s")
        if self.bytes_read > self._limits.total_bytes:
            raise SpentError(f"logs of more than {self._limits.total_bytes / 1e6:g} MB were read")
        return left_s


def _file_path(log: LogFile, lines: int) -> str:
    return f"{FILE_PATH}?node_id={quote(log.node)}&filename={quote(log.name)}&lines={lines}"


def _reaches(tail: Tail, enough: Callable[[bytes], bool]) -> bool:
    """Return whether a line near the start is `enough`; the first may be the middle of an entry."""
    return any(enough(line) for line in tail.lines[:50])


def _bounded(pieces: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    read = 0
    for piece in pieces:
        read += len(piece)
        yield piece
        if read >= max_bytes:
            return


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the complete lines. An unfinished line and one that is too long are dropped."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        if len(rest) > _LONGEST_LINE:
            rest = b""
    # A line without an end was cut off by us, or is still being written.


class _Listing(msgspec.Struct, frozen=True):
    result: dict[str, Any] = {}


class _ListReply(msgspec.Struct, frozen=True):
    data: _Listing = _Listing()


def _names(body: bytes) -> list[str]:
    """File names in Ray's listing, which is sorted into categories."""
    try:
        reply = msgspec.json.decode(body, type=_ListReply)
    except UNREADABLE as error:
        raise UnreadableError("its list of logs cannot be parsed") from error
    categories = [names for names in reply.data.result.values() if isinstance(names, list)]
    return [name for names in categories for name in names if isinstance(name, str)]


def _reason(error: DashboardError) -> str:
    """Short reason why a log cannot be read."""
    text = str(error).partition(f"answered {error.status}: ")[2]
    known = _known(text) if error.status == 500 else None
    if known:
        return known
    if error.status == 404:
        return "HTTP 404: this dashboard gives no logs"
    if error.status in (401, 403):
        return f"HTTP {error.status}: the dashboard refuses access to logs"
    return f"{error.reason}: {_shortened(text)}" if text else error.reason


_NO_TOKEN = (
    "this version of Ray cannot read its own logs where a token is demanded "
    f"({named(LOGS_WITH_TOKEN)} and later can)"
)
_KNOWN = (
    ("not found at", "there is no such file on the node"),
    ("Agent for node", "the node is gone, or no dashboard agent runs on it"),
    ("UNAUTHENTICATED", _NO_TOKEN),
)


def _known(text: str) -> str | None:
    """Meaning of an error text of Ray's; None if it is not known."""
    return next((meaning for part, meaning in _KNOWN if part in text), None)


def _shortened(text: str) -> str:
    """A text on one line of at most 100 characters."""
    line = " ".join(hide_url_secrets(text).split())
    return line if len(line) <= 100 else f"{line[:97]}..."
