"""The open loop: requests start when they are due, whatever became of the ones before."""

from collections.abc import Callable, Iterable

import gevent
import gevent.event
import gevent.pool


class OpenLoop:
    """Walks due times and starts `send(due)` for each, never more than `max_in_flight` at once.

    An arrival that finds no room is handed to `not_sent` at once: waiting for room would make the
    loop a closed one. `now` and due times are Unix seconds.
    """

    def __init__(
        self,
        now: Callable[[], float],
        send: Callable[[float], None],
        not_sent: Callable[[float], None],
        max_in_flight: int,
    ) -> None:
        self._now = now
        self._send = send
        self._not_sent = not_sent
        self._pool = gevent.pool.Pool(max_in_flight)
        self.in_flight: dict[float, float] = {}

    def walk(self, due_times: Iterable[float], stop: gevent.event.Event) -> None:
        """Start every arrival when it is due; return after the last, or once `stop` is set."""
        for due_s in due_times:
            # gevent's timers may fire early, so look again until it is time.
            while (left_s := due_s - self._now()) > 0:
                if stop.wait(left_s):
                    return
            if self._pool.free_count() > 0:
                self._pool.spawn(self._one, due_s)
            else:
                self._not_sent(due_s)

    def _one(self, due_s: float) -> None:
        self.in_flight[due_s] = self._now()
        self._send(due_s)
        # Not in a `finally`: what was killed has had no answer, and `unfinished` tells so.
        del self.in_flight[due_s]

    def join(self, timeout_s: float) -> None:
        """Wait for what is on its way, for at most `timeout_s`."""
        self._pool.join(timeout=timeout_s)

    def unfinished(self) -> dict[float, float]:
        """End what is still on its way; due times of it, and when each was sent."""
        self._pool.kill()
        return dict(self.in_flight)
