"""A simulated replica: requests that share it, each a piece of work."""

import heapq
from collections.abc import Callable

from reports.whatif.agenda import Agenda


class Replica:
    """A replica that is RUNNING, or drains. Requests are numbers; `done` is called at the end of each.

    Work progresses at the rate `1 / (1 + sharing (k - 1))` for `k` requests. All progress alike, so a
    clock of work tells when each ends, and only the next end has to be on the agenda.

    `ongoing` requests are at work; the client of `given_up` of them does not wait any more. Serve
    counts these no longer, but a handler that is no coroutine runs on in one of as many threads as
    the replica may have requests.

    `believed` is the number that the router takes for `ongoing`: it counts what it sends, and learns
    of each end. What the replica rejects is in it until the router has read that.
    """

    __slots__ = (
        "_agenda",
        "_clock_s",
        "_done",
        "_ends",
        "_sharing",
        "_since_s",
        "_turn",
        "believed",
        "given_up",
        "name",
        "ongoing",
    )

    def __init__(
        self, name: str, agenda: Agenda, sharing: float, done: Callable[[int], None]
    ) -> None:
        self.name = name
        self.ongoing = 0
        self.believed = 0
        self.given_up = 0
        self._agenda = agenda
        self._sharing = sharing
        self._done = done
        self._ends: list[tuple[float, int]] = []
        self._clock_s = 0.0
        self._since_s = agenda.now_s
        self._turn = 0

    @property
    def open(self) -> int:
        """Number of requests that Serve counts: without those that were given up."""
        return self.ongoing - self.given_up

    def start(self, request: int, work_s: float) -> None:
        """Begin a request."""
        if self._sharing == 0.0:
            self.ongoing += 1
            self._agenda.add(self._agenda.now_s + work_s, self._ended, request)
            return
        self._progress()
        self.ongoing += 1
        heapq.heappush(self._ends, (self._clock_s + work_s, request))
        self._plan_next()

    def kill(self) -> list[int]:
        """End at once, and return the requests that were running; only with shared work."""
        self._turn += 1
        killed = [request for _, request in self._ends]
        self._ends.clear()
        self.ongoing -= len(killed)
        return killed

    def _ended(self, request: int) -> None:
        self.ongoing -= 1
        self.believed -= 1
        self._done(request)

    def _progress(self) -> None:
        now_s = self._agenda.now_s
        if self.ongoing:
            slowness = 1.0 + self._sharing * (self.ongoing - 1)
            self._clock_s += (now_s - self._since_s) / slowness
        self._since_s = now_s

    def _plan_next(self) -> None:
        self._turn += 1
        if self._ends:
            left_s = max(0.0, self._ends[0][0] - self._clock_s)
            slowness = 1.0 + self._sharing * (self.ongoing - 1)
            self._agenda.add(self._agenda.now_s + left_s * slowness, self._next_ends, self._turn)

    def _next_ends(self, turn: int) -> None:
        if turn != self._turn:  # another request came or went since this was planned
            return
        self._progress()
        _, request = heapq.heappop(self._ends)
        self.ongoing -= 1
        self.believed -= 1
        self._plan_next()
        self._done(request)
