"""Some rows of a run: their numbers, how punctually they were sent, and quantiles of their times."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.quantiles import Blocks, quantiles_of_blocks_ms
from reports.model.load import NotSentReport
from scalelag.record.blocks import blocks
from scalelag.record.error_kinds import IN_FLIGHT_LIMIT, LATE, TURN, WORKER_LOST, is_not_sent
from scalelag.record.requests_file import RequestColumns

ON_TIME_S = 0.1
"""A request sent later than this after its intended start counts as late (docs/metrics.md#latency)."""
_KEPT_ROWS = 4_000_000
"""Up to so many rows, the times of those that were sent are kept."""
_LATE_SHARE = 0.05
_MOST_TOLERATED_S = 0.5
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999, "max": 1.0}
_OF_SERVICE: Final = ("p50", "p99")
_REASONS: Final = {
    "in_flight_limit": IN_FLIGHT_LIMIT,
    "late": LATE,
    "worker_lost": WORKER_LOST,
    "turn": TURN,
}


class Counts(TypedDict):
    """Numbers of requests, as reports name them, and the share that failed or was not sent."""

    planned: int
    sent: int
    completed: int
    failed: int
    not_sent: int
    error_ratio: float | None


class Times:
    """Times in seconds of the `sent` ones among some rows, in blocks.

    Those of very many rows are read from the columns for each question.
    """

    def __init__(
        self, rows: RequestColumns, where: slice | NDArray[np.uint32], planned: int, sent: int
    ) -> None:
        self.sent = sent
        self._rows, self._where, self._planned = rows, where, planned
        self._kept: list[_Block] = []

    def blocks(self) -> Iterable["_Block"]:
        """Yield send lags and latencies."""
        if self._planned > _KEPT_ROWS:
            return self._read()
        self._kept = self._kept or list(self._read())
        return self._kept

    def _read(self) -> Iterator["_Block"]:
        rows, first = self._rows, 0
        if isinstance(self._where, slice):
            first, _, _ = self._where.indices(rows.count)
        for part in blocks(first + self._planned, first):
            where = part if isinstance(self._where, slice) else self._where[part]
            send_lag_s, latency_s = rows.send_lag_s[where], rows.latency_s[where]
            if self.sent < self._planned:
                was_sent = ~rows.not_sent_in(where)
                send_lag_s, latency_s = send_lag_s[was_sent], latency_s[was_sent]
            yield _Block(send_lag_s, latency_s)


class _Block(NamedTuple):
    send_lag_s: NDArray[np.float32]
    latency_s: NDArray[np.float32]

    @property
    def service_s(self) -> NDArray[np.float32]:
        return self.latency_s - self.send_lag_s

    @property
    def late(self) -> int:
        """Number of requests that were sent so late that it shows in what was measured.

        A tenth of a second is nothing beside a latency of 30 s: up to half a second, 5 % of a
        request's latency are no matter.
        """
        tolerated_s = np.clip(_LATE_SHARE * self.latency_s, ON_TIME_S, _MOST_TOLERATED_S)
        return number_of(self.send_lag_s > tolerated_s)


class Part(msgspec.Struct, frozen=True):
    """Some rows of a run, and the times of those that were sent."""

    planned: int
    sent: int
    failed: int
    not_sent: int
    not_sent_by: NotSentReport
    times: Times

    def counts(self) -> Counts:
        """Fields of a report with numbers of requests."""
        return {
            "planned": self.planned,
            "sent": self.sent,
            "completed": self.sent - self.failed,
            "failed": self.failed,
            "not_sent": self.not_sent,
            "error_ratio": ratio(self.failed + self.not_sent, self.planned),
        }

    def rates(self, seconds: float) -> dict[str, float | None]:
        """Fields of a report with requests per second of `seconds`; None over no time."""
        counts = {"offered_rps": self.planned, "completed_rps": self.sent - self.failed}
        return {name: number / seconds if seconds else None for name, number in counts.items()}

    def punctuality(self) -> dict[str, float | None]:
        """Fields of a report that say how far requests left at their intended starts."""
        by = self.not_sent_by
        blocks = self.times.blocks
        late = sum(block.late for block in blocks()) + by.late + by.worker_lost
        on_time = sum(number_of(block.send_lag_s <= ON_TIME_S) for block in blocks())
        send_lag_ms = quantiles_of_blocks_ms(
            lambda: (block.send_lag_s for block in blocks()), self.times.sent, (0.5, 0.99)
        )
        return {
            "on_time_ratio": ratio(on_time, self.planned),
            "send_lag_p50_ms": send_lag_ms[0],
            "send_lag_p99_ms": send_lag_ms[1],
            "late_ratio": ratio(late, self.planned - by.in_flight_limit - by.turn),
        }

    def latency_ms(self, *quantiles: str) -> dict[str, float | None]:
        """Fields of a report with quantiles of latency: `latency_p50_ms` and such.

        Four structs declare them. A base struct would put them before all other fields, and so
        change the order of keys in report.json.
        """
        blocks = self.times.blocks
        return self._quantiles("latency", lambda: (b.latency_s for b in blocks()), quantiles)

    def service_ms(self) -> dict[str, float | None]:
        """Fields of a report with quantiles of service time."""
        blocks = self.times.blocks
        return self._quantiles("service", lambda: (b.service_s for b in blocks()), _OF_SERVICE)

    def _quantiles(
        self, name: str, blocks_s: Blocks, quantiles: Sequence[str]
    ) -> dict[str, float | None]:
        asked = [_QUANTILES[q] for q in quantiles]
        found = quantiles_of_blocks_ms(blocks_s, self.times.sent, asked)
        return {f"{name}_{q}_ms": value for q, value in zip(quantiles, found, strict=True)}


def part_of(rows: RequestColumns, where: slice | NDArray[np.uint32]) -> Part:
    """Return the rows in the places `where`."""
    by_kind = counts_of(rows.error[where], len(rows.errors))
    # Code -1, no error, is the last.
    is_sent = np.array([*(not is_not_sent(kind) for kind in rows.errors), True])
    planned, sent = int(by_kind.sum()), int(by_kind[is_sent].sum())
    numbers: Counter[str] = Counter()
    for kind, number in zip(rows.errors, by_kind.tolist(), strict=False):
        numbers[kind] += number
    return Part(
        planned=planned,
        sent=sent,
        failed=sent - int(by_kind[-1]),
        not_sent=planned - sent,
        not_sent_by=NotSentReport(**{name: numbers[kind] for name, kind in _REASONS.items()}),
        times=Times(rows, where, planned, sent),
    )


def counts_of(codes: NDArray[np.int32], kinds: int) -> NDArray[np.int64]:
    """Return the number of each of `kinds` codes, and at last of the code -1."""
    counts = np.zeros(kinds + 1, np.int64)
    for block in blocks(codes.size):
        counts += np.bincount(codes[block] + 1, minlength=counts.size)
    return np.roll(counts, -1)


def number_of(chosen: NDArray[np.bool_]) -> int:
    """Return the number of those that are chosen."""
    return int(np.count_nonzero(chosen))


def ratio(part: int, whole: int) -> float | None:
    """Return the share of `part`; None of nothing."""
    return part / whole if whole else None
