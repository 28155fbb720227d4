"""Comparing samples by ranks: effects as ratios, with intervals that invert exact tests.

Hodges and Lehmann (1963); https://doi.org/10.1214/aoms/1177704172. Both tests are two-sided, exact
with ties too, and rank a censored value above every measured one: its ratio is infinite in ranks,
and only a bound of it is known.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reports.model.effect import Bound, Effect
from reports.model.intervals import Span

ALPHA = 0.05

_Floats = NDArray[np.float64]
# The mean of a ratio that is infinite and one that is 0: in ranks, at least, at most.
_UNKNOWN = (0.0, -math.inf, math.inf)


class RankedEffect(NamedTuple):
    """An effect, and its ratio and interval in ranks, where a censored value is infinitely long."""

    effect: Effect
    ratio: float
    lo: float
    hi: float


class _Logs(NamedTuple):
    """Logarithms of ratios: in ranks, and the bounds between which each of them lies."""

    ranked: _Floats
    low: _Floats
    high: _Floats


def paired_effect(base: Sequence[Span], candidate: Sequence[Span]) -> RankedEffect:
    """Effect of pairs: Hodges-Lehmann of their ln ratios, and the signed-rank test."""
    ratios = _ratios(_logs(base), _logs(candidate))
    first, second = np.triu_indices(len(base))
    walsh = _Logs(
        *(
            np.sort(_difference(values[first], -values[second], unknown)) / 2
            for values, unknown in zip(ratios, _UNKNOWN, strict=True)
        )
    )
    p = _signed_rank_p(ratios.ranked)
    return _ranked(walsh, _signed_rank_counts(len(base)), p, len(base))


def grouped_effect(base: Sequence[Span], candidate: Sequence[Span]) -> RankedEffect:
    """Effect of two groups: the median of all ln ratios, and the exact U test."""
    one, other = _logs(base), _logs(candidate)
    columns = _Logs(*(values[:, None] for values in other))
    shifts = _Logs(*(np.sort(values.ravel()) for values in _ratios(one, columns)))
    p = _rank_sum_p(one.ranked, other.ranked)
    counts = _rank_sum_counts(len(base), len(candidate))
    return _ranked(shifts, counts, p, min(len(base), len(candidate)))


def least_grouped_p(base: int, candidate: int, base_censored: int = 0) -> float:
    """The smallest one-sided p that two groups can give for a longer candidate.

    Nothing ranks above a censored value of the base: at best the candidate's equal it.
    """
    highest = math.comb(base_censored + candidate, candidate)
    return highest / math.comb(base + candidate, candidate)


def least_paired_p(pairs: int, base_censored: int = 0) -> float:
    """The smallest one-sided p that pairs can give for a longer candidate."""
    return 0.5 ** (pairs - base_censored)


def _logs(values: Sequence[Span]) -> _Logs:
    with np.errstate(divide="ignore"):
        ranked = np.log([math.inf if one.value is None else one.value for one in values])
        low = np.log([one.lo if one.value is None else one.value for one in values])
    return _Logs(ranked, low, ranked)


def _ratios(base: _Logs, candidate: _Logs) -> _Logs:
    return _Logs(
        _difference(candidate.ranked, base.ranked, 0.0),
        _difference(candidate.low, base.high, 0.0),
        _difference(candidate.high, base.low, 0.0),
    )


def _difference(one: _Floats, other: _Floats, unknown: float) -> _Floats:
    """The difference, `unknown` between two that are infinite alike."""
    with np.errstate(invalid="ignore"):
        found = one - other
    return np.where(np.isnan(found), unknown, found)


def _ranked(sorted_logs: _Logs, counts: _Floats, p: float, n: int) -> RankedEffect:
    ratio, least, most = (_ratio(_median(values)) for values in sorted_logs)
    lo, hi = _interval(sorted_logs.ranked, sorted_logs.ranked, counts)
    bounds = _interval(sorted_logs.low, sorted_logs.high, counts)
    return RankedEffect(Effect(*_told(least, most), *bounds, p, n), ratio, lo, hi)


def _told(least: float, most: float) -> tuple[float | None, Bound | None]:
    """The ratio, or the bound that is known of it."""
    if math.isfinite(most) and most == least:
        return least, None
    if 0 < least < math.inf:
        return least, "at least"
    return (most, "at most") if 0 < most < math.inf else (None, None)


def _median(ordered: _Floats) -> float:
    """The middle, infinite where one of the two middle ones is."""
    below, above = float(ordered[(ordered.size - 1) // 2]), float(ordered[ordered.size // 2])
    return below if below == above else (below + above) / 2


def _ratio(log: float) -> float:
    return math.exp(log) if math.isfinite(log) else (math.inf if log > 0 else 0.0)


def _interval(low: _Floats, high: _Floats, counts: _Floats) -> tuple[float, float]:
    """Ratios between which the test does not reject, from the statistic's distribution.

    All that can be said of too few is that they are somewhere.
    """
    below = np.cumsum(counts) / counts.sum()
    cut = int(np.searchsorted(below, ALPHA / 2, side="right"))
    if cut == 0:
        return 0.0, math.inf
    return _ratio(float(low[cut - 1])), _ratio(float(high[-cut]))


def _signed_rank_p(ratios: _Floats) -> float:
    """Two-sided p over all signs of the ranks that the sizes have; equal pairs say nothing."""
    differing = ratios[ratios != 0]
    if not differing.size:
        return 1.0
    ranks = _doubled_ranks(np.abs(differing))
    return _two_sided(_signed_sums(tuple(np.sort(ranks))), int(ranks[differing > 0].sum()))


def _rank_sum_p(base: _Floats, candidate: _Floats) -> float:
    """Two-sided p over all ways to draw the candidate's ranks from those of both."""
    ranks = _doubled_ranks(np.concatenate([candidate, base]))
    sums = _drawn_sums(tuple(np.sort(ranks)), candidate.size)
    return _two_sided(sums, int(ranks[: candidate.size].sum()))


def _doubled_ranks(values: _Floats) -> NDArray[np.int64]:
    """Twice the mean ranks, which are whole."""
    # Ratios that differ in their last digits are ties.
    found = stats.rankdata(np.round(values, 12))
    return (2 * found).astype(np.int64)


def _two_sided(counts: _Floats, at: int) -> float:
    total = counts.sum()
    return float(min(1.0, 2 * min(counts[: at + 1].sum(), counts[at:].sum()) / total))


@lru_cache(maxsize=256)
def _signed_sums(ranks: tuple[int, ...]) -> _Floats:
    """In how many of the 2^n signs the sum of positive ranks is 0, 1, 2, ..."""
    counts = np.zeros(sum(ranks) + 1)
    counts[0] = 1
    for rank in ranks:
        counts[rank:] += counts[:-rank].copy()
    return counts


def _signed_rank_counts(n: int) -> _Floats:
    return _signed_sums(tuple(range(1, n + 1)))


@lru_cache(maxsize=256)
def _drawn_sums(ranks: tuple[int, ...], n: int) -> _Floats:
    """In how many draws of `n` of the ranks their sum is 0, 1, 2, ..."""
    counts = np.zeros((n + 1, sum(ranks[-n:]) + 1))
    counts[0, 0] = 1
    for rank in ranks:
        counts[1:, rank:] += counts[:-1, : counts.shape[1] - rank].copy()
    return counts[n]


def _rank_sum_counts(m: int, n: int) -> _Floats:
    """In how many orders of m and n values U is 0, 1, 2, ..."""
    return _drawn_sums(tuple(range(1, m + n + 1)), m)[m * (m + 1) // 2 :]
