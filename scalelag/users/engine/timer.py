"""Timers for gevent: one that is exact to some ten microseconds, and one for time-outs.

libev passes its timers to `epoll_wait` in whole milliseconds, rounded up: on average they fire half a
millisecond late. A timerfd is a file that becomes readable at the exact moment.
"""

import ctypes
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress

import gevent
from gevent import get_hub, getcurrent

_READ = 1
_TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_NANO = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


# os.timerfd_create needs Python 3.13.
_libc = ctypes.CDLL(None, use_errno=True)


class Alarm:
    """Timer for one greenlet, late by at most a few times 10 microseconds.

    The loop watches it all the time, since to begin and to end that takes a call of the kernel each.
    """

    def __init__(self) -> None:
        self._fd: int = _libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_FLAGS)
        if self._fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"timerfd_create: {os.strerror(code)}")
        self._hub = get_hub()
        # The `switch` of the greenlet that waits.
        self._wake: Callable[[], object] | None = None
        self._spec = _Itimerspec()
        self._at = ctypes.byref(self._spec)
        self._value = self._spec.value
        self._readable = self._hub.loop.io(self._fd, _READ)
        self._readable.start(self._ring)

    def wait(self, seconds: float) -> None:
        """Wait for `seconds`, which must be above 0."""
        # A time of 0 would disarm the timer.
        nanoseconds = max(1, int(seconds * _NANO))
        self._value.seconds, self._value.nanoseconds = divmod(nanoseconds, _NANO)
        # Setting it also makes unreadable what rang before.
        _libc.timerfd_settime(self._fd, 0, self._at, None)
        self._wake = getcurrent().switch
        try:
            self._hub.switch()
        finally:
            self._wake = None

    def _ring(self) -> None:
        """Wake the greenlet; if none waits, become unreadable, since the loop would ring forever."""
        if self._wake is None:
            with suppress(BlockingIOError):  # it was set again in the meantime
                os.read(self._fd, 8)
        else:
            self._wake()

    def close(self) -> None:
        """Close the timer. No greenlet may be waiting."""
        self._readable.stop()
        self._readable.close()
        os.close(self._fd)


class Timeouts:
    """Time-outs of what the greenlet that makes this does, one thing after another.

    A timer runs on from one to the next, and looks for the end of the present one when it rings: to
    begin and to end a timer takes a twentieth of the time of a request.
    """

    def __init__(self) -> None:
        self._greenlet = getcurrent()
        self._loop = get_hub().loop
        self._timer = self._loop.timer(0.0)
        self._rings_s = self._until_s = math.inf
        self._seconds = 0.0

    def begin(self, seconds: float) -> None:
        """Raise `gevent.Timeout` in the greenlet in `seconds`, unless `end` is called before."""
        self._until_s, self._seconds = time.monotonic() + seconds, seconds
        if self._until_s < self._rings_s:
            self._ring_at(self._until_s, seconds)

    def end(self) -> None:
        """End what `begin` began."""
        self._until_s = math.inf

    def close(self) -> None:
        """End the timer."""
        self._timer.stop()
        self._timer.close()

    def _ring_at(self, at_s: float, left_s: float) -> None:
        self.close()
        self._rings_s, self._timer = at_s, self._loop.timer(left_s)
        self._timer.start(self._ring)

    def _ring(self) -> None:
        self._rings_s = math.inf
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            self.end()
            late = gevent.Timeout(self._seconds)
            late.close()  # it has a timer of its own, which is not needed
            self._greenlet.throw(late)
        elif left_s < math.inf:
            self._ring_at(self._until_s, left_s)
