"""Deploys applications through Serve's REST API, beside those that are deployed already."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from probes.dashboard import APPLICATIONS_PATH, Dashboard, Reply
from probes.serve_state import ApplicationPayload, DeploymentPayload, ServePayload, parse_payload
from scalelag.cluster.apps import AppConfig
from scalelag.cluster.preflight import Patience, ready_payload
from scalelag.console import say
from scalelag.errors import TargetError, UsageError
from scalelag.record.effective import scaling_of
from scalelag.record.rows import DeploymentKey
from scalelag.wording import count

_SCALING = ("num_replicas", "autoscaling_config")
_WHAT_RUNS = ("import_path", "args", "runtime_env")
_OF_ALL_SERVE = ("proxy_location", "http_options", "grpc_options", "target_capacity")

IsOurs = Callable[[str, ApplicationPayload], bool]
"""Tells by an application's name, and what stands there under it, that we have deployed it."""


def pin(
    dashboard: Dashboard,
    apps: Sequence[str],
    wanted: Sequence[DeploymentKey],
    patience: Patience,
) -> list[DeploymentKey]:
    """Redeploy the running `apps` with one fixed replica for each deployment of `wanted`.

    Without `wanted`, for each of their deployments. Returns these when the other replicas are gone.
    Raises UsageError if one of `wanted` belongs to another application, DashboardError if Serve
    refuses, TargetError if there is no such deployment or it takes too long.
    """
    if others := [key for key in wanted if not _is_of(key, apps)]:
        raise UsageError(
            f"--deployment {', '.join(others)} does not belong to {', '.join(apps)}, which --app "
            "deploys: name one of its deployments. Other applications are not changed."
        )
    there = ready_payload(dashboard, wanted, apps)
    keys = wanted or [key for key in there.deployments() if there.application_of(key) in apps]
    pinned = {
        name: pinned_app(name, config, keys, there)
        for name, config in _configs(there).items()
        if name in apps
    }
    dashboard.put(APPLICATIONS_PATH, document(there, _configs(there) | pinned))
    return patience.retry(lambda: check_pinned(ready_payload(dashboard, keys, apps), keys))


def _is_of(key: DeploymentKey, apps: Collection[str]) -> bool:
    return any(key.startswith(f"{app}/") for app in apps)


def pinned_app(
    name: str, app: AppConfig, keys: Collection[DeploymentKey], there: ServePayload
) -> AppConfig:
    """Application `name` with one fixed replica for its deployments in `keys`.

    A deployment that scales gets bounds of 1 and 1, since in Serve a policy overrides num_replicas.
    """
    overrides = {str(one["name"]): one for one in app.get("deployments") or ()}
    for key, deployment in there.deployments().items():
        in_app = there.application_of(key)
        deployment_name = key[len(in_app) + 1 :]
        if in_app != name or key not in keys:
            continue
        kept = {k: v for k, v in overrides.get(deployment_name, {}).items() if k not in _SCALING}
        scaling = {"autoscaling_config": {"min_replicas": 1, "max_replicas": 1}}
        fixed = scaling if deployment.info().autoscaling is not None else {"num_replicas": 1}
        overrides[deployment_name] = {**kept, "name": deployment_name, **fixed}
    return {**app, "deployments": list(overrides.values())}


def check_pinned(payload: ServePayload, wanted: Collection[DeploymentKey]) -> list[DeploymentKey]:
    """Keys of the `wanted` deployments, or of all, after a check that each has one fixed replica.

    Raises TargetError with those that have not.
    """
    there = payload.deployments()
    keys = sorted(wanted or there)
    loose = [f"{key} {why}" for key in keys if (why := _why_not(there[key]))]
    if loose:
        raise TargetError(
            f"A calibration needs one fixed replica, and {'; '.join(loose)}: set num_replicas to 1 "
            "in its configuration, choose another with --deployment, or deploy it with --app."
        )
    return keys


