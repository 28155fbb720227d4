"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_AFTER_S = 0.02
SELDOMEST_S = 0.1


def wait_for(
    condition: Callable[[], T],
    what: str,
    deadline_s: float = 30.0,
    *,
    forgiven: type[Exception] | tuple[()] = (),
) -> T:
    """Return the first truthy result of `condition`; fail and name `what` after `deadline_s`.

    An exception of the type `forgiven` counts as no result; the last one is told with the failure.
    """
    ends_s = time.monotonic() + deadline_s
    every_s, why = LOOK_AFTER_S, ""
    while True:
        try:
            if found := condition():
                return found
        except forgiven as error:
            why = f" ({error})"
        if time.monotonic() > ends_s:
            raise AssertionError(f"not within {deadline_s:g} s: {what}{why}")
        time.sleep(every_s)
        every_s = min(1.2 * every_s, SELDOMEST_S)
