"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_EVERY_S = 0.02


def wait_for(condition: Callable[[], T], what: str, deadline_s: float = 30.0) -> T:
    """Return the first truthy result of `condition`; fail and name `what` after `deadline_s`."""
    ends_s = time.monotonic() + deadline_s
    while not (found := condition()):
        if time.monotonic() > ends_s:
            raise AssertionError(f"not within {deadline_s:g} s: {what}")
        time.sleep(POLL_EVERY_S)
    return found
