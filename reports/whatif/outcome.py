"""Figures of a simulated run, by the same definitions as those of a recorded one."""

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.elasticity.staircase import Staircase, stairs
from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.step_lag import step_lag
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll, Timeline
from reports.analysis.load.recovery import BIN_S, recovery
from reports.analysis.load.slo import Slo
from reports.model.intervals import Instant, Span, longer_than, point
from reports.model.whatif import FigureName
from reports.whatif.simulate import ERRORS, NOT_SENT, SimulatedLife, SimulatedRun
from scalelag.plan.stages import LoadStep
from scalelag.record.requests_file import RequestColumns

_JUST_BEFORE_S = 1e-6
_ROUNDING = 1e-9
_END_BINS = 3

Figures = dict[FigureName, Span | None]


class Course(msgspec.Struct, frozen=True):
    """Target and RUNNING over time, in Unix seconds."""

    target: Staircase
    running: Staircase


class Outcome(msgspec.Struct, frozen=True):
    """One repetition: figures of each step by its index, of the whole run, and its course."""

    steps: dict[int, Figures]
    whole: Figures
    course: Course


def outcome_of(
    found: SimulatedRun,
    steps: Sequence[LoadStep],
    zero_s: float,
    until_s: float,
    names: Sequence[str],
    target: int,
    slo: Slo | None,
) -> Outcome:
    """Figures of a simulation that began with `target`, watched from `zero_s` until `until_s`."""
    course = _course(found, target)
    timeline = _timeline(found, course, steps, zero_s, until_s)
    rows = rows_of(found, names)
    by_step = {step.index: _step(step, zero_s, timeline, rows, slo) for step in steps}
    reversals = sum(_value(figures["reversals"]) for figures in by_step.values())
    whole: Figures = {
        **whole_figures(rows, steps, zero_s, slo),
        "lag_s": worst_lag(rows, steps, by_step, zero_s, slo),
        "reversals": _exactly(reversals),
        "replica_hours": _exactly(replica_hours(course.running, zero_s, until_s)),
    }
    return Outcome(by_step, whole, course)


def replica_hours(running: Staircase, from_s: float, to_s: float) -> float:
    """RUNNING replicas, integrated over time, in hours."""
    inner = running.times_s[(running.times_s > from_s) & (running.times_s < to_s)]
    edges_s = np.concatenate([[from_s], inner, [to_s]])
    return float(np.dot(running.at(edges_s[:-1]), np.diff(edges_s))) / 3600


def request_figures(rows: RequestColumns, step: LoadStep, zero_s: float) -> Figures:
    """Latency and failures of the requests that a step meant."""
    edges_s = [zero_s + step.at_s, zero_s + step.hold_until_s]
    low, high = np.searchsorted(rows.intended_s, edges_s)
    part = slice(int(low), int(high))
    return {"p95_ms": _p95_ms(rows, part), "failed": _exactly(_failed(rows, part))}


def whole_figures(
    rows: RequestColumns, steps: Sequence[LoadStep], zero_s: float, slo: Slo | None
) -> Figures:
    """Latency and failures of all requests, and the seconds beyond the limit."""
    part = slice(None)
    beyond = beyond_slo(rows, zero_s, max((step.hold_until_s for step in steps), default=0.0), slo)
    return {
        "p95_ms": _p95_ms(rows, part),
        "failed": _exactly(_failed(rows, part)),
        "beyond_slo_s": None if beyond is None else _exactly(np.count_nonzero(beyond) * BIN_S),
    }


def beyond_slo(
    rows: RequestColumns, zero_s: float, until_s: float, slo: Slo | None
) -> NDArray[np.bool_] | None:
    """Seconds of the load, by intended start, in which too few requests kept the limit.

    Too few are fewer than the limit's quantile of those meant in that second; one that failed has
    not kept it. None without a limit on a quantile.
    """
    if slo is None or slo.quantile is None:
        return None
    count = max(1, math.ceil(until_s / BIN_S))
    bins = np.floor((rows.intended_s - zero_s) / BIN_S).astype(np.int64)
    inside = (bins >= 0) & (bins < count)
    kept = (rows.error < 0) & (rows.latency_s <= slo.limit_s)
    meant = np.bincount(bins[inside], minlength=count)
    good = np.bincount(bins[inside & kept], minlength=count)
    return good < slo.quantile * meant - _ROUNDING


def worst_lag(
    rows: RequestColumns,
    steps: Sequence[LoadStep],
    figures: Mapping[int, Figures],
    zero_s: float,
    slo: Slo | None,
) -> Span:
    """The longest `total_s` of the steps up; 0 if none of them needed a replica.

    A step that got none, and whose hold ends beyond the limit, is longer than its hold.
    """
    worst = _exactly(0.0)
    for step in steps:
        if step.direction != "up":
            continue
        total = figures[step.index]["total_s"]
        beyond = beyond_slo(rows, zero_s, step.hold_until_s, slo) if total is None else None
        if beyond is not None and beyond[-_END_BINS:].all():
            total = longer_than(step.hold_until_s - step.at_s)
        if total is not None and _length(total) > _length(worst):
            worst = total
    return worst


