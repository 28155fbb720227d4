"""Requests that were not sent: through the target, the load generator, or a lost process.

docs/metrics.md#saturated-or-late.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.concurrency import open_of_workers
from reports.model.intervals import Window, union
from scalelag.record.blocks import blocks
from scalelag.record.error_kinds import IN_FLIGHT_LIMIT, LATE, NOT_SENT, WORKER_LOST
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_info import RunInfo

_MAX_IN_FLIGHT = 1000
_ROOM_S = 2.0
"""Room for a shorter time than this does not end a time of saturation."""


def with_reasons(rows: RequestColumns, info: RunInfo) -> RequestColumns:
    """Rows with a reason for each request that was not sent, also in records without reasons.

    In those, a request that was due while all `--max-in-flight` requests of its process were open met
    a saturated target. Any other was lost with its process, or was too late.
    """
    untold = [
        block.start + np.flatnonzero(rows.with_errors(NOT_SENT, where=block))
        for block in blocks(rows.count)
    ]
    places = np.concatenate([np.empty(0, np.intp), *untold])
    if not places.size:
        return rows
    room = int(info.options.get("max_in_flight") or _MAX_IN_FLIGHT)
    lost = [worker.index for worker in info.load_workers if worker.lost_at_s is not None]
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
    of_worker: dict[int, _Refusals] = {}
    for block in blocks(rows.count):
        refused = rows.with_errors(IN_FLIGHT_LIMIT, where=block)
        worker = rows.worker[block]
        going_on = [number for number, one in of_worker.items() if one.is_open]
        for number in {*np.unique(worker[refused]).tolist(), *going_on}:
            own = np.flatnonzero(worker == number)
            of_worker.setdefault(number, _Refusals()).add(rows.intended_s[block][own], refused[own])
    return union(window for one in of_worker.values() for window in one.windows())


class _Refusals:
    """Series of refused arrivals of one process, whose arrivals are added in their order."""

    def __init__(self) -> None:
        self.is_open = False
        self._last_s = np.empty(0, np.float64)
        self._edges_s: list[NDArray[np.float64]] = []

    def add(self, at_s: NDArray[np.float64], refused: NDArray[np.bool_]) -> None:
        """Add arrivals. A block without a refused one may be left out if no series `is_open`."""
        if not at_s.size:
            return
        turns = np.flatnonzero(np.diff(refused, prepend=self.is_open))
        self._edges_s.append(at_s[turns])
        self._last_s, self.is_open = at_s[-1:], bool(refused[-1])

    def windows(self) -> list[Window]:
        """From the first of each series to the arrival after its last, joined over short room."""
        last_s = self._last_s if self.is_open else self._last_s[:0]
        begun_s, ended_s = np.concatenate([*self._edges_s, last_s]).reshape(-1, 2).T
        apart = begun_s[1:] - ended_s[:-1] >= _ROOM_S
        starts_s = np.append(begun_s[:1], begun_s[1:][apart])
        ends_s = np.append(ended_s[:-1][apart], ended_s[-1:])
        return [*map(Window, starts_s.tolist(), ends_s.tolist())]
