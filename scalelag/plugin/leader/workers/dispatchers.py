"""Dispatchers that give users only to the workers that share the run.

Locust spreads all users again whenever a worker comes or goes. A user of an open-loop plan is bound
to the share of its process, so that moving one loses or doubles arrivals; and a process that came
after the run was shared out has no part in it.

No user starts before the run is open. Locust fires `test_start` with the users of the first tick as
its target, and listeners hand out test data by that number; it would also start them then.
"""

from collections.abc import Callable

from locust.dispatch import UsersDispatcher
from locust.runners import WorkerNode
from locust.user import User

from scalelag.plan.stages import Unit

Takes = Callable[[str], bool]
"""Returns True if the worker of that id takes part in the run."""

IsOpen = Callable[[], bool]
"""Returns True once the run is open: until then no user starts."""


class RunDispatcher(UsersDispatcher):
    """Locust's own, that knows which workers take part, and whether the run is open."""

    knows_others = True
    """False if it is given those workers only that take part."""

    def __init__(
        self,
        worker_nodes: list[WorkerNode],
        user_classes: list[type[User]],
        takes: Takes,
        is_open: IsOpen,
    ) -> None:
        known = [node for node in worker_nodes if self.knows_others or takes(node.id)]
        super().__init__(known, user_classes)
        self._takes = takes
        self._is_open = is_open


class ClosedLoopDispatcher(RunDispatcher):
    """Users as Locust spreads them, over the workers that take part."""

    knows_others = False

    def new_dispatch(
        self,
        target_user_count: int,
        spawn_rate: float,
        user_classes: list[type[User]] | None = None,
    ) -> None:
        """Begin to dispatch, without those that have turned out not to take part."""
        for node in [node for node in self._worker_nodes if not self._takes(node.id)]:
            self.remove_worker(node)
        target = target_user_count if self._is_open() else 0
        super().new_dispatch(target, spawn_rate, user_classes)

    def add_worker(self, worker_node: WorkerNode) -> None:
        """Spread users over `worker_node` too, if it takes part."""
        if self._takes(worker_node.id):
            super().add_worker(worker_node)


class OpenLoopDispatcher(RunDispatcher):
    """One user on each worker that takes part, even if others are lost."""

    def new_dispatch(
        self,
        target_user_count: int,
        spawn_rate: float,
        user_classes: list[type[User]] | None = None,
    ) -> None:
        """Begin to dispatch one user to each worker, or none if `target_user_count` is 0."""
        del spawn_rate
        self._user_classes = user_classes or self._user_classes
        starts = target_user_count > 0 and self._is_open()
        wanted = {one.__name__ for one in self._user_classes} if starts else set[str]()
        names = [one.__name__ for one in self._original_user_classes]
        users = {
            node.id: {name: int(name in wanted and self._takes(node.id)) for name in names}
            for node in self._worker_nodes
        }
        self._dispatcher_generator = (users for _ in range(1))

    def add_worker(self, worker_node: WorkerNode) -> None:
        """Add `worker_node`; no users move."""
        self._worker_nodes.append(worker_node)

    def remove_worker(self, worker_node: WorkerNode) -> None:
        """Remove `worker_node`; no users move."""
        self._worker_nodes = [node for node in self._worker_nodes if node.id != worker_node.id]


DISPATCHERS: dict[Unit, type[RunDispatcher]] = {
    "rps": OpenLoopDispatcher,
    "users": ClosedLoopDispatcher,
}
"""By the unit of the plan."""
