"""Some rows of a run: their numbers, how punctually they were sent, and quantiles of their times."""

from typing import Final, TypedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.streams import quantile_ms
from reports.model.load import NotSentReport
from scalelag.record.error_kinds import IN_FLIGHT_LIMIT, LATE, TURN, WORKER_LOST
from scalelag.record.requests_file import RequestColumns

ON_TIME_S = 0.1
"""A request sent later than this after its intended start counts as late (docs/metrics.md#latency)."""
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


class Part(msgspec.Struct, frozen=True):
    """Some rows of a run. Times in seconds; `latency` and `service` of those that were sent."""

    planned: int
    sent: int
    failed: int
    not_sent: int
    not_sent_by: NotSentReport
    send_lag: NDArray[np.float32]
    latency: NDArray[np.float32]
    service: NDArray[np.float32]

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
        late = self._sent_late() + by.late + by.worker_lost
        return {
            "on_time_ratio": ratio(count(self.send_lag <= ON_TIME_S), self.planned),
            "send_lag_p50_ms": quantile_ms(self.send_lag, 0.5),
            "send_lag_p99_ms": quantile_ms(self.send_lag, 0.99),
            "late_ratio": ratio(late, self.planned - by.in_flight_limit - by.turn),
        }

    def _sent_late(self) -> int:
        """Number of requests that were sent so late that it shows in what was measured.

        A tenth of a second is nothing beside a latency of 30 s: up to half a second, 5 % of a
        request's latency are no matter.
        """
        tolerated_s = np.clip(_LATE_SHARE * self.latency, ON_TIME_S, _MOST_TOLERATED_S)
        return count(self.send_lag > tolerated_s)

    def latency_ms(self, *quantiles: str) -> dict[str, float | None]:
        """Fields of a report with quantiles of latency: `latency_p50_ms` and such.

        Four structs declare them. A base struct would put them before all other fields, and so
        change the order of keys in report.json.
        """
        return {f"latency_{q}_ms": quantile_ms(self.latency, _QUANTILES[q]) for q in quantiles}

    def service_ms(self) -> dict[str, float | None]:
        """Fields of a report with quantiles of service time."""
        return {f"service_{q}_ms": quantile_ms(self.service, _QUANTILES[q]) for q in _OF_SERVICE}


def part_of(rows: RequestColumns, where: slice | NDArray[np.intp]) -> Part:
    """Return the rows in the places `where`."""
    not_sent = rows.not_sent[where]
    sent = ~not_sent
    latency = rows.latency_s[where][sent]
    send_lag = rows.send_lag_s[where][sent]
    return Part(
        planned=int(not_sent.size),
        sent=count(sent),
        failed=count(rows.error[where][sent] >= 0),
        not_sent=count(not_sent),
        not_sent_by=NotSentReport(
            **{name: count(rows.with_errors(kind)[where]) for name, kind in _REASONS.items()}
        ),
        send_lag=send_lag,
        latency=latency,
        service=latency - send_lag,
    )


def count(chosen: NDArray[np.bool_]) -> int:
    """Return the number of those that are chosen."""
    return int(np.count_nonzero(chosen))


def ratio(part: int, whole: int) -> float | None:
    """Return the share of `part`; None of nothing."""
    return part / whole if whole else None
