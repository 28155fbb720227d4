"""Arrivals without a row, as those of a worker that died: written as `not_sent`, each once."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from scalelag.plugin.members import Member
from scalelag.plugin.recorder import RequestRecorder, RowCollector
from scalelag.plugin.run_options import RunOptions
from scalelag.record.requests_file import intended_by
from scalelag.record.shares import due_of_share, missing


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
        share = due_of_share(options.plan, options.arrivals, options.seed, member.index, count)
        # In the order of the user's own sum, so that both are the same to the last bit.
        due_s = share + zero_s
        due_s = due_s[due_s < until_s]
        lost_s = np.empty(0, np.float64)
        if due_s.size > collector.rows_of(member.index):
            lost_s = missing(due_s, intended_by(requests, member.index))
        member.lost_arrivals = int(lost_s.size)
        recorder = RequestRecorder(lambda: 0.0)
        for at_s in lost_s.tolist():
            recorder.add_not_sent(at_s, options.request.path)
        collector.collect(recorder.take(), member.index)
