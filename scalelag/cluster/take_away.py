"""Applications that killed commands left on a cluster: found by the journal, and taken away."""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from probes.dashboard import APPLICATIONS_PATH, Dashboard
from probes.serve_state import ApplicationPayload, ServePayload, parse_payload
from scalelag.cluster.apps import AppConfig
from scalelag.cluster.deploy import undeploy
from scalelag.cluster.left_behind import DeployedApps, forget, in_use, note, orphans
from scalelag.cluster.preflight import Patience
from scalelag.cluster.urls import without_credentials
from scalelag.console import say


@contextmanager
def noted(
    folder: Path, dashboard: str, apps: Sequence[AppConfig], left: Sequence[str]
) -> Generator[None]:
    """Keep an entry for `apps` while the block runs, and after it if some are `left` then."""
    origins = {str(app.get("name", "default")): str(app.get("import_path")) for app in apps}
    try:
        entry = note(folder, _address(dashboard), origins, time.time())
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


def left_on(dashboard: Dashboard, folder: Path) -> list[DeployedApps]:
    """Entries of killed commands, with the applications that are still there; others are forgotten.

    An application of the same name and another import path is somebody else's. Asks the dashboard
    only if there are entries. Raises TargetError if it does not answer.
    """
    entries = orphans(folder, _address(dashboard.url))
    if not entries:
        return []
    there = parse_payload(dashboard.get(APPLICATIONS_PATH).body)
    found: list[DeployedApps] = []
    for entry in entries:
        apps = _still_there(entry.apps, there)
        if apps:
            found.append(msgspec.structs.replace(entry, apps=apps))
        else:
            forget(entry)
    return found


def kept_on(dashboard: Dashboard, folder: Path) -> list[str]:
    """Applications that commands which go on have deployed there, each with its process."""
    return [
        f"{', '.join(sorted(entry.apps))} is of process {entry.pid}, which goes on"
        for entry in in_use(folder, _address(dashboard.url))
    ]


def take_away(dashboard: Dashboard, entries: Sequence[DeployedApps], patience: Patience) -> None:
    """Delete the applications of `entries` that are still there, and nothing else, then forget them.

    Raises DashboardError if Serve refuses, TargetError if they stay.
    """
    undeploy(
        dashboard,
        names_of(entries),
        patience,
        lambda name, app: any(_has_origin(app, entry.apps.get(name)) for entry in entries),
    )
    for entry in entries:
        forget(entry)


def names_of(entries: Sequence[DeployedApps]) -> list[str]:
    """Names of the applications of `entries`."""
    return sorted({name for entry in entries for name in entry.apps})


def how_to_undo(dashboard: str, names: Sequence[str]) -> str:
    """Sentence that says what was left, and the command that takes it away."""
    url = _address(dashboard)
    return (
        f"a command that was killed left {', '.join(names)} at {url}: "
        f"`scalelag doctor --dashboard {url} --take-away` takes exactly that away."
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


def _address(url: str) -> str:
    return without_credentials(url).rstrip("/")
