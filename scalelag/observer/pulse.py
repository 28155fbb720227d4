"""Regular sign of life of a process, which also shows when the process was held up."""

import time
from collections.abc import Callable
from typing import NoReturn

BEAT_S = 0.5
HELD_UP_S = 2.0
"""Time between two beats from which on the process counts as held up: stopped, or without a CPU."""


def beat(
    now: Callable[[], float], sign: Callable[[], None], held_up: Callable[[float, float], None]
) -> NoReturn:
    """Call `sign` at each beat, and `held_up` with the two times between which there was none."""
    last_s = now()
    while True:
        time.sleep(BEAT_S)
        now_s = now()
        if now_s - last_s >= HELD_UP_S:
            held_up(last_s, now_s)
        sign()
        last_s = now_s
