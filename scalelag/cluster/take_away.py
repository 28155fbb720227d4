"""Traces of killed commands on a cluster: found by the journal, and taken away or given back."""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from probes.dashboard import APPLICATIONS_PATH, Dashboard
from probes.serve_state import ApplicationPayload, ServePayload, parse_payload
from scalelag.cluster.apps import AppConfig
from scalelag.cluster.deploy import undeploy
from scalelag.cluster.given_back import give_back, undo_of
from scalelag.cluster.left_behind import JournalEntry, address, forget, in_use, note, orphans
from scalelag.cluster.preflight import Patience
from scalelag.console import say


@contextmanager
def noted(
    folder: Path, dashboard: str, apps: Sequence[AppConfig], left: Sequence[str]
) -> Generator[None]:
    """Keep an entry for `apps` while the block runs, and after it if some are `left` then."""
    origins = {str(app.get("name", "default")): str(app.get("import_path")) for app in apps}
    try:
        entry = note(folder, dashboard, origins, time.time())
    except OSError as error:
        say(
            f"warning: no note of {', '.join(origins)} could be written to {folder} ({error}): if "
            "this command is killed, nothing will tell that it is still deployed"
        )
        entry = None
    try:
        yield
    finally:
        if entry is not None and not left:
            forget(entry)


def left_on(dashboard: Dashboard, folder: Path) -> list[JournalEntry]:
    """Entries of killed commands, with what is left of each; those of which nothing is are forgotten.

    An application of the same name and another import path is somebody else's. Asks the dashboard
    only if there are entries. Raises TargetError if it does not answer.
    """
    entries = orphans(folder, dashboard.url)
    if not entries:
        return []
    there = parse_payload(dashboard.get(APPLICATIONS_PATH).body)
    found: list[JournalEntry] = []
    later: set[str] = set()
    for entry in reversed(entries):
        apps = _still_there(entry.apps, there)
        # What a later one changed is to be as that one found it, and then as this one did.
        if apps or undo_of(entry.changed, there).is_needed or later & entry.changed.keys():
            found.insert(0, msgspec.structs.replace(entry, apps=apps))
            later |= entry.changed.keys()
        else:
            forget(entry)
    return found


def kept_on(dashboard: Dashboard, folder: Path) -> list[str]:
    """Applications that commands which go on have deployed or changed there, each with its process."""
    return [
        f"{', '.join(sorted({*entry.apps, *entry.changed}))} is of process {entry.pid}, which goes on"
        for entry in in_use(folder, dashboard.url)
    ]


def take_away(
    dashboard: Dashboard, entries: Sequence[JournalEntry], patience: Patience
) -> list[str]:
    """Undo what `entries` tell, as far as it is still there, and nothing else, then forget them.

    Returns lines that say what was done. Raises DashboardError if Serve refuses, TargetError if
    applications stay, or it takes too long.
    """
    lines: list[str] = []
    # The newest first: an older one may be of what was there before it.
    for entry in reversed(entries):
        lines += give_back(dashboard, entry.changed, patience)
    names = names_of(entries)
    if names:
        undeploy(
            dashboard,
            names,
            patience,
            lambda name, app: any(_has_origin(app, entry.apps.get(name)) for entry in entries),
        )
        lines.append(f"{', '.join(names)}: taken away")
    for entry in entries:
        forget(entry)
    return lines


def names_of(entries: Sequence[JournalEntry]) -> list[str]:
    """Names of the applications of `entries`."""
    return sorted({name for entry in entries for name in entry.apps})


def how_to_undo(dashboard: str, entries: Sequence[JournalEntry]) -> str:
    """Sentence that says what was left, and the command that undoes it."""
    url = address(dashboard)
    names = names_of(entries)
    changed = sorted({name for entry in entries for name in entry.changed})
    left = [f"{', '.join(names)} at {url}"] if names else []
    left += [f"{', '.join(changed)} at {url} as its events had changed it"] if changed else []
    return (
        f"a command that was killed left {', and '.join(left)}: "
        f"`scalelag doctor --dashboard {url} --take-away` undoes exactly that."
    )


def _still_there(apps: Mapping[str, str], there: ServePayload) -> dict[str, str]:
    return {
        name: origin
        for name, origin in apps.items()
        if (app := there.applications.get(name)) is not None
        and _has_origin(app, origin)
        and app.status != "DELETING"
    }


def _has_origin(app: ApplicationPayload, origin: str | None) -> bool:
    return origin is not None and (app.deployed_app_config or {}).get("import_path") == origin
