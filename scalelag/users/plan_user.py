"""The user that follows the load plan, for any protocol."""

import time
from collections.abc import Iterator
from typing import Any, Protocol

import gevent
from gevent import getcurrent
from locust import User, task
from locust.env import Environment

from scalelag.options.request_spec import RequestSpec
from scalelag.options.request_templates import Payload
from scalelag.options.run_options import LoadOptions
from scalelag.plugin.attach import lifecycle_of
from scalelag.plugin.worker.messages import Assignment
from scalelag.plugin.worker.recorder import Asked
from scalelag.plugin.worker.request_errors import WrongAnswerError, error_kind
from scalelag.plugin.worker.worker import LoadWorker
from scalelag.record.error_kinds import (
    IN_FLIGHT_LIMIT,
    LATE,
    NO_REQUEST,
    TIMEOUT,
    TURN,
    UNFINISHED,
)
from scalelag.users.engine.lines import LineOf
from scalelag.users.engine.open_loop import Arrival, OpenLoop

_GRACE_S = 0.5
_SLICE = 1024
_FOREVER_S = 1e9


class _Answer(Protocol):
    @property
    def content(self) -> bytes: ...


class PlanUser(User):
    """Sends requests as the plan says. Override `send`.

    In a plan of rps each process has one such user. `send` is called when an arrival is due, in a
    greenlet of its own: many calls run at the same time on one user, and must not change what they
    share. In a plan of users there are as many users as the plan says, and each calls `send` again as
    soon as it returns. Requests of Locust's own clients are recorded, with latency from the intended
    start. Any other client fires Locust's `request` event with `context=self.context()`.
    """

    abstract = True
    follows_plan = True
    """Tells our users from others: the gates alone judge their requests."""
    needs_host = True
    """Refuses a run without `--host` if the class has no `host` of its own."""
    makes_prompts = False
    """Refuses options such as `--prompt-tokens`, unless the class sends what they ask for."""

    def __init__(self, environment: Environment) -> None:
        self.worker: LoadWorker = lifecycle_of(environment).worker
        self.assignment: Assignment
        self.options: LoadOptions
        self.assignment, self.options = self.worker.begin()
        self.spec: RequestSpec = self.options.request
        self._payloads = self.spec.payloads()
        super().__init__(environment)

    @classmethod
    def check(cls, options: LoadOptions, host: str) -> None:
        """Raise UsageError or TargetError if requests of these options cannot be sent to `host`.

        Called before the load starts, in the master.
        """

    @property
    def request_name(self) -> str:
        """Name in the record for an arrival that sent no request."""
        return self.spec.name

    def send(self) -> None:
        """Send one request. Called once for each arrival."""
        raise NotImplementedError(f"{type(self).__name__} does not override send()")

    def next_payload(self) -> tuple[Payload, str | None]:
        """Path and body of the next request, and its model if there is one (`--data`, `--models`)."""
        number, models = self.worker.next_number(), self.spec.models
        return self._payloads.of(number), models[number % len(models)] if models else None

    def context(self) -> dict[str, Any]:
        """Context for Locust's `request` event; it ties an arrival's first request to its due time."""
        arrival = getcurrent()
        if not isinstance(arrival, Arrival) or arrival.taken:
            return {}
        arrival.taken, arrival.sent_s = True, self.worker.clock.now()
        return {"arrival": arrival}

    def wait_time(self) -> float:
        """Seconds until `follow_the_plan` is called again; in the open loop it is called only once."""
        # Locust stops a user that waits, and lets one that is in its task finish.
        return _FOREVER_S if self.options.plan.unit == "rps" else 0.0

    @task
    def follow_the_plan(self) -> None:
        """Send this process's arrivals, or one request after another."""
        if self.options.plan.unit == "rps":
            if self.worker.claim_share():
                self._send_arrivals()
            return
        begun_s = self.worker.clock.now()
        try:
            with gevent.Timeout(self.spec.timeout_s):
                self.send()
        except gevent.Timeout:
            # Locust's own clients catch it and record the request. Here the client did not.
            self._record(begun_s, begun_s, TIMEOUT)
        gevent.sleep(0)

    def _send_arrivals(self) -> None:
        loop = OpenLoop(
            self,
            self.worker.clock.now,
            self.options.max_in_flight,
            self.spec.timeout_s,
            self.line_of(),
        )
        loop.run(self._due_times(), self.worker.stopping, _GRACE_S)

    def line_of(self) -> LineOf | None:
        """Return a function from an arrival's number to its line; None if none waits for another."""
        return None

    def _due_times(self) -> Iterator[float]:
        """Due times of this process's arrivals, in Unix seconds."""
        for block in self.options.schedule.blocks():
            due_s = block + self.assignment.zero_s
            # In small pieces: turning 65,536 numbers into Python floats takes milliseconds.
            for at in range(0, due_s.size, _SLICE):
                yield from due_s[at : at + _SLICE].tolist()

    def not_sent(self, intended_s: float, number: int, *, was_late: bool) -> None:  # noqa: ARG002  for subclasses
        """Record an arrival that was not sent: there was no room, or we were late for it."""
        kind = LATE if was_late else IN_FLIGHT_LIMIT
        self.worker.recorder.add_not_sent(intended_s, self.request_name, kind)

    def without_turn(self, intended_s: float) -> None:
        """Record an arrival that was not sent: the answer before it in its session had not ended."""
        self.worker.recorder.add_not_sent(intended_s, self.request_name, TURN)

    def unfinished(self, arrival: Arrival) -> None:
        """Record an arrival that was still open when the load process stopped waiting."""
        self._record(arrival.intended_s, arrival.sent_s, UNFINISHED, arrival.waited_s)

    def ended_oddly(self, arrival: Arrival, raised: Exception | gevent.Timeout | None) -> None:
        """Record an arrival that has no row yet, and report to Locust what `send` raised.

        A WrongAnswerError is no fault of the user class: it is a failed request and nothing more.
        """
        if not arrival.recorded:
            error = NO_REQUEST if raised is None else error_kind(raised)
            self._record(arrival.intended_s, arrival.sent_s, error, arrival.waited_s)
        if isinstance(raised, Exception) and not isinstance(raised, WrongAnswerError):
            self.environment.events.user_error.fire(
                user_instance=self, exception=raised, tb=raised.__traceback__
            )

    def _fire_request(
        self,
        request_type: str,
        name: str,
        begun_s: float,
        answer: _Answer | None,
        error: BaseException | None,
        context: dict[str, Any],
    ) -> None:
        """Fire Locust's `request` event, from which the recorder makes a row."""
        self.environment.events.request.fire(
            request_type=request_type,
            name=name,
            response_time=(time.perf_counter() - begun_s) * 1000,
            response_length=len(answer.content) if answer else 0,
            exception=error,
            context=context,
            response=answer,
        )

    def _check_expected(self, content: bytes) -> WrongAnswerError | None:
        """Return an error if `content` lacks the text of `--expect`."""
        if self.spec.expect is None or self.spec.expect in content:
            return None
        return WrongAnswerError("without the expected text")

    def _record(self, intended_s: float, sent_s: float, error: str, waited_s: float = 0.0) -> None:
        self.worker.recorder.add(
            intended_s=intended_s,
            send_lag_s=sent_s - intended_s,
            latency_s=self.worker.clock.now() - intended_s,
            status=0,
            name=self.request_name,
            error=error,
            asked=Asked(turn_wait_s=waited_s) if waited_s else None,
        )