def _why_not(deployment: DeploymentPayload) -> str | None:
    info = deployment.info()
    states = [replica.state for replica in deployment.replicas]
    for name, way in (("max_replicas", "up"), ("min_replicas", "down")):
        bound = 1 if info.autoscaling is None else info.autoscaling.get(name)
        if bound != 1:
            return f"scales {way} to {count(bound if isinstance(bound, int) else '?', 'replica')}"
    if states != ["RUNNING"]:
        return f"has {count(len(states), 'replica')} ({', '.join(states) or 'none'})"
    return None


def deploy(
    dashboard: Dashboard, apps: Sequence[AppConfig], ours: list[str] | None = None
) -> list[str]:
    """Deploy `apps` and return their names; it does not wait until they run.

    The names are added to `ours` before Serve gets them: who is interrupted, or gets no answer, knows
    what may be there. Applications in `ours` may be replaced while they are as `apps` have them.

    Raises UsageError if one of theirs would be replaced, or if another application has one of their
    routes; DashboardError if Serve refuses.
    """
    there = parse_payload(dashboard.get(APPLICATIONS_PATH).body)
    added = {str(app.get("name", "default")): app for app in apps}
    ours = [] if ours is None else ours
    others = _others(there, ours, as_deployed(apps))
    theirs = {
        name: app for name, app in there.applications.items() if name not in ours or name in others
    }
    taken = sorted(added.keys() & theirs.keys())
    if taken:
        raise UsageError(
            f"{dashboard.url} already runs the application {', '.join(taken)}: leave out --app to "
            "test it as it is, or deploy yours under another name with a Serve config file."
        )
    _check_routes(dashboard.url, added, theirs)
    _check_capacity(dashboard.url, there, theirs)
    ours += [name for name in added if name not in ours]
    dashboard.put(APPLICATIONS_PATH, document(there, _configs(there) | added))
    return list(added)


def redeploy(dashboard: Dashboard, apps: Sequence[AppConfig]) -> Reply:
    """Deploy `apps`, also in place of those of their names; it does not wait until they run.

    Raises UsageError if an application of another name has one of their routes; DashboardError if
    Serve refuses.
    """
    there = parse_payload(dashboard.get(APPLICATIONS_PATH).body)
    added = {str(app.get("name", "default")): app for app in apps}
    others = {name: app for name, app in there.applications.items() if name not in added}
    _check_routes(dashboard.url, added, others)
    return dashboard.put(APPLICATIONS_PATH, document(there, _configs(there) | added))


def _check_routes(
    url: str, added: Mapping[str, AppConfig], theirs: Mapping[str, ApplicationPayload]
) -> None:
    """Raise UsageError if an application that is there has the route of one that is to come."""
    owners = {app.route_prefix: name for name, app in theirs.items() if app.route_prefix}
    for name, app in added.items():
        route = app.get("route_prefix", "/")
        if route in owners:
            raise UsageError(
                f'The application "{owners[route]}" at {url} already has the route {route} that '
                f'"{name}" would take. Give yours another route_prefix in a Serve config file '
                "(--app CONFIG.yaml), or leave out --app to test what is there."
            )


def _check_capacity(url: str, there: ServePayload, theirs: Collection[str]) -> None:
    """Raise UsageError if other deployments would get more replicas by an application beside them.

    Under a `target_capacity` Serve takes other applications than before for the wish to scale up, and
    then keeps initial_replicas (`calculate_target_capacity_direction` in
    `ray/serve/_private/controller.py`).
    """
    if there.capacity is None:
        return
    for key, info in there.infos().items():
        least = scaling_of(info).least
        after = scaling_of(msgspec.structs.replace(info, capacity_direction="up")).least
        if there.application_of(key) in theirs and after > least:
            raise UsageError(
                f"{url} has target_capacity {there.capacity:g}: with another application beside it, "
                f"Serve would keep initial_replicas of {key}, {count(after, 'replica')} instead "
                f"of {least}. "
                "Leave out --app to test what is there."
            )


