"""A coarse simulation: requests as a flow, in steps of a push interval, through Ray's autoscaler.

The exact simulation has an event for each request; here a step has a number of requests, replicas
serve `capacity_rps` each, and what they do not serve waits. A week takes seconds.
"""

from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.whatif.autoscaler import Autoscaler, HandleReport, Series
from reports.whatif.scenario import Settings
from scalelag.record.effective import deployed_replicas

_HANDLE = "proxy"
LEAST_TURN_S = 5.0


class Fleet(msgspec.Struct, frozen=True):
    """A deployment: each replica serves `capacity_rps`, and takes `start_s` from decision to RUNNING.

    `service_s` is the time of a request where none waits.
    """

    settings: Settings
    capacity_rps: float
    service_s: float
    start_s: float


class FleetCourse(msgspec.Struct, frozen=True):
    """Each step of the simulation: requests that came, RUNNING replicas, target, and those waiting."""

    turn_s: float
    came: NDArray[np.float64]
    running: NDArray[np.int64]
    target: NDArray[np.int64]
    waiting: NDArray[np.float64]


def turn_of(settings: Settings) -> float:
    """Length of a step: a push interval, and at least five seconds."""
    return max(settings.policy.metrics_interval_s, LEAST_TURN_S)


class CoarseSimulation:
    """One pass over the traffic, from the replicas that are deployed on."""

    def __init__(self, fleet: Fleet, autoscaler: Autoscaler, turn_s: float) -> None:
        self._fleet = fleet
        self._autoscaler = autoscaler
        self._turn_s = turn_s
        self._target = self._running = deployed_replicas(fleet.settings.info)
        self._waiting = 0.0
        self._starting: deque[float] = deque()
        self._samples: deque[tuple[float, float]] = deque()

    def run(self, came: Sequence[float]) -> FleetCourse:
        """Simulate; `came` are the requests of each step."""
        running: list[int] = []
        target: list[int] = []
        waiting: list[float] = []
        self._tell_running()
        for number, requests in enumerate(came):
            now_s = (number + 1) * self._turn_s
            self._serve(float(requests), now_s)
            running.append(self._running)
            self._decide(now_s)
            target.append(self._target)
            waiting.append(self._waiting)
        return FleetCourse(
            self._turn_s,
            np.asarray(came, np.float64),
            np.array(running, np.int64),
            np.array(target, np.int64),
            np.array(waiting),
        )

    def _serve(self, requests: float, now_s: float) -> None:
        fleet, turn_s = self._fleet, self._turn_s
        while self._starting and self._starting[0] <= now_s:
            self._starting.popleft()
            self._running += 1
            self._tell_running()
        room = self._running * fleet.capacity_rps * turn_s
        self._waiting = max(0.0, self._waiting + requests - room)
        served_rps = min(requests / turn_s, self._running * fleet.capacity_rps)
        self._samples.append((now_s, served_rps * fleet.service_s + self._waiting))
        since_s = now_s - fleet.settings.policy.look_back_period_s
        while self._samples[0][0] < since_s:
            self._samples.popleft()

    def _decide(self, now_s: float) -> None:
        key = self._fleet.settings.key
        at_s, values = zip(*self._samples, strict=True)
        self._autoscaler.report(HandleReport(key, _HANDLE, now_s, Series(at_s, values), {}))
        wanted = self._autoscaler.decide(now_s, {key: self._target})[key]
        for _ in range(wanted - self._running - len(self._starting)):
            self._starting.append(now_s + self._fleet.start_s)
        while self._running + len(self._starting) > wanted and self._starting:
            self._starting.pop()
        if self._running > wanted:
            self._running = wanted
            self._tell_running()
        self._target = wanted

    def _tell_running(self) -> None:
        names = [f"r{number}" for number in range(self._running)]
        self._autoscaler.set_running(self._fleet.settings.key, names)
