"""Changes that events make on a cluster that is not ours, and how they are given back.

An application counts as left by our events if what runs there is what they put there, as for those that
are taken away (`deploy.py`); a target if it is one that they set. What somebody else has changed since
stays as it is.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from probes.dashboard import APPLICATIONS_PATH, Dashboard
from probes.serve_state import ApplicationPayload, ServePayload, parse_payload
from scalelag.cluster.apps import AppConfig
from scalelag.cluster.deploy import as_deployed, replace
from scalelag.cluster.events import ReadyEvent
from scalelag.cluster.left_behind import (
    ChangedApp,
    JournalEntry,
    address,
    forget,
    in_use,
    note,
    rewrite,
)
from scalelag.cluster.preflight import Patience
from scalelag.cluster.scaler import post_target
from scalelag.console import say
from scalelag.errors import TargetError
from scalelag.foreign import sanitized
from scalelag.record.effective import scaling_of
from scalelag.wording import count


class Undo(NamedTuple):
    """Steps that give back what events changed.

    `configs` are applications to deploy again, with None for one to take away; `targets` are targets
    to set, by application and deployment. `pending` are applications that are deployed again, and do
    not run yet; `theirs` are applications and deployments that others changed since.
    """

    configs: dict[str, AppConfig | None]
    targets: dict[tuple[str, str], int]
    pending: list[str]
    theirs: list[str]

    @property
    def is_needed(self) -> bool:
        """Return whether anything is left to give back."""
        return bool(self.configs or self.targets or self.pending)


def with_event(
    changed: Mapping[str, ChangedApp], ready: ReadyEvent, there: ServePayload
) -> dict[str, ChangedApp]:
    """`changed` with what an event is about to do to the applications that are `there`."""
    found = dict(changed)
    for app in ready.apps:
        name = str(app.get("name", "default"))
        one = found.get(name) or _as_it_is(name, there)
        found[name] = msgspec.structs.replace(one, put=(*one.put, app))
    if ready.app is None or ready.event.kind not in ("delete", "scale"):
        return found
    one = found.get(ready.app) or _as_it_is(ready.app, there)
    if ready.event.kind == "delete":
        found[ready.app] = msgspec.structs.replace(one, deleted=True)
    else:
        name, to = ready.deployment or "", ready.event.count or 0
        set_to = one.set_to | {name: (*one.set_to.get(name, ()), to)}
        found[ready.app] = msgspec.structs.replace(one, set_to=set_to)
    return found


def _as_it_is(name: str, there: ServePayload) -> ChangedApp:
    app = _standing(name, there)
    if app is None:
        return ChangedApp()
    targets: dict[str, int] = {}
    by_api: list[str] = []
    infos = there.infos()
    for one, deployment in app.deployments.items():
        scaling, target = scaling_of(infos[f"{name}/{one}"]), deployment.target_num_replicas
        if not scaling.autoscales and target is not None:
            targets[one] = target
            by_api += [one] if target != scaling.least else []
    return ChangedApp(app.deployed_app_config, targets, tuple(by_api))


def _standing(name: str, there: ServePayload) -> ApplicationPayload | None:
    """The application, unless it is not there, or going away."""
    app = there.applications.get(name)
    return None if app is None or app.status == "DELETING" else app


def undo_of(changed: Mapping[str, ChangedApp], there: ServePayload) -> Undo:
    """Steps that give back what events changed, as far as it stands as they left it."""
    undo = Undo({}, {}, [], [])
    for name, one in changed.items():
        app = _standing(name, there)
        if not one.is_replaced:
            _add_targets(undo, name, one, app)
        elif _is_as_before(one, app):
            if app is not None and app.status == "DEPLOYING":
                # Serve may still show the target of before, and set the configuration's later.
                undo.pending.append(name)
            else:
                _add_targets(undo, name, one, app)
        elif one.deleted if app is None else as_deployed(one.put)(name, app):
            undo.configs[name] = one.config
        else:
            undo.theirs.append(name)
    return undo


def _is_as_before(one: ChangedApp, app: ApplicationPayload | None) -> bool:
    if app is None or one.config is None:
        return app is None and one.config is None
    return app.deployed_app_config == one.config


def _add_targets(undo: Undo, name: str, one: ChangedApp, app: ApplicationPayload | None) -> None:
    ours = one.set_to.keys() | (set(one.by_api) if one.is_replaced else set())
    wanted = {key: target for key, target in one.targets.items() if key in ours}
    if not wanted:
        return
    if app is None:
        undo.theirs.append(name)
        return
    for key, target in wanted.items():
        found = app.deployments.get(key)
        now = found.target_num_replicas if found else None
        if now == target:
            continue
        if one.is_replaced or now in one.set_to.get(key, ()):
            undo.targets[name, key] = target
        else:
            undo.theirs.append(f"{name}/{key}")


def give_back(
    dashboard: Dashboard, changed: Mapping[str, ChangedApp], patience: Patience
) -> list[str]:
    """Give back what events changed, and wait until it runs; return lines that say what was done.

    Raises DashboardError if Serve refuses, TargetError if it takes too long.
    """
    undo = patience.retry(lambda: undo_of(changed, _state(dashboard)))
    lines: list[str] = []
    if undo.configs:
        patience.retry(lambda: replace(dashboard, undo.configs))
        lines += [_told(name, config) for name, config in undo.configs.items()]
    rest = {name: one for name, one in changed.items() if name not in undo.theirs}
    then = patience.retry(lambda: _deployed(undo_of(rest, _state(dashboard)), dashboard.url))
    for (app, deployment), target in then.targets.items():
        patience.retry(partial(post_target, dashboard, app, deployment, target))
        lines.append(f"the target of {app}/{deployment} is {count(target, 'replica')} again")
    theirs = dict.fromkeys([*undo.theirs, *then.theirs])
    return [
        *lines,
        *(f"{name} is left as it is: somebody has changed it since our event" for name in theirs),
    ]


def _told(name: str, config: AppConfig | None) -> str:
    if config is None:
        return f"the application {name}, which an event deployed, is taken away"
    return f"the application {name} is deployed again as it was"


def _state(dashboard: Dashboard) -> ServePayload:
    return parse_payload(dashboard.get(APPLICATIONS_PATH).body)


def _deployed(undo: Undo, url: str) -> Undo:
    """Return `undo` if what was deployed again runs, or failed. Raises TargetError if not yet."""
    if undo.pending:
        raise TargetError(
            f"{url} still deploys {', '.join(undo.pending)} again; targets are set after that."
        )
    return undo


def how_to_give_back(url: str) -> str:
    """Words that name the command that gives back what events changed."""
    return f"`scalelag doctor --dashboard {url} --take-away` gives it back"


class KeptChanges:
    """Changes by the events of a run, kept in the journal in `folder` until it is given back.

    Applications that `parent`, the `scalelag run` that started this process, has deployed go away with
    it, and are not given back.
    """

    def __init__(
        self, dashboard: str, folder: Path, parent: int, now: Callable[[], float] = time.time
    ) -> None:
        self._dashboard = dashboard
        self._folder = folder
        self._parent = parent
        self._now = now
        self._entry: JournalEntry | None = None
        self._changed: dict[str, ChangedApp] = {}

    def note(self, ready: ReadyEvent, there: ServePayload) -> None:
        """Note what an event is about to do. A journal that cannot be written is a warning."""
        entries = in_use(self._folder, self._dashboard)
        own = {name for entry in entries if entry.pid == self._parent for name in entry.apps}
        found = with_event(self._changed, ready, there)
        self._changed = {name: one for name, one in found.items() if name not in own}
        if self._changed:
            try:
                self._write()
            except OSError as error:
                say(
                    f"warning: no note of event {ready.index} could be written to {self._folder} "
                    f"({error}): if this process is killed, nothing will tell what it changed"
                )

    def _write(self) -> None:
        if self._entry is None:
            self._entry = note(
                self._folder,
                self._dashboard,
                {},
                self._now(),
                changed=self._changed,
                parent=self._parent,
            )
        else:
            self._entry = msgspec.structs.replace(self._entry, changed=self._changed)
            rewrite(self._entry)

    def give_back(self, dashboard: Dashboard, patience: Patience) -> None:
        """Give it back and say so; what cannot be given back stays in the journal, and is said."""
        if not self._changed:
            return
        try:
            for line in give_back(dashboard, self._changed, patience):
                say(sanitized(line))
        except TargetError as error:
            names = ", ".join(self._changed)
            say(
                sanitized(
                    f"warning: what events changed of {names} is not all given back: {error} "
                    f"{how_to_give_back(address(self._dashboard))}."
                )
            )
            return
        if self._entry is not None:
            forget(self._entry)
        self._changed, self._entry = {}, None
