"""Load side of a run, in every process that has users: its share of the plan, its rows."""

import gc
import logging
import os
from collections import Counter
from typing import Any

import gevent
import gevent.event
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING, Runner, WorkerRunner

from scalelag.errors import UsageError
from scalelag.options.run_options import LoadOptions
from scalelag.plan.draws import Draws
from scalelag.plan.schedule import Schedule
from scalelag.plugin.process import interrupt_locust
from scalelag.plugin.worker.messages import (
    FLUSH_MESSAGE,
    HURRY_MESSAGE,
    PING_MESSAGE,
    PONG_MESSAGE,
    REFUSAL_MESSAGE,
    ROWS_MESSAGE,
    STAGE_END_MESSAGE,
    START_MESSAGE,
    Assignment,
    Ping,
    Pong,
    Refusal,
    RowsMessage,
    StageEnd,
    decoded,
    encoded,
)
from scalelag.plugin.worker.open_files import raise_open_files
from scalelag.plugin.worker.recorder import RequestRecorder
from scalelag.plugin.worker.task_exceptions import TaskExceptions, is_in_on_stop
from scalelag.plugin.worker.time_slices import ask_for_short_slices
from scalelag.record.clock import Clock

_FLUSH_INTERVAL_S = 0.5
_COUNT_INTERVAL_S = 0.05
_HURRIED_STOP_TIMEOUT_S = 2.0


