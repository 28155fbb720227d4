"""Recovery of latency after a load step (docs/metrics.md#recovery)."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.moments import counted_between
from reports.analysis.load.quantiles import median, quantiles
from reports.analysis.load.slo import Slo, on_quantiles, recorded_slos
from reports.model.intervals import Span, longer_than
from reports.model.load import NO_BREACH
from scalelag.plan.stages import LoadStep
from scalelag.record.blocks import blocks
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_dir import RecordedRun

_NO_LOAD = "there is no load"


BIN_S = 1.0
_WINDOW = 10
_GOOD_SHARE = 0.9
_COMPLETED_SHARE = 0.95
_ENOUGH_FOR_P95 = 20
_SHORT_HOLD_S = 40.0
_BASELINE_S = 30.0
_BASELINE_SHARE = 0.25
_STEADY = math.log(1.10)
_MAD_TO_SIGMA = 1.4826
_MADS = 3 * _MAD_TO_SIGMA
_MOST_EMPTY_SHARE = 0.1
_FEWEST_OPEN = 1.0
_ROUNDING = 1e-6


class Recovery(msgspec.Struct, frozen=True):
    """Seconds from the step until latency had recovered; None for `reason`, `no breach` among them.

    Right-censored if it had not by the end of the hold; then `reason` may say why.
    """

    recovered_s: Span | None = None
    reason: str | None = None


class _Bins(msgspec.Struct, frozen=True):
    """A hold in bins of 1 s by intended start: requests meant, answered well, and open on average.

    `latency` is ln of the p95 (the p50 where requests are few) of those answered well, NaN without
    any; `over_limit` whether a user's own limit was not kept.
    """

    offered: NDArray[np.int64]
    completed: NDArray[np.int64]
    latency: NDArray[np.float64]
    over_limit: NDArray[np.bool_]
    open: NDArray[np.float64]
    over: NDArray[np.bool_]


def recovery(
    rows: RequestColumns, step: LoadStep, zero_s: float, slo: Slo | Sequence[Slo] | None = None
) -> Recovery:
    """Time until latency was back in its band after `step`; rows are in the order of `intended_s`."""
    count = int((step.hold_until_s - step.at_s) / BIN_S)
    if count < 2 * _WINDOW:
        return Recovery(reason=f"the hold is shorter than {2 * _WINDOW * BIN_S:.0f} s")
    limits = on_quantiles((slo,) if isinstance(slo, Slo) else slo or ())
    bins = _binned(rows, zero_s + step.at_s, count, limits)
    if np.count_nonzero(bins.offered == 0) > _MOST_EMPTY_SHARE * count:
        return Recovery(reason="there are too few requests to tell: fewer than one a second")
    return _recovery(bins, count - _baseline_bins(count))


def _recovery(bins: _Bins, first: int) -> Recovery:
    """Recovery against the baseline, which begins with the bin `first`."""
    hold_s = bins.latency.size * BIN_S
    baseline = bins.latency[first:]
    measured = baseline[np.isfinite(baseline)]
    halves = np.array_split(np.isfinite(baseline), 2)
    if any(np.count_nonzero(half) < half.size / 2 for half in halves):
        return Recovery(longer_than(hold_s), "nearly nothing was answered at its end")
    middle = median(measured)
    mad = median(np.abs(measured - middle))
    with np.errstate(invalid="ignore"):
        within = bins.latency <= middle + max(_STEADY, _MADS * mad)
    if (why := _unsteady(bins, first)) is not None:
        return Recovery(longer_than(hold_s), why)
    good = within & ~bins.over_limit & ~_failing(bins, first)
    found = _first_recovered(good, bins)
    if found is None:
        return Recovery(reason=NO_BREACH)
    at_s = found * BIN_S
    if at_s >= hold_s:
        return Recovery(longer_than(hold_s))
    return Recovery(Span(at_s, at_s - BIN_S, at_s + BIN_S))


def _baseline_bins(count: int) -> int:
    """Number of bins, the last of the hold, that are the baseline."""
    if count * BIN_S < _SHORT_HOLD_S:
        return count // 2
    return int(max(_BASELINE_S / BIN_S, _BASELINE_SHARE * count))


def _failing(bins: _Bins, first: int) -> NDArray[np.bool_]:
    """Bins in which fewer of the requests were answered well than recovery asks for.

    If fewer are in the baseline, which begins with the bin `first`, it is fewer than in that.
    """
    usual = bins.completed[first:].sum() / max(1, bins.offered[first:].sum())
    least = min(_COMPLETED_SHARE, usual - (1 - _COMPLETED_SHARE))
    return bins.completed < least * bins.offered


def _first_recovered(good: NDArray[np.bool_], bins: _Bins) -> int | None:
    """The bin in which latency had recovered; None without a breach, their number if it had not.

    A breach is a bin that is not good in a window that is not either: a single slow second among ten
    is none. In the last window those count whose requests the next step cannot have slowed.
    """
    windows = [slice(at, at + _WINDOW) for at in range(good.size - _WINDOW + 1)]
    mostly = np.array([np.mean(good[window]) >= _GOOD_SHARE for window in windows])
    begun = np.flatnonzero(~good[: mostly.size] & ~mostly)
    if not begun.size:
        at_end = np.count_nonzero(~good[-_WINDOW:] & bins.over[-_WINDOW:])
        return good.size if at_end > (1 - _GOOD_SHARE) * _WINDOW + _ROUNDING else None
    for at in range(int(begun[0]) + 1, mostly.size):
        offered, completed = (one[windows[at]].sum() for one in (bins.offered, bins.completed))
        if good[at] and mostly[at] and completed >= _COMPLETED_SHARE * offered:
            return at
    return int(good.size)


def _unsteady(bins: _Bins, first: int) -> str | None:
    """Why the end of the hold says nothing of a recovery; None if it is steady.

    Two halves of a steady baseline differ by chance, too.
    """
    early, late, by_chance = _halves(bins.open[first:])
    if late - early > max(_FEWEST_OPEN, _STEADY * early, by_chance):
        return "the backlog was still growing at its end"
    early, late, by_chance = _halves(bins.latency[first:])
    if abs(late - early) > max(_STEADY, by_chance):
        return "latency was still changing at its end"
    return None


def _halves(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Medians of both halves, and three standard errors of their difference."""
    half = values.size // 2
    early, late = (median(part) for part in (values[:half], values[half:]))
    # From one bin to the next there is nothing of a trend.
    noise = _MAD_TO_SIGMA * median(np.abs(np.diff(values))) / math.sqrt(2)
    return early, late, 3 * noise * math.sqrt(math.pi / 2) * math.sqrt(2 / half)


