"""The open loop: each request starts when it is due, no matter how the earlier ones went."""

import math
from collections.abc import Callable, Iterable
from typing import Protocol

import gevent
import gevent.event
from gevent import get_hub

from scalelag.users.engine.lines import LineOf, Lines
from scalelag.users.engine.timer import Alarm

_STOP_POLL_S = 0.1
_JOIN_POLL_S = 0.02
_LATE_S = 0.1


class Sender(Protocol):
    """Callbacks of an open loop for its arrivals; times are Unix seconds."""

    def send(self) -> None:
        """Send the request of an arrival; the current greenlet is its `Arrival`."""

    def ended_oddly(self, arrival: "Arrival", raised: Exception | gevent.Timeout | None) -> None:
        """Handle an arrival whose `send` raised, or returned without a recorded request."""

    def not_sent(self, intended_s: float, number: int, *, was_late: bool) -> None:
        """Handle arrival `number`, which was not sent since too many others were under way.

        `was_late`: there was room when it was due, and the loop came too late.
        """

    def unfinished(self, arrival: "Arrival") -> None:
        """Handle an arrival that was still under way when the loop stopped waiting."""

    def without_turn(self, intended_s: float) -> None:
        """Handle an arrival that was not sent, since the one before it in its line had not ended."""


class Arrival(gevent.Greenlet):  # pyright: ignore[reportMissingTypeArgument]  no generic at run time
    """A greenlet that sends one arrival after another, and rests in between.

    The attributes belong to the arrival under way, in Unix seconds: it was due at `intended_s`, its
    turn came at `begun_s`, and its request began at `sent_s`, which also sets `taken`. The recorder
    sets `recorded` when it has written the row. It is arrival `number` of the loop, from 0. One that
    had to wait for its turn is meant to start when that came, `waited_s` after it was due.
    """

    # Slots are read faster than a greenlet's attributes.
    __slots__ = ("_loop", "intended_s", "number", "recorded", "sent_s", "taken", "waited_s")

    def __init__(self, loop: "OpenLoop", intended_s: float) -> None:
        super().__init__()
        self._loop = loop
        self.intended_s = intended_s
        self.waited_s = 0.0
        self.number = 0
        self.begun_s = self.sent_s = 0.0
        self.taken = self.recorded = False

    def _run(self) -> None:
        rest = get_hub().switch
        while True:
            self.taken = self.recorded = False
            self._loop.send(self)
            # Resuming a greenlet costs a third of starting one.
            rest()


