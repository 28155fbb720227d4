"""Due times of the arrivals of an open-loop plan.

Apart from the grammar of plans, which the command reads without loading numpy.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scalelag.plan.stages import Arrivals, LoadPlan, Stage

_BLOCK = 65_536


def arrival_blocks(
    plan: LoadPlan, arrivals: Arrivals = "constant", seed: int = 0
) -> Iterator[NDArray[np.float64]]:
    """Due times of all arrivals of an `rps` plan, ascending, in blocks of at most 65,536.

    Constant arrivals: arrival k of a stage (k from 0) is due when the integral of the rate since the
    start of the stage reaches k, so the first one of each stage is due at its edge. Poisson arrivals:
    the same with partial sums of unit exponentials for k (time-rescaling of an inhomogeneous Poisson
    process; Lewis and Shedler 1979). They depend only on `seed` and the number of the stage.
    """
    for number, stage in enumerate(plan.stages):
        for marks in mark_blocks(stage.at_most.expected, arrivals, (seed, number)):
            due_s = when_reached(stage, marks)
            yield stage.at_s + due_s[: before_end(stage, due_s)]


def before_end(stage: Stage, due_s: NDArray[np.float64]) -> int:
    """Return how many of ascending times within a stage are before the end of one that settled."""
    if stage.most_s is None:
        return due_s.size
    return int(np.searchsorted(due_s, stage.duration_s))


def mark_blocks(
    expected: float, arrivals: Arrivals, seed: tuple[int, int]
) -> Iterator[NDArray[np.float64]]:
    """Yield the values of a rate's integral at its arrivals, up to `expected`, its value at the end.

    Constant arrivals: 0, 1, 2, ... Poisson arrivals: partial sums of unit exponentials. Blocks have at
    most 65,536 values.
    """
    if expected <= 0:
        return
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    reached, k = 0.0, 0
    while reached < expected:
        if arrivals == "constant":
            marks = np.arange(k, k + _BLOCK, dtype=np.float64)
            k += _BLOCK
            reached = float(marks[-1]) + 1
        else:
            marks = reached + np.cumsum(random.standard_exponential(_BLOCK))
            reached = float(marks[-1])
        marks = marks[marks < _end(expected)]
        if marks.size:
            yield marks


def arrivals_within(expected: float) -> int:
    """Return the number of constant arrivals until a rate's integral is `expected`."""
    return math.ceil(_end(expected))


def _end(expected: float) -> float:
    # Slightly below `expected`: at 80 rps for 60 s, arrival 4,800 belongs to the next stage.
    return expected * (1 - 1e-12)


def when_reached(stage: Stage, marks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times within the stage, in seconds, at which the integral of its rate reaches `marks`."""
    slope = (stage.end_level - stage.start_level) / stage.duration_s
    if slope == 0:
        return marks / stage.start_level
    # Root of slope/2 t^2 + start t = mark, in the form that keeps its digits for small marks.
    root = np.sqrt(np.maximum(stage.start_level**2 + 2 * slope * marks, 0.0))
    divisor = stage.start_level + root
    times = np.zeros_like(marks)
    np.divide(2 * marks, divisor, out=times, where=divisor > 0)
    return times