def _binned(rows: RequestColumns, begun_s: float, count: int, limits: Sequence[Slo]) -> _Bins:
    edges_s: NDArray[np.float64] = begun_s + np.arange(count + 1, dtype=np.float64) * BIN_S
    places = np.searchsorted(rows.intended_s, edges_s)
    sizes = np.diff(places)
    quantile = 0.95 if np.median(sizes) >= _ENOUGH_FOR_P95 else 0.5
    latency, over = np.full(count, np.nan), np.zeros(count, np.bool_)
    completed, ended = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    for at in range(count):
        inside = slice(places[at], places[at + 1])
        latency_s = rows.latency_s[inside]
        answered_s = latency_s[(rows.error[inside] < 0) & np.isfinite(latency_s)]
        completed[at] = answered_s.size
        late = np.count_nonzero(rows.intended_s[inside] + latency_s > edges_s[-1])
        ended[at] = late <= (1 - _COMPLETED_SHARE) * latency_s.size
        if answered_s.size:
            asked = [limit.quantile or 1.0 for limit in limits]
            middle, *found = quantiles(answered_s, [quantile, *asked]).tolist()
            latency[at] = math.log(max(1e-9, middle))
            over[at] = any(q > limit.limit_s for q, limit in zip(found, limits, strict=True))
    return _Bins(sizes, completed, latency, over, _open(rows, edges_s), ended)


def _open(rows: RequestColumns, edges_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Requests that were due and not answered yet, at the end of each bin."""
    due = np.searchsorted(rows.intended_s, edges_s)
    done = np.zeros(edges_s.size + 1, np.int64)
    for block in blocks(int(due[-1])):
        latency_s = rows.latency_s[block]
        # Of a long run most were answered before the step.
        longest_s = float(np.fmax.reduce(latency_s, initial=0.0))
        if rows.intended_s[block.stop - 1] + longest_s <= edges_s[0]:
            done[0] += latency_s.size
            continue
        done_s = rows.intended_s[block] + np.where(np.isnan(latency_s), np.float32(0), latency_s)
        done += counted_between(done_s, edges_s, at_edge_after=False)
    return (due[1:] - np.cumsum(done)[1:-1]).astype(np.float64)


def recoveries(run: RecordedRun, steps: Sequence[LoadStep]) -> dict[int, Recovery]:
    """Recovery of each step by its index, with the limits that the run was given, if any."""
    limits = recorded_slos(run.info.options.get("slo"))
    return {step.index: _recovery_of(run, step, limits) for step in steps}


def _recovery_of(run: RecordedRun, step: LoadStep, limits: Sequence[Slo]) -> Recovery:
    if step.to_level <= 0:
        return Recovery(reason=_NO_LOAD)
    return recovery(run.requests, step, run.info.zero_s, limits)
