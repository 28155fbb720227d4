"""Deploying applications through Serve's REST API, beside what is deployed already."""

from collections.abc import Sequence
from typing import Any

from probes.dashboard import APPLICATIONS_PATH, Dashboard
from probes.serve_state import parse_payload
from scalelag.cluster.apps import AppConfig
from scalelag.cluster.preflight import Patience
from scalelag.errors import TargetError, UsageError


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
