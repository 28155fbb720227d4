"""Whether the cluster has room for `max_replicas` of every deployment, and what is short."""

import re
from collections.abc import Mapping

import msgspec

from probes.payload import ServePayload
from probes.serve_api import CLUSTER_STATUS_PATH, Dashboard, DashboardError
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_info import DeploymentInfo

_USAGE = re.compile(
    r"^\s*(?P<used>[\d.]+)(?P<u>[KMGT]i)?B?/(?P<total>[\d.]+)(?P<t>[KMGT]i)?B? (?P<name>\S+)$"
)
_SCALE = {None: 1.0, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}


class Need(msgspec.Struct, frozen=True):
    """What the replicas that a deployment may still add would take."""

    deployment: DeploymentKey
    more_replicas: int
    resources: dict[str, float]


class Shortage(msgspec.Struct, frozen=True):
    """A resource of which all deployments together could need more than is free."""

    resource: str
    needed: float
    free: float

    @property
    def text(self) -> str:
        """In plain words."""
        return (
            f"{self.resource}: {self.needed:g} needed for max_replicas of every deployment, "
            f"{self.free:g} free, {self.needed - self.free:g} short"
        )


class Room(msgspec.Struct, frozen=True):
    """Needs, what is free, and what is short; `free` is None with a `reason` if unknown."""

    needs: tuple[Need, ...]
    free: dict[str, float] | None
    shortages: tuple[Shortage, ...]
    reason: str | None = None


class _StatusData(msgspec.Struct, frozen=True, rename="camel"):
    cluster_status: str = ""


class _Status(msgspec.Struct, frozen=True):
    data: _StatusData = _StatusData()


def look_for_room(dashboard: Dashboard, payload: ServePayload) -> Room:
    """Compare what is free on the cluster's nodes with what could still be asked for.

    Sums over all nodes: it cannot see that a replica fits on none of them.
    """
    needs = tuple(_needs(payload))
    try:
        reply = dashboard.get(CLUSTER_STATUS_PATH)
        text = msgspec.json.decode(reply.body, type=_Status).data.cluster_status
    except (DashboardError, msgspec.MsgspecError) as error:
        return Room(needs, None, (), reason=f"the cluster does not tell what is free: {error}")
    free = free_resources(text)
    if not free:
        return Room(needs, None, (), reason="the cluster's status names no resources")
    return Room(needs, free, tuple(shortages(needs, free)))


def free_resources(status_text: str) -> dict[str, float]:
    """Free amount of each resource, from the text of Ray's cluster status ("used/total NAME")."""
    free: dict[str, float] = {}
    for line in status_text.splitlines():
        match = _USAGE.match(line)
        if match:
            total = float(match["total"]) * _SCALE[match["t"]]
            free[match["name"]] = total - float(match["used"]) * _SCALE[match["u"]]
    return free


def shortages(needs: tuple[Need, ...], free: Mapping[str, float]) -> list[Shortage]:
    """Resources whose summed needs exceed what is free."""
    wanted: dict[str, float] = {}
    for need in needs:
        for name, amount in need.resources.items():
            wanted[name] = wanted.get(name, 0.0) + amount
    # A hair of tolerance: Ray reports 0.3999999999999999 used.
    return [
        Shortage(name, amount, free.get(name, 0.0))
        for name, amount in sorted(wanted.items())
        if amount > free.get(name, 0.0) + 1e-6
    ]


def _needs(payload: ServePayload) -> list[Need]:
    needs: list[Need] = []
    for key, deployment in sorted(payload.deployments().items()):
        info = deployment.info()
        more = max_replicas(info) - len(deployment.replicas)
        if more > 0:
            each = info.required_resources or _resources_asked(info)
            needs.append(Need(key, more, {name: more * amount for name, amount in each.items()}))
    return needs


def max_replicas(info: DeploymentInfo) -> int:
    """Most replicas that a deployment's configuration allows."""
    chosen = info.autoscaling or info.config
    value = chosen.get("max_replicas" if info.autoscaling else "num_replicas")
    return int(value) if isinstance(value, int | float) else 1


def _resources_asked(info: DeploymentInfo) -> dict[str, float]:
    """Before Ray 2.42 the payload has no `required_resources`: read the actor's options."""
    options = info.config.get("ray_actor_options") or {}
    asked = {"CPU": float(options.get("num_cpus", 1)), "GPU": float(options.get("num_gpus", 0))}
    asked |= {name: float(amount) for name, amount in (options.get("resources") or {}).items()}
    return {name: amount for name, amount in asked.items() if amount > 0}
