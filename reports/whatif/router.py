"""The handle of a deployment in Serve's proxy: its queue, its choice of two, and its metrics.

After `ray/serve/_private/request_router/request_router.py` and `router.py`: a request is sent to the
less busy of two replicas chosen at random, by the router's own count. If both seem full, the routing
task asks them, and tries again with pauses that double from 25 ms to 0.5 s, whether or not a replica
becomes idle meanwhile. There are at most two tasks for each replica, and 50 in all.

A task that finds room for its own request goes on to the next, and counts what it sent only when it
pauses: so it sends all that wait. What a replica has no room for is rejected, and queued again in its
old place when the proxy has sent and read all of these. Meanwhile younger requests arrive, and tasks
are begun for them. Such a task sends one request, the oldest, in a pause, until its own is the oldest:
a long queue is then served at 2 requests in 0.5 s for each replica, however fast these are.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from reports.analysis.lag.policy import Policy
from reports.whatif.agenda import Action, Agenda
from reports.whatif.autoscaler import HandleReport, Series
from reports.whatif.replica import Replica
from scalelag.record.rows import DeploymentKey

_MOST_TASKS = 50
_FIRST_PAUSE_S = 0.025
_LONGEST_PAUSE_S = 0.5
_TRIP_S = 0.003
_SENT_S = 0.003
"""Times of a question to a replica and its answer, and of the proxy for each request of a batch of
which some are rejected: to send it and read the reply. Both are assumptions, which stored runs with
full replicas bear out (docs/whatif.md#full-replicas)."""
HANDLE = "proxy"


class _Sample(NamedTuple):
    at_s: float
    queued: int
    running: dict[str, int]


class _Task:
    """A routing task: the request that it was begun for, and its pauses for that so far.

    `tries_again` tells that the first try, behind which the second comes without a pause, is over.
    `asked` are the replicas that it asks for their length.
    """

    __slots__ = ("alive", "asked", "own", "pauses", "tries_again")

    def __init__(self) -> None:
        self.own: int | None = None
        self.asked: tuple[Replica, ...] = ()
        self.pauses = 0
        self.tries_again = False
        self.alive = True


class Router:
    """The queue of a deployment in one proxy. Requests are numbers in the order of arrival."""

    def __init__(
        self,
        agenda: Agenda,
        max_ongoing: int,
        chance: random.Random,
        send: Callable[[Replica, int], None],
    ) -> None:
        self.waiting: deque[int] = deque()
        self.replicas: list[Replica] = []
        self._to_route: deque[int] = deque()
        self._agenda = agenda
        self._max_ongoing = max_ongoing
        self._chance = chance
        self._send = send
        self._tasks: dict[int, _Task] = {}
        self._owners: dict[int, _Task] = {}
        self._sent: list[tuple[Replica, int]] = []
        self._rejected: set[int] = set()
        self._batches: deque[list[tuple[Replica, int]]] = deque()
        self._busy_until_s = agenda.now_s
        self._most_tasks = 0
        self._count = 0
        self._number = 0

    @property
    def queued(self) -> int:
        """Number of requests that no replica has accepted."""
        return len(self.waiting) + len(self._rejected)

    def take(self, request: int) -> None:
        """Queue a request, and send it at once if a replica has room."""
        self.waiting.append(request)
        self._to_route.append(request)
        self._start_tasks(0)

    def drop_oldest(self, request: int) -> None:
        """Forget a request that the client gave up, the oldest of those that no replica has."""
        if request in self._rejected:
            self._rejected.remove(request)
            return
        self.waiting.popleft()
        owner = self._owners.pop(request, None)
        if owner is not None:
            self._cancel(owner)

    def set_replicas(self, replicas: list[Replica]) -> None:
        """Route to other replicas from now on."""
        self.replicas = replicas
        self._most_tasks = min(_MOST_TASKS, 2 * len(replicas))
        self._start_tasks(0)

    def _start_tasks(self, _: int) -> None:
        while self._to_route and self._count < self._wanted_tasks():
            self._count += 1
            self._run(_Task())

    def _wanted_tasks(self) -> int:
        return min(len(self.waiting), self._most_tasks)

    def _wake(self, number: int) -> None:
        task = self._tasks.pop(number)
        if task.alive:
            self._run(task)

    def _run(self, task: _Task) -> None:
        """Send requests until the choice is full, or none is left for this task.

        A task sends the first of the queue, which need not be its own. Then it pauses all the same,
        and the task of the request that it sent is ended (`_fulfill_pending_requests`).
        """
        while task.own is not None or self._begin(task):
            chosen = self._choose(task)
            if chosen is None:
                self._deliver()
                self._later(_TRIP_S, self._answered, task)
                return
            if self._sends_own(task, chosen):
                continue
            if task.tries_again:
                self._deliver()
                self._pause(task)
                return
            task.tries_again = True
        self._count -= 1
        self._deliver()
        if self._to_route:
            self._agenda.add(self._agenda.now_s, self._start_tasks)

    def _answered(self, number: int) -> None:
        """Go on with a task whose replicas have told how many requests they have."""
        task = self._tasks.pop(number)
        if not task.alive:
            return
        for replica in task.asked:
            replica.believed = replica.ongoing
        free = [
            one for one in task.asked if one.ongoing < self._max_ongoing and one in self.replicas
        ]
        if free and self._sends_own(task, min(free, key=lambda one: one.ongoing)):
            self._run(task)
            return
        self._deliver()
        if task.tries_again:
            self._pause(task)
        else:
            task.tries_again = True
            self._run(task)

    def _sends_own(self, task: _Task, replica: Replica) -> bool:
        """Send the first of the queue; True if it is the task's own."""
        first = self.waiting.popleft()
        owner = self._owners.pop(first, None)
        self._sent.append((replica, first))
        if first == task.own:
            task.own = None
            return True
        if owner is not None:
            self._cancel(owner)
        return False

    def _deliver(self) -> None:
        """Hand over what was sent."""
        rejected: list[tuple[Replica, int]] = []
        for replica, request in self._sent:
            replica.believed += 1
            if replica.ongoing < self._max_ongoing:
                self._send(replica, request)
            else:
                rejected.append((replica, request))
        if rejected:
            self._rejected.update(request for _, request in rejected)
            begun_s = max(self._busy_until_s, self._agenda.now_s)
            self._busy_until_s = begun_s + len(self._sent) * _SENT_S
            self._batches.append(rejected)
            self._agenda.add(self._busy_until_s + _TRIP_S, self._queue_again)
        self._sent.clear()

    def _queue_again(self, _: int) -> None:
        """Queue the oldest batch of rejected requests in their old places, but those given up."""
        batch = self._batches.popleft()
        for replica, _ in batch:
            replica.believed = self._max_ongoing
        again = [request for _, request in batch if request in self._rejected]
        self._rejected.difference_update(again)
        self.waiting = deque(sorted((*again, *self.waiting)))
        self._to_route = deque(sorted((*again, *self._to_route)))
        self._start_tasks(0)

    def _begin(self, task: _Task) -> bool:
        """Give a task its next own request; False if there is none, or are enough tasks."""
        if not self._to_route or self._count > self._wanted_tasks():
            return False
        while self._to_route:
            own = self._to_route.popleft()
            waits = self.waiting and (self.waiting[0] == own or own in self.waiting)
            if waits and own not in self._owners:
                task.own, task.pauses, task.tries_again = own, 0, False
                self._owners[own] = task
                return True
        return False

    def _cancel(self, task: _Task) -> None:
        task.alive = False
        self._count -= 1
        if self._to_route:
            self._agenda.add(self._agenda.now_s, self._start_tasks)

    def _pause(self, task: _Task) -> None:
        pause_s = min(_FIRST_PAUSE_S * 2**task.pauses, _LONGEST_PAUSE_S)
        task.pauses = min(task.pauses + 1, 9)
        self._later(pause_s, self._wake, task)

    def _later(self, after_s: float, action: Action, task: _Task) -> None:
        self._number += 1
        self._tasks[self._number] = task
        self._agenda.add(self._agenda.now_s + after_s, action, self._number)

    def _choose(self, task: _Task) -> Replica | None:
        """Return the less busy of two replicas chosen at random; None if the task has to ask both."""
        replicas = self.replicas
        count = len(replicas)
        if count < 2:
            both = tuple(replicas)
            chosen = replicas[0] if count else None
        else:
            one = other = replicas[int(self._chance.random() * count)]
            while other is one:
                other = replicas[int(self._chance.random() * count)]
            both = (one, other)
            chosen = other if other.believed < one.believed else one
        if chosen is not None and chosen.believed < self._max_ongoing:
            return chosen
        task.asked = both
        return None


class HandleMetrics:
    """Samples of a router and their pushes, as `RouterMetricsManager` makes them."""

    def __init__(
        self,
        key: DeploymentKey,
        router: Router,
        agenda: Agenda,
        policy: Policy,
        report: Callable[[HandleReport], None],
    ) -> None:
        self._key = key
        self._router = router
        self._agenda = agenda
        self._policy = policy
        self._report = report
        self._samples: deque[_Sample] = deque()
        self.draining: set[Replica] = set()

    def begin(self, *, sample_at_s: float, push_at_s: float) -> None:
        """Sample and push from these moments on."""
        self._agenda.add(sample_at_s, self._sample)
        self._agenda.add(push_at_s, self._push)

    def _sample(self, _: int) -> None:
        now_s = self._agenda.now_s
        router = self._router
        running = {one.name: one.open for one in router.replicas}
        running |= {one.name: one.open for one in self.draining if one.open}
        self._samples.append(_Sample(now_s, router.queued, running))
        since_s = now_s - self._policy.look_back_period_s
        while self._samples[0].at_s < since_s:
            self._samples.popleft()
        self._agenda.add(now_s + self._policy.sample_s, self._sample)

    def _push(self, _: int) -> None:
        self.push()
        self._agenda.add(self._agenda.now_s + self._policy.metrics_interval_s, self._push)

    def push(self) -> None:
        """Push what was sampled in the look-back."""
        now_s = self._agenda.now_s
        while self._samples and self._samples[0].at_s < now_s - self._policy.look_back_period_s:
            self._samples.popleft()
        queued = Series(
            [one.at_s for one in self._samples] or [now_s],
            [float(one.queued) for one in self._samples] or [float(self._router.queued)],
        )
        running: dict[str, tuple[list[float], list[float]]] = {}
        for sample in self._samples:
            for name, ongoing in sample.running.items():
                at_s, values = running.setdefault(name, ([], []))
                at_s.append(sample.at_s)
                values.append(float(ongoing))
        for one in self._router.replicas:
            running.setdefault(one.name, ([now_s], [float(one.open)]))
        series = {name: Series(*pair) for name, pair in running.items()}
        self._report(HandleReport(self._key, HANDLE, now_s, queued, series))
