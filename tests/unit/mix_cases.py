"""Arrivals of a schedule with a mix, by request."""

from collections import Counter

import numpy as np


def turns_of(schedule):
    blocks = list(schedule.turns())
    due_s = np.concatenate([np.empty(0), *(due for due, _ in blocks)])
    return due_s, np.concatenate([np.empty(0, np.uint16), *(numbers for _, numbers in blocks)])


def counts(schedule):
    """Arrivals of each request by stage."""
    due_s, numbers = turns_of(schedule)
    edges_s = [stage.at_s for stage in schedule.plan.stages[1:]]
    stages = np.searchsorted(edges_s, due_s, side="right")
    found = [Counter(numbers[stages == n].tolist()) for n in range(len(schedule.plan.stages))]
    return [tuple(one[i] for i in range(len(schedule.mix.names))) for one in found]
