"""Waiting, and finding the processes that a test has started."""

import time
from pathlib import Path

MARK = "SCALELAG_TEST_MARK"
"""Environment variable by which processes are known."""


def wait_for(what, look, deadline_s=60.0):
    """First truthy result of `look`; fails naming `what` after `deadline_s`."""
    end_s = time.monotonic() + deadline_s
    while time.monotonic() < end_s:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {deadline_s} s")


def marked(mark):
    """Processes, by pid, that were started with `mark` in their environment."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
    return found
