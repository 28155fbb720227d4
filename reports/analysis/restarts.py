"""Restarts of the Serve controller, as polls and its log tell them."""

from scalelag.record.rows import ControllerRestart
from scalelag.record.run_dir import RecordedRun

_SAME_S = 5.0
"""A logged start this near a restart that polls saw is its own: logs are placed by estimated clocks."""


def all_restarts(run: RecordedRun) -> tuple[ControllerRestart, ...]:
    """Return the restarts that polls saw or only the log tells, by their ends.

    One of the log is as wide as its clock is uncertain. A controller that started before the first
    poll is the first one, and did not restart.
    """
    if not run.polls:
        return run.restarts
    first_s, last_s = run.polls[0].received_s, run.polls[-1].received_s
    logged = [
        ControllerRestart(event.at_s - event.skew_s, event.at_s + event.skew_s)
        for event in run.events
        if event.kind == "controller_started"
        and first_s < event.at_s - event.skew_s
        and event.at_s < last_s
        and not any(row.lo_s - _SAME_S <= event.at_s <= row.hi_s + _SAME_S for row in run.restarts)
    ]
    if not logged:
        return run.restarts
    return tuple(sorted([*run.restarts, *logged], key=lambda row: row.hi_s))
