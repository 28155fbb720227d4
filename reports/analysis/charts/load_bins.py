"""The load over time, in as many bins as a chart can show."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.moments import counted_between
from reports.analysis.load.quantiles import quantiles_ms
from reports.model.charts import LoadBins
from scalelag.record.blocks import blocks
from scalelag.record.requests_file import RequestColumns

MOST_BINS = 600
_WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_DAY_S = 86_400


def load_bins(rows: RequestColumns, zero_s: float, end_s: float) -> LoadBins:
    """The load from the plan's start at `zero_s` (Unix) to `end_s` after it; rows are by time."""
    bin_s = bin_width_s(end_s)
    bins = max(1, int(np.ceil(end_s / bin_s - 1e-9)))
    edges_s = np.arange(bins + 1, dtype=np.float64) * np.float64(bin_s)
    places = np.searchsorted(rows.intended_s, zero_s + edges_s, side="left")
    completed, missed = _ended(rows, zero_s, edges_s)
    latency = list(_latency_ms(rows, places))
    return LoadBins(
        bin_s=bin_s,
        from_s=tuple(float(at_s) for at_s in edges_s[:-1]),
        offered_rps=_per_second(np.diff(places), bin_s),
        completed_rps=_per_second(completed, bin_s),
        failed_rps=_per_second(missed, bin_s),
        latency_p50_ms=tuple(of_bin[0] for of_bin in latency),
        latency_p95_ms=tuple(of_bin[1] for of_bin in latency),
        latency_p99_ms=tuple(of_bin[2] for of_bin in latency),
        latency_max_ms=tuple(of_bin[3] for of_bin in latency),
    )


def _ended(
    rows: RequestColumns, zero_s: float, edges_s: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of requests by bin: those answered in it, and others that were meant for it."""
    completed, missed = np.zeros((2, edges_s.size - 1), np.int64)
    for block in blocks(rows.count):
        at_s, answered = rows.intended_s[block], rows.error[block] < 0
        done_s = at_s[answered] + rows.latency_s[block][answered] - zero_s
        completed += _by_bin(done_s, edges_s)
        missed += _by_bin(at_s[~answered] - zero_s, edges_s)
    return completed, missed


def _by_bin(moments_s: NDArray[np.float64], edges_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of moments in each bin, the last of which has both of its edges."""
    unknown = np.isnan(moments_s)
    known_s = moments_s[~unknown] if unknown.any() else moments_s
    found = counted_between(known_s, edges_s, at_edge_after=True)[1:-1]
    found[-1] += np.count_nonzero(known_s == edges_s[-1])
    return found


def bin_width_s(end_s: float) -> float:
    """The narrowest round width, 1 s at least, of which `MOST_BINS` reach from 0 to `end_s`."""
    for width_s in _WIDTHS_S:
        if width_s * MOST_BINS >= end_s:
            return float(width_s)
    return float(_DAY_S * np.ceil(end_s / MOST_BINS / _DAY_S))


def _per_second(counts: NDArray[np.intp], bin_s: float) -> tuple[float, ...]:
    return tuple(float(count) / bin_s for count in counts)


def _latency_ms(
    rows: RequestColumns, places: NDArray[np.intp]
) -> Iterator[tuple[float | None, ...]]:
    for low, high in pairwise(places):
        latency = rows.latency_s[low:high]
        sent = latency[~np.isnan(latency)]
        yield tuple(quantiles_ms(sent, (0.5, 0.95, 0.99, 1.0)))
