"""The open loop: requests start when they are due, whatever became of the ones before."""

from collections.abc import Callable, Iterable
from typing import Protocol

import gevent
import gevent.event
from gevent import get_hub

from scalelag.users.engine.timer import Alarm

_STOP_LOOK_S = 0.1
_JOIN_LOOK_S = 0.02


class Sending(Protocol):
    """What an open loop does with its arrivals; times are Unix seconds."""

    def send(self) -> None:
        """Send the request of the arrival that the current greenlet is."""

    def ended_oddly(self, arrival: "Arrival", raised: Exception | gevent.Timeout | None) -> None:
        """Hear that `send` raised something, or came back without a request on record."""

    def not_sent(self, intended_s: float) -> None:
        """Hear of an arrival that found too many others under way."""

    def unfinished(self, arrival: "Arrival") -> None:
        """Hear of an arrival that was still under way when nobody waited any longer."""


class Arrival(gevent.Greenlet):  # pyright: ignore[reportMissingTypeArgument]  no generic at run time
    """Sends what is due, one arrival after another, and rests in between.

    `intended_s`, `begun_s` and `sent_s` are those of the arrival under way, in Unix seconds: when it
    was due, when its turn came, and when a request began for it. `taken` is set with the latter,
    `recorded` by the recorder when there is a row of it.
    """

    # Slots are read faster than a greenlet's attributes.
    __slots__ = ("_loop", "intended_s", "recorded", "sent_s", "taken")

    def __init__(self, loop: "OpenLoop", intended_s: float) -> None:
        super().__init__()
        self._loop = loop
        self.intended_s = intended_s
        self.begun_s = self.sent_s = 0.0
        self.taken = self.recorded = False

    def _run(self) -> None:
        rest = get_hub().switch
        while True:
            self.taken = self.recorded = False
            self._loop.send(self)
            # To go on with a greenlet costs a third of starting one.
            rest()


class OpenLoop:
    """Has arrivals sent when they are due, never more than `max_in_flight` at once.

    An arrival that finds no room is not sent at all: waiting for room would make the loop a closed
    one. One that is under way for `timeout_s` is ended by a `gevent.Timeout`. `now` tells Unix
    seconds.
    """

    def __init__(
        self, sending: Sending, now: Callable[[], float], max_in_flight: int, timeout_s: float
    ) -> None:
        self._sending = sending
        self._now = now
        self._room = max_in_flight
        self._timeout_s = timeout_s
        self._resting: list[Arrival] = []
        # In the order in which they were sent, which is that of their time-outs.
        self._under_way: dict[Arrival, None] = {}

    def run(self, due_times: Iterable[float], stop: gevent.event.Event, grace_s: float) -> None:
        """Send every arrival, until the last or until `stop` is set, and wait for the answers.

        What is under way `grace_s` after its time-out counts as unfinished, as does everything when
        the greenlet that runs this is killed.
        """
        alarm, late = Alarm(), gevent.spawn(self._end_late_ones)
        try:
            self._walk(due_times, stop, alarm)
            self._join(self._timeout_s + grace_s)
        finally:
            late.kill(block=False)
            alarm.close()
            for arrival in self._under_way:
                self._sending.unfinished(arrival)
            gevent.killall([*self._under_way, *self._resting], block=False)

    def _walk(self, due_times: Iterable[float], stop: gevent.event.Event, alarm: Alarm) -> None:
        now, resting = self._now, self._resting
        run_soon = get_hub().loop.run_callback
        for due_s in due_times:
            while (left_s := due_s - now()) > 0:
                if left_s > _STOP_LOOK_S:
                    stop.wait(left_s - _STOP_LOOK_S / 2)
                else:
                    alarm.wait(left_s)
                if stop.is_set():
                    return
            if resting:
                arrival = resting.pop()
                arrival.intended_s = due_s
                run_soon(arrival.switch)
            elif self._room > 0:
                self._room -= 1
                Arrival(self, due_s).start()
            else:
                self._sending.not_sent(due_s)

    def send(self, arrival: Arrival) -> None:
        """Send one; called by the arrival itself."""
        arrival.begun_s = arrival.sent_s = self._now()
        self._under_way[arrival] = None
        raised = None
        try:
            self._sending.send()
        except (Exception, gevent.Timeout) as error:  # noqa: BLE001  a user's own code raises anything
            raised = error
        # Not in a `finally`: what was killed has had no answer, and `unfinished` tells so.
        del self._under_way[arrival]
        if raised is not None or not arrival.recorded:
            self._sending.ended_oddly(arrival, raised)
        self._resting.append(arrival)

    def _end_late_ones(self) -> None:
        """One timer for all: requests have one time-out, so the first sent is the first late."""
        run_soon = get_hub().loop.run_callback
        while True:
            oldest = next(iter(self._under_way), None)
            begun_s = self._now() if oldest is None else oldest.begun_s
            left_s = begun_s + self._timeout_s - self._now()
            if oldest is not None and left_s <= 0:
                run_soon(self._time_out, oldest, begun_s)
            gevent.sleep(max(0.0, left_s))

    def _time_out(self, arrival: Arrival, begun_s: float) -> None:
        """End `arrival`, unless it has gone on since; runs in the hub, as timers of gevent do."""
        if arrival in self._under_way and arrival.begun_s == begun_s:
            arrival.throw(gevent.Timeout())

    def _join(self, for_s: float) -> None:
        until_s = self._now() + for_s
        gevent.sleep(0)  # the last ones have been handed over and not begun
        while self._under_way and self._now() < until_s:
            gevent.sleep(_JOIN_LOOK_S)
