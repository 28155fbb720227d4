"""A timer for gevent that is exact to some ten microseconds.

libev passes its timers to `epoll_wait` in whole milliseconds, rounded up: on average they fire half a
millisecond late. A timerfd is a file that becomes readable at the exact moment.
"""

import ctypes
import os
import time

from gevent import get_hub

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
    """Timer for one greenlet, late by at most a few times 10 microseconds."""

    def __init__(self) -> None:
        self._fd: int = _libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_FLAGS)
        if self._fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"timerfd_create: {os.strerror(code)}")
        self._hub = get_hub()
        self._readable = self._hub.loop.io(self._fd, _READ)
        self._spec = _Itimerspec()
        self._at = ctypes.byref(self._spec)
        self._value = self._spec.value

    def wait(self, seconds: float) -> None:
        """Wait for `seconds`, which must be above 0."""
        # A time of 0 would disarm the timer.
        nanoseconds = max(1, int(seconds * _NANO))
        self._value.seconds, self._value.nanoseconds = divmod(nanoseconds, _NANO)
        _libc.timerfd_settime(self._fd, 0, self._at, None)
        self._hub.wait(self._readable)
        os.read(self._fd, 8)

    def close(self) -> None:
        """Close the timer. No greenlet may be waiting."""
        self._readable.stop()
        self._readable.close()
        os.close(self._fd)
