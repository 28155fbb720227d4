"""Turns of a schedule that may change while it runs: a stage that has settled ends early."""

from collections.abc import Callable, Iterator

import gevent.event

from scalelag.plan.schedule import Schedule

_AHEAD_S = 0.2
"""Time before it is due in which an arrival no longer changes: that of the announcement is longer."""
_POLL_S = 0.1
_SLICE = 1024


def current_turns(
    schedule: Callable[[], Schedule],
    zero_s: float,
    now: Callable[[], float],
    stop: gevent.event.Event,
) -> Iterator[tuple[float, int]]:
    """Yield due times in Unix seconds, each with the number of its request, until `stop`.

    `schedule` returns the schedule as it is now, the same object until it changes; all have the same
    turns up to the change. A turn comes only shortly before it is due.
    """
    given = 0
    while not stop.is_set():
        current = schedule()
        for due_s, number in _turns_from(current, given, zero_s):
            while (left_s := due_s - now() - _AHEAD_S) > 0 and schedule() is current:
                if stop.wait(min(left_s, _POLL_S)):
                    return
            if schedule() is not current:
                break
            yield due_s, number
            given += 1
        else:
            return


def _turns_from(schedule: Schedule, given: int, zero_s: float) -> Iterator[tuple[float, int]]:
    """Yield the turns after the first `given`."""
    passed = 0
    for due_s, numbers in schedule.turns():
        skipped = min(max(given - passed, 0), due_s.size)
        passed += due_s.size
        moments_s = due_s + zero_s
        # In small pieces: turning 65,536 numbers into Python floats takes milliseconds.
        for at in range(skipped, due_s.size, _SLICE):
            piece = slice(at, at + _SLICE)
            yield from zip(moments_s[piece].tolist(), numbers[piece].tolist(), strict=True)
