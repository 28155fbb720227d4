"""Rows that a page draws while a run goes on, in bounded memory: the load, and replicas by state.

Every row carries a number that is higher than that of every row that was added or changed before. A
page that has seen all rows up to a number asks for those above it. If old rows were thinned, the
`epoch` changes, and a page with rows of another epoch starts again.
"""

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from reports.analysis.charts.replica_curves import counted
from scalelag.plan.schedule import Schedule
from scalelag.record.rows import DeploymentKey, Poll

MOST_BINS = 900
MOST_CHANGES = 3000
_BIN_S = 1.0
_NONE = (0, 0, 0, None)

LoadRow = list[float]
"""Start and width in seconds, then how many were due, answered, and failed."""
ReplicaRow = tuple[int, float, int, int, int, int | None]
"""Number of the deployment, seconds, replicas starting, RUNNING and stopping, and the target."""


class Numbers:
    """Numbers for rows, and the epoch in which they were given."""

    def __init__(self) -> None:
        self.last = 0
        self.epoch = 0

    def next(self) -> int:
        """Return a number that was not given before."""
        self.last += 1
        return self.last


class LoadSeries:
    """Requests per second, in bins of a second; in a long run the older bins are wider."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._bins: list[LoadRow] = []
        self._revisions: list[int] = []

    def add(self, at_s: NDArray[np.float64], column: int) -> None:
        """Count requests at these seconds after the plan's start.

        `column` 0 is of those that were due, 1 of those answered, 2 of those failed or not sent.
        """
        seconds = np.floor(at_s[at_s >= 0] / _BIN_S).astype(np.int64)
        for second, count in zip(*np.unique(seconds, return_counts=True), strict=True):
            place = self._place(float(second) * _BIN_S)
            self._bins[place][2 + column] += int(count)
            self._revisions[place] = self._numbers.next()

    def _place(self, at_s: float) -> int:
        """Return the index of the bin of that moment, after making all missing bins up to it."""
        while not self._bins or at_s >= self._end_s:
            self._bins.append([self._end_s, _BIN_S, 0, 0, 0])
            self._revisions.append(self._numbers.next())
            if len(self._bins) > MOST_BINS:
                self._thin()
        return bisect_right(self._bins, at_s, key=lambda row: row[0]) - 1

    @property
    def _end_s(self) -> float:
        return self._bins[-1][0] + self._bins[-1][1] if self._bins else 0.0

    def _thin(self) -> None:
        """Merge each two neighbours in the older half."""
        half = len(self._bins) // 4 * 2
        old, kept = self._bins[:half], self._bins[half:]
        merged: list[LoadRow] = [
            [first[0], first[1] + second[1], *map(sum, zip(first[2:], second[2:], strict=True))]
            for first, second in zip(old[::2], old[1::2], strict=True)
        ]
        self._bins = merged + kept
        self._revisions = self._revisions[1:half:2] + self._revisions[half:]
        self._numbers.epoch += 1

    def since(self, number: int) -> Iterator[tuple[int, LoadRow]]:
        """Return the rows above `number`, each with its own number."""
        pairs = zip(self._revisions, self._bins, strict=True)
        return ((revision, row) for revision, row in pairs if revision > number)


class DueArrivals:
    """Arrivals of a schedule, counted as they become due.

    A request has its row only once it is answered. Counted by rows, the load that was offered would
    seem to stop whenever the server stalls.
    """

    def __init__(self, schedule: Schedule, load: LoadSeries) -> None:
        self._load = load
        self._counted = 0
        self._follow(schedule)

    def _follow(self, schedule: Schedule) -> None:
        self._blocks = schedule.blocks()
        self._ahead = next(self._blocks, None)
        self.are_known = self._ahead is not None
        """False for a users plan, which has no due times."""

    def revise(self, schedule: Schedule) -> None:
        """Go on with `schedule`, which has the same arrivals as the one before so far."""
        self._follow(schedule)
        counted = self._counted
        while self._ahead is not None and counted >= self._ahead.size:
            counted -= self._ahead.size
            self._ahead = next(self._blocks, None)
        if self._ahead is not None:
            self._ahead = self._ahead[counted:]

    def count_until(self, at_s: float) -> None:
        """Count all arrivals that are due by `at_s` seconds after the plan's start."""
        while self._ahead is not None:
            due = int(np.searchsorted(self._ahead, at_s, side="right"))
            self._load.add(self._ahead[:due], 0)
            self._counted += due
            if due < self._ahead.size:
                self._ahead = self._ahead[due:]
                return
            self._ahead = next(self._blocks, None)


class ReplicaSeries:
    """Replicas by state and target of each deployment: a row for each change."""

    def __init__(self, numbers: Numbers, keys: tuple[DeploymentKey, ...], zero_s: float) -> None:
        self._numbers = numbers
        self._keys = keys
        self._zero_s = zero_s
        self._rows: list[list[tuple[int, ReplicaRow]]] = [[] for _ in keys]
        self._count = 0

    def add(self, poll: Poll) -> None:
        """Note the state in a poll."""
        at_s = round(poll.received_s - self._zero_s, 3)
        for place, key in enumerate(self._keys):
            seen = poll.deployments.get(key)
            starting, running, stopping, target = counted(seen) if seen else _NONE
            row: ReplicaRow = (place, at_s, starting, running, stopping, target)
            rows = self._rows[place]
            if rows and rows[-1][1][2:] == row[2:]:
                continue
            rows.append((self._numbers.next(), row))
            self._count += 1
        if self._count > MOST_CHANGES:
            self._thin()

    def _thin(self) -> None:
        """Keep the later of each two neighbours in the older half of a deployment's rows."""
        for rows in self._rows:
            half = len(rows) // 4 * 2
            # The first row stays: it is the state at the beginning of the run.
            del rows[2:half:2]
        self._count = sum(map(len, self._rows))
        self._numbers.epoch += 1

    def since(self, number: int) -> Iterator[tuple[int, ReplicaRow]]:
        """Return the rows above `number`, each with its own number."""
        for rows in self._rows:
            yield from rows[bisect_right(rows, number, key=lambda row: row[0]) :]