class LoadWorker:
    """Takes assignments from the process that leads the run and sends it rows."""

    def __init__(self, environment: Environment, runner: Runner, clock: Clock) -> None:
        self._environment = environment
        self._runner = runner
        self.clock = clock
        self.recorder = RequestRecorder(clock)
        self._exceptions = TaskExceptions()
        self.assignment: Assignment | None = None
        self._options: LoadOptions | None = None
        self.stopping = gevent.event.Event()
        self._claimed = False
        self._drawn: Counter[int] = Counter()
        self._draws: Draws | None = None
        self._leaving = False
        self._flusher: gevent.Greenlet[[], None] | None = None
        self._counter: gevent.Greenlet[[], None] | None = None
        self._users: list[tuple[float, int]] = []
        environment.events.request.add_listener(self.recorder.on_request)
        environment.events.user_error.add_listener(self._exceptions.on_user_error)
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        environment.events.test_stop.add_listener(self._on_test_stop)
        if isinstance(runner, WorkerRunner):
            environment.events.quitting.add_listener(self._on_quitting)
        runner.register_message(HURRY_MESSAGE, self._on_hurry)
        runner.register_message(START_MESSAGE, self._on_start)
        runner.register_message(STAGE_END_MESSAGE, self._on_stage_end)
        runner.register_message(FLUSH_MESSAGE, self._on_flush)
        runner.register_message(PING_MESSAGE, self._on_ping)

    def begin(self) -> tuple[Assignment, LoadOptions]:
        """Our share of the run under way, and the options that came with it."""
        if self.assignment is None or self._options is None:
            raise RuntimeError("no run has been announced to this process, or it was refused")
        return self.assignment, self._options

    @property
    def schedule(self) -> Schedule:
        """Our share's schedule as it is now: a stage that has settled ends early."""
        return self.begin()[1].schedule

    def claim_share(self) -> bool:
        """Return True if the caller is to send our share: only the first to ask in each run is."""
        if self._claimed:
            logging.getLogger(__name__).warning(
                "this process has an arrival user already, or no share of this run: one stays idle"
            )
            return False
        self._claimed = True
        return True

    def next_number(self, request: int = 0) -> int:
        """Number of the next request, as processes take turns: that of its arrival in the plan.

        Each `request` of a mix is counted by itself.
        """
        if self.assignment is None:
            raise RuntimeError("no run has been announced to this process")
        number = self.assignment.index + self._drawn[request] * self.assignment.count
        self._drawn[request] += 1
        return number

    def draw_request(self) -> int:
        """Draw the request that a user of a mix sends next, by the weights of the stage; else 0."""
        if self._draws is None or self.assignment is None:
            return 0
        return self._draws.at(self.clock.now() - self.assignment.zero_s)

    def take_exit(self, raised: SystemExit) -> bool:
        """Return True if a user who was told to stop raised it: an exception that ends no more."""
        if not is_in_on_stop(raised):
            return False
        self._exceptions.on_user_error(raised, raised.__traceback__)
        return True

    def interrupt(self, _signal: str) -> None:
        """Have this worker end in good order; further signals change nothing."""
        if not self._leaving:
            self._leaving = True
            interrupt_locust()

    def _on_quitting(self, environment: Environment, **_rest: object) -> None:  # noqa: ARG002
        """Stop our users and send their last rows, before Locust tells the master that we leave."""
        self._leaving = True
        if self._runner.state in (STATE_RUNNING, STATE_SPAWNING):
            self._hurry()
            self._runner.stop()
            self._flush(final=True)

    def _on_hurry(self, environment: Environment, msg: Any) -> None:  # noqa: ARG002, ANN401
        self._hurry()

    def _hurry(self) -> None:
        """Let users that are stopped from now on have little time for open requests."""
        self._environment.stop_timeout = _HURRIED_STOP_TIMEOUT_S

    def _on_ping(self, environment: Environment, msg: Any) -> None:  # noqa: ARG002, ANN401
        answer = Pong(decoded(msg, Ping).sent_s, self.clock.own())
        self._runner.send_message(PONG_MESSAGE, encoded(answer))

    def _on_start(self, environment: Environment, msg: Any) -> None:  # noqa: ARG002, ANN401
        self.assignment, self._options = decoded(msg, Assignment), None
        # From here on all our times are the leader's: due times come out the same to the last bit.
        self.clock.ahead_s = self.assignment.ahead_s
        self._claimed, self._drawn = False, Counter()
        try:
            # A variable that a header names may be missing on this machine.
            self.assignment.options.check_headers(os.environ)
            self._options = self.assignment.options
            self._draws = Draws.of(self._options.schedule, self.assignment.index)
        except UsageError as error:
            refusal = Refusal(self.assignment.run, self.assignment.index, str(error))
            self._runner.send_message(REFUSAL_MESSAGE, encoded(refusal))
        self.recorder.take()
        self._exceptions.take()
        # A full collection of what start-up left behind takes 20 to 30 ms, in which nothing is sent.
        gc.collect()
        gc.freeze()
        ask_for_short_slices()
        raise_open_files()
        self.stopping.clear()
        if self._flusher is None:
            self._flusher = gevent.spawn(self._flush_forever)
        self._users.clear()
        if self._counter is None and self.assignment.options.plan.unit == "users":
            self._counter = gevent.spawn(self._count_forever)

    def _on_stage_end(self, environment: Environment, msg: Any) -> None:  # noqa: ARG002, ANN401
        end = decoded(msg, StageEnd)
        if self.assignment is None or self._options is None or end.run != self.assignment.run:
            return
        self._options = self._options.ended(end.stage, end.at_s)
        if self._draws is not None:
            self._draws.follow(self._options.plan.stages)

    def _on_flush(self, environment: Environment, msg: Any) -> None:  # noqa: ARG002, ANN401
        self._flush(final=True)

    def _on_test_stopping(self, environment: Environment, **_rest: object) -> None:  # noqa: ARG002
        self.stopping.set()

    def _on_test_stop(self, environment: Environment, **_rest: object) -> None:
        if environment.runner is not None and hasattr(environment.runner, "worker_state"):
            # Locust's worker sleeps for the whole stop time-out before it is ready for a next
            # test; our users have ended by now.
            environment.stop_timeout = 0

    def _flush_forever(self) -> None:
        while True:
            gevent.sleep(_FLUSH_INTERVAL_S)
            self._flush(final=False)

    def _count_forever(self) -> None:
        while True:
            self._count_users()
            gevent.sleep(_COUNT_INTERVAL_S)

    def _count_users(self) -> None:
        """Note the number of our users if it has changed."""
        users = len(self._runner.user_greenlets)
        if not self._users or self._users[-1][1] != users:
            self._users.append((self.clock.now(), users))

    def _flush(self, *, final: bool) -> None:
        if self.assignment is None:
            return
        rows, exceptions = self.recorder.take(), self._exceptions.take()
        if self._counter is not None:
            self._count_users()
        # The last count stays: the next one is a change against it.
        users, self._users = tuple(self._users), self._users[-1:]
        if not final and not rows.intended_s and not exceptions and len(users) < 2:
            return
        message = RowsMessage(
            self.assignment.run, self.assignment.index, final, rows, exceptions, users
        )
        self._runner.send_message(ROWS_MESSAGE, encoded(message))
