"""Restarts of the Serve controller, as polls and its log tell them."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from reports.analysis.lag.log_times import agrees, moment
from reports.model.intervals import Instant
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import ControllerRestart
from scalelag.record.run_dir import RecordedRun

_SAME_S = 5.0
"""A logged start this near a polled restart belongs to it: clocks of logs are estimated."""


def all_restarts(run: RecordedRun) -> tuple[ControllerRestart, ...]:
    """Return the restarts that polls saw, or that only the log has, by their ends.

    A logged one is as wide as its clock is uncertain. A controller that started before the first
    poll did not restart. If several started between two polls, the polls saw the last one.
    """
    if not run.polls:
        return run.restarts
    first_s, last_s = run.polls[0].received_s, run.polls[-1].received_s
    polled = [_own_start(row, run.events) for row in run.restarts]
    logged = [
        ControllerRestart(event.at_s - event.skew_s, event.at_s + event.skew_s)
        for event in run.events
        if event.kind == "controller_started"
        and first_s < event.at_s - event.skew_s
        and event.at_s < last_s
        and event not in polled
    ]
    if not logged:
        return run.restarts
    return tuple(sorted([*run.restarts, *logged], key=lambda row: row.hi_s))


def logged_start(
    row: ControllerRestart, events: Sequence[LogEvent], off: AbstractSet[str] = frozenset()
) -> Instant | None:
    """Moment at which the log says that the new controller of a restart started.

    None without such a line, if polling contradicts it, or if its clock is in `off`.
    """
    event = _own_start(row, events)
    at = None if event is None or event.node in off else moment(event)
    return at if at is not None and agrees(Instant(row.lo_s, row.hi_s), at) else None


def _own_start(row: ControllerRestart, events: Sequence[LogEvent]) -> LogEvent | None:
    """The last start in the log within the bounds of a restart, else the nearest one."""
    starts = [event for event in events if event.kind == "controller_started"]
    bounds = Instant(row.lo_s, row.hi_s)
    inside = [event for event in starts if agrees(bounds, moment(event))]
    if inside:
        return max(inside, key=lambda event: event.at_s)
    near = [event for event in starts if _away_s(row, event) <= _SAME_S]
    return min(near, key=lambda event: _away_s(row, event), default=None)


def _away_s(row: ControllerRestart, event: LogEvent) -> float:
    return max(row.lo_s - event.at_s, event.at_s - row.hi_s)
