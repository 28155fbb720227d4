"""Requests by name, and by the application that they were for."""

from collections.abc import Sequence
from typing import TypedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.part import Part, counts_of, part_of, ratio
from reports.analysis.load.streams import Streams, stream_report
from reports.model.load import NameReport, StreamReport
from scalelag.record.blocks import blocks
from scalelag.record.requests_file import RequestColumns

MOST_IN_A_STEP = 100
MOST_IN_STEPS = 2000
"""Reports of names in all steps together: locustfiles may name each request after its path."""


class Named(TypedDict):
    """Fields of a report on parts of the load that have a name."""

    names: dict[str, NameReport]
    applications: dict[str, NameReport]


class Labels(msgspec.Struct, frozen=True):
    """Requests by label, such as their name, that of most requests first.

    `rows_of` and `streams_of` are the places of each label's rows and streamed answers, ascending.
    """

    labels: tuple[str, ...]
    rows_of: tuple[NDArray[np.uint32], ...]
    streams_of: tuple[NDArray[np.uint32], ...]

    def reports(
        self, rows: RequestColumns, streams: Streams, seconds: float
    ) -> dict[str, NameReport]:
        """Report of each label, whose requests were meant to start within `seconds`."""
        return {
            label: _name_report(
                part_of(rows, places), stream_report(streams, answers, seconds), seconds
            )
            for label, places, answers in zip(
                self.labels, self.rows_of, self.streams_of, strict=True
            )
        }

    def within(self, rows: slice, streams: slice) -> "Labels":
        """Return those with requests in `rows`, answered by `streams`."""
        rows_of = [_between(places, rows) for places in self.rows_of]
        answers = [_between(places, streams) for places in self.streams_of]
        return self._only(self.labels, rows_of, answers)

    def most_frequent(self, steps: int) -> "Labels":
        """Return those that are reported in each of so many steps: none of a single one."""
        most = min(MOST_IN_A_STEP, MOST_IN_STEPS // max(1, steps)) if len(self.labels) > 1 else 0
        return Labels(self.labels[:most], self.rows_of[:most], self.streams_of[:most])

    @staticmethod
    def _only(
        labels: Sequence[str],
        rows_of: Sequence[NDArray[np.uint32]],
        streams_of: Sequence[NDArray[np.uint32]],
    ) -> "Labels":
        """Return the labels that have requests."""
        used = [at for at, places in enumerate(rows_of) if places.size]
        return Labels(
            tuple(labels[at] for at in used),
            tuple(rows_of[at] for at in used),
            tuple(streams_of[at] for at in used),
        )

    @classmethod
    def by_code(cls, labels: Sequence[str], codes: NDArray[np.int32], streams: Streams) -> "Labels":
        """Return the labels of rows with these `codes`; code `len(labels)` stands for none.

        Names of the warm-up, or of an earlier test in the same process, have no rows here.
        """
        rows_of = _places(codes, len(labels))
        streams_of = _places(codes[streams.told.row], len(labels))
        order = sorted(range(len(labels)), key=lambda code: -rows_of[code].size)
        return cls._only(
            [labels[code] for code in order],
            [rows_of[code] for code in order],
            [streams_of[code] for code in order],
        )


def by_name(rows: RequestColumns, streams: Streams) -> Labels:
    """Return the requests by name."""
    return Labels.by_code(rows.names, rows.name, streams)


def by_application(rows: RequestColumns, apps: Sequence[str | None], streams: Streams) -> Labels:
    """Return the requests by application; `apps` are those of the names. None for a single one."""
    known = list(dict.fromkeys(app for app in apps if app is not None))
    nowhere = len(known)
    code_of = np.array([nowhere if app is None else known.index(app) for app in apps], np.int32)
    found = Labels.by_code(known, code_of[rows.name], streams) if known else _NOTHING
    return found if len(found.labels) > 1 else _NOTHING


_NOTHING = Labels((), (), ())


def _name_report(part: Part, stream: StreamReport | None, seconds: float) -> NameReport:
    return NameReport(
        planned=part.planned,
        sent=part.sent,
        failed=part.failed,
        not_sent=part.not_sent,
        **part.latency_ms("p50", "p95", "p99", "max"),
        **part.service_ms(),
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
