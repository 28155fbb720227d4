"""Turns of the Serve controller's control loop, as polls count them."""

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from scalelag.record.rows import Poll

_LOOP_WINDOW_S = 2.0
_WINDOW_TURNS = 10


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

    It is the quickest of all stretches of 2 s, since nothing held the loop up there. If the loop is
    slow, a stretch has ten turns, or half of all turns: a poll counts whole turns only.
    """
    marks = loop_marks(polls)
    periods = [
        (then.at_s - first.at_s) / (then.turns - first.turns)
        for _, of_one in groupby(marks, key=lambda mark: mark.start)
        for first, then in pairwise(_spaced(list(of_one)))
    ]
    return min(periods, default=None)


def _spaced(marks: Sequence[LoopMark]) -> list[LoopMark]:
    """Marks of one controller that are far enough apart to time a turn by two of them."""
    least_turns = max(1, min(_WINDOW_TURNS, (marks[-1].turns - marks[0].turns) // 2))
    spaced = [marks[0]]
    for mark in marks[1:]:
        last = spaced[-1]
        if mark.at_s - last.at_s >= _LOOP_WINDOW_S and mark.turns - last.turns >= least_turns:
            spaced.append(mark)
    return spaced
