"""Quantiles of times of many groups of requests at once, exact, in two walks over the times.

The first walk counts the times of each group by the high bits of their floating-point numbers, which
ascend with them; the second takes those that share these bits with a quantile. So the times of all
requests are never held (docs/metrics.md#latency).
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.quantiles import interpolated, places_of

_HIGH_BITS: Final = 16
# 128 buckets from each power of two to the next, from a microsecond to 36 hours.
_LOWEST: Final = (127 - 20) << 7
_HIGHEST: Final = (127 + 17) << 7
_BUCKETS: Final = _HIGHEST - _LOWEST + 2
_LAST: Final = _BUCKETS - 1
_SIGN: Final = np.uint32(1 << 31)
_WIDE: Final = 1 << 20
"""Beyond this number of counts, only those that change are touched."""
MOST_COUNTED: Final = 32
"""Codes of which `counted` takes less time than counting them for each group."""


def buckets_of(times_s: NDArray[np.float32]) -> NDArray[np.int32]:
    """Bucket of each time: greater times are in the same one or a greater one, NaN in the last."""
    high = np.right_shift(times_s.view(np.int32), _HIGH_BITS)
    # Only a NaN with a sign is not in the last one by its bits.
    is_signed = high.size > 0 and high.min() < 0
    np.clip(high, _LOWEST - 1, _HIGHEST, out=high)
    high -= _LOWEST - 1
    if is_signed:
        np.putmask(high, np.isnan(times_s), _LAST)
    return high


def counted(codes: NDArray[np.int32], buckets: NDArray[np.int32], kinds: int) -> NDArray[np.int64]:
    """Return the number of times of each of `kinds` codes (row) in each bucket (column)."""
    keys = buckets if kinds == 1 else codes * np.int32(_BUCKETS) + buckets
    return np.bincount(keys, minlength=kinds * _BUCKETS).reshape(kinds, _BUCKETS)


class _Places(NamedTuple):
    """Order statistics of a group: their places among the `taken` times, ascending."""

    places: NDArray[np.int64]
    shares: NDArray[np.float64]
    taken: int


class GroupTimes:
    """Quantiles `qs` of times by group, `size` groups in all; group `size` is none.

    All times are counted, then chosen from, then taken in another walk.
    """

    def __init__(self, size: int, qs: Sequence[float]) -> None:
        self._size, self._qs = size, qs
        self._counts = np.zeros(size * _BUCKETS, np.int64)
        self._kind: Any = np.int32 if self._counts.size < _SIGN else np.int64
        self._wanted = np.zeros(0, np.bool_)
        self._asked: list[_Places | None] = []
        self._taken: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]

    def count(self, groups: NDArray[np.int32] | int, buckets: NDArray[np.int32]) -> None:
        """Count times in `buckets` of `groups`, or of a single group."""
        if isinstance(groups, int):
            if groups < self._size:
                own = self._counts[groups * _BUCKETS : (groups + 1) * _BUCKETS]
                own += np.bincount(buckets, minlength=_BUCKETS)
            return
        keys = self._keys(*_of_groups(self._size, groups, buckets))
        if not keys.size:
            return
        first, last = int(keys.min()), int(keys.max())
        if last - first > _WIDE:
            np.add.at(self._counts, keys, 1)
        else:
            self._counts[first : last + 1] += np.bincount(keys - first)

    def add(self, groups: NDArray[np.int32] | int, counts: NDArray[np.int64]) -> None:
        """Add counts, a row of buckets for each of `groups`, or all for a single group."""
        by_group = self._counts.reshape(self._size, _BUCKETS)
        if isinstance(groups, int):
            if groups < self._size:
                by_group[groups] += counts.sum(axis=0)
            return
        for group, of_group in zip(groups.tolist(), counts, strict=True):
            if group < self._size:
                by_group[group] += of_group

    def choose(self) -> NDArray[np.bool_]:
        """Choose the buckets that the quantiles are in; return those of any group."""
        by_group = self._counts.reshape(self._size, _BUCKETS)
        wanted = np.zeros(by_group.shape, np.bool_)
        self._asked = [
            self._asked_of(*both) if both[0].any() else None
            for both in zip(by_group, wanted, strict=True)
        ]
        self._counts = self._counts[:0]
        self._wanted = wanted.reshape(-1)
        return np.logical_or.reduce(wanted)

    def _asked_of(self, counts: NDArray[np.int64], wanted: NDArray[np.bool_]) -> _Places:
        """Mark the `wanted` buckets of a group, and return what is asked of the times in them."""
        places, shares = places_of(int(counts.sum()), self._qs)
        buckets = np.searchsorted(np.cumsum(counts), places, side="right")
        wanted[buckets] = True
        # A time that is not known is in the last one, and leaves no quantile known.
        wanted[_LAST] = counts[_LAST] > 0
        left_out = np.cumsum(np.where(wanted, 0, counts))[buckets]
        return _Places(places - left_out, shares, int(counts[wanted].sum()))

    def take(
        self,
        groups: NDArray[np.int32] | int,
        buckets: NDArray[np.int32],
        times_s: NDArray[np.float32],
    ) -> None:
        """Take those of some times that are in the chosen buckets of their groups."""
        if isinstance(groups, int):
            groups = np.full(buckets.size, groups, np.int32)
        groups, buckets, times_s = _of_groups(self._size, groups, buckets, times_s)
        chosen = self._wanted[self._keys(groups, buckets)]
        high = groups[chosen].astype(np.uint64) << np.uint64(32)
        self._taken.append(high | _ascending(times_s[chosen]))

    def _keys(self, groups: NDArray[np.int32], buckets: NDArray[np.int32]) -> NDArray[Any]:
        return groups.astype(self._kind, copy=False) * self._kind(_BUCKETS) + buckets

    def quantiles_ms(self) -> Iterator[list[float | None]]:
        """Quantiles of each group in milliseconds; None without times."""
        times_s = _times_s(np.sort(np.concatenate(self._taken)))
        first = 0
        for asked in self._asked:
            if asked is None:
                yield [None] * len(self._qs)
                continue
            few = times_s[first : first + asked.taken]
            first += asked.taken
            known = not np.isnan(few[-1])
            found = few[asked.places] if known else np.full(asked.places.size, np.nan, np.float32)
            yield [float(time_s) * 1000 for time_s in interpolated(found, asked.shares)]


def _of_groups(
    size: int, groups: NDArray[np.int32], *others: NDArray[Any]
) -> tuple[NDArray[Any], ...]:
    """Leave out what is of no group."""
    inside = groups < size
    if inside.all():
        return groups, *others
    return groups[inside], *(other[inside] for other in others)


def _ascending(times_s: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Numbers that ascend with the times, NaN the greatest."""
    bits = np.where(np.isnan(times_s), np.float32(np.nan), times_s).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _times_s(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Times of keys whose low half `_ascending` made."""
    numbers = keys.astype(np.uint32)
    return np.where(numbers & _SIGN, numbers ^ _SIGN, ~numbers).view(np.float32)
