"""Time slices that a load process asks for, as the kernel has them."""

import errno
import json
import os
import platform
import re
import subprocess
import sys

import pytest

from scalelag.plugin.worker.time_slices import SLICE_NS, ask_for_short_slices

SINCE = (6, 12)  # the first Linux that follows a wish for a slice

PROGRAM = """
import ctypes, json, os, sys, threading
from scalelag.plugin.worker import time_slices

def attributes():
    held = time_slices._SchedAttr()
    call = {"x86_64": 315}.get(os.uname().machine, 275)
    size = ctypes.sizeof(held)
    assert ctypes.CDLL(None).syscall(call, 0, ctypes.byref(held), size, 0) == 0
    return held.sched_policy, held.sched_nice, held.sched_runtime

os.nice(3)
# The tests themselves may have another one.
policy = sys.argv[1] if len(sys.argv) > 1 else "SCHED_OTHER"
os.sched_setscheduler(0, getattr(os, policy), os.sched_param(0))
told = {"before": attributes(), "took": [time_slices.ask_for_short_slices() for _ in range(2)]}
told["after"] = attributes()
thread = threading.Thread(target=lambda: told.update(thread=attributes()))
thread.start()
thread.join()
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, json.dumps(attributes()).encode())
    os._exit(0)
told["child"] = json.loads(os.read(reading, 1000))
os.wait()
print(json.dumps(told))
"""


REFUSED = """
import ctypes, os, struct, sys
from scalelag.plugin.worker import time_slices

LOAD_NUMBER, ALLOW, RETURN, IF_EQUAL = 0x20, 0x7FFF0000, 0x06, 0x15
SET_SECCOMP, NO_NEW_PRIVILEGES, FILTERS = 22, 38, 2
refused = {"setattr": time_slices._call_number(), "getscheduler": int(sys.argv[2])}[sys.argv[1]]
rules = [
    (LOAD_NUMBER, 0, 0, 0),
    (IF_EQUAL, 0, 1, refused),
    (RETURN, 0, 0, 0x00050000 | int(sys.argv[3])),  # an errno in place of the call
    (RETURN, 0, 0, ALLOW),
]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
assert libc.prctl(SET_SECCOMP, FILTERS, program, 0, 0) == 0
print(time_slices.ask_for_short_slices())
"""


def told(*arguments: str) -> dict[str, list[int]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_slices_are_short_and_nothing_else_changes() -> None:
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    assert release is not None
    follows = tuple(map(int, release.groups())) >= SINCE

    found = told()

    assert found["took"] == [True, True]
    _, nice, _ = found["before"]
    assert nice >= 3
    assert found["after"] == [os.SCHED_OTHER, nice, SLICE_NS if follows else 0]
    assert found["child"] == found["thread"] == found["before"]


@pytest.mark.parametrize("policy", ["SCHED_BATCH", "SCHED_IDLE"])
def test_a_policy_that_someone_chose_stays(policy: str) -> None:
    found = told(policy)

    assert found["took"] == [False, False]
    assert found["after"] == found["before"]


@pytest.mark.parametrize("call", ["setattr", "getscheduler"])
@pytest.mark.parametrize("reason", [errno.EPERM, errno.ENOSYS])
def test_a_sandbox_that_refuses_the_calls_changes_nothing(call: str, reason: int) -> None:
    number = {"x86_64": 145}.get(platform.machine(), 120)  # of sched_getscheduler
    command = [sys.executable, "-c", REFUSED, call, str(number), str(reason)]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_a_nice_value_that_children_would_lose_is_left_alone(monkeypatch) -> None:
    monkeypatch.setattr(os, "getpriority", lambda *_: -5)

    assert not ask_for_short_slices()


def test_a_program_of_32_bits_makes_no_call(monkeypatch) -> None:
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)

    assert not ask_for_short_slices()
