"""Check that the cluster has room for `max_replicas` of every deployment."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from probes.cluster_status import parse_cluster_status, parse_free_by_node
from probes.dashboard import APPLICATIONS_PATH, CLUSTER_STATUS_PATH, NODES_PATH, Dashboard
from probes.serve_state import ReplicaPayload, ServePayload, parse_payload
from scalelag.cluster.preflight import Patience
from scalelag.errors import TargetError
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import asked_by_replica, described_need, scaling_of
from scalelag.record.rows import DeploymentKey
from scalelag.wording import count

# Ray reports amounts such as 0.3999999999999999.
_TOLERANCE = 1e-6
# The cluster's status does not list these as free; single nodes list the first.
_UNLISTED = ("accelerator_type:", "node:")


class Need(msgspec.Struct, frozen=True):
    """Resources for the replicas that a deployment may still add: for each, and for all together.

    `most_per_node` is its `max_replicas_per_node`; `on_nodes` counts its replicas on each node.
    `bundles` are those of the placement group of each replica. `bound` is the setting that limits
    their number, `described` says in words what each asks for.
    """

    deployment: DeploymentKey
    more_replicas: int
    each: dict[str, float]
    resources: dict[str, float]
    most_per_node: int | None = None
    on_nodes: dict[str, int] = {}
    bundles: tuple[dict[str, float], ...] = ()
    bound: str = "max_replicas"
    described: str = ""


class Shortage(msgspec.Struct, frozen=True):
    """A resource of which all deployments together may need more than is free."""

    resource: str
    needed: float
    free: float
    deployments: tuple[DeploymentKey, ...]
    bound: str = "max_replicas"
    bundled: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """In plain words."""
        each = f" (each replica {'; '.join(self.bundled)})" if self.bundled else ""
        return (
            f"{self.resource}: {self.needed:g} needed for {self.bound} of "
            f"{', '.join(self.deployments)}{each}, {self.free:g} free, "
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
        limit = f", at most {need.most_per_node} on a node" if need.most_per_node else ""
        return (
            f"{need.deployment}: {count(need.more_replicas, 'more replica')} needed for "
            f"{need.bound}, of "
            f"{need.described or 'nothing'} each{limit}; the nodes have room for {self.fitting}"
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
        _shortage(name, amount, free.get(name, 0.0), needs)
        for name, amount in sorted(wanted.items())
        if not name.startswith(_UNLISTED) and amount > free.get(name, 0.0) + _TOLERANCE
    ]


def _shortage(resource: str, needed: float, free: float, needs: Sequence[Need]) -> Shortage:
    asking = [need for need in needs if need.resources.get(resource)]
    return Shortage(
        resource,
        needed,
        free,
        deployments=tuple(need.deployment for need in asking),
        bound=" and ".join(dict.fromkeys(need.bound for need in asking)),
        bundled=tuple(dict.fromkeys(need.described for need in asking if need.bundles)),
    )


def misfits(needs: Sequence[Need], free: Mapping[str, Mapping[str, float]]) -> list[Misfit]:
    """Deployments whose replicas do not fit on the nodes; `free` has the free resources by node id.

    Empty if no node is known.
    """
    if not free:
        return []
    fits = [(need, _fitting_in_all(need, free)) for need in needs]
    return [Misfit(need, fitting) for need, fitting in fits if fitting < need.more_replicas]


def _fitting_in_all(need: Need, free: Mapping[str, Mapping[str, float]]) -> int:
    if len(need.bundles) > 1:
        return _groups_fitting(need, [dict(node) for node in free.values()])
    return sum(_fitting(need, node, free[node]) for node in free)


def _groups_fitting(need: Need, left: list[dict[str, float]]) -> int:
    """Number of placement groups that still fit, each bundle on any node, the largest ones first."""
    bundles = sorted(need.bundles, key=lambda bundle: -max(bundle.values(), default=0.0))
    for placed in range(need.more_replicas):
        for bundle in bundles:
            node = next((n for n in left if _times(bundle, n) >= 1), None)
            if node is None:
                return placed
            for name, amount in bundle.items():
                node[name] = node.get(name, 0.0) - amount
    return need.more_replicas


def _times(asked: Mapping[str, float], free: Mapping[str, float]) -> float:
    """Return the number of times that `asked` fits into `free`."""
    counts = [
        math.floor((free.get(name, 0.0) + _TOLERANCE) / amount)
        for name, amount in asked.items()
        if amount > 0 and not name.startswith("node:")
    ]
    return min(counts, default=math.inf)


def _fitting(need: Need, node: str, free: Mapping[str, float]) -> int:
    """Number of replicas that still fit on a node."""
    most = need.more_replicas
    if need.most_per_node is not None:
        most = min(most, max(0, need.most_per_node - need.on_nodes.get(node, 0)))
    return max(0, int(min(most, _times(need.each, free))))


def _needs(payload: ServePayload, watched: Collection[DeploymentKey]) -> list[Need]:
    infos = payload.infos(watched or None)
    found = (_need(key, infos[key], payload.deployments()[key].replicas) for key in sorted(infos))
    return [need for need in found if need.more_replicas > 0]


def _need(key: DeploymentKey, info: DeploymentInfo, replicas: Sequence[ReplicaPayload]) -> Need:
    """Need of a deployment; one that an external scaler decides on needs what it was asked for."""
    scaling = scaling_of(info)
    most = scaling.most if scaling.most is not None else info.target_replicas or scaling.least
    more, each = most - len(replicas), asked_by_replica(info)
    per_node = info.config.get("max_replicas_per_node")
    return Need(
        deployment=key,
        more_replicas=more,
        each=each,
        resources={name: more * amount for name, amount in each.items()},
        most_per_node=per_node if isinstance(per_node, int) else None,
        on_nodes=Counter(r.node_id for r in replicas if r.node_id),
        bundles=info.placement_bundles,
        bound=scaling.most_name,
        described=described_need(info),
    )
