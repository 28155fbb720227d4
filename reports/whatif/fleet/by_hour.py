"""Traffic of a trace in steps, and figures of a coarse simulation by hour of day."""

import math

import numpy as np
from numpy.typing import NDArray

from reports.model.fleet import FleetHour
from reports.whatif.fleet.coarse import FleetCourse
from scalelag.plan.schedule import integral
from scalelag.plan.trace import Trace
from scalelag.plan.trace_plan import end_of_arrivals

_DAY_S = 86_400.0
_HOUR_S = 3_600.0


def requests_of(trace: Trace, days: float, turn_s: float) -> NDArray[np.float64]:
    """Requests of each step over some days; a shorter trace is repeated, a longer one cut."""
    edges_s = np.arange(round(days * _DAY_S / turn_s) + 1) * turn_s
    if trace.rates_rps is None:
        rounds, left_s = np.divmod(edges_s, end_of_arrivals(trace.times_s))
        came = np.searchsorted(trace.times_s, left_s, side="left")
        return np.diff(rounds * trace.times_s.size + came)
    reached = integral(trace.times_s, trace.rates_rps)
    rounds, left_s = np.divmod(edges_s, float(trace.times_s[-1]))
    return np.diff(rounds * reached[-1] + np.interp(left_s, trace.times_s, reached, left=0.0))


def demand_of(course: FleetCourse, capacity_rps: float) -> NDArray[np.int64]:
    """Replicas that the traffic of each step calls for."""
    return np.ceil(course.came / course.turn_s / capacity_rps - 1e-9).astype(np.int64)


def fleet_hours(
    course: FleetCourse, capacity_rps: float, begun_s: float = 0.0
) -> tuple[FleetHour, ...]:
    """Figures of each hour of the day; `begun_s` is the time of day at which the traffic begins."""
    at_s = begun_s + np.arange(course.came.size) * course.turn_s
    hour = ((at_s % _DAY_S) / _HOUR_S).astype(np.int64)
    short = np.maximum(demand_of(course, capacity_rps) - course.running, 0)
    return tuple(
        _hour(number, own, course, short) for number in range(24) if (own := hour == number).any()
    )


def _hour(
    number: int, own: NDArray[np.bool_], course: FleetCourse, short: NDArray[np.int64]
) -> FleetHour:
    turn_h = course.turn_s / _HOUR_S
    rates_rps = course.came[own] / course.turn_s
    return FleetHour(
        hour=number,
        mean_rps=float(np.mean(rates_rps)),
        peak_rps=float(np.max(rates_rps)),
        mean_replicas=float(np.mean(course.running[own])),
        peak_replicas=int(np.max(course.running[own])),
        replica_hours=float(np.sum(course.running[own]) * turn_h),
        short_replica_hours=float(np.sum(short[own]) * turn_h),
        short_s=float(np.count_nonzero(short[own]) * course.turn_s),
        waiting_most=float(np.max(course.waiting[own])),
    )


def steady_hours(course: FleetCourse, capacity_rps: float) -> float:
    """Replica-hours of a fixed number of replicas that is enough in every step."""
    most = int(np.max(demand_of(course, capacity_rps))) if course.came.size else 0
    return most * course.came.size * course.turn_s / _HOUR_S


def reversals_of(course: FleetCourse) -> int:
    """Number of times that the target turned."""
    moves = np.diff(course.target)
    signs = np.sign(moves[moves != 0])
    return int(np.count_nonzero(signs[1:] != signs[:-1]))


def whole_days(days: float) -> bool:
    """Return True for a number of days that can be simulated."""
    return math.isfinite(days) and 0 < days <= 366
