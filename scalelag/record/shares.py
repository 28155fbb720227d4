"""What of a plan's arrivals one load process has to send, and what of that has no row."""

import numpy as np
from numpy.typing import NDArray

from scalelag.record.plan import Arrivals, LoadPlan, arrival_blocks


def due_of_share(
    plan: LoadPlan, arrivals: Arrivals, seed: int, index: int, count: int
) -> NDArray[np.float64]:
    """Due times, in seconds after the plan's start, of every `count`-th arrival from `index` on."""
    first, due = index, [np.empty(0, np.float64)]
    for block in arrival_blocks(plan, arrivals, seed):
        due.append(block[first::count])
        first = (first - block.size) % count
    return np.concatenate(due)


def missing(due: NDArray[np.float64], recorded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of ascending `due` those without a row, each as often as it has fewer rows than arrivals.

    Rows none of which is of a due time (a user's arrivals need not carry theirs) tell only how
    far the process came: then it is what was due after the last of them.
    """
    if not recorded.size:
        return due
    values, rows = np.unique(recorded, return_counts=True)
    place = np.minimum(np.searchsorted(values, due), values.size - 1)
    has_rows = np.where(values[place] == due, rows[place], 0)
    if due.size and not has_rows.any():
        return due[due > values[-1]]
    alike_before = np.arange(due.size) - np.searchsorted(due, due)
    return due[alike_before >= has_rows]
