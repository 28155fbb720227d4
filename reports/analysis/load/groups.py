"""Groups of requests, such as steps and names, and the figures of all of them in two walks."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.group_times import MOST_COUNTED, GroupTimes, buckets_of, counted
from reports.analysis.load.part import ON_TIME_S, Part, number_of, part_of_counts
from scalelag.record.blocks import blocks
from scalelag.record.requests_file import RequestColumns

_LATE_SHARE: Final = 0.05
_MOST_TOLERATED_S: Final = 0.5
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999, "max": 1.0}


class OfNames(NamedTuple):
    """Number of the group that all rows of a name are in, for each name of the rows."""

    numbers: NDArray[np.int32]


Groups = NDArray[np.int32] | OfNames | int
"""Number of the group of each row; one alone says that all rows are in that group."""
Numbers = Callable[[slice], Groups]
"""Function that numbers the groups of a block's rows; the number of groups stands for none."""
Slices = Callable[[slice], NDArray[np.int32] | int]
"""The same, of groups that names have no part in."""


class Grouping(msgspec.Struct, frozen=True):
    """Groups of rows, none of which share one.

    `asked` are quantiles of their `latency`, `service` and `send_lag`.
    """

    size: int
    numbers: Numbers
    asked: Mapping[str, Sequence[str]]


class _Block:
    """Rows of a block, and the times of those that were sent, by what is measured."""

    def __init__(self, rows: RequestColumns, place: slice) -> None:
        self.place, self.error = place, rows.error[place]
        self._names = max(1, len(rows.names))
        send_lag_s, latency_s, name = (
            rows.send_lag_s[place],
            rows.latency_s[place],
            rows.name[place],
        )
        # A row without a name goes with the first one.
        self._name = name if name.min() >= 0 else np.maximum(name, 0)
        not_sent = rows.not_sent_in(place)
        self._sent = ~not_sent if not_sent.any() else None
        self._sent_name = self._name
        if self._sent is not None:
            send_lag_s, latency_s = send_lag_s[self._sent], latency_s[self._sent]
            self._sent_name = self._name[self._sent]
        self.times_s = {
            "send_lag": send_lag_s,
            "latency": latency_s,
            "service": latency_s - send_lag_s,
        }
        self.buckets = {measure: buckets_of(times_s) for measure, times_s in self.times_s.items()}
        self._by_name: dict[str, NDArray[np.int64]] = {}

    def of_rows(self, groups: Groups, where: NDArray[Any]) -> NDArray[np.int32] | int:
        """Return the numbers of some of the rows."""
        if isinstance(groups, OfNames):
            return groups.numbers[self._name[where]]
        return groups if isinstance(groups, int) else groups[where]

    def of_sent(
        self, groups: Groups, where: NDArray[Any] | slice = slice(None)
    ) -> NDArray[np.int32] | int:
        """Return the numbers of some of the rows that were sent."""
        if isinstance(groups, OfNames):
            return groups.numbers[self._sent_name[where]]
        if isinstance(groups, int):
            return groups
        return (groups if self._sent is None else groups[self._sent])[where]

    def planned(self, groups: Groups, size: int) -> NDArray[np.int64]:
        """Return the number of rows of each group, of which there are `size`, none among them."""
        if isinstance(groups, np.ndarray):
            return np.bincount(groups, minlength=size)
        found = np.zeros(size, np.int64)
        if isinstance(groups, int):
            found[groups] = self.error.size
        elif self._names > MOST_COUNTED:
            found += np.bincount(groups.numbers[self._name], minlength=size)
        else:
            of_name = np.bincount(self._name, minlength=self._names)
            np.add.at(found, groups.numbers, of_name)
        return found

    def count(self, times: GroupTimes, groups: Groups, measure: str) -> None:
        """Count the times of what is measured."""
        of_name = None if isinstance(groups, np.ndarray) else self._counted_by_name(measure)
        if of_name is None or isinstance(groups, np.ndarray):
            times.count(self.of_sent(groups), self.buckets[measure])
        else:
            times.add(groups if isinstance(groups, int) else groups.numbers, of_name)

    def _counted_by_name(self, measure: str) -> NDArray[np.int64] | None:
        """Counts of times by name and bucket, made once; None if that takes more than counting."""
        if self._names > MOST_COUNTED:
            return None
        if measure not in self._by_name:
            self._by_name[measure] = counted(self._sent_name, self.buckets[measure], self._names)
        return self._by_name[measure]

    def late(self) -> NDArray[np.bool_]:
        """Mask of requests that were sent so late that it shows in what was measured.

        A tenth of a second is nothing beside a latency of 30 s: up to half a second, 5 % of a request's
        latency are no matter.
        """
        tolerated_s = np.clip(_LATE_SHARE * self.times_s["latency"], ON_TIME_S, _MOST_TOLERATED_S)
        return self.times_s["send_lag"] > tolerated_s

    def tardy(self) -> NDArray[np.bool_]:
        """Mask of requests that were sent later than what counts as on time."""
        return ~(self.times_s["send_lag"] <= ON_TIME_S)


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

    def count(self, block: _Block) -> None:
        """Count the rows of a block."""
        groups = self._grouping.numbers(block.place)
        self._planned += block.planned(groups, self._planned.size)
        failed = np.flatnonzero(block.error >= 0)
        of_failed = np.asarray(block.of_rows(groups, failed))
        np.add.at(self._by_kind, (of_failed, block.error[failed]), 1)
        for measure, times in self.times.items():
            block.count(times, groups, measure)
        if "send_lag" in self.times:
            for counts, those in ((self._late, block.late()), (self._tardy, block.tardy())):
                numbers = block.of_sent(groups, np.flatnonzero(those))
                np.add.at(counts, np.full(number_of(those), numbers), 1)

    def take(self, block: _Block, chosen: Mapping[str, NDArray[np.intp]]) -> None:
        """Take those of the `chosen` times that are near to quantiles."""
        groups = self._grouping.numbers(block.place)
        for measure, times in self.times.items():
            some = chosen[measure]
            times.take(
                block.of_sent(groups, some),
                block.buckets[measure][some],
                block.times_s[measure][some],
            )

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


def _by_kind(kinds: Sequence[str], numbers: Sequence[int]) -> Counter[str]:
    """Add up the numbers of each kind: two of them may be the same."""
    found: Counter[str] = Counter()
    for kind, number in zip(kinds, numbers, strict=True):
        found[kind] += number
    return found


def parts_of(rows: RequestColumns, groupings: Sequence[Grouping]) -> list[list[Part]]:
    """Return the figures of each group of each grouping."""
    every = [_Counts(grouping, len(rows.errors)) for grouping in groupings]
    counted_ones = [one for one, grouping in zip(every, groupings, strict=True) if grouping.size]
    for place in blocks(rows.count):
        block = _Block(rows, place)
        for one in counted_ones:
            one.count(block)
    near: dict[str, NDArray[np.bool_]] = {}
    for measure, times in ((m, times) for one in counted_ones for m, times in one.times.items()):
        wanted = times.choose()
        near[measure] = near[measure] | wanted if measure in near else wanted
    for place in blocks(rows.count):
        block = _Block(rows, place)
        some = {m: np.flatnonzero(wanted[block.buckets[m]]) for m, wanted in near.items()}
        for one in counted_ones:
            one.take(block, some)
    return [[*one.parts(rows.errors)] for one in every]


def all_together(_block: slice) -> int:
    """Number all rows as one group."""
    return 0


def in_slices(edges: Sequence[tuple[int, int]]) -> Slices:
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