class OpenLoop:
    """Sends arrivals when they are due, at most `max_in_flight` at the same time.

    An arrival beyond that is not sent at all: waiting would make this a closed loop. An arrival that
    takes `timeout_s` is ended by a `gevent.Timeout`. `now` returns Unix seconds. Arrivals of one line
    (`line_of`) are sent one after another, and take no room while they wait.
    """

    def __init__(
        self,
        sender: Sender,
        now: Callable[[], float],
        max_in_flight: int,
        timeout_s: float,
        line_of: LineOf | None = None,
    ) -> None:
        self._sender = sender
        self._now = now
        self._room = max_in_flight
        self._full_since_s = math.inf
        self._timeout_s = timeout_s
        self._resting: list[Arrival] = []
        # In the order of sending, which is also the order of their time-outs.
        self._under_way: dict[Arrival, None] = {}
        self._lines = None if line_of is None else Lines(line_of)
        self._stop = gevent.event.Event()
        self._run_soon = get_hub().loop.run_callback

    def run(self, due_times: Iterable[float], stop: gevent.event.Event, grace_s: float) -> None:
        """Send every arrival until the last one, or until `stop` is set, and wait for the answers.

        An arrival that is under way `grace_s` after its time-out counts as unfinished. If the greenlet
        that runs this is killed, all that are under way do.
        """
        self._stop = stop
        alarm, late = Alarm(), gevent.spawn(self._end_late_ones)
        try:
            self._walk(due_times, alarm)
            self._join(self._timeout_s + grace_s)
        finally:
            late.kill(block=False)
            alarm.close()
            for arrival in self._under_way:
                self._sender.unfinished(arrival)
            for due_s in () if self._lines is None else self._lines.left():
                self._sender.without_turn(due_s)
            gevent.killall([*self._under_way, *self._resting], block=False)

    def _walk(self, due_times: Iterable[float], alarm: Alarm) -> None:
        now, lines, stop = self._now, self._lines, self._stop
        for number, due_s in enumerate(due_times):
            while (left_s := due_s - now()) > 0:
                if left_s > _STOP_POLL_S:
                    stop.wait(left_s - _STOP_POLL_S / 2)
                else:
                    alarm.wait(left_s)
                if stop.is_set():
                    return
            if lines is None or lines.enters(due_s, number):
                self._begin(due_s, number, due_s)

    def _begin(self, due_s: float, number: int, intended_s: float) -> None:
        """Start an arrival if there is room; else leave it out, and see to those behind it."""
        resting = self._resting
        if resting:
            arrival = resting.pop()
            self._run_soon(arrival.switch)
        elif self._room > 0:
            self._room -= 1
            arrival = Arrival(self, intended_s)
            arrival.start()
        else:
            self._refuse(due_s, number, intended_s)
            self._follow(number)
            return
        # It begins when this greenlet rests.
        arrival.intended_s, arrival.number = intended_s, number
        arrival.waited_s = intended_s - due_s
        if not resting and self._room <= 0:
            self._full_since_s = self._now()

    def _follow(self, number: int) -> None:
        """Start the arrival behind `number`, which has ended: it is meant to start now."""
        if self._lines is None or self._stop.is_set():
            return
        if (behind := self._lines.next_after(number)) is not None:
            due_s, following = behind
            self._begin(due_s, following, max(due_s, self._now()))

    def _refuse(self, due_s: float, number: int, intended_s: float) -> None:
        """Leave out an arrival without room; say if there was some when it was due."""
        is_behind = self._now() - intended_s > _LATE_S
        was_late = is_behind and intended_s < self._full_since_s
        self._sender.not_sent(due_s, number, was_late=was_late)

    def send(self, arrival: Arrival) -> None:
        """Send one arrival; called by its own greenlet."""
        arrival.begun_s = arrival.sent_s = self._now()
        self._under_way[arrival] = None
        raised = None
        try:
            self._sender.send()
        except (Exception, gevent.Timeout) as error:  # noqa: BLE001  a user's own code raises anything
            raised = error
        # Not in a `finally`: a killed arrival must stay here, to be reported as unfinished.
        del self._under_way[arrival]
        if raised is not None or not arrival.recorded:
            self._sender.ended_oddly(arrival, raised)
        number = arrival.number
        self._resting.append(arrival)
        self._follow(number)

    def _end_late_ones(self) -> None:
        """Time out late arrivals, with one timer: all share one time-out, so the first is due first."""
        run_soon = self._run_soon
        while True:
            oldest = next(iter(self._under_way), None)
            begun_s = self._now() if oldest is None else oldest.begun_s
            left_s = begun_s + self._timeout_s - self._now()
            if oldest is not None and left_s <= 0:
                run_soon(self._time_out, oldest, begun_s)
            gevent.sleep(max(0.0, left_s))

    def _time_out(self, arrival: Arrival, begun_s: float) -> None:
        """End `arrival`, unless it has moved on since; runs in the hub, like timers of gevent."""
        if arrival in self._under_way and arrival.begun_s == begun_s:
            arrival.throw(gevent.Timeout())

    def _join(self, for_s: float) -> None:
        until_s = self._now() + for_s
        gevent.sleep(0)  # the last arrivals are scheduled, and have not begun
        while self._is_busy and self._now() < until_s:
            gevent.sleep(_JOIN_POLL_S)

    @property
    def _is_busy(self) -> bool:
        """Return whether an arrival is under way, or is about to be as it is next in its line."""
        is_waiting = self._lines is not None and self._lines.are_busy and not self._stop.is_set()
        return bool(self._under_way) or is_waiting
