"""Quantiles of times, exact at any number of them (docs/metrics.md#latency)."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalelag.record.blocks import blocks

_FEW: Final = 200_000
"""Up to this number of values, sorting is as fast."""
_LOW_BITS: Final = 16
_INFINITE: Final = 0x7F80
"""High half of infinity; those of NaN and of negative numbers are at least as great."""
_HALF: Final = 0.5


Blocks = Callable[[], Iterable[NDArray[np.float32]]]
"""Function that yields the same values each time, in pieces: not all of them are there at once."""


def quantile_ms(values_s: NDArray[np.float32], q: float) -> float | None:
    """Quantile in milliseconds, linear between order statistics; None without values."""
    return quantiles_ms(values_s, (q,))[0]


def quantiles_ms(values_s: NDArray[np.float32], qs: Sequence[float]) -> list[float | None]:
    """Quantiles of the same values in milliseconds, as `quantile_ms` gives each."""
    if not values_s.size:
        return [None] * len(qs)
    return [float(value) * 1000 for value in quantiles(values_s, qs)]


def quantiles(values: NDArray[np.float32], qs: Sequence[float]) -> NDArray[np.float32]:
    """Quantiles, linear between order statistics (R's type 7); `values` are not empty.

    The same as those of `np.quantile` for one of `qs` at a time.
    """
    return quantiles_of_blocks(lambda: _blocks(values), values.size, qs)


def median(values: NDArray[np.float64]) -> float:
    """Median of the values, NaN left out; NaN without any.

    `np.median` loads `numpy.ma`: a twentieth of a second of CPU time in each process.
    """
    known = np.sort(values[~np.isnan(values)])
    if not known.size:
        return math.nan
    return float((known[(known.size - 1) // 2] + known[known.size // 2]) / 2)


def quantiles_of_blocks(blocks_s: Blocks, size: int, qs: Sequence[float]) -> NDArray[np.float32]:
    """Return the quantiles of `size` values in all, one at least."""
    places, shares = places_of(size, qs)
    return interpolated(_order_statistics(blocks_s, size, places), shares)


def places_of(size: int, qs: Sequence[float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places among `size` sorted values that quantiles lie between, and how far from the first one.

    All first ones come before all second ones.
    """
    exact = (size - 1) * np.array(qs, np.float64)
    before = np.floor(exact).astype(np.int64)
    return np.concatenate((before, np.minimum(before + 1, size - 1))), exact - before


def interpolated(found: NDArray[np.float32], shares: NDArray[np.float64]) -> NDArray[np.float32]:
    """Quantiles between the values `found` in the places of `places_of`."""
    low, high = np.split(found, 2)
    part, rest = shares.astype(np.float32), (1 - shares).astype(np.float32)
    # From the nearer end, so that the result never passes it.
    return np.where(shares < _HALF, low + (high - low) * part, high - (high - low) * rest)


def _order_statistics(
    blocks_s: Blocks, size: int, places: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Values in `places` of the sorted values; NaN if one of them is."""
    counts = _high_counts(blocks_s()) if size > _FEW else None
    if counts is None or counts[_INFINITE:].any():
        whole = np.sort(np.concatenate([*blocks_s()]))
        return np.full(places.size, np.nan, np.float32) if np.isnan(whole[-1]) else whole[places]
    # Selection by radix: of all values only those that share their high half with one in `places`.
    highs = np.searchsorted(np.cumsum(counts), places, side="right")
    is_wanted = np.zeros(counts.size, np.bool_)
    is_wanted[highs] = True
    few = np.sort(np.concatenate([block[is_wanted[_high(block)]] for block in blocks_s()]))
    left_out = np.cumsum(np.where(is_wanted, 0, counts))[highs]
    return few[places - left_out]


def _high_counts(blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.int64]:
    """Number of values by the high half of their bits, which ascends with positive numbers."""
    counts = np.zeros(1 << _LOW_BITS, np.int64)
    for block in blocks:
        counts += np.bincount(_high(block), minlength=counts.size)
    return counts


def _high(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    return np.right_shift(values.view(np.uint32), np.uint32(_LOW_BITS))


def _blocks(values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [values[block] for block in blocks(values.size)]
