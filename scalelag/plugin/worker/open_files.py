"""Open files of a process that sends: as many as the system lets it have, for its connections."""

import resource
from contextlib import suppress
from typing import Final

MOST: Final = 1 << 20
"""Enough for any load; containers without a limit say a billion."""


def raise_open_files() -> None:
    """Raise this process's limit of open files to the hard one, `MOST` at most.

    Shells mostly set 1,024. Locust raises that to 10,000, or not at all if the hard limit is lower. A
    system that refuses, such as macOS, whose hard limit is infinite while the kernel's own is not,
    leaves it as it is.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
