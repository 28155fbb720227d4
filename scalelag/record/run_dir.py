"""A run directory: names of its files, and functions that write and read them."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from scalelag.errors import UNREADABLE, NoRunError, RecordError, UsageError
from scalelag.plan.stages import MAX_DURATION_S
from scalelag.record.event_rows import EventRow
from scalelag.record.evidence_rows import ClusterSnapshot, EvidenceRow, LogEvent, NodeClock, NoLog
from scalelag.record.input_file import read_file
from scalelag.record.output_file import write_file
from scalelag.record.requests_file import RequestColumns
from scalelag.record.requests_reader import read_requests
from scalelag.record.row_files import read_rows
from scalelag.record.rows import (
    CapacityChange,
    ConfigChange,
    ControllerRestart,
    Gap,
    NeighbourChange,
    Poll,
    ProxyChange,
    Row,
    StatusChange,
    Transition,
)
from scalelag.record.run_info import SCHEMA_VERSION, RunInfo
from scalelag.record.run_name import check_run_name
from scalelag.record.seen_rows import SeenRow

RUN_FILE = "run.json"
REQUESTS_FILE = "requests.arrow"
REPLICAS_FILE = "replicas.jsonl"
EVIDENCE_FILE = "evidence.jsonl"
SEEN_FILE = "seen.jsonl"
EVENTS_FILE = "events.jsonl"
REPORT_FILE = "report.json"


def check_out(out: Path) -> None:
    """Raise UsageError if no run directory can be made in `out`, and leave all as it is."""
    there = out
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise UsageError(f"--out {out}: {there} is no folder. Choose another one.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"--out {out}: {there} cannot be written to. Choose another folder.")


def create_run_dir(out: Path, name: str, now_s: float) -> Path:
    """Make and return `out/<UTC time>-<name>`, with a number appended if that exists.

    Raises UsageError for a name that cannot be a file name, RecordError if no folder can be made.
    """
    check_run_name(name)
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        path = out / (f"{stamp}-{name}" if number == 1 else f"{stamp}-{name}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            reason = error.strerror if isinstance(error, OSError) else error
            raise RecordError(
                f"Cannot make the run directory {path}: {reason}. Choose another folder with --out."
            ) from error
        return path
    raise RecordError(f"{out} holds 999 runs of {stamp}-{name}: use another --name.")


def write_run_info(path: Path, info: RunInfo) -> None:
    """Write `run.json` atomically. Raises RecordError if it cannot be written."""
    write_file(path / RUN_FILE, msgspec.json.format(msgspec.json.encode(info), indent=2))


class RecordedRun(msgspec.Struct, frozen=True):
    """A run as recorded, with the rows of each kind sorted by time.

    Of several `run_events` of one number it has the last; they are sorted by it.

    `problems` lists the parts of the record that cannot be read, `unread` the logs that could not be
    read during the run. `cut_off` is the one of `problems` with which the rows of requests end.
    """

    info: RunInfo
    requests: RequestColumns
    polls: tuple[Poll, ...]
    transitions: tuple[Transition, ...]
    statuses: tuple[StatusChange, ...]
    gaps: tuple[Gap, ...]
    restarts: tuple[ControllerRestart, ...]
    problems: tuple[str, ...]
    proxies: tuple[ProxyChange, ...] = ()
    events: tuple[LogEvent, ...] = ()
    node_clocks: tuple[NodeClock, ...] = ()
    unread: tuple[NoLog, ...] = ()
    snapshots: tuple[ClusterSnapshot, ...] = ()
    configs: tuple[ConfigChange, ...] = ()
    neighbours: tuple[NeighbourChange, ...] = ()
    capacities: tuple[CapacityChange, ...] = ()
    seen: tuple[SeenRow, ...] = ()
    run_events: tuple[EventRow, ...] = ()
    cut_off: str | None = None


def load_run(path: Path) -> RecordedRun:
    """Read a run directory, as far as possible.

    Raises RecordError if `path` is no run directory, or has a newer schema.
    """
    info = load_run_info(path)
    requests, problem = read_requests(path / REQUESTS_FILE)
    rows, problems = read_rows(path / REPLICAS_FILE, _ROW)
    evidence, unreadable = _read_if_there(path / EVIDENCE_FILE, _EVIDENCE)
    seen, unseen = _read_if_there(path / SEEN_FILE, _SEEN)
    own, lost = _read_if_there(path / EVENTS_FILE, _EVENT)
    return RecordedRun(
        info=info,
        requests=requests,
        polls=tuple(row for row in rows if isinstance(row, Poll)),
        transitions=tuple(row for row in rows if isinstance(row, Transition)),
        statuses=tuple(row for row in rows if isinstance(row, StatusChange)),
        gaps=tuple(row for row in rows if isinstance(row, Gap)),
        restarts=tuple(row for row in rows if isinstance(row, ControllerRestart)),
        proxies=tuple(row for row in rows if isinstance(row, ProxyChange)),
        configs=tuple(row for row in rows if isinstance(row, ConfigChange)),
        neighbours=tuple(row for row in rows if isinstance(row, NeighbourChange)),
        capacities=tuple(row for row in rows if isinstance(row, CapacityChange)),
        events=tuple(
            sorted((row for row in evidence if isinstance(row, LogEvent)), key=lambda e: e.at_s)
        ),
        node_clocks=tuple(row for row in evidence if isinstance(row, NodeClock)),
        unread=tuple(row for row in evidence if isinstance(row, NoLog)),
        snapshots=tuple(row for row in evidence if isinstance(row, ClusterSnapshot)),
        seen=tuple(sorted(seen, key=lambda row: row.sent_s)),
        run_events=tuple(row for _, row in sorted({row.index: row for row in own}.items())),
        problems=((problem,) if problem else ()) + problems + unreadable + unseen + lost,
        cut_off=problem,
    )


def check_run_dir(path: Path) -> None:
    """Raise NoRunError if `path` is no run directory."""
    if not (path / RUN_FILE).is_file():
        what = "does not exist" if not path.exists() else f"holds no {RUN_FILE}"
        raise NoRunError(f"{path} {what}: name a run directory, such as runs/20261122-174501-demo.")


def load_run_info(path: Path) -> RunInfo:
    """Read `run.json` of a run directory. Raises RecordError if it is none, or cannot be read."""
    check_run_dir(path)
    file = path / RUN_FILE
    try:
        data = read_file(file)
        version = msgspec.json.decode(data, type=_Schema).schema_version
        if version > SCHEMA_VERSION:
            raise RecordError(
                f"{file} has schema version {version}; this scalelag reads up to {SCHEMA_VERSION}. "
                "Use the scalelag that wrote it, or a newer one."
            )
        info = msgspec.json.decode(data, type=RunInfo)
    except UNREADABLE as error:
        raise RecordError(
            f"{file} cannot be parsed: {error}. It is damaged, or was not written by scalelag."
        ) from error
    except OSError as error:
        raise RecordError(f"Cannot read {file}: {error.strerror}.") from error
    if not all(0 <= one.at_s <= one.end_s <= _LONGEST_PLAN_S for one in info.plan.stages):
        raise RecordError(f"{file} has a plan that no run follows: its stages are damaged.")
    return info


class _Schema(msgspec.Struct):
    schema_version: int


# Longer than any plan that is begun: a curve over it would fill the memory.
_LONGEST_PLAN_S = 2 * MAX_DURATION_S
_ROW = msgspec.json.Decoder(Row)
_EVIDENCE = msgspec.json.Decoder(EvidenceRow)
_SEEN = msgspec.json.Decoder(SeenRow)
_EVENT = msgspec.json.Decoder(EventRow)
_T = TypeVar("_T")


def _read_if_there(
    path: Path, decoder: msgspec.json.Decoder[_T]
) -> tuple[list[_T], tuple[str, ...]]:
    return read_rows(path, decoder) if path.exists() else ([], ())
