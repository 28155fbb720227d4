"""Journal of what we deployed on a cluster that is not ours, so that a killed run can be undone.

An entry is written before an application is deployed, and removed after it was taken away again. An
entry whose process is gone tells of applications that a killed command may have left behind.
"""

import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from scalelag.cluster.urls import same_server
from scalelag.errors import UNREADABLE

_FOLDER = "deployed"
_ENDED = ("Z", "X")
"""States of a process that has ended (proc(5), field 3)."""


class DeployedApps(msgspec.Struct, frozen=True):
    """Applications that one process deployed, with their import paths.

    `dashboard` has no credentials. `started_ticks` is when the process began, in ticks since the
    machine did (proc(5), field 22), so that a later one of the same number is not taken for it.
    """

    dashboard: str
    apps: dict[str, str]
    pid: int
    started_ticks: int
    at_s: float
    path: str = ""

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


def note(folder: Path, dashboard: str, apps: Mapping[str, str], at_s: float) -> DeployedApps:
    """Write an entry for `apps`, about to be deployed, and return it. Raises OSError."""
    pid = os.getpid()
    path = folder / f"{pid}-{uuid.uuid4().hex[:8]}.json"
    entry = DeployedApps(dashboard, dict(apps), pid, _started_ticks(pid) or 0, at_s, str(path))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(entry))
    return entry


def orphans(folder: Path, dashboard: str) -> list[DeployedApps]:
    """Entries for `dashboard` whose process is gone, the oldest first."""
    return [entry for entry in _entries(folder, dashboard) if entry.is_orphaned]


def in_use(folder: Path, dashboard: str) -> list[DeployedApps]:
    """Entries for `dashboard` whose process goes on, the oldest first."""
    return [entry for entry in _entries(folder, dashboard) if not entry.is_orphaned]


def _entries(folder: Path, dashboard: str) -> list[DeployedApps]:
    found = [entry for path in sorted(folder.glob("*.json")) if (entry := _read(path))]
    mine = [entry for entry in found if same_server(entry.dashboard, dashboard)]
    return sorted(mine, key=lambda entry: entry.at_s)


def forget(entry: DeployedApps) -> None:
    """Remove `entry`, when its applications are gone."""
    with suppress(OSError):
        Path(entry.path).unlink(missing_ok=True)


def _read(path: Path) -> DeployedApps | None:
    """Return the entry at `path`; None for a file that is no entry."""
    try:
        entry = msgspec.json.decode(path.read_bytes(), type=DeployedApps)
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
