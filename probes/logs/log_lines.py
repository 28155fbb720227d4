"""Parser of Ray Serve's logs, in text or JSON; docs/record-format.md lists the texts.

Lines that do not concern replicas, and lines that cannot be parsed, are skipped.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal

import msgspec

from scalelag.errors import UNREADABLE
from scalelag.record.evidence_rows import LogKind
from scalelag.record.rows import DeploymentKey

Source = Literal["controller", "replica", "proxy"]
"""Component that wrote a log. A text has its meaning only in the log of its component."""

RESOLUTION_S = 0.001
"""Times in Ray's logs are truncated to milliseconds."""

_MAX_HEAD = 1500
_MAX_LAST = 400

_TEXT = re.compile(
    r"[A-Z]+ (?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) .{1,300}?"
    r"(?:-- |[\w.]{1,200}:\d{1,9} - )(?P<message>.*)"  # the second form is from before Ray 2.10
)


class Record(msgspec.Struct, frozen=True):
    """One entry of a log. `raw` is its text; a long one is cut to its beginning and last line.

    `local_s` is the node's local time, read as if it were UTC. Only JSON logs have `unix_s`.
    """

    local_s: float
    message: str
    raw: str
    unix_s: float | None = None


class LogLine(msgspec.Struct, frozen=True):
    """Meaning of a record. For a `first_request`, `record.local_s` is its end, not its start."""

    kind: LogKind
    record: Record
    deployment: DeploymentKey | None = None
    replica: str | None = None
    before: int | None = None
    after: int | None = None
    ongoing: float | None = None
    duration_s: float | None = None
    on_node: str | None = None

    @property
    def local_s(self) -> float:
        """Time of the event: local time of the node, read as if it were UTC."""
        if self.kind == "first_request":
            return self.record.local_s - (self.duration_s or 0.0)
        return self.record.local_s


class _Json(msgspec.Struct, frozen=True):
    """Keys of Ray's JSON encoding. `timestamp_ns` is Unix time; `asctime` is local."""

    message: str
    asctime: str | None = None
    timestamp_ns: int | None = None


_JSON = msgspec.json.Decoder(_Json)


def records(lines: Iterable[bytes]) -> Iterator[Record]:
    """Yield the entries of a log. Lines without a head, as in a traceback, join the entry before.

    Lines before the first head are the rest of an entry that was cut off; they are skipped.
    """
    current: Record | None = None
    for line in lines:
        text = line[:65536].decode(errors="replace").rstrip("\r\n")
        started = _json_record(text) if text.startswith("{") else _text_record(text)
        if started is None:
            if current is not None and text.strip():
                current = msgspec.structs.replace(current, raw=_joined(current.raw, text))
            continue
        if current is not None:
            yield current
        current = started
    if current is not None:
        yield current


def parse(record: Record, source: Source) -> LogLine | None:
    """Return the meaning of a record, or None if it is of no interest."""
    for kind, pattern in _PATTERNS[source]:
        match = pattern.match(record.message)
        if match:
            return _line(kind, record, match.groupdict())
    return None


def _text_record(text: str) -> Record | None:
    match = _TEXT.match(text)
    local_s = local_time(match["time"]) if match else None
    if match is None or local_s is None:
        return None
    return Record(local_s, match["message"], _cut(text))


def _json_record(text: str) -> Record | None:
    try:
        entry = _JSON.decode(text)
    except UNREADABLE:
        return None
    unix_s = None if entry.timestamp_ns is None else entry.timestamp_ns / 1e9
    local_s = local_time(entry.asctime) if entry.asctime else unix_s
    if local_s is None:
        return None
    return Record(local_s, entry.message, _cut(text), unix_s)


