"""Runs one command and ends everything that came of it: `python -m tools.diagnosis.guard COMMAND ...`.

It ends when its standard input closes, or its command does. Whatever the command started, and they
in turn, is then killed by pid, also what has put itself into the background: the guard adopts it
(prctl's subreaper). A mark in the environment would not do: some of Ray's processes, such as the
dashboard's agents, overwrite theirs with their title.
"""

import contextlib
import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36
NICE = 5
LOOK_EVERY_S = 0.5


def main() -> None:
    """Run the command until it ends or standard input closes."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        sys.exit("prctl(PR_SET_CHILD_SUBREAPER) failed")
    yield_to_the_load()
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    try:
        ended = threading.Event()
        threading.Thread(target=read_to_the_end, args=(ended,), daemon=True).start()
        while not ended.wait(LOOK_EVERY_S) and command.poll() is None:
            reap_adopted(command.pid)
    finally:
        kill_descendants()


def yield_to_the_load() -> None:
    """Stand back as the embedded cluster does, whose comments say why."""
    os.nice(NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICE), encoding="ascii")


def read_to_the_end(ended: threading.Event) -> None:
    """Set `ended` when standard input closes."""
    with contextlib.suppress(OSError):
        sys.stdin.buffer.read()
    ended.set()


def reap_adopted(command_pid: int) -> None:
    """Collect adopted children that have ended; the command is left to Popen."""
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == command_pid:
                return
            os.waitpid(ended.si_pid, 0)


def kill_descendants() -> None:
    """Kill them until there are none; whom they leave behind becomes a child of ours."""
    while children := psutil.Process().children(recursive=True):
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


if __name__ == "__main__":
    main()
