"""Discrete-event simulation of one deployment: load, router, replicas, and the controller's loop."""

import math
import random
from copy import copy

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.whatif.agenda import Agenda
from reports.whatif.autoscaler import Autoscaler
from reports.whatif.replica import Replica
from reports.whatif.router import HandleMetrics, Router
from reports.whatif.scenario import Arrivals, Scenario, Users
from scalelag.record.error_kinds import BACK_PRESSURE, IN_FLIGHT_LIMIT, TIMEOUT

OK, NOT_SENT, REJECTED, TIMED_OUT, KILLED = range(5)
ERRORS = ("", IN_FLIGHT_LIMIT, BACK_PRESSURE, TIMEOUT, "killed while draining")


class SimulatedLife(msgspec.Struct):
    """Moments of one replica, None if it did not get there."""

    name: str
    decided_s: float
    running_s: float | None = None
    stopping_s: float | None = None
    gone_s: float | None = None


class SimulatedDecision(msgspec.Struct, frozen=True):
    """A change of the target."""

    at_s: float
    before: int
    after: int


class SimulatedRun(msgspec.Struct, frozen=True):
    """Outcome of a simulation: requests in the order of their moments, decisions, and replicas.

    `latency_s` is NaN for requests that were not sent, `error` an index of `ERRORS`. Requests are
    awaited beyond the end; decisions and replicas are those until then.
    """

    at_s: NDArray[np.float64]
    latency_s: NDArray[np.float64]
    error: NDArray[np.int32]
    name: NDArray[np.int32]
    decisions: tuple[SimulatedDecision, ...]
    lives: tuple[SimulatedLife, ...]


