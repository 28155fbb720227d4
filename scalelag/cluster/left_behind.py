"""Journal of what we did to a cluster that is not ours, so that a killed run can be undone.

An entry is written before an application is deployed, or changed by an event, and removed after it was
taken away again, or given back. An entry whose process is gone tells what a killed command may have
left behind.
"""

import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from scalelag.cluster.urls import same_server, without_credentials
from scalelag.errors import UNREADABLE

_FOLDER = "deployed"
_ENDED = ("Z", "X")
"""States of a process that has ended (proc(5), field 3)."""


class ChangedApp(msgspec.Struct, frozen=True):
    """An application that events change: as it was before the first of them, and what they do to it.

    `config` is the configuration that it was deployed from; None if nothing of its name was there, or
    it was deployed from Python. `targets` are those of its deployments without a policy, `by_api` the
    deployments among them whose target is not that of their configuration. Events put the
    configurations `put` in its place, `deleted` it, and set the targets in `set_to`.
    """

    config: dict[str, Any] | None = None
    targets: dict[str, int] = {}
    by_api: tuple[str, ...] = ()
    put: tuple[dict[str, Any], ...] = ()
    deleted: bool = False
    set_to: dict[str, tuple[int, ...]] = {}

    @property
    def is_replaced(self) -> bool:
        """Return whether events deploy or delete the application, and not only set targets."""
        return self.deleted or bool(self.put)


class JournalEntry(msgspec.Struct, frozen=True):
    """Applications that one process deployed, with their import paths, and those that it `changed`.

    `dashboard` has no credentials. `started_ticks` is when the process began, in ticks since the
    machine did (proc(5), field 22), so that a later one of the same number is not taken for it.
    `parent` is the `scalelag run` that started the process, 0 without one.
    """

    dashboard: str
    apps: dict[str, str]
    pid: int
    started_ticks: int
    at_s: float
    path: str = ""
    changed: dict[str, ChangedApp] = {}
    parent: int = 0

    @property
    def is_orphaned(self) -> bool:
        """Return whether its process is gone."""
        return _started_ticks(self.pid) != self.started_ticks


def state_folder(environ: Mapping[str, str]) -> Path:
    """Our folder below XDG_STATE_HOME, or below ~/.local/state without it."""
    home = environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(home) / "scalelag"


def journal_folder(environ: Mapping[str, str]) -> Path:
    """Folder of the journal."""
    return state_folder(environ) / _FOLDER


def address(url: str) -> str:
    """URL of a dashboard as it stands in the journal and in commands: without credentials."""
    return without_credentials(url).rstrip("/")


def note(
    folder: Path,
    dashboard: str,
    apps: Mapping[str, str],
    at_s: float,
    *,
    changed: Mapping[str, ChangedApp] | None = None,
    parent: int = 0,
) -> JournalEntry:
    """Write an entry for `apps`, about to be deployed, and return it. Raises OSError."""
    pid = os.getpid()
    path = folder / f"{pid}-{uuid.uuid4().hex[:8]}.json"
    ticks = _started_ticks(pid) or 0
    entry = JournalEntry(
        address(dashboard), dict(apps), pid, ticks, at_s, str(path), dict(changed or {}), parent
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    rewrite(entry)
    return entry


def rewrite(entry: JournalEntry) -> None:
    """Write `entry` in place of what its file holds. Raises OSError."""
    new = Path(entry.path).with_suffix(".new")
    # An application's environment may hold secrets.
    new.touch(mode=0o600)
    new.write_bytes(msgspec.json.encode(entry))
    new.replace(entry.path)


def orphans(folder: Path, dashboard: str) -> list[JournalEntry]:
    """Entries for `dashboard` whose process is gone, the oldest first."""
    return [entry for entry in _entries(folder, dashboard) if entry.is_orphaned]


def in_use(folder: Path, dashboard: str) -> list[JournalEntry]:
    """Entries for `dashboard` whose process goes on, the oldest first."""
    return [entry for entry in _entries(folder, dashboard) if not entry.is_orphaned]


def _entries(folder: Path, dashboard: str) -> list[JournalEntry]:
    found = [entry for path in sorted(folder.glob("*.json")) if (entry := _read(path))]
    mine = [entry for entry in found if same_server(entry.dashboard, dashboard)]
    return sorted(mine, key=lambda entry: entry.at_s)


def forget(entry: JournalEntry) -> None:
    """Remove `entry`, when all of it is undone."""
    with suppress(OSError):
        Path(entry.path).unlink(missing_ok=True)


def _read(path: Path) -> JournalEntry | None:
    """Return the entry at `path`; None for a file that is no entry."""
    try:
        entry = msgspec.json.decode(path.read_bytes(), type=JournalEntry)
    except (OSError, *UNREADABLE):
        return None
    return msgspec.structs.replace(entry, path=str(path))


def _started_ticks(pid: int) -> int | None:
    """Ticks after the machine's start at which process `pid` began; None if it is gone.

    One that has ended is gone, also if nobody has asked for its exit code yet (a "zombie").
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # The name, in brackets, may hold anything, blanks and brackets too.
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in _ENDED else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
