"""Groups of requests, such as steps and names, and the figures of all of them in two walks."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.group_times import GroupTimes, buckets_of
from reports.analysis.load.part import ON_TIME_S, Part, number_of, part_of_counts
from scalelag.record.blocks import blocks
from scalelag.record.requests_file import RequestColumns

_LATE_SHARE: Final = 0.05
_MOST_TOLERATED_S: Final = 0.5
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999, "max": 1.0}

Numbers = Callable[[slice], NDArray[np.int32] | int]
"""Function that numbers the group of each row of a block; the number of groups stands for none.

One number alone says that all rows are in that group.
"""


class Grouping(msgspec.Struct, frozen=True):
    """Groups of rows, none of which share one.

    `asked` are quantiles of their `latency`, `service` and `send_lag`.
    """

    size: int
    numbers: Numbers
    asked: Mapping[str, Sequence[str]]


class _Sent(NamedTuple):
    """Rows of a block that were sent: None for all, and their times by what is measured."""

    where: NDArray[np.bool_] | None
    times_s: Mapping[str, NDArray[np.float32]]

    def of(self, numbers: NDArray[np.int32] | int) -> NDArray[np.int32] | int:
        """Return the numbers of those rows."""
        return numbers if self.where is None else _chosen(numbers, self.where)


class _Counts:
    """Requests of each group of a grouping, and their times."""

    def __init__(self, grouping: Grouping, kinds: int) -> None:
        self._grouping = grouping
        self._planned, self._late, self._tardy = np.zeros((3, grouping.size + 1), np.int64)
        self._by_kind = np.zeros((grouping.size + 1, kinds), np.int64)
        self.times = {
            measure: GroupTimes(grouping.size, [_QUANTILES[q] for q in asked])
            for measure, asked in grouping.asked.items()
        }

    def count(
        self,
        block: slice,
        error: NDArray[np.int32],
        sent: _Sent,
        buckets: Mapping[str, NDArray[np.int32]],
    ) -> None:
        """Count the rows of a block."""
        numbers = self._grouping.numbers(block)
        _add(self._planned, numbers, error.size)
        failed = np.flatnonzero(error >= 0)
        np.add.at(self._by_kind, (np.asarray(_chosen(numbers, failed)), error[failed]), 1)
        numbers = sent.of(numbers)
        for measure, times in self.times.items():
            times.count(numbers, buckets[measure])
        if "send_lag" in self.times:
            for counts, those in ((self._late, _is_late(sent)), (self._tardy, _is_tardy(sent))):
                _add(counts, _chosen(numbers, those), number_of(those))

    def take(
        self,
        block: slice,
        sent: _Sent,
        chosen: Mapping[str, NDArray[np.intp]],
        buckets: Mapping[str, NDArray[np.int32]],
    ) -> None:
        """Take those of the `chosen` times that are near to quantiles."""
        numbers = sent.of(self._grouping.numbers(block))
        for measure, times in self.times.items():
            some = chosen[measure]
            times.take(_chosen(numbers, some), buckets[measure][some], sent.times_s[measure][some])

    def parts(self, kinds: Sequence[str]) -> Iterator[Part]:
        """Yield the figures of each group."""
        found = {measure: times.quantiles_ms() for measure, times in self.times.items()}
        asked = self._grouping.asked
        for group in range(self._grouping.size):
            values = {
                measure: dict(zip(asked[measure], next(of_group), strict=True))
                for measure, of_group in found.items()
            }
            yield part_of_counts(
                int(self._planned[group]),
                _by_kind(kinds, self._by_kind[group].tolist()),
                (int(self._late[group]), int(self._tardy[group])),
                {f"{measure}_{q}_ms": ms for measure, of in values.items() for q, ms in of.items()},
            )


def _chosen(numbers: NDArray[np.int32] | int, where: NDArray[Any]) -> NDArray[np.int32] | int:
    return numbers if isinstance(numbers, int) else numbers[where]


def _add(counts: NDArray[np.int64], numbers: NDArray[np.int32] | int, rows: int) -> None:
    """Add so many rows to the counts of their groups."""
    if isinstance(numbers, int):
        counts[numbers] += rows
    else:
        counts += np.bincount(numbers, minlength=counts.size)


def _by_kind(kinds: Sequence[str], numbers: Sequence[int]) -> Counter[str]:
    """Add up the numbers of each kind: two of them may be the same."""
    found: Counter[str] = Counter()
    for kind, number in zip(kinds, numbers, strict=True):
        found[kind] += number
    return found


def _is_late(sent: _Sent) -> NDArray[np.bool_]:
    """Mask of requests that were sent so late that it shows in what was measured.

    A tenth of a second is nothing beside a latency of 30 s: up to half a second, 5 % of a request's
    latency are no matter.
    """
    tolerated_s = np.clip(_LATE_SHARE * sent.times_s["latency"], ON_TIME_S, _MOST_TOLERATED_S)
    return sent.times_s["send_lag"] > tolerated_s


def _is_tardy(sent: _Sent) -> NDArray[np.bool_]:
    return ~(sent.times_s["send_lag"] <= ON_TIME_S)


def parts_of(rows: RequestColumns, groupings: Sequence[Grouping]) -> list[list[Part]]:
    """Return the figures of each group of each grouping."""
    every = [_Counts(grouping, len(rows.errors)) for grouping in groupings]
    counted = [one for one, grouping in zip(every, groupings, strict=True) if grouping.size]
    for block in blocks(rows.count):
        sent = _sent(rows, block)
        buckets = {measure: buckets_of(times_s) for measure, times_s in sent.times_s.items()}
        for one in counted:
            one.count(block, rows.error[block], sent, buckets)
    near: dict[str, NDArray[np.bool_]] = {}
    for measure, times in ((m, times) for one in counted for m, times in one.times.items()):
        wanted = times.choose()
        near[measure] = near[measure] | wanted if measure in near else wanted
    for block in blocks(rows.count):
        sent = _sent(rows, block)
        buckets = {measure: buckets_of(sent.times_s[measure]) for measure in near}
        some = {measure: np.flatnonzero(near[measure][buckets[measure]]) for measure in near}
        for one in counted:
            one.take(block, sent, some, buckets)
    return [[*one.parts(rows.errors)] for one in every]


def _sent(rows: RequestColumns, block: slice) -> _Sent:
    send_lag_s, latency_s = rows.send_lag_s[block], rows.latency_s[block]
    not_sent = rows.not_sent_in(block)
    where = ~not_sent if not_sent.any() else None
    if where is not None:
        send_lag_s, latency_s = send_lag_s[where], latency_s[where]
    return _Sent(
        where,
        {"send_lag": send_lag_s, "latency": latency_s, "service": latency_s - send_lag_s},
    )


def all_together(_block: slice) -> int:
    """Number all rows as one group."""
    return 0


def in_slices(edges: Sequence[tuple[int, int]]) -> Numbers:
    """Return a function that numbers rows by the slice that they are in; slices ascend.

    `edges` are the first row of each, and the one after its last.
    """
    highs = [high for _, high in edges]

    def numbers(block: slice) -> NDArray[np.int32] | int:
        first = bisect_right(highs, block.start)
        if first == len(edges) or edges[first][0] >= block.stop:
            return len(edges)
        if edges[first][0] <= block.start and block.stop <= edges[first][1]:
            return first
        found = np.full(block.stop - block.start, len(edges), np.int32)
        for number in range(first, len(edges)):
            low, high = edges[number]
            if low >= block.stop:
                break
            found[max(0, low - block.start) : high - block.start] = number
        return found

    return numbers