class Simulation:
    """One repetition. `seed` draws works, starts, choices, and the moment of the first push.

    `phase` in [0, 1) is the share of a push interval after which the handle first pushes; drawn if
    None.
    """

    def __init__(
        self, scenario: Scenario, autoscaler: Autoscaler, seed: int, phase: float | None = None
    ) -> None:
        self._is = scenario
        self._autoscaler = autoscaler
        self._chance = random.Random(seed)  # noqa: S311  no secret
        self._numbers = np.random.default_rng(seed)
        self._agenda = Agenda(scenario.from_s)
        settings = scenario.settings
        self._router = Router(self._agenda, settings.max_ongoing, self._chance, self._send)
        self._metrics = HandleMetrics(
            settings.key, self._router, self._agenda, settings.policy, autoscaler.report
        )
        self._phase = self._chance.random() if phase is None else phase
        self._target = scenario.target
        self._open = 0
        self._oldest = self._newest = 0
        self._watches_time = False
        self._at_s: list[float] = []
        self._ended_s: list[float] = []
        self._error: list[int] = []
        self._name: list[int] = []
        self._works: list[float] = []
        self._sent_to: list[Replica | None] = []
        self._starting: list[SimulatedLife] = []
        self._running: list[tuple[SimulatedLife, Replica]] = []
        self._draining: list[tuple[SimulatedLife, Replica]] = []
        self._lives: list[SimulatedLife] = []
        self._decisions: list[SimulatedDecision] = []
        self._users = 0
        self._mix = np.zeros(1, np.int32)
        self._is_mixed = False

    def run(self) -> SimulatedRun:
        """Run from beginning to end, and return what happened."""
        scenario = self._is
        for _ in range(scenario.replicas):
            life = self._new_life(scenario.from_s)
            life.running_s = scenario.from_s
            self._running.append((life, self._replica(life)))
        self._router.set_replicas([one for _, one in self._running])
        self._tell_running()
        policy = scenario.settings.policy
        # Both tasks of the handle sleep between two turns, and drift apart.
        self._metrics.begin(
            sample_at_s=scenario.from_s + self._chance.random() * policy.sample_s,
            push_at_s=scenario.from_s + self._phase * policy.metrics_interval_s,
        )
        loop_at_s = scenario.from_s + self._chance.random() * scenario.loop_s
        self._agenda.add(loop_at_s, self._turn)
        if isinstance(scenario.load, Arrivals):
            self._run_open_loop(scenario.load)
        else:
            self._begin_users(scenario.load)
        self._agenda.run_until(scenario.to_s)
        decisions, lives = tuple(self._decisions), tuple(copy(one) for one in self._lives)
        self._await_answers()
        return self._outcome(decisions, lives)

    def _await_answers(self) -> None:
        """Go on until no request is open, as the load generator does after the plan."""
        last_s = self._is.to_s + self._is.timeout_s
        while self._open and self._agenda.now_s < last_s:
            self._agenda.run_until(min(self._agenda.now_s + 1.0, last_s))

    # Load

    def _run_open_loop(self, load: Arrivals) -> None:
        self._at_s = load.at_s.tolist()
        self._name = load.name.tolist()
        self._ended_s = [math.nan] * len(self._at_s)
        self._error = [OK] * len(self._at_s)
        self._sent_to = [None] * len(self._at_s)
        self._works = self._drawn_works(load.name).tolist()
        run_until, arrive = self._agenda.run_until, self._arrive
        for request, at_s in enumerate(self._at_s):
            run_until(at_s)
            arrive(request)

    def _drawn_works(self, names: NDArray[np.int32]) -> NDArray[np.float64]:
        works_s = np.zeros(names.size)
        for code in np.unique(names):
            own = names == code
            pools = self._is.service.works_s
            pool = pools[code] if code < len(pools) else pools[0]
            works_s[own] = self._numbers.choice(pool, np.count_nonzero(own))
        return works_s

    def _arrive(self, request: int) -> None:
        scenario = self._is
        if self._open >= scenario.max_in_flight:
            self._error[request] = NOT_SENT
            return
        most = scenario.settings.max_queued
        waiting = len(self._router.waiting)
        if 0 <= most <= waiting:
            self._error[request] = REJECTED
            self._ended_s[request] = self._agenda.now_s
            self._another(0)
            return
        self._open += 1
        self._newest = request
        if not self._watches_time:
            self._watches_time, self._oldest = True, request
            self._agenda.add(self._at_s[request] + scenario.timeout_s, self._give_up)
        self._router.take(request)
        if not self._router.replicas and not waiting:
            self._metrics.push()  # the first request for none pushes at once

    def _begin_users(self, load: Users) -> None:
        self._mix = load.mix
        self._is_mixed = np.unique(load.mix).size > 1
        for at_s, count in zip(load.at_s, load.count, strict=True):
            self._agenda.add(at_s, self._set_users, count)

    def _set_users(self, count: int) -> None:
        begun = max(0, count - self._users)
        self._users = count
        for _ in range(begun):
            self._user_sends(0)

    def _user_sends(self, _: int) -> None:
        """Send a user's next request, unless there are fewer users by now."""
        if self._open >= self._users:
            return
        request = len(self._at_s)
        self._at_s.append(self._agenda.now_s)
        self._ended_s.append(math.nan)
        self._error.append(OK)
        self._sent_to.append(None)
        mix = self._mix
        code = self._numbers.choice(mix, 1) if self._is_mixed else mix[:1]
        self._name.append(int(code[0]))
        self._works.append(float(self._drawn_works(code)[0]))
        self._arrive(request)

    def _another(self, _: int) -> None:
        load = self._is.load
        if isinstance(load, Users):
            self._agenda.add(self._agenda.now_s + max(load.pause_s, 1e-4), self._user_sends)

    # Requests

    def _send(self, replica: Replica, request: int) -> None:
        self._sent_to[request] = replica
        replica.start(request, self._works[request])

    def _done(self, request: int) -> None:
        if math.isnan(self._ended_s[request]):
            self._finish(request, OK)
        elif (replica := self._sent_to[request]) is not None:
            replica.given_up -= 1

    def _give_up(self, _: int) -> None:
        """Let the client give up what is over its time, in the order of arrival.

        Since all have the same time-out, only the oldest request that is open has to be watched.
        """
        ended_s, error = self._ended_s, self._error
        for request in range(self._oldest, self._newest + 1):
            if not math.isnan(ended_s[request]) or error[request] == NOT_SENT:
                continue
            over_s = self._at_s[request] + self._is.timeout_s
            if over_s > self._agenda.now_s:
                self._oldest = request
                self._agenda.add(over_s, self._give_up)
                return
            if (replica := self._sent_to[request]) is not None:
                replica.given_up += 1
            else:
                self._router.drop_oldest(request)
            self._finish(request, TIMED_OUT)
        self._watches_time = False

    def _finish(self, request: int, error: int) -> None:
        self._open -= 1
        self._error[request] = error
        self._ended_s[request] = self._agenda.now_s
        self._another(0)

    # The controller

    def _turn(self, _: int) -> None:
        """One turn of the controller's loop."""
        now_s, key = self._agenda.now_s, self._is.settings.key
        wanted = self._autoscaler.decide(now_s, {key: self._target})[key]
        if wanted != self._target:
            self._decisions.append(SimulatedDecision(now_s, self._target, wanted))
            self._target = wanted
        missing = wanted - len(self._running) - len(self._starting)
        for _ in range(missing):
            life = self._new_life(now_s)
            self._starting.append(life)
            start_s = self._chance.choice(self._is.starts.starts_s)
            self._agenda.add(now_s + start_s, self._is_running, len(self._lives) - 1)
        for _ in range(-missing):
            self._stop_one()
        self._agenda.add(now_s + self._is.loop_s, self._turn)

    def _new_life(self, now_s: float) -> SimulatedLife:
        life = SimulatedLife(f"r{len(self._lives)}", now_s)
        self._lives.append(life)
        return life

    def _replica(self, life: SimulatedLife) -> Replica:
        return Replica(life.name, self._agenda, self._is.service.sharing, self._done)

    def _is_running(self, number: int) -> None:
        life = self._lives[number]
        if life.stopping_s is not None:
            return
        self._starting.remove(life)
        life.running_s = self._agenda.now_s
        self._running.append((life, self._replica(life)))
        self._tell_running()
        self._agenda.add(self._agenda.now_s + self._is.starts.route_s, self._routes_change)

    def _stop_one(self) -> None:
        """Stop the replica that Serve would: one that starts, else the newest."""
        stopping_s = self._agenda.now_s + self._is.starts.stop_s
        if self._starting:
            life = self._starting.pop()
            life.stopping_s = stopping_s
            life.gone_s = stopping_s + self._is.starts.end_s
            return
        life, replica = self._running.pop()
        life.stopping_s = stopping_s
        self._draining.append((life, replica))
        self._metrics.draining.add(replica)
        self._tell_running()
        self._routes_change(0)
        wait_s = self._is.settings.wait_loop_s
        self._agenda.add(stopping_s + wait_s, self._check_drained, int(life.name[1:]))

    def _check_drained(self, number: int) -> None:
        life, replica = next(one for one in self._draining if one[0] is self._lives[number])
        settings, now_s = self._is.settings, self._agenda.now_s
        stopping_s = life.stopping_s or now_s
        if replica.open and now_s - stopping_s < settings.shutdown_timeout_s:
            wait_s = max(settings.wait_loop_s, 0.01)
            self._agenda.add(now_s + wait_s, self._check_drained, number)
            return
        for request in replica.kill() if replica.ongoing else ():
            if math.isnan(self._ended_s[request]):
                self._finish(request, KILLED)
        life.gone_s = now_s + self._is.starts.end_s
        self._draining.remove((life, replica))
        self._metrics.draining.discard(replica)

    def _tell_running(self) -> None:
        names = [life.name for life, _ in self._running]
        self._autoscaler.set_running(self._is.settings.key, names)

    def _routes_change(self, _: int) -> None:
        self._router.set_replicas([replica for _, replica in self._running])

    def _outcome(
        self, decisions: tuple[SimulatedDecision, ...], lives: tuple[SimulatedLife, ...]
    ) -> SimulatedRun:
        at_s = np.array(self._at_s)
        return SimulatedRun(
            at_s=at_s,
            latency_s=np.array(self._ended_s) - at_s,
            error=np.array(self._error, np.int32),
            name=np.array(self._name, np.int32),
            decisions=decisions,
            lives=lives,
        )
