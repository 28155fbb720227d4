"""Time slices that a load process asks for, as the kernel has them."""

import json
import platform
import re
import subprocess
import sys

import pytest

from scalelag.plugin.worker.time_slices import SLICE_NS

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
if len(sys.argv) > 1:
    os.sched_setscheduler(0, getattr(os, sys.argv[1]), os.sched_param(0))
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
    assert found["after"] == [0, 3, SLICE_NS if follows else 0]
    assert found["child"] == found["thread"] == found["before"]


@pytest.mark.parametrize("policy", ["SCHED_BATCH", "SCHED_IDLE"])
def test_a_policy_that_someone_chose_stays(policy: str) -> None:
    found = told(policy)

    assert found["took"] == [False, False]
    assert found["after"] == found["before"]
