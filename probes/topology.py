"""Applications out of Serve's state: their deployments, and who calls whom."""

from collections.abc import Collection

import msgspec

from probes.serve_state import ApplicationPayload, ServePayload
from scalelag.errors import UNREADABLE
from scalelag.ray_versions import TOPOLOGY, named
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.rows import DeploymentKey

_NOT_TOLD = f"who calls whom is known since {named(TOPOLOGY)}"


class _Place(msgspec.Struct, frozen=True):
    name: str
    app_name: str


class _Node(msgspec.Struct, frozen=True):
    outbound_deployments: list[_Place] = []


class _Topology(msgspec.Struct, frozen=True):
    nodes: dict[str, _Node]
    ingress_deployment: str | None = None


def applications_of(
    payload: ServePayload, watched: Collection[DeploymentKey]
) -> dict[str, ApplicationInfo]:
    """Return the applications, by name, of which a deployment is `watched`."""
    names = {payload.application_of(key) for key in watched}
    return {
        name: _application(name, app)
        for name, app in sorted(payload.applications.items())
        if name in names
    }


def _application(name: str, app: ApplicationPayload) -> ApplicationInfo:
    keys = tuple(f"{name}/{one}" for one in app.deployments)
    topology = _topology(app)
    if topology is None:
        reason = _NOT_TOLD if len(keys) > 1 else None
        return ApplicationInfo(keys, app.route_prefix, reason=reason)
    ingress = topology.ingress_deployment
    calls = {
        f"{name}/{caller}": tuple(f"{to.app_name}/{to.name}" for to in node.outbound_deployments)
        for caller, node in topology.nodes.items()
        if node.outbound_deployments
    }
    return ApplicationInfo(keys, app.route_prefix, f"{name}/{ingress}" if ingress else None, calls)


def _topology(app: ApplicationPayload) -> _Topology | None:
    """The topology; None if there is none, or one that makes no sense."""
    try:
        return msgspec.json.decode(app.deployment_topology, type=_Topology | None)
    except UNREADABLE:
        return None
