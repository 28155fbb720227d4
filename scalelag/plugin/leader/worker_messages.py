"""Messages of the workers, and Locust's users, each handed on to the run under way."""

from collections.abc import Callable

from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import Runner, WorkerNode, WorkerRunner
from locust.user import User

from scalelag.plugin.leader.run import LeaderRun
from scalelag.plugin.leader.run_state import RunState
from scalelag.plugin.leader.workers.dispatchers import DISPATCHERS
from scalelag.plugin.worker.messages import (
    PONG_MESSAGE,
    REFUSAL_MESSAGE,
    ROWS_MESSAGE,
    Pong,
    Refusal,
    RowsMessage,
    decoded,
)


class WorkerMessages:
    """Listens to the workers from now on, for `run()`, which is in `state()`."""

    def __init__(
        self,
        environment: Environment,
        runner: Runner,
        run: Callable[[], LeaderRun | None],
        state: Callable[[], RunState],
    ) -> None:
        self._run = run
        self._state = state
        runner.register_message(ROWS_MESSAGE, self._on_rows)
        runner.register_message(PONG_MESSAGE, self._on_pong)
        runner.register_message(REFUSAL_MESSAGE, self._on_refusal)
        if not isinstance(runner, WorkerRunner):
            environment.dispatcher_class = self._dispatcher  # pyright: ignore[reportAttributeAccessIssue]  called as the class is

    def _on_rows(self, environment: Environment, msg: object) -> None:  # noqa: ARG002
        run = self._run()
        if run is not None and self._state().is_open:
            message = decoded(msg, RowsMessage)
            if message.run == run.name:
                run.collect(message)

    def _on_refusal(self, environment: Environment, msg: object) -> None:  # noqa: ARG002
        run, refusal = self._run(), decoded(msg, Refusal)
        if run is not None and refusal.run == run.name:
            run.note_refusal(refusal)

    def _on_pong(self, environment: Environment, msg: object) -> None:  # noqa: ARG002
        run = self._run()
        if run is not None:
            run.workers.pong(str(getattr(msg, "node_id", "")), decoded(msg, Pong))

    def _dispatcher(
        self, worker_nodes: list[WorkerNode], user_classes: list[type[User]]
    ) -> UsersDispatcher:
        """Dispatcher for Locust: of a kind that fits the plan, or Locust's own if we lead no run."""
        run = self._run()
        if run is None:
            return UsersDispatcher(worker_nodes, user_classes)
        return DISPATCHERS[run.options.plan.unit](
            worker_nodes, user_classes, run.workers.takes, lambda: self._state().is_open
        )
