"""Users that really ran, as each load process counted them, and the edges that follow from that.

A user that is told to stop finishes its task first, and a long task takes its time: the load has
changed when the last of them is gone, and not when the plan says so.
"""

from collections.abc import Sequence
from operator import itemgetter

import msgspec

from scalelag.plan.stages import LoadPlan
from scalelag.record.run_info import Edge

_TOLERANCE_S = 0.2
"""A change that takes no longer is Locust's own spawning and stopping, and our counting."""


class UserCounts:
    """Counts of users by process, each with the moment from which it held."""

    def __init__(self) -> None:
        self._changes: list[tuple[float, int, int]] = []

    def add(self, worker: int, changes: Sequence[tuple[float, int]]) -> None:
        """Take the changes of one process: Unix seconds, and the users from then on."""
        self._changes += [(at_s, worker, users) for at_s, users in changes]

    def totals(self) -> list[tuple[float, int]]:
        """Users of all processes together, from each moment on, in the order of time."""
        users: dict[int, int] = {}
        totals: list[tuple[float, int]] = []
        for at_s, worker, count in sorted(self._changes, key=itemgetter(0)):
            users[worker] = count
            totals.append((at_s, sum(users.values())))
        return totals


def settled_edges(
    plan: LoadPlan,
    edges: Sequence[Edge],
    totals: Sequence[tuple[float, int]],
    zero_s: float,
    until_s: float,
) -> tuple[Edge, ...]:
    """Edges at the moments at which the users of the stage before them had ended.

    `totals` are of `UserCounts`, in Unix seconds, as are `zero_s`, the plan's start, and `until_s`,
    the end of the load. An edge upwards stays: users begin at once. One at which users went on until
    the next edge stays too, and says how long they did (`waited_s`).
    """
    ends_s = [edge.actual_s for edge in edges[1:]] + [until_s - zero_s]
    since_s = [(at_s - zero_s, users) for at_s, users in totals]
    return tuple(
        _settled(plan, edge, since_s, end_s) for edge, end_s in zip(edges, ends_s, strict=False)
    )


def _settled(plan: LoadPlan, edge: Edge, totals: Sequence[tuple[float, int]], end_s: float) -> Edge:
    before, after = _levels(plan, edge.stage)
    if after >= before:
        return edge
    reached_s = _when_at_most(totals, round(after), edge.actual_s)
    if reached_s is None or reached_s > end_s:
        waited_s = max(0.0, end_s - edge.actual_s)
        return msgspec.structs.replace(edge, waited_s=waited_s)
    if reached_s - edge.actual_s <= _TOLERANCE_S:
        return edge
    waited_s = reached_s - edge.actual_s
    return msgspec.structs.replace(edge, actual_s=reached_s, waited_s=waited_s)


def _levels(plan: LoadPlan, stage: int) -> tuple[float, float]:
    """Levels before and after the beginning of a stage; the stage after the last one is the end."""
    before = plan.stages[stage - 1].end_level if stage > 0 else 0.0
    after = plan.stages[stage].start_level if stage < len(plan.stages) else 0.0
    return before, after


def _when_at_most(totals: Sequence[tuple[float, int]], users: int, from_s: float) -> float | None:
    """First moment from `from_s` on at which no more than `users` ran; None if there is none."""
    running = 0
    for at_s, count in totals:
        if at_s > from_s and running <= users:
            return from_s
        if at_s > from_s and count <= users:
            return at_s
        running = count
    return from_s if running <= users else None
