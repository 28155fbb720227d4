"""The processes that sent the load: what each sent, whether its times hold, whether it was lost."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from reports.model.load import LoadWorkerReport
from scalelag.plan.stages import Unit
from scalelag.record.blocks import blocks
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_info import LoadWorkerInfo

_MOST_UNSURE_S = 0.005
"""Beyond this, what is known of a process's times is worse than the times of most requests."""


def worker_reports(
    workers: Sequence[LoadWorkerInfo], rows: RequestColumns
) -> tuple[LoadWorkerReport, ...]:
    """One report each, in the order of their numbers."""
    most = max((worker.index for worker in workers), default=0) + 1
    sent, not_sent = _by_worker(rows, most)
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


def _by_worker(rows: RequestColumns, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of requests by process, of `most` or more: those that were sent, and the others."""
    size = max(most, 1 + int(rows.worker.max(initial=0)))
    sent, not_sent = np.zeros((2, size), np.int64)
    for block in blocks(rows.count):
        worker, was_not = rows.worker[block], rows.not_sent_in(block)
        of_block = np.bincount(worker[was_not], minlength=size)
        not_sent += of_block
        sent += np.bincount(worker, minlength=size) - of_block
    return sent, not_sent


def lost_arrivals(workers: Sequence[LoadWorkerReport]) -> int:
    """Number of planned requests without a row of their own."""
    return sum(worker.lost_arrivals or 0 for worker in workers)


def worker_warnings(workers: Sequence[LoadWorkerReport], unit: Unit) -> Iterator[str]:
    """Warnings about lost processes and uncertain clocks."""
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
