"""Some requests of a run: their numbers, how punctually they were sent, quantiles of their times."""

from collections.abc import Mapping
from typing import Final, TypedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.model.load import NotSentReport
from scalelag.record.blocks import blocks
from scalelag.record.error_kinds import IN_FLIGHT_LIMIT, LATE, TURN, WORKER_LOST, is_not_sent

ON_TIME_S: Final = 0.1
"""A request sent later than this after its intended start counts as late (docs/metrics.md#latency)."""
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


class Part(msgspec.Struct, frozen=True):
    """Some requests of a run.

    `late` were sent so late that it shows in what was measured, `tardy` later than `ON_TIME_S`.
    `times_ms` are those quantiles of `latency`, `service` and `send_lag` that were asked for, as
    reports name them.
    """

    planned: int
    sent: int
    failed: int
    not_sent: int
    not_sent_by: NotSentReport
    late: int
    tardy: int
    times_ms: Mapping[str, float | None]

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
        late = self.late + by.late + by.worker_lost
        return {
            "on_time_ratio": ratio(self.sent - self.tardy, self.planned),
            "late_ratio": ratio(late, self.planned - by.in_flight_limit - by.turn),
        }


def part_of_counts(
    planned: int,
    by_kind: Mapping[str, int],
    late_and_tardy: tuple[int, int],
    times_ms: Mapping[str, float | None],
) -> Part:
    """Return the figures of a part of the load from its counts and times."""
    not_sent = sum(number for kind, number in by_kind.items() if is_not_sent(kind))
    late, tardy = late_and_tardy
    return Part(
        planned=planned,
        sent=planned - not_sent,
        failed=sum(by_kind.values()) - not_sent,
        not_sent=not_sent,
        not_sent_by=NotSentReport(
            **{name: by_kind.get(kind, 0) for name, kind in _REASONS.items()}
        ),
        late=late,
        tardy=tardy,
        times_ms=times_ms,
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
