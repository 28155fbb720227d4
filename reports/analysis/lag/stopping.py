"""Requests that were open while replicas were stopping."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from reports.analysis.lag.timeline import Timeline
from reports.analysis.load.concurrency import open_between_s
from reports.analysis.load.part import number_of
from reports.analysis.load.quantiles import quantiles_of_blocks
from reports.model.intervals import Window, seconds_in, union
from reports.model.load import StoppingReport
from scalelag.record.blocks import blocks
from scalelag.record.requests_file import RequestColumns, rows_from

_SLOWEST = 0.01


def stopping_report(
    rows: RequestColumns, timeline: Timeline, until_s: float, from_s: float = -math.inf
) -> StoppingReport:
    """Requests that were open while a replica was STOPPING; `until_s` is the watch's end.

    `rows` are those that may have been for its application, since the record does not say which
    replica answered a request. Requests and times before `from_s` do not count.
    """
    rows = rows_from(rows, from_s)
    stretches = _stretches(timeline, from_s, until_s)
    seconds = seconds_in(stretches)
    sent = sum(number_of(_sent(rows, block)) for block in blocks(rows.count)) if stretches else 0
    if not sent:
        return StoppingReport(stopping_s=seconds)
    slow_s = quantiles_of_blocks(lambda: _latencies_s(rows), sent, (1 - _SLOWEST,))[0]
    requests = failed = slowest = 0
    for block in blocks(rows.count):
        first_s, last_s = open_between_s(rows, block)
        if not any(first_s < stretch.to_s and last_s > stretch.from_s for stretch in stretches):
            continue
        during = _sent(rows, block) & _open_in(rows, block, stretches)
        has_failed = rows.error[block] >= 0
        requests += number_of(during)
        failed += number_of(during & has_failed)
        slowest += number_of(during & ~has_failed & (rows.latency_s[block] >= slow_s))
    return StoppingReport(
        stopping_s=seconds, requests=requests, failed=failed, slowest_1pct=slowest
    )


def _latencies_s(rows: RequestColumns) -> Iterator[NDArray[np.float32]]:
    """Yield the latencies of those that were sent."""
    for block in blocks(rows.count):
        yield rows.latency_s[block][_sent(rows, block)]


def _sent(rows: RequestColumns, block: slice) -> NDArray[np.bool_]:
    """Rows of a block that were sent, and whose end is known."""
    return np.isfinite(rows.latency_s[block]) & ~rows.not_sent_in(block)


def _open_in(rows: RequestColumns, block: slice, stretches: Sequence[Window]) -> NDArray[np.bool_]:
    """Rows of a block that were open in one of the `stretches`."""
    begun_s, done_s = (
        rows.intended_s[block] + np.where(np.isnan(of_block), np.float32(0), of_block)
        for of_block in (rows.send_lag_s[block], rows.latency_s[block])
    )
    found = np.zeros(begun_s.size, np.bool_)
    for stretch in stretches:
        found |= (begun_s < stretch.to_s) & (done_s > stretch.from_s)
    return found


def _stretches(timeline: Timeline, from_s: float, until_s: float) -> tuple[Window, ...]:
    """Windows in which at least one replica was STOPPING.

    A replica that is STOPPING in the first poll counts from that poll on.
    """
    return union(
        (
            max(from_s, at.lo_s if math.isfinite(at.lo_s) else at.hi_s),
            life.gone.hi_s if life.gone else until_s,
        )
        for life in timeline.replicas
        if (at := life.stopping) is not None
    )