def undeploy(
    dashboard: Dashboard,
    names: Sequence[str],
    patience: Patience,
    is_ours: IsOurs = lambda _name, _app: True,
) -> None:
    """Delete those of the applications `names` that are ours, and wait until they are gone.

    One that somebody has put in the place of ours stays, and a line says so. A dashboard that does not
    answer for a while is asked again: what was deployed must not stay. Raises DashboardError if Serve
    refuses, TargetError if they stay.
    """
    patience.retry(lambda: _remove_ours(dashboard, names, is_ours))
    for name in patience.retry(lambda: _others_in_place(dashboard, names, is_ours)):
        say(
            f'"{name}" at {dashboard.url} is left as it is: somebody has deployed another application '
            "in place of the one that was to be taken away"
        )


def _remove_ours(dashboard: Dashboard, names: Sequence[str], is_ours: IsOurs) -> None:
    there = parse_payload(dashboard.get(APPLICATIONS_PATH).body)
    others = _others(there, names, is_ours)
    if gone := [name for name in names if name not in others]:
        remove(dashboard, gone)


def _others_in_place(dashboard: Dashboard, names: Sequence[str], is_ours: IsOurs) -> list[str]:
    """Those of `names` that are somebody else's by now. Raises TargetError if ours are still there."""
    there = parse_payload(dashboard.get(APPLICATIONS_PATH).body)
    others = _others(there, names, is_ours)
    if left := sorted((set(names) & there.applications.keys()) - set(others)):
        raise TargetError(
            f"{dashboard.url} still runs {', '.join(left)}, which should be deleted. Delete it with "
            "`serve delete`, or see the controller's log."
        )
    return others


def _others(there: ServePayload, names: Sequence[str], is_ours: IsOurs) -> list[str]:
    """Those of `names` under which another application than ours stands, and not to go away."""
    return [
        name
        for name, app in sorted(there.applications.items())
        if name in names and app.status != "DELETING" and not is_ours(name, app)
    ]


def as_deployed(put: Sequence[AppConfig]) -> IsOurs:
    """Tell applications that one of the configurations `put` has brought from all others.

    What it runs decides: settings of deployments may be changed by events and calibrations of ours.
    """
    known = [(str(app.get("name", "default")), _what_runs(app)) for app in put]
    return lambda name, app: (name, _what_runs(app.deployed_app_config or {})) in known


def _what_runs(app: AppConfig) -> object:
    """The import path, arguments and environment of an application, as JSON has them."""
    parts = {name: app.get(name) or None for name in _WHAT_RUNS}
    return json.loads(json.dumps(parts, default=str))


def replace(dashboard: Dashboard, apps: Mapping[str, AppConfig | None]) -> Reply:
    """Have Serve deploy `apps` by their names, and delete those that are None; it does not wait.

    Raises DashboardError if Serve refuses.
    """
    there = parse_payload(dashboard.get(APPLICATIONS_PATH).body)
    wanted = {name: app for name, app in {**_configs(there), **apps}.items() if app is not None}
    return dashboard.put(APPLICATIONS_PATH, document(there, wanted))


def remove(dashboard: Dashboard, names: Sequence[str]) -> Reply:
    """Have Serve delete the applications `names`; it does not wait. Raises DashboardError."""
    return replace(dashboard, dict.fromkeys(names))


def document(there: ServePayload, applications: Mapping[str, AppConfig]) -> dict[str, Any]:
    """Document for `PUT /api/serve/applications/` that changes the applications and nothing else.

    Serve takes the document as the whole truth: an application that it does not name is deleted, and
    a `target_capacity` that it does not name is set back to none. So all that is there is named
    again. Applications deployed from Python have no configuration, and are not touched by it.
    """
    settings = {name: msgspec.json.decode(getattr(there, name)) for name in _OF_ALL_SERVE}
    kept = {name: value for name, value in settings.items() if value is not None}
    return {**kept, "applications": list(applications.values())}


def _configs(there: ServePayload) -> dict[str, AppConfig]:
    """Configurations of the applications that were deployed by such a document, by name.

    One that is going away is left out: Serve would take its name for the wish to have it back.
    """
    return {
        name: app.deployed_app_config
        for name, app in there.applications.items()
        if app.deployed_app_config and app.status != "DELETING"
    }
