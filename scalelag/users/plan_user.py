"""The user that follows the load plan, for any protocol."""

import time
from array import array
from collections.abc import Iterator
from typing import Any, Protocol

import gevent
from gevent import get_hub, getcurrent
from locust import User, task
from locust.env import Environment
from locust.user.task import LOCUST_STATE_RUNNING

from scalelag.options.request_spec import RequestSpec
from scalelag.options.request_templates import Payload
from scalelag.options.run_options import LoadOptions
from scalelag.plugin.attach import lifecycle_of
from scalelag.plugin.worker.messages import Assignment
from scalelag.plugin.worker.recorder import PromptFacts
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
from scalelag.users.engine.current_turns import current_turns
from scalelag.users.engine.lines import LineOf
from scalelag.users.engine.open_loop import Arrival, OpenLoop
from scalelag.users.engine.timer import Timeouts

_GRACE_S = 0.5
_SLICE = 1024
_FOREVER_S = 1e9


def _first_with(name: str, cls: type) -> int:
    """Return how many classes are asked for an attribute before the one that has it."""
    return next(place for place, base in enumerate(cls.__mro__) if name in vars(base))


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
    sends_mix = False
    """Refuses a mix of requests, unless the class sends the one that is `self.spec` each time."""

    def __init_subclass__(cls) -> None:
        """Take note of a `send` of its own, which sends what it likes unless the class says more."""
        super().__init_subclass__()
        for says in ("makes_prompts", "sends_mix"):
            if _first_with("send", cls) < _first_with(says, cls):
                setattr(cls, says, False)

    def __init__(self, environment: Environment) -> None:
        self.worker: LoadWorker = lifecycle_of(environment).worker
        self.assignment: Assignment
        self.options: LoadOptions
        self.assignment, self.options = self.worker.begin()
        self.chosen_request = 0
        """Number of the request that is sent outside of arrivals, as in a plan of users."""
        self._requests_due = array("H")
        self._payloads = [spec.payloads() for spec in self.options.requests]
        super().__init__(environment)

    @classmethod
    def check(cls, options: LoadOptions, host: str) -> None:
        """Raise UsageError or TargetError if requests of these options cannot be sent to `host`.

        Called before the load starts, in the master.
        """

    @property
    def request_number(self) -> int:
        """Number of the request that is being sent, among those of a mix; else 0."""
        arrival = getcurrent() if self._requests_due else None
        return (
            self._requests_due[arrival.number]
            if isinstance(arrival, Arrival)
            else self.chosen_request
        )

    @property
    def spec(self) -> RequestSpec:
        """Request of the options that is being sent; one of several in a mix."""
        return self.options.requests[self.request_number]

    @property
    def request_name(self) -> str:
        """Name in the record for an arrival that sent no request."""
        return self.spec.name

    def send(self) -> None:
        """Send one request. Called once for each arrival."""
        raise NotImplementedError(f"{type(self).__name__} does not override send()")

    def next_payload(self) -> tuple[Payload, str | None]:
        """Path and body of the next request, and its model if there is one (`--data`, `--models`)."""
        request = self.request_number
        number, models = self.worker.next_number(request), self.spec.models
        payload = self._payloads[request].of(number)
        return payload, models[number % len(models)] if models else None

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
        self._send_one_after_another()

    def _send_one_after_another(self) -> None:
        """Send requests until this user is stopped, or Locust has more for it to do than that."""
        more_to_do = type(self).tasks != PlanUser.tasks
        waits = getattr(self.wait_time, "__func__", None) is not PlanUser.wait_time
        timeouts, loop = Timeouts(), get_hub().loop
        try:
            while True:
                before = loop.iteration
                self._send_next(timeouts)
                # A `send` that never waits would leave the others no time.
                if loop.iteration == before:
                    gevent.sleep(0)
                if more_to_do or waits or self._state != LOCUST_STATE_RUNNING:
                    return
        finally:
            timeouts.close()

    def _send_next(self, timeouts: Timeouts) -> None:
        """Send the next request of a plan of users."""
        begun_s = self.worker.clock.now()
        self.chosen_request = self.worker.draw_request()
        timeouts.begin(self.spec.timeout_s)
        try:
            self.send()
        except gevent.Timeout:
            # Locust's own clients catch it and record the request. Here the client did not.
            self._record(begun_s, begun_s, self.spec, TIMEOUT)
        finally:
            timeouts.end()

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
        is_mix = self.options.schedule.mix is not None
        if self.options.plan.settles:
            yield from self._due_times_that_may_change(is_mix=is_mix)
            return
        for block, requests in self.options.schedule.turns():
            due_s = block + self.assignment.zero_s
            if is_mix:
                self._requests_due.frombytes(requests.astype("=u2").tobytes())
            # In small pieces: turning 65,536 numbers into Python floats takes milliseconds.
            for at in range(0, due_s.size, _SLICE):
                yield from due_s[at : at + _SLICE].tolist()

    def _due_times_that_may_change(self, *, is_mix: bool) -> Iterator[float]:
        worker = self.worker
        turns = current_turns(
            lambda: worker.schedule, self.assignment.zero_s, worker.clock.now, worker.stopping
        )
        for due_s, number in turns:
            if is_mix:
                self._requests_due.append(number)
            yield due_s

    def not_sent(self, intended_s: float, number: int, *, was_late: bool) -> None:
        """Record an arrival that was not sent: there was no room, or we were late for it."""
        kind = LATE if was_late else IN_FLIGHT_LIMIT
        self.worker.recorder.add_not_sent(intended_s, self._name_of(self._due(number)), kind)

    def without_turn(self, intended_s: float) -> None:
        """Record an arrival that was not sent: the answer before it in its session had not ended."""
        self.worker.recorder.add_not_sent(intended_s, self.request_name, TURN)

    def unfinished(self, arrival: Arrival) -> None:
        """Record an arrival that was still open when the load process stopped waiting."""
        spec = self._due(arrival.number)
        self._record(arrival.intended_s, arrival.sent_s, spec, UNFINISHED, arrival.waited_s)

    def ended_oddly(self, arrival: Arrival, raised: Exception | gevent.Timeout | None) -> None:
        """Record an arrival that has no row yet, and report to Locust what `send` raised.

        A WrongAnswerError is no fault of the user class: it is a failed request and nothing more.
        """
        if not arrival.recorded:
            error = NO_REQUEST if raised is None else error_kind(raised)
            spec = self._due(arrival.number)
            self._record(arrival.intended_s, arrival.sent_s, spec, error, arrival.waited_s)
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

    def _due(self, number: int) -> RequestSpec:
        """Return the request of arrival `number`."""
        return self.options.requests[self._requests_due[number] if self._requests_due else 0]

    def _name_of(self, spec: RequestSpec) -> str:
        """Return the name in the record for an arrival that sent no request."""
        return spec.given_name or self.request_name

    def _record(
        self,
        intended_s: float,
        sent_s: float,
        spec: RequestSpec,
        error: str,
        waited_s: float = 0.0,
    ) -> None:
        self.worker.recorder.add(
            intended_s=intended_s,
            send_lag_s=sent_s - intended_s,
            latency_s=self.worker.clock.now() - intended_s,
            status=0,
            name=self._name_of(spec),
            error=error,
            asked=PromptFacts(turn_wait_s=waited_s) if waited_s else None,
        )
