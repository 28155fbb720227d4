"""Requests of the client that are for one application, by route prefixes."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from scalelag.record.application_info import ApplicationInfo
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_info import RunInfo

_PATH = re.compile(r"(?:^|\s)(/[^\s?#]*)")


def routed(rows: RequestColumns, info: RunInfo, app: str) -> RequestColumns | str:
    """Return the rows whose requests went to application `app`, or the reason why that is not known.

    If only one application is tested, all rows are its own.
    """
    if len(info.target.applications) <= 1:
        return rows
    apps = apps_of_names(rows.names, info)
    if None in apps:
        name = rows.names[apps.index(None)]
        return f'several applications are tested, and which of them "{name}" is for cannot be told'
    codes = [code for code, found in enumerate(apps) if found == app]
    return rows.chosen(np.isin(rows.name, codes))


def perhaps_for(rows: RequestColumns, info: RunInfo, app: str) -> RequestColumns:
    """Return the rows whose requests may have been for `app`: no route gives them to another one.

    The route of an application that came with an event is not known, so requests that fit no known
    route may be for it. An application without a route of its own is reached through others.
    """
    codes = may_be_for(rows.names, info, app)
    return rows if len(codes) == len(rows.names) else rows.chosen(np.isin(rows.name, codes))


def may_be_for(names: Sequence[str], info: RunInfo, app: str) -> list[int]:
    """Return the codes of those `names` whose requests may have been for `app` (see `perhaps_for`)."""
    known = info.target.applications
    if app in known and (len(known) == 1 or known[app].route_prefix is None):
        return list(range(len(names)))
    able = {app} if app in known else {app, None}
    return [code for code, found in enumerate(apps_of_names(names, info)) if found in able]


def apps_of_names(names: Sequence[str], info: RunInfo) -> list[str | None]:
    """Return the application that requests of each name are for; None if that is not known.

    The path of a request comes from its mix, else from its name, such as `GET /chat`, else from
    `--path`. The longest route prefix that fits the path counts.
    """
    applications = info.target.applications
    of_mix = {request.name: _path(request.path) for request in info.requests}
    default = str(info.options.get("path") or "/")
    return [_app_at(of_mix.get(name) or _path(name) or default, applications) for name in names]


def _path(name: str) -> str | None:
    found = _PATH.search(name)
    return found[1] if found else None


def _app_at(path: str, applications: Mapping[str, ApplicationInfo]) -> str | None:
    fitting = {
        name: prefix
        for name, app in applications.items()
        if (prefix := app.route_prefix) is not None and _fits(path, prefix)
    }
    return max(fitting, key=lambda name: len(fitting[name]), default=None)


def _fits(path: str, prefix: str) -> bool:
    bare = prefix.rstrip("/")
    return path == bare or path.startswith(f"{bare}/")
