"""Requests that were not sent: through the target, the load generator, or a lost process.

docs/metrics.md#saturated-or-late.
"""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.concurrency import open_of_workers
from reports.model.intervals import Window, union
from scalelag.record.error_kinds import IN_FLIGHT_LIMIT, LATE, NOT_SENT, WORKER_LOST
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_info import RunInfo

_MAX_IN_FLIGHT = 1000
_ROOM_S = 2.0
"""Room for a shorter time than this does not end a time of saturation."""


def with_reasons(rows: RequestColumns, info: RunInfo) -> RequestColumns:
    """Rows with a reason for each that was not sent, also those of records that tell none.

    There, what was due while all `--max-in-flight` requests of its process were open met a saturated
    target; the rest is a lost process's, or else came too late.
    """
    untold = rows.with_errors(NOT_SENT)
    if not untold.any():
        return rows
    room = int(info.options.get("max_in_flight") or _MAX_IN_FLIGHT)
    lost = [worker.index for worker in info.load_workers if worker.lost_at_s is not None]
    places = np.flatnonzero(untold)
    worker = rows.worker[places]
    asked = {number: places[worker == number] for number in np.unique(worker).tolist()}
    opened = open_of_workers(rows, {one: rows.intended_s[at] for one, at in asked.items()})
    first = len(rows.errors)
    error = rows.error.copy()
    for number, at in asked.items():
        error[at] = first + (2 if number in lost else 1)
        error[at[opened[number] >= room]] = first
    return msgspec.structs.replace(
        rows, error=error, errors=(*rows.errors, IN_FLIGHT_LIMIT, LATE, WORKER_LOST)
    )


def saturated_windows(rows: RequestColumns) -> tuple[Window, ...]:
    """Times in which a process could not send, since all its requests were open, in Unix seconds.

    Each lasts from the first arrival that found no room to the next that found some, or to the last
    arrival. Shorter times of room than 2 s are part of it. `rows` are sorted by `intended_s`.
    """
    refused = rows.with_errors(IN_FLIGHT_LIMIT)
    windows: list[Window] = []
    for worker in np.unique(rows.worker[refused]):
        of_worker = rows.worker == worker
        windows += _joined(_refusals(rows.intended_s[of_worker], refused[of_worker]))
    return union(windows)


def _refusals(at_s: NDArray[np.float64], refused: NDArray[np.bool_]) -> Iterator[Window]:
    """From the first refused arrival of each series to the arrival after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], refused, [0]))))
    for first, after in edges.reshape(-1, 2).tolist():
        yield Window(float(at_s[first]), float(at_s[min(after, at_s.size - 1)]))


def _joined(windows: Iterator[Window]) -> list[Window]:
    joined: list[Window] = []
    for window in windows:
        if joined and window.from_s - joined[-1].to_s < _ROOM_S:
            joined[-1] = Window(joined[-1].from_s, window.to_s)
        else:
            joined.append(window)
    return joined
