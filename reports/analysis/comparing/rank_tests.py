"""Comparing samples by ranks: effects as ratios, with intervals that invert exact tests.

Hodges and Lehmann (1963); https://doi.org/10.1214/aoms/1177704172. Both tests are two-sided.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reports.model.effect import Effect

ALPHA = 0.05


def paired_effect(base: Sequence[float], candidate: Sequence[float]) -> Effect:
    """Effect of pairs, all above 0: Hodges-Lehmann of their ln ratios, and the signed-rank test."""
    ratios = np.log(np.asarray(candidate, np.float64) / np.asarray(base, np.float64))
    pairs = itertools.combinations_with_replacement(ratios.tolist(), 2)
    walsh = np.sort([(one + other) / 2 for one, other in pairs])
    lo, hi = _interval(walsh, _signed_rank_counts(ratios.size))
    test: Any = stats.wilcoxon(ratios, method=_method(ratios)) if ratios.any() else None
    p = 1.0 if test is None else float(test.pvalue)
    return Effect(math.exp(float(np.median(walsh))), lo, hi, p, ratios.size)


def grouped_effect(base: Sequence[float], candidate: Sequence[float]) -> Effect:
    """Effect of two groups, all above 0: the median of all ln ratios, and the exact U test."""
    one, other = (np.log(np.asarray(side, np.float64)) for side in (base, candidate))
    shifts = np.sort(np.subtract.outer(other, one).ravel())
    lo, hi = _interval(shifts, _rank_sum_counts(one.size, other.size))
    test: Any = stats.mannwhitneyu(other, one, alternative="two-sided", method="exact")
    return Effect(
        math.exp(float(np.median(shifts))), lo, hi, float(test.pvalue), min(one.size, other.size)
    )


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values, adjusted for there being several (Holm 1979), in their order."""
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[at]))
        adjusted[at] = highest
    return adjusted


def _method(ratios: NDArray[np.float64]) -> str:
    """The exact distribution is that without ties and zeros."""
    sizes = np.abs(ratios)
    return "exact" if np.unique(sizes).size == sizes.size and sizes.all() else "approx"


def _interval(values: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[float, float]:
    """Ratios between which the test does not reject, from the statistic's distribution.

    All that can be said of too few is that they are somewhere.
    """
    below = np.cumsum(counts) / counts.sum()
    cut = int(np.searchsorted(below, ALPHA / 2, side="right"))
    if cut == 0:
        return 0.0, math.inf
    return math.exp(float(values[cut - 1])), math.exp(float(values[-cut]))


def _signed_rank_counts(n: int) -> NDArray[np.float64]:
    """In how many of the 2^n signs the sum of positive ranks is 0, 1, 2, ..."""
    counts = np.zeros(n * (n + 1) // 2 + 1)
    counts[0] = 1
    for rank in range(1, n + 1):
        counts[rank:] += counts[:-rank].copy()
    return counts


def _rank_sum_counts(m: int, n: int) -> NDArray[np.float64]:
    """In how many orders of m and n values U is 0, 1, 2, ..."""
    counts = np.zeros((m + 1, m * n + 1))
    counts[0, 0] = 1
    for rank in range(1, m + n + 1):
        for chosen in range(min(rank, m), 0, -1):
            shift = rank - chosen
            if shift <= m * n:
                counts[chosen, shift:] += counts[chosen - 1, : m * n + 1 - shift]
    return counts[m]
