"""Users that follow the load plan: `ArrivalUser` for rps stages, `SteppedUser` for users stages."""

from collections.abc import Iterator

import gevent
from locust import FastHttpUser, constant, task
from locust.env import Environment

from locustfiles.arrivals import OpenLoop
from scalelag.plugin.attach import control_of
from scalelag.plugin.recorder import UNFINISHED
from scalelag.plugin.run_options import RequestSpec
from scalelag.plugin.worker import Assignment, LoadWorker
from scalelag.record.plan import arrival_blocks

_FOREVER_S = 1e9
_GRACE_S = 0.5


class SpecUser(FastHttpUser):
    """Sends the request that the options describe (`--path`, `--method`, `--header`, ...)."""

    abstract = True
    max_retries = 0

    def __init__(self, environment: Environment) -> None:
        worker = control_of(environment).worker
        self.assignment: Assignment = worker.begin()
        if worker.options is None:
            raise RuntimeError("begin() sets the options")
        self.worker: LoadWorker = worker
        self.spec: RequestSpec = worker.options.request
        self.connection_timeout = self.spec.timeout_s
        self.network_timeout = self.spec.timeout_s
        # With fewer connections than open requests, waiting for one would count as service time.
        self.concurrency = worker.options.max_in_flight
        super().__init__(environment)
        self._headers = self.spec.headers_with_secrets()

    def send(self, intended_s: float | None = None) -> None:
        """Send one request. An arrival names the moment, in Unix seconds, at which it was due."""
        # The client's own time-outs count from byte to byte.
        with gevent.Timeout(self.spec.timeout_s):
            self.client.request(
                self.spec.method,
                self.spec.path,
                data=self.spec.body,  # pyright: ignore[reportArgumentType]  bytes are sent as they are
                headers=self._headers,
                context={} if intended_s is None else {"intended_s": intended_s},
            )


class ArrivalUser(SpecUser):
    """Open loop: one such user a process sends the process's share of all arrivals.

    Subclass it and override `arrival` to send something else; pass `context={"intended_s": due}`
    to the request, so that latency counts from the intended start.
    """

    abstract = True
    wait_time = constant(_FOREVER_S)

    def arrival(self, intended_s: float) -> None:
        """Send the request that was due at `intended_s` (Unix seconds)."""
        self.send(intended_s)

    @task
    def follow_the_plan(self) -> None:
        """Walk this process's share of the plan, then wait for the answers still to come."""
        if not self.worker.claim_share():
            return
        recorder, now = self.worker.recorder, self.worker.clock.now
        name = self.spec.path
        loop = OpenLoop(
            now,
            self.arrival,
            lambda due_s: recorder.add_not_sent(due_s, name),
            self.concurrency,
        )
        try:
            loop.walk(self._due_times(), self.worker.stopping)
            # A little longer than their time-outs, so that each says how it ended.
            loop.join(self.spec.timeout_s + _GRACE_S)
        finally:
            for due_s, sent_s in loop.unfinished().items():
                recorder.add(
                    intended_s=due_s,
                    send_lag_s=sent_s - due_s,
                    latency_s=now() - due_s,
                    status=0,
                    name=name,
                    error=UNFINISHED,
                )

    def _due_times(self) -> Iterator[float]:
        """Due times, in Unix seconds, of every `count`-th arrival of the plan, ours first.

        Each process computes the whole plan: taken together they send each arrival once, and the
        union is the plan's own process, Poisson or not.
        """
        mine, options = self.assignment, self.worker.options
        if options is None:
            raise RuntimeError("begin() sets the options")
        first = mine.index
        for block in arrival_blocks(options.plan, options.arrivals, options.seed):
            yield from (block[first :: mine.count] + mine.zero_s).tolist()
            first = (first - block.size) % mine.count


class SteppedUser(SpecUser):
    """Closed loop: sends its next request as soon as the last one is answered."""

    abstract = True
    concurrency = 1

    @task
    def request(self) -> None:
        """Send one request."""
        self.send()
        gevent.sleep(0)
