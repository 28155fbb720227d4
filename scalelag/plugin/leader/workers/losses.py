"""Arrivals without a row, such as a dead worker's: each is written once, as not sent."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalelag.options.run_options import RunOptions
from scalelag.plugin.leader.workers.collector import RowCollector
from scalelag.plugin.leader.workers.state import RunWorker
from scalelag.plugin.worker.recorder import RequestRecorder
from scalelag.record.clock import Clock
from scalelag.record.error_kinds import LATE, WORKER_LOST
from scalelag.record.requests_reader import due_by

_NONE = np.empty(0, np.float64)
_NO_NUMBERS = np.empty(0, np.uint16)


def write_lost(
    workers: Iterable[RunWorker],
    count: int,
    options: RunOptions,
    zero_s: float,
    until_s: float,
    requests: Path,
    collector: RowCollector,
) -> None:
    """Write and count the arrivals of `workers` that were due before `until_s` and have no row.

    `count` workers share the plan. What has a row is read from the record itself, so that a run
    without losses keeps nothing in memory for it. Raises RecordError.
    """
    for worker in workers:
        turns = list(options.schedule.share(worker.index, count).turns())
        # In the order of the user's own sum, so that both are the same to the last bit.
        due_s = np.concatenate([_NONE, *(share for share, _ in turns)]) + zero_s
        numbers = np.concatenate([_NO_NUMBERS, *(numbers for _, numbers in turns)])
        is_due = due_s < until_s
        due_s, numbers = due_s[is_due], numbers[is_due]
        lost: list[tuple[float, str]] = []
        if due_s.size > collector.rows_of(worker.index):
            lost = sorted(_lost_by_name(due_s, numbers, options, requests, worker.index))
        worker.lost_arrivals = len(lost)
        recorder, kind = (
            RequestRecorder(Clock()),
            LATE if worker.lost_reason is None else WORKER_LOST,
        )
        for at_s, name in lost:
            recorder.add_not_sent(at_s, name, kind)
        collector.collect(recorder.take(), worker.index)


def _lost_by_name(
    due_s: NDArray[np.float64],
    numbers: NDArray[np.uint16],
    options: RunOptions,
    requests: Path,
    worker: int,
) -> Iterator[tuple[float, str]]:
    """Yield the lost arrivals of each request; two requests of a mix may be due at one moment."""
    is_mix = options.schedule.mix is not None
    for number, spec in enumerate(options.requests):
        # Without a mix a user class may name its requests as it likes.
        recorded_s = due_by(requests, worker, spec.name if is_mix else None)
        for at_s in missing(due_s[numbers == number], recorded_s).tolist():
            yield at_s, spec.name


def missing(due: NDArray[np.float64], recorded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Arrivals of ascending `due` without a row, each as often as rows are missing."""
    if not recorded.size:
        return due
    values, rows = np.unique(recorded, return_counts=True)
    place = np.minimum(np.searchsorted(values, due), values.size - 1)
    has_rows = np.where(values[place] == due, rows[place], 0)
    alike_before = np.arange(due.size) - np.searchsorted(due, due)
    return due[alike_before >= has_rows]