def _length(lag: Span) -> float:
    return lag.lo if lag.value is None else lag.value


def rows_of(found: SimulatedRun, names: Sequence[str]) -> RequestColumns:
    """Rows as a recorder would write them."""
    error = found.error - 1
    return RequestColumns(
        intended_s=found.at_s,
        send_lag_s=np.where(found.error == NOT_SENT, np.nan, 0.0).astype(np.float32),
        latency_s=found.latency_s.astype(np.float32),
        status=np.where(error < 0, 200, 0).astype(np.uint16),
        name=found.name,
        error=error.astype(np.int32),
        worker=np.zeros(found.at_s.size, np.uint16),
        names=tuple(names),
        errors=ERRORS[1:],
    )


def _course(found: SimulatedRun, target: int) -> Course:
    times_s = [one.at_s for one in found.decisions]
    deltas = [one.after - one.before for one in found.decisions]
    first = min((life.decided_s for life in found.lives), default=0.0)
    before = sum(life.running_s == first for life in found.lives)
    ran = [life for life in found.lives if life.running_s is not None]
    changes = [
        *((at_s, 1) for life in ran if (at_s := life.running_s) and at_s != first),
        *((at_s, -1) for life in ran if (at_s := life.stopping_s)),
    ]
    return Course(
        stairs(target, times_s, deltas),
        stairs(before, [at_s for at_s, _ in changes], [delta for _, delta in changes]),
    )


def _timeline(
    found: SimulatedRun,
    course: Course,
    steps: Sequence[LoadStep],
    zero_s: float,
    until_s: float,
) -> Timeline:
    """Polls of a probe just before and at each change."""
    lives = found.lives
    changed_s = {one.at_s for one in found.decisions} | {
        at_s
        for life in lives
        for at_s in (life.decided_s, life.running_s, life.stopping_s, life.gone_s)
        if at_s is not None and at_s < until_s
    }
    edges_s = {zero_s + at_s for step in steps for at_s in (step.at_s, step.hold_until_s)}
    moments = np.array(
        sorted({at_s + off for at_s in changed_s | edges_s for off in (-_JUST_BEFORE_S, 0.0)})
    )
    begun = np.sort([life.decided_s for life in lives])
    gone = np.sort([life.gone_s if life.gone_s is not None else math.inf for life in lives])
    listed = np.searchsorted(begun, moments, "right") - np.searchsorted(gone, moments, "right")
    polls = [
        ReplicaPoll(at_s, at_s, running, there, target)
        for at_s, running, there, target in zip(
            moments.tolist(),
            course.running.at(moments).tolist(),
            listed.tolist(),
            course.target.at(moments).tolist(),
            strict=True,
        )
    ]
    return Timeline(
        polls=tuple(polls),
        decisions=tuple(Decision(point(d.at_s), d.before, d.after) for d in found.decisions),
        replicas=tuple(_life(life) for life in lives),
    )


def _life(life: SimulatedLife) -> ReplicaLife:
    return ReplicaLife(
        life.name,
        listed=point(life.decided_s),
        running=_point(life.running_s),
        stopping=_point(life.stopping_s),
        gone=_point(life.gone_s),
    )


def _point(at_s: float | None) -> Instant | None:
    return None if at_s is None else point(at_s)


def _step(
    step: LoadStep, zero_s: float, timeline: Timeline, rows: RequestColumns, slo: Slo | None
) -> Figures:
    lag = step_lag(step, zero_s, timeline)
    decide = lag.phase("decide")
    recovered = recovery(rows, step, zero_s, slo).recovered_s if step.to_level > 0 else None
    return {
        "decide_s": _exactly(decide.value) if decide and decide.value is not None else None,
        "total_s": lag.total_s,
        "recovered_s": recovered,
        **request_figures(rows, step, zero_s),
        "reversals": _exactly(lag.reversals),
    }


def _p95_ms(rows: RequestColumns, part: slice) -> Span | None:
    """95 % quantile of the latency of all that were answered or given up, from the intended start."""
    latency_s: NDArray[np.float32] = rows.latency_s[part]
    known = latency_s[np.isfinite(latency_s)]
    return _exactly(float(np.quantile(known, 0.95)) * 1000) if known.size else None


def _failed(rows: RequestColumns, part: slice) -> int:
    return int(np.count_nonzero(rows.error[part] >= 0))


def _exactly(value: float) -> Span:
    return Span(float(value), float(value), float(value))


def _value(span: Span | None) -> float:
    return span.value if span is not None and span.value is not None else 0.0
