"""Turns of the Serve controller's control loop, as polls count them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from scalelag.record.rows import Poll

_LOOP_WINDOW_S = 2.0


class LoopMark(NamedTuple):
    """Turns of the loop up to a moment, counted from `start`, when the controller started."""

    at_s: float
    turns: int
    start: float | None


def loop_marks(polls: Sequence[Poll]) -> list[LoopMark]:
    """One mark for each poll that counted turns."""
    return [
        LoopMark(poll.received_s, c.loops, c.start_time_s)
        for poll in polls
        if (c := poll.controller) is not None and c.loops is not None
    ]


def loop_interval(polls: Sequence[Poll]) -> float | None:
    """Seconds from one turn of the loop to the next; None if no two polls tell.

    Of all stretches of 2 s, the quickest: the time of a turn when nothing holds the loop up.
    """
    marks = loop_marks(polls)
    spaced = marks[:1]
    for mark in marks[1:]:
        if mark.at_s - spaced[-1].at_s >= _LOOP_WINDOW_S:
            spaced.append(mark)
    periods = [
        (then.at_s - first.at_s) / (then.turns - first.turns)
        for first, then in pairwise(spaced)
        if first.start == then.start and then.turns > first.turns
    ]
    return min(periods, default=None)
