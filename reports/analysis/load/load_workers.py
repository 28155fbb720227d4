"""The processes that sent the load: what each sent, whether its times hold, whether it was lost."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from scalelag.plan.stages import Unit
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_info import LoadWorkerInfo

_MOST_UNSURE_S = 0.005
"""Beyond this, what is known of a process's times is worse than the times of most requests."""


class LoadWorkerReport(msgspec.Struct, frozen=True):
    """One load process; `index` is the `worker` of its rows, `sent` and `not_sent` count them.

    `offset_s` is its clock minus the leader's, right to within `error_s` and `drift_s`. Times of
    its loss are seconds after the plan's start; `lost_arrivals` are planned requests that it left
    no row of, None where they were not counted.
    """

    index: int
    host: str
    sent: int
    not_sent: int
    offset_s: float
    error_s: float
    drift_s: float
    lost_at_s: float | None = None
    lost_reason: str | None = None
    back_at_s: float | None = None
    lost_arrivals: int | None = None


def worker_reports(
    workers: Sequence[LoadWorkerInfo], rows: RequestColumns
) -> tuple[LoadWorkerReport, ...]:
    """One report each, in the order of their numbers."""
    most = max((worker.index for worker in workers), default=0) + 1
    sent = np.bincount(rows.worker[~rows.not_sent], minlength=most)
    not_sent = np.bincount(rows.worker[rows.not_sent], minlength=most)
    return tuple(
        LoadWorkerReport(
            index=worker.index,
            host=worker.host,
            sent=int(sent[worker.index]),
            not_sent=int(not_sent[worker.index]),
            offset_s=worker.offset_s,
            error_s=worker.error_s,
            drift_s=worker.drift_s,
            lost_at_s=worker.lost_at_s,
            lost_reason=worker.lost_reason,
            back_at_s=worker.back_at_s,
            lost_arrivals=worker.lost_arrivals,
        )
        for worker in workers
    )


def lost_arrivals(workers: Sequence[LoadWorkerReport]) -> int:
    """How many planned requests have no row of their own."""
    return sum(worker.lost_arrivals or 0 for worker in workers)


def worker_warnings(workers: Sequence[LoadWorkerReport], unit: Unit) -> Iterator[str]:
    """What a reader should know of them."""
    for worker in workers:
        name = f"load process {worker.index} on {worker.host}"
        if worker.lost_at_s is not None:
            back = "" if worker.back_at_s is None else f" until {worker.back_at_s:.1f} s"
            yield (
                f"{name} was lost from {worker.lost_at_s:.1f} s on{back} ({worker.lost_reason}): "
                f"{_lost(worker, unit)}"
            )
        elif worker.lost_arrivals:
            yield f"{name} left {worker.lost_arrivals:,} planned requests without a row"
        unsure_s = worker.error_s + worker.drift_s
        if unsure_s > _MOST_UNSURE_S:
            drifted = (
                f", of which {1000 * worker.drift_s:.0f} ms is drift" if worker.drift_s else ""
            )
            yield (
                f"times of {name} are known to ±{1000 * unsure_s:.0f} ms only{drifted} "
                "(its clock against the leader's)"
            )


def _lost(worker: LoadWorkerReport, unit: Unit) -> str:
    if unit == "users":
        return "the others took over its users, and what it had under way is not on record"
    if worker.lost_arrivals is None:
        return "its planned requests were not counted"
    return (
        f"{worker.lost_arrivals:,} planned requests have no row of its and count as not sent, what "
        "it sent in its last half second among them"
    )
