"""Requests by name, and by the application that they were for."""

from collections.abc import Iterator, Sequence
from typing import TypedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.part import Part, counts_of, part_of, ratio
from reports.analysis.load.streams import Streams, stream_report
from reports.model.load import NameReport, StreamReport
from scalelag.record.requests_file import RequestColumns

_BLOCK = 1_000_000
_NOWHERE = "\0"  # no application's name


class Named(TypedDict):
    """Fields of a report on parts of the load that have a name."""

    names: dict[str, NameReport]
    applications: dict[str, NameReport]


def named(
    rows: RequestColumns, apps: Sequence[str | None], streams: Streams, load_s: float
) -> Named:
    """Return the reports; `apps` are the applications of the names of `rows`."""
    return {
        "names": dict(_name_reports(rows, streams, load_s)),
        "applications": _by_application(rows, apps, streams, load_s),
    }


def _name_reports(
    rows: RequestColumns, streams: Streams, load_s: float
) -> Iterator[tuple[str, NameReport]]:
    """Reports of all names that have requests, that of most requests first."""
    rows_of = _places(rows.name, len(rows.names))
    streams_of_name = _places(rows.name[streams.told.row], len(rows.names))
    # Names of the warm-up, or of an earlier test in the same process, have no rows here.
    used = [code for code, of_name in enumerate(rows_of) if of_name.size]
    for code in sorted(used, key=lambda code: -rows_of[code].size):
        stream = stream_report(streams, streams_of_name[code], load_s)
        yield rows.names[code], _name_report(part_of(rows, rows_of[code]), stream, load_s)


def _by_application(
    rows: RequestColumns, apps: Sequence[str | None], streams: Streams, load_s: float
) -> dict[str, NameReport]:
    """Reports of the applications, that of most requests first; none for a single one."""
    known = list(dict.fromkeys(app for app in apps if app is not None))
    if len(known) <= 1:
        return {}
    unknown = len(known)
    code_of = np.array([unknown if app is None else known.index(app) for app in apps], np.int32)
    by_app = msgspec.structs.replace(rows, name=code_of[rows.name], names=(*known, _NOWHERE))
    found = dict(_name_reports(by_app, streams, load_s))
    found.pop(_NOWHERE, None)
    return found if len(found) > 1 else {}


def _name_report(part: Part, stream: StreamReport | None, load_s: float) -> NameReport:
    return NameReport(
        planned=part.planned,
        sent=part.sent,
        failed=part.failed,
        not_sent=part.not_sent,
        **part.latency_ms("p50", "p95", "p99", "max"),
        **part.service_ms(),
        stream=stream,
        error_ratio=ratio(part.failed + part.not_sent, part.planned),
        **part.rates(load_s),
    )


def _places(codes: NDArray[np.int32], count: int) -> list[NDArray[np.uint32]]:
    """Places of each of `count` codes in `codes`."""
    counts = counts_of(codes, count)[:-1]
    found = [np.empty(size, np.uint32) for size in counts.tolist()]
    used = [0] * count
    for first in range(0, codes.size, _BLOCK):
        block = codes[first : first + _BLOCK]
        order = np.argsort(block, kind="stable")
        ends = np.cumsum(np.bincount(block, minlength=count))
        for code in np.flatnonzero(np.diff(ends, prepend=0)).tolist():
            places = first + order[ends[code - 1] if code else 0 : ends[code]]
            found[code][used[code] : used[code] + places.size] = places
            used[code] += places.size
    return found
