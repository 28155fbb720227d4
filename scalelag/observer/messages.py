"""Messages between the observer's process and the process that leads the run, and their framing.

A frame is its length in four bytes, and a message as JSON. The token of the dashboard is in none of
them: both processes read it from the environment.
"""

import struct
from collections.abc import Callable, Iterator

import msgspec

from probes.replica_probe import ProbeState
from probes.serve_state import ServePayload
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.rows import DeploymentKey, Row

_LENGTH = struct.Struct(">I")
_PIECE_BYTES = 1 << 16

MOST_ROWS = 100
"""Rows in one message: to decode them holds up no request."""


class Access(msgspec.Struct, frozen=True):
    """Way to a dashboard; `verify` is that of requests."""

    url: str
    headers: dict[str, str] = {}
    verify: bool | str = True


class Predecessor(msgspec.Struct, frozen=True):
    """The process before this one: the reason why it ended, and its probe's last state."""

    reason: str
    state: ProbeState


# --- orders to the observer --------------------------------------------------------------------


class Setup(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """First order: where to look, how often, and the files to write.

    The anchors are those of the run's clock. `ready` is Serve's state that the record describes, and
    `ready_s` when it was asked for. Applications `apps` are watched once they are there.
    `shows_rows`: send rows back as they come.
    """

    access: Access
    prometheus: Access | None
    embedded: bool
    rate_per_s: float
    budget_ratio: float
    watched: frozenset[DeploymentKey]
    apps: frozenset[str] = frozenset()
    replicas: str
    evidence: str
    seen: str
    anchor_wall_s: float
    anchor_monotonic_s: float
    ready: ServePayload
    ready_s: float
    shows_rows: bool = False
    before: Predecessor | None = None


class Start(msgspec.Struct, frozen=True, tag=True):
    """Begin to watch."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Poll a last time and end to watch; a `LastPoll` comes back."""


class ReadLogs(msgspec.Struct, frozen=True, tag=True):
    """Read the logs between two moments, in Unix seconds; a `LogsRead` comes back."""

    from_s: float
    to_s: float
    ray: str | None


Order = Setup | Start | Stop | ReadLogs


# --- reports of the observer -------------------------------------------------------------------


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The files are open."""


class Progress(msgspec.Struct, frozen=True, tag=True):
    """State of the probe, twice a second and after each poll; None while there is no probe.

    `as_before`: settings are those of the last message, and are left out.
    """

    state: ProbeState | None = None
    as_before: bool = False


class Rows(msgspec.Struct, frozen=True, tag=True):
    """Rows of one poll, or with `more` a part of them."""

    rows: tuple[Row, ...]
    more: bool = False


class WriteFailure(msgspec.Struct, frozen=True, tag=True):
    """Nothing can be written: the run is over."""

    text: str


class LastPoll(msgspec.Struct, frozen=True, tag=True):
    """The last poll was done by `ended_s`.

    `applications` are as Serve shows them then; empty if it does not answer.
    """

    ended_s: float
    applications: dict[str, ApplicationInfo]


class LogsRead(msgspec.Struct, frozen=True, tag=True):
    """The logs are read, and all files are written."""


Report = Ready | Progress | Rows | WriteFailure | LastPoll | LogsRead


def framed(message: Order | Report) -> bytes:
    """Return `message` as it is sent."""
    body = msgspec.json.encode(message)
    return _LENGTH.pack(len(body)) + body


def frames(receive: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the messages, still encoded, until `receive` returns nothing; half a one is dropped."""
    held = bytearray()
    while piece := receive(_PIECE_BYTES):
        held += piece
        while len(held) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(held)[0]
            if len(held) < end:
                break
            yield bytes(memoryview(held)[_LENGTH.size : end])
            del held[:end]
