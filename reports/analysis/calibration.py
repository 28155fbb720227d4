"""Capacity of one replica within a limit on latency: the loads to try, and the result.

Capacity demand (docs/metrics.md#elasticity) divides the offered load by this rate.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.part import ON_TIME_S
from reports.analysis.load.quantiles import quantile_ms
from reports.analysis.load.slo import Slo
from reports.model.calibration import Calibration, CalibrationStage, StageLoad
from reports.model.report import Report
from scalelag.record.requests_file import RequestColumns
from scalelag.wording import count

CLOSE_ENOUGH = 1.1
"""The search ends when the rate that was too much is at most this many times the one kept."""

LONGEST_HOLD_S = 120.0
_MOST_STAGES = 24
# Six halvings, with room for what rounding to three digits takes.
_LOWEST_SHARE = 0.9 / 64
_TIMES_EXCEEDED = 2
_MAX_LATE_RATIO = 0.01
_FEWEST_REQUESTS = 100
_BEYOND_QUANTILE = 5
_LIMITS_PER_HOLD = 20.0


ALONE = StageLoad(1, "users")
"""One request at a time: if that does not keep the limit, no rate does."""


def hold_for(load: StageLoad, slo: Slo, least_s: float) -> float:
    """Seconds to hold `load`: `least_s`, and longer for a low rate, a high quantile, a high limit.

    Long enough that five requests may be slower than the quantile, and that a queue that grows by a
    twentieth of the rate reaches the limit. At most 120, unless `least_s` is more.
    """
    wanted_s = _LIMITS_PER_HOLD * slo.limit_s
    if load.unit == "rps":
        beyond = _BEYOND_QUANTILE / (1 - _quantile(slo)) if _quantile(slo) < 1 else 0
        wanted_s = max(wanted_s, max(_FEWEST_REQUESTS, beyond) / load.level)
    return max(least_s, min(float(np.ceil(wanted_s)), LONGEST_HOLD_S))


def judge_stage(
    load: StageLoad, hold_s: float, report: Report, rows: RequestColumns, slo: Slo, record: str
) -> CalibrationStage:
    """Judge if one replica kept the limit under `load`.

    `rows` are those behind `report`'s figures, without its warm-up. Requests that failed or were
    not sent count as beyond the limit.
    """
    answered = rows.error < 0
    planned = report.load.planned
    within_ratio = _share(answered & (rows.latency_s <= slo.limit_s), planned)
    kept, reason = _verdict(report, rows, within_ratio, slo)
    return CalibrationStage(
        load=load,
        hold_s=hold_s,
        planned=planned,
        failed=report.load.failed,
        not_sent=report.load.not_sent,
        completed_rps=report.load.completed / hold_s,
        within_ratio=within_ratio,
        latency_ms=quantile_ms(rows.latency_s[~rows.not_sent], _quantile(slo)),
        kept=kept,
        reason=reason,
        record=record,
    )


def _share(those: NDArray[np.bool_], planned: int) -> float:
    return float(np.count_nonzero(those)) / planned if planned else 0.0


def _verdict(
    report: Report, rows: RequestColumns, within_ratio: float, slo: Slo
) -> tuple[bool | None, str | None]:
    """Return if the limit was kept, None if unknown; and the reason, if it was not the requests."""
    if (reason := _unusable(report)) is not None:
        return None, reason
    lost = [key for key, one in report.deployments.items() if one.replicas.min == 0]
    if lost:
        return False, f"{', '.join(lost)}: its replica was lost"
    # A server that is too slow also from the actual send is too slow, however late we were.
    service_s = rows.latency_s - rows.send_lag_s
    served = (rows.error < 0) & (service_s <= slo.limit_s)
    sent = ~rows.not_sent
    late = np.count_nonzero(rows.send_lag_s[sent] > ON_TIME_S)
    if _share(served, report.load.planned) >= _quantile(
        slo
    ) and late > _MAX_LATE_RATIO * np.count_nonzero(sent):
        return None, "the load generator was too slow (see --processes)"
    return within_ratio >= _quantile(slo), None


def _unusable(report: Report) -> str | None:
    """Reason why a run says nothing about one replica; None if it does."""
    if report.run.status != "complete":
        return f"{report.run.status}: {report.run.reason or 'no reason recorded'}"
    if not report.load.planned:
        return "no request was recorded"
    for key, deployment in report.deployments.items():
        if deployment.replicas.max is None:
            return f"{key}: the probe never saw this deployment"
        if deployment.replicas.max > 1:
            return f"{key}: {count(deployment.replicas.max, 'replica')} were RUNNING"
    return None


def next_load(stages: Sequence[CalibrationStage]) -> StageLoad | None:
    """Return the load to try after `stages`; None if the search is over.

    First one request at a time. Then the rate that this made, doubled while the limit is kept and
    halved while it is not. Then the geometric mean of the highest rate that was kept and the lowest
    above it that was not. Two kinds of stages are made once more: one that says nothing, and one at
    the end that was not kept. A busy moment of the machine makes a server look slow, and never
    fast.
    """
    if not stages:
        return ALONE
    last = stages[-1]
    if last.kept is None:
        again = len(stages) < 2 or stages[-2].load != last.load
        return last.load if again else None
    if len(stages) >= _MOST_STAGES:
        return None
    alone = [stage for stage in stages if stage.load == ALONE and stage.kept is not None]
    if not any(stage.kept for stage in alone):
        return ALONE if len(alone) < _TIMES_EXCEEDED else None
    rate = _next_rate(alone[-1].completed_rps, stages)
    return None if rate is None else StageLoad(float(f"{rate:.3g}"), "rps")


def _next_rate(alone_rps: float, stages: Sequence[CalibrationStage]) -> float | None:
    kept, exceeded = _bounds(stages)
    if exceeded is None:
        return 2 * kept if kept is not None else alone_rps
    if kept is None:
        rate = exceeded / 2
        return rate if rate >= _LOWEST_SHARE * alone_rps else None
    if exceeded / kept > CLOSE_ENOUGH:
        return float(np.sqrt(kept * exceeded))
    times = [stage.kept for stage in stages if stage.load.level == exceeded].count(False)
    return exceeded if times < _TIMES_EXCEEDED else None


def _bounds(stages: Sequence[CalibrationStage]) -> tuple[float | None, float | None]:
    """The highest rate at which the limit was kept, and the lowest above it at which it was not."""
    rates = [stage for stage in stages if stage.load.unit == "rps"]
    kept = max((stage.load.level for stage in rates if stage.kept), default=None)
    above = [s.load.level for s in rates if s.kept is False and s.load.level > (kept or 0)]
    return kept, min(above, default=None)


def calibration_of(
    slo: Slo, deployments: Sequence[str], stages: Sequence[CalibrationStage]
) -> Calibration:
    """Result of `stages` so far."""
    kept, exceeded = _bounds(stages)
    complete = bool(stages) and stages[-1].kept is not None and next_load(stages) is None
    return Calibration(
        slo=slo.text,
        deployments=tuple(deployments),
        capacity_rps=kept,
        exceeded_rps=exceeded,
        complete=complete,
        reason=_why_open(stages, kept, exceeded, complete=complete),
        stages=tuple(stages),
    )


def _why_open(
    stages: Sequence[CalibrationStage],
    kept: float | None,
    exceeded: float | None,
    *,
    complete: bool,
) -> str | None:
    """Why there are not both bounds, close to each other; None if there are."""
    if not complete:
        last = stages[-1] if stages else None
        return last.reason if last is not None and last.kept is None else "the search was ended"
    if len(stages) >= _MOST_STAGES:
        return f"{_MOST_STAGES} stages were made"
    if kept is None and exceeded is None:
        return "not even one request at a time is within the limit"
    if kept is None:
        return "no rate that was tried is within the limit"
    return None


def _quantile(slo: Slo) -> float:
    """Share of requests that is to keep a limit; all for one on each request."""
    return 1.0 if slo.quantile is None else slo.quantile
