"""Arrivals without a row, as those of a worker that died: written as `not_sent`, each once."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalelag.options.run_options import RunOptions
from scalelag.plugin.leader.collector import RowCollector
from scalelag.plugin.leader.worker_state import Member
from scalelag.plugin.worker.recorder import RequestRecorder
from scalelag.record.clock import Clock
from scalelag.record.requests_reader import intended_by

_NONE = np.empty(0, np.float64)


def write_lost(
    members: Iterable[Member],
    count: int,
    options: RunOptions,
    zero_s: float,
    until_s: float,
    requests: Path,
    collector: RowCollector,
) -> None:
    """Give each arrival of `members` that was due before `until_s` and has no row one, and count.

    `count` processes share the plan. What has a row is read from the record itself, so that a run
    without losses keeps nothing in memory for it. Raises RecordError.
    """
    for member in members:
        share = np.concatenate([_NONE, *options.schedule.share(member.index, count).blocks()])
        # In the order of the user's own sum, so that both are the same to the last bit.
        due_s = share + zero_s
        due_s = due_s[due_s < until_s]
        lost_s = _NONE
        if due_s.size > collector.rows_of(member.index):
            lost_s = missing(due_s, intended_by(requests, member.index))
        member.lost_arrivals = int(lost_s.size)
        recorder = RequestRecorder(Clock())
        for at_s in lost_s.tolist():
            recorder.add_not_sent(at_s, options.request.path)
        collector.collect(recorder.take(), member.index)


def missing(due: NDArray[np.float64], recorded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of ascending `due` those without a row, each as often as it has fewer rows than arrivals."""
    if not recorded.size:
        return due
    values, rows = np.unique(recorded, return_counts=True)
    place = np.minimum(np.searchsorted(values, due), values.size - 1)
    has_rows = np.where(values[place] == due, rows[place], 0)
    alike_before = np.arange(due.size) - np.searchsorted(due, due)
    return due[alike_before >= has_rows]
