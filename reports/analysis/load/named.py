"""Requests by name, and by the application that they were for."""

from collections.abc import Mapping, Sequence
from typing import Final, TypedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.group_times import MOST_COUNTED
from reports.analysis.load.groups import Grouping, Groups, OfNames, Slices
from reports.analysis.load.part import Part, counts_of, ratio
from reports.analysis.load.streams import Streams, stream_report
from reports.model.load import NameReport, StreamReport
from scalelag.record.blocks import blocks
from scalelag.record.requests_file import RequestColumns

_ASKED: Final[Mapping[str, Sequence[str]]] = {
    "latency": ("p50", "p95", "p99", "max"),
    "service": ("p50", "p99"),
}
MOST_IN_A_STEP = 100
MOST_IN_STEPS = 2000
"""Reports of names in all steps together: locustfiles may name each request after its path."""


class NamedReports(TypedDict):
    """Fields of a report on parts of the load that have a name."""

    names: dict[str, NameReport]
    applications: dict[str, NameReport]


class Labels(msgspec.Struct, frozen=True):
    """Requests by label, such as their name, that of most requests first.

    `number_of` gives the label's number for each name of the rows; the number of labels is none.
    `streams_of` are the places of each label's streamed answers, ascending.
    """

    labels: tuple[str, ...]
    number_of: NDArray[np.int32]
    streams_of: tuple[NDArray[np.uint32], ...]

    def grouping(self) -> Grouping:
        """Return the groups of rows with the same label."""
        return Grouping(len(self.labels), lambda _block: OfNames(self.number_of), _ASKED)

    def in_steps(self, rows: RequestColumns, steps: int, step_of: Slices) -> Grouping:
        """Return the groups with a label in each of `steps`, those of a step together."""
        each = len(self.labels)
        of_none = steps * each

        def numbers(block: slice) -> Groups:
            step = step_of(block)
            if isinstance(step, int) and step >= steps:
                return of_none
            if isinstance(step, int) and self.number_of.size <= MOST_COUNTED:
                of_step = step * each + self.number_of
                return OfNames(np.where(self.number_of < each, of_step, np.int32(of_none)))
            # Without a check of each code it takes half the time.
            label = self.number_of.take(rows.name[block], mode="clip")
            found = step * np.int32(each) + label
            found[(step >= steps) | (label >= each)] = of_none
            return found

        return Grouping(steps * each, numbers, _ASKED)

    def reports(
        self, parts: Sequence[Part], streams: Streams, answers: slice, seconds: float
    ) -> dict[str, NameReport]:
        """Report of each label with requests in its part, which were meant to start in `seconds`.

        `answers` are the places of the streamed answers among them.
        """
        return {
            label: _name_report(
                part, stream_report(streams, _between(places, answers), seconds), seconds
            )
            for label, part, places in zip(self.labels, parts, self.streams_of, strict=True)
            if part.planned
        }

    def most_frequent(self, steps: int) -> "Labels":
        """Return the labels that are reported in each of `steps`; none if there is only one."""
        most = min(MOST_IN_A_STEP, MOST_IN_STEPS // max(1, steps)) if len(self.labels) > 1 else 0
        labels = self.labels[:most]
        numbers = np.minimum(self.number_of, np.int32(len(labels)))
        return Labels(labels, numbers, self.streams_of[:most])

    @classmethod
    def of_names(
        cls,
        labels: Sequence[str],
        label_of: NDArray[np.int32],
        rows: RequestColumns,
        streams: Streams,
    ) -> "Labels":
        """Return those of `labels` that rows have; `label_of` is the label of each name, or beyond.

        Names of the warm-up, or of an earlier test in the same process, have no rows here.
        """
        counts = np.zeros(len(labels) + 1, np.int64)
        np.add.at(counts, label_of, counts_of(rows.name, label_of.size)[:-1])
        order = sorted(np.flatnonzero(counts[:-1]).tolist(), key=lambda at: -counts[at])
        number = np.full(len(labels) + 1, len(order), np.int32)
        number[order] = np.arange(len(order))
        number_of = number[label_of]
        of_answers = number_of[rows.name[streams.told.row]]
        return cls(
            tuple(labels[at] for at in order), number_of, tuple(_places(of_answers, len(order)))
        )


def by_name(rows: RequestColumns, streams: Streams) -> Labels:
    """Return the requests by name."""
    return Labels.of_names(rows.names, np.arange(len(rows.names), dtype=np.int32), rows, streams)


def by_application(rows: RequestColumns, apps: Sequence[str | None], streams: Streams) -> Labels:
    """Return the requests by application; `apps` are those of the names. None for a single one."""
    known = list(dict.fromkeys(app for app in apps if app is not None))
    nowhere = len(known)
    label_of = np.array([nowhere if app is None else known.index(app) for app in apps], np.int32)
    found = Labels.of_names(known, label_of, rows, streams) if known else None
    return found if found and len(found.labels) > 1 else _nothing(rows)


def _nothing(rows: RequestColumns) -> Labels:
    return Labels((), np.zeros(len(rows.names), np.int32), ())


def _name_report(part: Part, stream: StreamReport | None, seconds: float) -> NameReport:
    return NameReport(
        planned=part.planned,
        sent=part.sent,
        failed=part.failed,
        not_sent=part.not_sent,
        **part.times_ms,
        stream=stream,
        error_ratio=ratio(part.failed + part.not_sent, part.planned),
        **part.rates(seconds),
    )


def _between(places: NDArray[np.uint32], of: slice) -> NDArray[np.uint32]:
    # Of the type of the places: numpy would else make a copy of all of them, of a wider one.
    first, last = np.searchsorted(places, np.array((of.start, of.stop), places.dtype))
    return places[int(first) : int(last)]


def _places(codes: NDArray[np.int32], count: int) -> list[NDArray[np.uint32]]:
    """Places of each of `count` codes in `codes`, ascending; code `count` stands for none."""
    counts = counts_of(codes, count + 1)[:count]
    found = [np.empty(size, np.uint32) for size in counts.tolist()]
    used = [0] * count
    for where in blocks(codes.size):
        block = codes[where]
        # The fewer bytes a code has, the faster it is sorted.
        order = np.argsort(block.astype(np.min_scalar_type(count)), kind="stable")
        ends = np.cumsum(np.bincount(block, minlength=count + 1))
        for code in np.flatnonzero(np.diff(ends, prepend=0)[:count]).tolist():
            places = where.start + order[ends[code - 1] if code else 0 : ends[code]]
            found[code][used[code] : used[code] + places.size] = places
            used[code] += places.size
    return found