def local_time(text: str) -> float | None:
    """Parse a log's `2026-11-22 19:38:49,855` as if it were UTC; None if it is no time."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _cut(text: str) -> str:
    if len(text) <= _MAX_HEAD + _MAX_LAST:
        return text
    return f"{text[:_MAX_HEAD]}\n...\n{text[-_MAX_LAST:]}"


def _joined(raw: str, text: str) -> str:
    """Append the next line of an entry; a long entry is cut to its beginning and this line."""
    if len(raw) + len(text) < _MAX_HEAD:
        return f"{raw}\n{text}"
    head = raw.partition("\n...\n")[0][:_MAX_HEAD]
    return f"{head}\n...\n{text[-_MAX_LAST:]}"


def _line(kind: LogKind, record: Record, found: dict[str, str | None]) -> LogLine:
    app = found.get("app") or found.get("old_app")
    deployment = found.get("deployment") or found.get("old_deployment")
    replica = found.get("replica")
    if tag := found.get("tag"):
        parts = tag.split("#")
        app, deployment, replica = "#".join(parts[:-2]), parts[-2], parts[-1]
    before, after = _integer(found.get("before")), _integer(found.get("after"))
    if before is not None and after is not None:
        kind = "upscaling" if after > before else "downscaling"
    duration_s = _number(found.get("took"))
    if kind == "first_request" and duration_s is not None:
        duration_s /= 1000
    return LogLine(
        kind=kind,
        record=record,
        deployment=None if deployment is None else f"{app or ''}/{deployment}",
        replica=replica,
        before=before,
        after=after,
        ongoing=_number(found.get("ongoing")),
        duration_s=duration_s,
        on_node=found.get("on_node"),
    )


def _integer(text: str | None) -> int | None:
    return None if text is None else int(text)


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


_NUMBER = r"\d{1,15}(?:\.\d{1,15})?"
# Before Ray 2.10 logs name a replica by its tag, `app#Deployment#id`.
_REPLICA = (
    r"(?:Replica\(id='(?P<replica>[^']*)', deployment='(?P<deployment>[^']*)', app='(?P<app>[^']*)'\)"
    r"|[Rr]eplica (?P<tag>[^\s#]+#[^\s#]*[^\s#.](?:#[^\s#]*[^\s#.])?))"
)
# The second form is from before Ray 2.10.
_SCALED = (
    r"(?:(?:Up|Down)scaling Deployment\(name='(?P<deployment>[^']*)', app='(?P<app>[^']*)'\)"
    r"|Autoscaling replicas for deployment (?P<old_deployment>.{1,300}?) in application "
    r"(?P<old_app>.{0,300}?))"
    r" from (?P<before>\d{1,9}) to (?P<after>\d{1,9})\b"
    rf"(?:.*?Current ongoing requests: (?P<ongoing>{_NUMBER}))?"
)
_DEPLOYMENT = r"Deployment\(name='(?P<deployment>[^']*)', app='(?P<app>[^']*)'\)"
_SLOW = (
    r"Deployment '(?P<deployment>[^']*)'(?: in application '(?P<app>[^']*)')? has \d+ replicas "
    r"that have taken more than \S+ to "
)
_STARTED_HOW = rf"(?: on node '(?P<on_node>[^']*)')?(?:.* took (?P<took>{_NUMBER})s)?"
_SLOW_QUEUE = rf"Failed to get queue length from {_REPLICA}"

_ACCESS = r"(?:\S+ )?(?:[A-Z]+|__\w+__)(?: \S.*)? (?:[1-5]\d\d|OK|ERROR|CANCELLED)"

_TEXTS: dict[Source, tuple[tuple[LogKind, str], ...]] = {
    "controller": (
        ("upscaling", _SCALED),
        ("starting", rf"Starting {_REPLICA}"),
        ("started", rf"{_REPLICA} started successfully{_STARTED_HOW}"),
        # Only the line that stops a replica names its state; other lines only announce the stop.
        ("stopping", rf"Stopping {_REPLICA}(?: \(currently [^)]*\)| for deployment .*)?\.?$"),
        ("stopped", rf"{_REPLICA} is stopped"),
        ("start_failed", rf"Exception in {_REPLICA}, the replica will be stopped"),
        ("start_failed", rf"Exception when allocating {_REPLICA}"),
        ("slow_to_schedule", rf"{_SLOW}be scheduled"),
        ("slow_to_initialize", rf"{_SLOW}initialize"),
        ("health_check_failed", rf"Health check for {_REPLICA} failed"),
        (
            "health_check_timed_out",
            rf"Didn't receive health check response for replica {_REPLICA} after",
        ),
        ("unhealthy_stopped", rf"Replica {_REPLICA} failed health check, (?:forcefully )?stopping"),
        ("unhealthy_stopped", rf"Actor for {_REPLICA} crashed, marking it unhealthy"),
        ("force_killed", rf"{_REPLICA} did not shut down after grace period"),
        ("stale_metrics", r"Dropping stale metrics for handle"),
        ("controller_started", r"Controller starting\b"),
        ("version_deployed", rf"Deploying new version of {_DEPLOYMENT}"),
        ("outdated_stopped", rf"Stopping \d+ replicas of {_DEPLOYMENT} with outdated versions"),
        ("deleting", rf"Deleting {_DEPLOYMENT}"),
    ),
    "replica": (
        ("init_entered", r"Started initializing replica"),
        ("init_done", r"Finished initializing replica"),
        (
            "first_request",
            # `GET / 200 103.9ms`, with the client before it if asked for; `CALL` for handles.
            rf"{_ACCESS} (?P<took>{_NUMBER})ms$",
        ),
        ("at_capacity", r"Replica at capacity of max_ongoing_requests"),
        ("slow_queue_length", _SLOW_QUEUE),
    ),
    "proxy": (
        ("slow_queue_length", _SLOW_QUEUE),
        ("proxy_reloaded", r"Successfully performed graceful HAProxy reload"),
    ),
}
_PATTERNS: dict[Source, tuple[tuple[LogKind, re.Pattern[str]], ...]] = {
    source: tuple((kind, re.compile(text)) for kind, text in texts)
    for source, texts in _TEXTS.items()
}
