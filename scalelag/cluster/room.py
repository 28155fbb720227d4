"""Whether the cluster has room for `max_replicas` of every deployment, and what is short."""

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

# A hair of tolerance: Ray reports 0.3999999999999999 used.
_TOLERANCE = 1e-6
# Of these the cluster's status does not tell how much is free; the nodes tell of the first.
_UNTOLD = ("accelerator_type:", "node:")


class Need(msgspec.Struct, frozen=True):
    """What the replicas that a deployment may still add would take: each, and all of them.

    `most_per_node` is its `max_replicas_per_node`; `on_nodes` are the replicas that it has there.
    """

    deployment: DeploymentKey
    more_replicas: int
    each: dict[str, float]
    resources: dict[str, float]
    most_per_node: int | None = None
    on_nodes: dict[str, int] = {}


class Shortage(msgspec.Struct, frozen=True):
    """A resource of which all deployments together could need more than is free."""

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
    """A deployment for which enough is free in sum, and not enough on single nodes."""

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
    """Needs, what is free, and what is short; `free` is None with a `reason` if unknown.

    `written` is when Ray last looked at what is free, in its own words.
    """

    needs: tuple[Need, ...]
    free: dict[str, float] | None
    shortages: tuple[Shortage, ...]
    misfits: tuple[Misfit, ...] = ()
    reason: str | None = None
    written: str | None = None

    @property
    def lacks(self) -> list[str]:
        """What is short, in plain words; empty where nothing is, or where it is not known."""
        return [lack.text for lack in (*self.shortages, *self.misfits)]


def look_for_room(
    dashboard: Dashboard, payload: ServePayload, watched: Collection[DeploymentKey] = ()
) -> Room:
    """Compare what is free with what `watched` deployments, or all, could still ask for.

    Nodes that an autoscaler would add do not count. On single nodes each deployment is looked at as
    if it were alone: several may together find less room than this says, never more.
    """
    needs = tuple(_needs(payload, watched))
    try:
        status = parse_cluster_status(dashboard.get(CLUSTER_STATUS_PATH).body)
    except TargetError as error:
        return Room(needs, None, (), reason=f"the cluster does not tell what is free: {error}")
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

    What it waits for is said once. Raises TargetError with what is short once the patience is over.
    """
    try:
        patience.retry(_Look(dashboard, watched, patience.wait_s, say))
    except TargetError as error:
        if not isinstance(error.__cause__, _NotFreshError):
            raise


class _NotFreshError(TargetError):
    """There is room by what was known before the wait."""


class _Look:
    """One look at the room after another; each raises TargetError while there is none."""

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
        room = look_for_room(self._dashboard, payload, self._watched)
        self._old = self._old or room.written
        if room.free is None:
            raise TargetError(f"Whether there is room is not known: {room.reason}")
        if room.lacks:
            raise self._short("; ".join(room.lacks))
        if room.written is not None and room.written == self._old:
            # The legacy autoscaler looks every 5 s: replicas that have just started may be missing.
            raise _NotFreshError("what is free was not looked at since the wait began")

    def _short(self, lacks: str) -> TargetError:
        if not self._said:
            self._said = True
            self._say(f"waiting up to {self._wait_s:g} s for room: {lacks}")
        return TargetError(
            f"No room: {lacks}. Free some, add nodes, or lower max_replicas; where nodes are added "
            "on demand they come only once replicas ask for them: leave out --wait-for-room"
        )


def shortages(needs: Sequence[Need], free: Mapping[str, float]) -> list[Shortage]:
    """Resources whose summed needs exceed what is free."""
    wanted: Counter[str] = Counter()
    for need in needs:
        wanted.update(need.resources)
    return [
        Shortage(name, amount, free.get(name, 0.0), _asking(needs, name))
        for name, amount in sorted(wanted.items())
        if not name.startswith(_UNTOLD) and amount > free.get(name, 0.0) + _TOLERANCE
    ]


def _asking(needs: Sequence[Need], resource: str) -> tuple[DeploymentKey, ...]:
    return tuple(need.deployment for need in needs if need.resources.get(resource))


def misfits(needs: Sequence[Need], free: Mapping[str, Mapping[str, float]]) -> list[Misfit]:
    """Deployments whose replicas do not fit on nodes with this much free, by the node's id.

    None where no node is known.
    """
    if not free:
        return []
    fits = [(need, sum(_fitting(need, node, free[node]) for node in free)) for need in needs]
    return [Misfit(need, fitting) for need, fitting in fits if fitting < need.more_replicas]


def _fitting(need: Need, node: str, free: Mapping[str, float]) -> int:
    """How many more replicas a node has room for."""
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
