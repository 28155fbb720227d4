"""Short time slices: the process that sends gets a CPU as soon as it wakes.

Linux (EEVDF, from 6.12 on) lets a process that wakes take the CPU from one whose slice is longer, and
only then: by default a request that is due while both cores compute waits for up to 4 ms, whatever the
nice values. A shorter slice does not give more CPU time in all. It is asked for by
`sched_attr.sched_runtime` of sched_setattr(2), which earlier kernels ignore.
"""

import ctypes
import os
import platform
import sys
from typing import Final

SLICE_NS: Final = 100_000
"""The shortest that Linux gives."""

_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
_LARGEST_OF_32_BITS: Final = 2**32
_RESET_ON_FORK: Final = 0x01  # children and threads do not inherit the slice


class _SchedAttr(ctypes.Structure):
    """`struct sched_attr` of linux/sched/types.h in its first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("sched_policy", ctypes.c_uint32),
        ("sched_flags", ctypes.c_uint64),
        ("sched_nice", ctypes.c_int32),
        ("sched_priority", ctypes.c_uint32),
        ("sched_runtime", ctypes.c_uint64),
        ("sched_deadline", ctypes.c_uint64),
        ("sched_period", ctypes.c_uint64),
    )


def ask_for_short_slices() -> bool:
    """Ask for slices of `SLICE_NS` for the calling thread; its policy and nice value stay.

    Return whether the kernel took the call. It is not made in three cases: the thread has a policy
    of its own (`chrt`), its nice value is below 0 (which its children would not inherit either), or
    the processor's call number is not known here.
    """
    number = _call_number()
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    if number is None or nice < 0 or not _is_ordinary():
        return False
    wanted = _SchedAttr(
        size=ctypes.sizeof(_SchedAttr),
        sched_policy=os.SCHED_OTHER,
        sched_flags=_RESET_ON_FORK,
        sched_nice=nice,
        sched_runtime=SLICE_NS,
    )
    return ctypes.CDLL(None).syscall(number, 0, ctypes.byref(wanted), 0) == 0


def _call_number() -> int | None:
    """Return the number of sched_setattr; None if it is not known.

    A program of 32 bits has other numbers than the kernel that it runs on.
    """
    return _SCHED_SETATTR.get(platform.machine()) if sys.maxsize > _LARGEST_OF_32_BITS else None


def _is_ordinary() -> bool:
    """Return whether the calling thread has the policy that all begin with."""
    try:
        policy = os.sched_getscheduler(0)
    except OSError:  # musl has no such call, and a sandbox may refuse it
        return False
    return policy & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER
