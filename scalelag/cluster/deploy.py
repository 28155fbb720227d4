"""Deploying applications through Serve's REST API, beside what is deployed already."""

from collections.abc import Collection, Sequence
from typing import Any

from probes.dashboard import APPLICATIONS_PATH, Dashboard
from probes.serve_state import DeploymentPayload, ServePayload, parse_payload
from scalelag.cluster.apps import AppConfig
from scalelag.cluster.preflight import Patience, ready_payload
from scalelag.errors import TargetError, UsageError
from scalelag.record.rows import DeploymentKey

_SCALING = ("num_replicas", "autoscaling_config")


def pin(
    dashboard: Dashboard,
    apps: Sequence[str],
    wanted: Sequence[DeploymentKey],
    patience: Patience,
) -> list[DeploymentKey]:
    """Deploy `apps`, which run already, with one fixed replica for each deployment of `wanted`.

    Without `wanted` for each of theirs. Returns which, when the replicas too many have gone.
    Raises UsageError where one of `wanted` is of another application, DashboardError where Serve
    refuses, TargetError where there is no such deployment, or where it takes too long.
    """
    if others := [key for key in wanted if key.partition("/")[0] not in apps]:
        raise UsageError(
            f"--deployment {', '.join(others)} is not of {', '.join(apps)}, which --app deploys: "
            "what is there already is not changed."
        )
    there = ready_payload(dashboard, wanted, apps)
    keys = wanted or [key for key in there.deployments() if key.partition("/")[0] in apps]
    # Serve's API takes the whole list: what it does not name it deletes.
    dashboard.put(
        APPLICATIONS_PATH,
        {
            "applications": [
                pinned_app(name, app.deployed_app_config, keys, there)
                if name in apps
                else app.deployed_app_config
                for name, app in there.applications.items()
                if app.deployed_app_config
            ]
        },
    )
    return patience.retry(lambda: check_pinned(ready_payload(dashboard, keys, apps), keys))


def pinned_app(
    name: str, app: AppConfig, keys: Collection[DeploymentKey], there: ServePayload
) -> AppConfig:
    """The application `name` with one fixed replica for those of its deployments in `keys`.

    One that scales does so from 1 to 1: Serve has a num_replicas give way to a policy.
    """
    overrides = {str(one["name"]): one for one in app.get("deployments") or ()}
    for key, deployment in there.deployments().items():
        in_app, _, deployment_name = key.partition("/")
        if in_app != name or key not in keys:
            continue
        kept = {k: v for k, v in overrides.get(deployment_name, {}).items() if k not in _SCALING}
        scaling = {"autoscaling_config": {"min_replicas": 1, "max_replicas": 1}}
        fixed = scaling if deployment.info().autoscaling is not None else {"num_replicas": 1}
        overrides[deployment_name] = {**kept, "name": deployment_name, **fixed}
    return {**app, "deployments": list(overrides.values())}


def check_pinned(payload: ServePayload, wanted: Collection[DeploymentKey]) -> list[DeploymentKey]:
    """Keys of the deployments of `wanted`, all if empty, each of which has one fixed replica.

    Raises TargetError naming those that have not.
    """
    there = payload.deployments()
    keys = sorted(wanted or there)
    loose = [f"{key} {why}" for key in keys if (why := _why_not(there[key]))]
    if loose:
        raise TargetError(
            f"A calibration needs one fixed replica, and {'; '.join(loose)}: set num_replicas to 1 "
            "in its configuration, name the deployment with --deployment, or have it deployed by "
            "--app."
        )
    return keys


def _why_not(deployment: DeploymentPayload) -> str | None:
    info = deployment.info()
    states = [replica.state for replica in deployment.replicas]
    if info.autoscaling is not None and info.autoscaling.get("max_replicas") != 1:
        return f"scales up to {info.autoscaling.get('max_replicas')} replicas"
    if info.autoscaling is not None and info.autoscaling.get("min_replicas") != 1:
        return f"scales down to {info.autoscaling.get('min_replicas')} replicas"
    if states != ["RUNNING"]:
        return f"has {len(states)} replicas ({', '.join(states) or 'none'})"
    return None


def deploy(dashboard: Dashboard, apps: Sequence[AppConfig]) -> list[str]:
    """Deploy `apps` and return their names; it does not wait until they run.

    Serve's API takes the whole list of applications and deletes those it does not name, so the ones
    that are there are named again. Raises UsageError where one of theirs would be replaced,
    DashboardError where Serve refuses.
    """
    there = parse_payload(dashboard.get(APPLICATIONS_PATH).body).applications
    names = [str(app.get("name", "default")) for app in apps]
    taken = sorted(set(names) & there.keys())
    if taken:
        raise UsageError(
            f"{dashboard.url} already runs the application {', '.join(taken)}: leave out --app to "
            "test it as it is, or deploy yours under another name with a Serve config file."
        )
    kept = [app.deployed_app_config for app in there.values() if app.deployed_app_config]
    dashboard.put(APPLICATIONS_PATH, _config([*kept, *apps]))
    return names


def undeploy(dashboard: Dashboard, names: Sequence[str], patience: Patience) -> None:
    """Take the applications `names` away again and wait until they are gone.

    Raises DashboardError where Serve refuses, TargetError where they stay.
    """
    there = parse_payload(dashboard.get(APPLICATIONS_PATH).body).applications
    kept = [
        app.deployed_app_config
        for name, app in there.items()
        if app.deployed_app_config and name not in names
    ]
    dashboard.put(APPLICATIONS_PATH, _config(kept))
    patience.retry(lambda: _check_gone(dashboard, names))


def _check_gone(dashboard: Dashboard, names: Sequence[str]) -> None:
    there = parse_payload(dashboard.get(APPLICATIONS_PATH).body).applications
    left = sorted(set(names) & there.keys())
    if left:
        raise TargetError(f"{dashboard.url} still runs {', '.join(left)}, which was to be deleted.")


def _config(applications: Sequence[AppConfig]) -> dict[str, Any]:
    return {"applications": list(applications)}
