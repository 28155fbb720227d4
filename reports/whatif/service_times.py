"""Service times of a deployment, and their growth with the requests on one replica, from a record.

A request is taken as a piece of work `w`, in seconds: its service time alone on a replica. While `k`
requests run there, each progresses at the rate `1 / (1 + c (k - 1))`. `c` is 0 if requests only wait,
as for another service, and 1 if they share one core. It is chosen so that the works of the record
vary the least: a wrong `c` leaves works that depend on the load.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.elasticity.staircase import Staircase
from reports.analysis.simulable import ENOUGH
from scalelag.record.requests_file import RequestColumns

_GRID_S = 0.005
_MOST_CELLS = 4_000_000
_SHARINGS = np.round(np.arange(0.0, 2.01, 0.02), 2)
_TRIM = (0.02, 0.98)
_CLEARLY_LESS = 0.95
_AT_LEAST_VARIED = 0.5


class ServiceTimes(msgspec.Struct, frozen=True):
    """Works in seconds by name of the request, and the `sharing` `c`.

    `highest` is the most requests on one replica that the estimate rests on, on average over the life
    of a request; beyond it `c` is an extrapolation. `varied` tells whether the record had enough
    different loads for it; without that `sharing` is 0.
    """

    works_s: tuple[NDArray[np.float64], ...]
    sharing: float
    highest: float
    varied: bool
    requests: int


class _Cells(msgspec.Struct, frozen=True):
    """Requests on one replica, in cells of `width_s` from `from_s` on."""

    from_s: float
    width_s: float
    each: NDArray[np.float64]
    waiting: NDArray[np.int64]


def service_times(rows: RequestColumns, running: Staircase, max_ongoing: int) -> ServiceTimes | str:
    """Estimate from all answered requests, given RUNNING replicas; or the reason for none."""
    good = ~rows.not_sent & np.isfinite(rows.latency_s) & (rows.error < 0)
    begun_s = rows.intended_s + np.nan_to_num(rows.send_lag_s)
    ended_s = rows.intended_s + np.nan_to_num(rows.latency_s)
    if np.count_nonzero(good) < ENOUGH:
        return f"the record holds {np.count_nonzero(good)} answered requests, fewer than {ENOUGH}"
    sent = ~rows.not_sent & np.isfinite(rows.latency_s)
    cells = _cells(begun_s[sent], ended_s[sent], running, max_ongoing)
    at_once = good & (cells.waiting[_place(cells, begun_s)] == 0)
    chosen = at_once if np.count_nonzero(at_once) >= ENOUGH else good
    begun_s, ended_s, names = begun_s[chosen], ended_s[chosen], rows.name[chosen]
    loads = _mean(cells, cells.each, begun_s, ended_s)
    sharing, varied = _sharing(cells, begun_s, ended_s, names, loads)
    works_s = _works(cells, sharing, begun_s, ended_s)
    pools = tuple(
        own if own.size >= ENOUGH else works_s
        for own in (works_s[names == code] for code in range(len(rows.names)))
    )
    highest = float(np.quantile(loads, _TRIM[1]))
    return ServiceTimes(pools, sharing, highest, varied, int(np.count_nonzero(chosen)))


def _cells(
    begun_s: NDArray[np.float64],
    ended_s: NDArray[np.float64],
    running: Staircase,
    max_ongoing: int,
) -> _Cells:
    from_s, to_s = float(begun_s.min()), float(ended_s.max())
    width_s = max(_GRID_S, (to_s - from_s) / _MOST_CELLS)
    edges_s = np.arange(from_s, to_s + 2 * width_s, width_s)
    open_then = np.searchsorted(np.sort(begun_s), edges_s, side="right") - np.searchsorted(
        np.sort(ended_s), edges_s, side="right"
    )
    replicas = np.maximum(running.at(edges_s), 1)
    served = np.minimum(open_then, replicas * max_ongoing)
    return _Cells(from_s, width_s, np.maximum(served / replicas, 1.0), open_then - served)


def _place(cells: _Cells, at_s: NDArray[np.float64]) -> NDArray[np.int64]:
    place = ((at_s - cells.from_s) / cells.width_s).astype(np.int64)
    return np.clip(place, 0, cells.each.size - 1)


def _integral(
    cells: _Cells,
    values: NDArray[np.float64],
    begun_s: NDArray[np.float64],
    ended_s: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Integral of `values` from each beginning to each end."""
    sums = np.concatenate([[0.0], np.cumsum(values)]) * cells.width_s
    edges_s = cells.from_s + cells.width_s * np.arange(sums.size)
    return np.interp(ended_s, edges_s, sums) - np.interp(begun_s, edges_s, sums)


def _mean(
    cells: _Cells,
    values: NDArray[np.float64],
    begun_s: NDArray[np.float64],
    ended_s: NDArray[np.float64],
) -> NDArray[np.float64]:
    span_s = np.maximum(ended_s - begun_s, 1e-6)
    return _integral(cells, values, begun_s, ended_s) / span_s


def _works(
    cells: _Cells, sharing: float, begun_s: NDArray[np.float64], ended_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    rate = 1.0 / (1.0 + sharing * (cells.each - 1.0))
    return np.maximum(_integral(cells, rate, begun_s, ended_s), 1e-6)


def _sharing(
    cells: _Cells,
    begun_s: NDArray[np.float64],
    ended_s: NDArray[np.float64],
    names: NDArray[np.int32],
    loads: NDArray[np.float64],
) -> tuple[float, bool]:
    """Choose the sharing that leaves the least spread of works, and tell if loads were varied."""
    low, high = np.quantile(loads, _TRIM)
    if high - low < _AT_LEAST_VARIED:
        return 0.0, False
    spreads = [_spread(_works(cells, float(one), begun_s, ended_s), names) for one in _SHARINGS]
    best = int(np.argmin(spreads))
    if spreads[best] > _CLEARLY_LESS * spreads[0]:
        return 0.0, True
    return float(_SHARINGS[best]), True


def _spread(works_s: NDArray[np.float64], names: NDArray[np.int32]) -> float:
    """Spread of ln(work) within each name, without the extremes."""
    logs = np.log(works_s)
    for code in np.unique(names):
        own = names == code
        logs[own] -= np.median(logs[own])
    low, high = np.quantile(logs, _TRIM)
    return float(np.std(np.clip(logs, low, high)))
