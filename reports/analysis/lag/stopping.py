"""Requests that were open while replicas were stopping."""

import math

import numpy as np

from reports.analysis.lag.timeline import Timeline
from reports.model.intervals import Window, seconds_in, union
from reports.model.load import StoppingReport
from scalelag.record.requests_file import RequestColumns, rows_from

_SLOWEST = 0.01


def stopping_report(
    rows: RequestColumns, timeline: Timeline, until_s: float, from_s: float = -math.inf
) -> StoppingReport:
    """Requests that were open while a replica was STOPPING; `until_s` is the watch's end.

    They are those of the whole load: which replica answered a request is not on record. What was
    due, or happened, before `from_s` does not count.
    """
    rows = rows_from(rows, from_s)
    stretches = _stretches(timeline, from_s, until_s)
    seconds = seconds_in(stretches)
    sent = ~rows.not_sent & np.isfinite(rows.latency_s)
    if not stretches or not sent.any():
        return StoppingReport(stopping_s=seconds)
    begun_s = rows.intended_s + np.nan_to_num(rows.send_lag_s)
    done_s = rows.intended_s + np.nan_to_num(rows.latency_s)
    during = np.zeros(rows.count, np.bool_)
    for stretch in stretches:
        during |= (begun_s < stretch.to_s) & (done_s > stretch.from_s)
    during &= sent
    slow = sent & (rows.latency_s >= np.quantile(rows.latency_s[sent], 1 - _SLOWEST))
    failed = sent & (rows.error >= 0)
    return StoppingReport(
        stopping_s=seconds,
        requests=int(np.count_nonzero(during)),
        failed=int(np.count_nonzero(during & failed)),
        slowest_1pct=int(np.count_nonzero(during & slow & ~failed)),
    )


def _stretches(timeline: Timeline, from_s: float, until_s: float) -> tuple[Window, ...]:
    """Windows in which at least one replica was STOPPING.

    A replica that was STOPPING already in the first poll counts from that poll on.
    """
    return union(
        (
            max(from_s, at.lo_s if math.isfinite(at.lo_s) else at.hi_s),
            life.gone.hi_s if life.gone else until_s,
        )
        for life in timeline.replicas
        if (at := life.stopping) is not None
    )
