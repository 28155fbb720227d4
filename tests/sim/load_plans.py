"""Due times of plans."""

import numpy as np


def due_times(*stages: tuple[float, float]) -> np.ndarray:
    """Due times of the arrivals of constant `(rps, seconds)` stages, after the plan's start."""
    begin_s, due = 0.0, []
    for rps, seconds in stages:
        due.append(begin_s + np.arange(round(rps * seconds)) / rps)
        begin_s += seconds
    return np.concatenate(due)
