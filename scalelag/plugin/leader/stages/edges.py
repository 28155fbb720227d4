"""Stages of a run as they really began: the plan's, or those of the user's own shape class."""

from collections.abc import Sequence

from scalelag.plan.own_shape import Tick, shape_plan
from scalelag.plan.stages import LoadPlan
from scalelag.plugin.leader.stages.user_counts import UserCounts, settled_edges
from scalelag.record.run_info import Edge


class StageEdges:
    """Edges of a plan in users, and the plan itself, which an own shape makes tick by tick.

    Times are seconds after the plan's start. A plan in rps has no edges: its arrivals have due times.
    """

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self._edges: list[Edge] = []
        self._ticks: list[Tick] = []
        self._users = UserCounts()

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Edges so far, as the shape gave them."""
        return tuple(self._edges)

    def begin(self, stage: int, planned_s: float, actual_s: float) -> None:
        """Note the start of a stage of the plan."""
        self._edges.append(Edge(stage, planned_s, actual_s))

    def tick(self, users: int, spawn_rate: float, at_s: float) -> bool:
        """Note a tick of an own shape; returns True if it changes the load."""
        if self._ticks and (self._ticks[-1].users, self._ticks[-1].spawn_rate) == (
            users,
            spawn_rate,
        ):
            return False
        # The first is the plan's start.
        self._ticks.append(Tick(max(0.0, at_s) if self._ticks else 0.0, users, spawn_rate))
        self._follow_ticks(at_s)
        return True

    def end(self, at_s: float) -> None:
        """Note that all users are told to stop."""
        if self.plan.unit == "users":
            self._follow_ticks(at_s)
            self._edges.append(Edge(len(self.plan.stages), self.plan.duration_s, at_s))

    def add_users(self, worker: int, changes: Sequence[tuple[float, int]]) -> None:
        """Take changes of a process's number of users: Unix seconds, and the users from then on."""
        self._users.add(worker, changes)

    def settled(self, zero_s: float, until_s: float) -> tuple[Edge, ...]:
        """Edges at the moments at which users had really ended; both times are Unix seconds."""
        if self._ticks and not self._is_over:
            self._follow_ticks(until_s - zero_s)  # it was broken off
        return settled_edges(self.plan, self._edges, self._users.totals(), zero_s, until_s)

    @property
    def _is_over(self) -> bool:
        return bool(self._edges) and self._edges[-1].stage == len(self.plan.stages)

    def _follow_ticks(self, until_s: float) -> None:
        if self._ticks:
            name = self.plan.text.removeprefix("shape ")
            self.plan = shape_plan(name, self._ticks, until_s)
            self._edges = [
                Edge(number, stage.at_s, stage.at_s)
                for number, stage in enumerate(self.plan.stages)
            ]
