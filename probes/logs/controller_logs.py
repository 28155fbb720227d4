"""Reads the Serve controller's logs back to the start of a run.

This includes rotated files, and the logs of earlier controllers.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from probes.logs.log_files import Limits, LogFile, LogReader, Tail, UnreadableError
from probes.logs.log_lines import LogLine, Source, parse, records
from probes.serve_state import ServePayload
from scalelag.record.evidence_rows import NoLog

_CONTROLLERS = "serve/controller_*.log"
_MAX_OTHERS = 10


class LogPart(msgspec.Struct, frozen=True):
    """Lines read from the logs of one component, in the order of the files.

    `since_s` is the local time of the first entry, None if there is none. `reached` says whether the
    lines go back as far as asked.
    """

    lines: tuple[LogLine, ...] = ()
    since_s: float | None = None
    reached: bool = False
    missing: tuple[NoLog, ...] = ()


def controller_log(payload: ServePayload | None) -> LogFile | None:
    """Log file of the controller; None if the dashboard does not name it."""
    info = payload.controller_info if payload else None
    if info is None or not info.node_id or not info.log_file_path:
        return None
    return LogFile(info.node_id, info.log_file_path.lstrip("/"))


def proxy_logs(payload: ServePayload | None) -> list[LogFile]:
    """Log files of the proxies."""
    return [
        LogFile(node, proxy.log_file_path.lstrip("/"))
        for node, proxy in (payload.proxies if payload else {}).items()
        if proxy.log_file_path
    ]


def read_controller(
    reader: LogReader, log: LogFile, since_local_s: float | None, limits: Limits
) -> LogPart:
    """Return the lines of the controllers since `since_local_s`.

    If the controller started later than that, the logs of the controllers before it are read too; they
    are in the same folder. With None, read as much as the limit allows. Raises SpentError.
    """
    part = read_back(reader, log, "controller", since_local_s, limits.controller_bytes)
    if part.reached or since_local_s is None:
        return part
    if not any(line.kind == "controller_started" for line in part.lines):
        return part
    try:
        names = [name for name in reader.names(log.node, _CONTROLLERS) if name != log.name]
    except UnreadableError as error:
        return _with(part, NoLog(str(error), log.node, _CONTROLLERS))
    for name in names[:_MAX_OTHERS]:
        other = read_back(
            reader, LogFile(log.node, name), "controller", since_local_s, limits.controller_bytes
        )
        recent = tuple(line for line in other.lines if line.local_s >= since_local_s)
        if recent:
            part = LogPart(recent + part.lines, other.since_s, other.reached, part.missing)
    if len(names) > _MAX_OTHERS:
        left_out = f"{len(names) - _MAX_OTHERS} more controllers' logs were not read"
        part = _with(part, NoLog(left_out, log.node, _CONTROLLERS))
    return part


def read_back(
    reader: LogReader,
    log: LogFile,
    source: Source,
    since_local_s: float | None,
    max_bytes: int,
    only: tuple[bytes, ...] = (),
) -> LogPart:
    """Return the lines of a log since `since_local_s`, including the files rotated out of it.

    Of some texts `only`, lines without any are skipped. `missing` lists the parts that cannot be read.
    Raises SpentError.
    """
    enough = _before(since_local_s)
    end = reader.bytes_read + max_bytes
    part = LogPart()
    current = log
    try:
        for current in _files(reader, log):
            tail = reader.tail(current, max_bytes, enough)
            part = _earlier(part, tail, source, only)
            part = msgspec.structs.replace(part, reached=any(map(enough, tail.lines[:50])))
            if part.reached:
                break
            if not tail.whole or reader.bytes_read >= end:
                reason = f"earlier lines are beyond the limit of {max_bytes / 1e6:g} MB"
                return _with(part, NoLog(reason, current.node, current.name))
    except UnreadableError as error:
        return _with(part, NoLog(str(error), current.node, current.name))
    return part


def _files(reader: LogReader, log: LogFile) -> Iterator[LogFile]:
    """Yield a log, then the files rotated out of it, newest first; these are listed when needed."""
    yield log
    yield from reader.rotated(log)


def _earlier(part: LogPart, tail: Tail, source: Source, only: tuple[bytes, ...]) -> LogPart:
    """Put the lines of an earlier file before those of `part`."""
    first_s = next((record.local_s for record in records(tail.lines[:50])), None)
    wanted: Iterable[bytes] = tail.lines
    if only:
        wanted = (line for line in tail.lines if any(text in line for text in only))
    parsed = (parse(record, source) for record in records(wanted))
    return msgspec.structs.replace(
        part,
        lines=(*(line for line in parsed if line is not None), *part.lines),
        since_s=part.since_s if first_s is None else first_s,
    )


def _with(part: LogPart, missing: NoLog) -> LogPart:
    return msgspec.structs.replace(part, missing=(*part.missing, missing))


def _before(since_local_s: float | None) -> Callable[[bytes], bool]:
    """Test for lines that were written before `since_local_s`; no line is before None."""

    def before(line: bytes) -> bool:
        if since_local_s is None:
            return False
        record = next(records((line,)), None)
        return record is not None and record.local_s < since_local_s

    return before
