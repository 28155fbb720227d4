"""Check that the cluster has room for `max_replicas` of every deployment."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from probes.cluster_status import parse_cluster_status, parse_free_by_node
from probes.dashboard import APPLICATIONS_PATH, CLUSTER_STATUS_PATH, NODES_PATH, Dashboard
from probes.serve_state import DeploymentPayload, ServePayload, parse_payload
from scalelag.cluster.preflight import Patience
from scalelag.errors import TargetError
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_info import DeploymentInfo

# Ray reports amounts such as 0.3999999999999999.
_TOLERANCE = 1e-6
# The cluster's status does not list these as free; single nodes list the first.
_UNLISTED = ("accelerator_type:", "node:")


class Need(msgspec.Struct, frozen=True):
    """Resources for the replicas that a deployment may still add: for each, and for all together.

    `most_per_node` is its `max_replicas_per_node`; `on_nodes` counts its replicas on each node.
    """

    deployment: DeploymentKey
    more_replicas: int
    each: dict[str, float]
    resources: dict[str, float]
    most_per_node: int | None = None
    on_nodes: dict[str, int] = {}


class Shortage(msgspec.Struct, frozen=True):
    """A resource of which all deployments together may need more than is free."""

    resource: str
    needed: float
    free: float
    deployments: tuple[DeploymentKey, ...]

    @property
    def text(self) -> str:
        """In plain words."""
        return (
            f"{self.resource}: {self.needed:g} needed for max_replicas of "
            f"{', '.join(self.deployments)}, {self.free:g} free, "
            f"{self.needed - self.free:g} short"
        )


class Misfit(msgspec.Struct, frozen=True):
    """A deployment for which enough is free in total, but not on single nodes."""

    need: Need
    fitting: int

    @property
    def text(self) -> str:
        """In plain words."""
        need = self.need
        each = ", ".join(f"{amount:g} {name}" for name, amount in sorted(need.each.items()))
        limit = f", at most {need.most_per_node} on a node" if need.most_per_node else ""
        return (
            f"{need.deployment}: {need.more_replicas} more replicas needed for max_replicas, of "
            f"{each or 'nothing'} each{limit}; the nodes have room for {self.fitting}"
        )


class Room(msgspec.Struct, frozen=True):
    """Needs, free resources and shortages; `free` is None, with a `reason`, if it is not known.

    `written` is Ray's own text for the time at which it last measured the free resources.
    """

    needs: tuple[Need, ...]
    free: dict[str, float] | None
    shortages: tuple[Shortage, ...]
    misfits: tuple[Misfit, ...] = ()
    reason: str | None = None
    written: str | None = None

    @property
    def lacks(self) -> list[str]:
        """Shortages in plain words; empty if there are none, or if they are not known."""
        return [lack.text for lack in (*self.shortages, *self.misfits)]


def measure_room(
    dashboard: Dashboard, payload: ServePayload, watched: Collection[DeploymentKey] = ()
) -> Room:
    """Compare the free resources with the needs of the `watched` deployments, or of all.

    Nodes that an autoscaler would add do not count. On single nodes each deployment is checked as if it
    were alone: several together may find less room than this says, never more.
    """
    needs = tuple(_needs(payload, watched))
    try:
        status = parse_cluster_status(dashboard.get(CLUSTER_STATUS_PATH).body)
    except TargetError as error:
        return Room(needs, None, (), reason=f"the free resources are not known: {error}")
    if not status.free:
        return Room(needs, None, (), reason="the cluster's status names no resources")
    short = tuple(shortages(needs, status.free))
    tight = () if short else tuple(misfits(needs, _free_by_node(dashboard)))
    return Room(needs, status.free, short, tight, written=status.written)


def _free_by_node(dashboard: Dashboard) -> dict[str, dict[str, float]]:
    try:
        return parse_free_by_node(dashboard.get(NODES_PATH).body)
    except TargetError:
        return {}


def await_room(
    dashboard: Dashboard,
    watched: Collection[DeploymentKey],
    patience: Patience,
    say: Callable[[str], None],
) -> None:
    """Wait until there is room for `max_replicas` of the `watched` deployments, or of all.

    Says once what it waits for. Raises TargetError with the shortages when the patience is over.
    """
    try:
        patience.retry(_RoomPoll(dashboard, watched, patience.wait_s, say))
    except TargetError as error:
        if not isinstance(error.__cause__, _NotFreshError):
            raise


class _NotFreshError(TargetError):
    """There is room, but by a status from before the wait."""


class _RoomPoll:
    """Poll of the room; each call raises TargetError as long as there is too little."""

    def __init__(
        self,
        dashboard: Dashboard,
        watched: Collection[DeploymentKey],
        wait_s: float,
        say: Callable[[str], None],
    ) -> None:
        self._dashboard = dashboard
        self._watched = watched
        self._wait_s = wait_s
        self._say = say
        self._said = False
        self._old: str | None = None

    def __call__(self) -> None:
        payload = parse_payload(self._dashboard.get(APPLICATIONS_PATH).body)
        room = measure_room(self._dashboard, payload, self._watched)
        self._old = self._old or room.written
        if room.free is None:
            raise TargetError(
                f"It is not known whether there is room: {room.reason}. Leave out --wait-for-room, or "
                "check `ray status` on the head node."
            )
        if room.lacks:
            raise self._short("; ".join(room.lacks))
        if room.written is not None and room.written == self._old:
            # The legacy autoscaler updates every 5 s: new replicas may be missing.
            raise _NotFreshError("the free resources were not updated since the wait began")

    def _short(self, lacks: str) -> TargetError:
        if not self._said:
            self._said = True
            self._say(f"waiting up to {self._wait_s:g} s for room: {lacks}")
        return TargetError(
            f"No room: {lacks}. Free resources, add nodes, or lower max_replicas. If nodes are added "
            "on demand, they come only after replicas ask for them: then leave out --wait-for-room"
        )


def shortages(needs: Sequence[Need], free: Mapping[str, float]) -> list[Shortage]:
    """Resources of which more is needed in total than is free."""
    wanted: Counter[str] = Counter()
    for need in needs:
        wanted.update(need.resources)
    return [
        Shortage(name, amount, free.get(name, 0.0), _asking(needs, name))
        for name, amount in sorted(wanted.items())
        if not name.startswith(_UNLISTED) and amount > free.get(name, 0.0) + _TOLERANCE
    ]


def _asking(needs: Sequence[Need], resource: str) -> tuple[DeploymentKey, ...]:
    return tuple(need.deployment for need in needs if need.resources.get(resource))


def misfits(needs: Sequence[Need], free: Mapping[str, Mapping[str, float]]) -> list[Misfit]:
    """Deployments whose replicas do not fit on the nodes; `free` has the free resources by node id.

    Empty if no node is known.
    """
    if not free:
        return []
    fits = [(need, sum(_fitting(need, node, free[node]) for node in free)) for need in needs]
    return [Misfit(need, fitting) for need, fitting in fits if fitting < need.more_replicas]


def _fitting(need: Need, node: str, free: Mapping[str, float]) -> int:
    """Number of replicas that still fit on a node."""
    most = need.more_replicas
    if need.most_per_node is not None:
        most = min(most, max(0, need.most_per_node - need.on_nodes.get(node, 0)))
    for name, amount in need.each.items():
        if amount > 0 and not name.startswith("node:"):
            most = min(most, math.floor((free.get(name, 0.0) + _TOLERANCE) / amount))
    return max(0, most)


def _needs(payload: ServePayload, watched: Collection[DeploymentKey]) -> list[Need]:
    found = (
        _need(key, deployment)
        for key, deployment in sorted(payload.deployments().items())
        if not watched or key in watched
    )
    return [need for need in found if need.more_replicas > 0]


def _need(key: DeploymentKey, deployment: DeploymentPayload) -> Need:
    info = deployment.info()
    more = max_replicas(info) - len(deployment.replicas)
    each = info.required_resources or _resources_asked(info)
    most = info.config.get("max_replicas_per_node")
    return Need(
        deployment=key,
        more_replicas=more,
        each=each,
        resources={name: more * amount for name, amount in each.items()},
        most_per_node=most if isinstance(most, int) else None,
        on_nodes=Counter(r.node_id for r in deployment.replicas if r.node_id),
    )


def max_replicas(info: DeploymentInfo) -> int:
    """Maximum number of replicas in a deployment's configuration."""
    chosen = info.autoscaling or info.config
    value = chosen.get("max_replicas" if info.autoscaling else "num_replicas")
    return int(value) if isinstance(value, int | float) else 1


def _resources_asked(info: DeploymentInfo) -> dict[str, float]:
    """Resources from the actor's options, since before Ray 2.42 `required_resources` is missing."""
    options = info.config.get("ray_actor_options") or {}
    asked = {"CPU": float(options.get("num_cpus", 1)), "GPU": float(options.get("num_gpus", 0))}
    asked |= {name: float(amount) for name, amount in (options.get("resources") or {}).items()}
    return {name: amount for name, amount in asked.items() if amount > 0}
