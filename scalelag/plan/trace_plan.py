"""Turns a trace into a schedule with load steps."""

import numpy as np
from numpy.typing import NDArray

from scalelag.errors import UsageError
from scalelag.plan.change_points import (
    LEAST_CELL_S,
    LEAST_S,
    MOST_CELLS,
    Counts,
    change_points,
    repeated,
)
from scalelag.plan.schedule import DueTimes, RateTable, Schedule, integral
from scalelag.plan.stages import Arrivals, LoadPlan, Stage
from scalelag.plan.trace import MAX_ROWS, Trace
from scalelag.wording import count

_GAPS = 10
_SHORTEST_GAP_S = 0.001
_LONGEST_GAP_S = 1.0


def trace_schedule(
    trace: Trace, arrivals: Arrivals = "constant", seed: int = 0, repeat: int = 1
) -> Schedule:
    """Schedule of `trace`, repeated `repeat` times; the stages of its plan are the segments.

    Raises UsageError if there are too many rows, or `arrivals` does not fit the trace.
    """
    if trace.info.rows * repeat > MAX_ROWS:
        raise UsageError(
            f"--repeat {repeat}: that many times the {count(trace.info.rows, 'row')} of "
            f"{trace.info.file} "
            f"are more than {MAX_ROWS:,} rows. Repeat it less often."
        )
    if trace.rates_rps is None:
        if arrivals == "poisson":
            raise UsageError(
                f"--arrivals poisson: {trace.info.file} holds arrival times, which are replayed as "
                "they are. Leave the option out, or use a trace of rates."
            )
        return _replayed(trace, seed, repeat)
    edges_s, rates_rps = trace.times_s, trace.rates_rps
    rows = Counts(edges_s, integral(edges_s, rates_rps))
    # Longer rows are levels that somebody chose: a change between them is no noise.
    scattered = bool(np.median(np.diff(edges_s)) < LEAST_S / 2)
    edges = change_points(_cells_of_rows(rows), rows.within, scattered=scattered)
    plan = _plan(trace, edges, repeat)
    tiled_s = np.append(_tiled(edges_s[:-1], float(edges_s[-1]), repeat), repeat * edges_s[-1])
    return Schedule(plan, arrivals, seed, RateTable.of(tiled_s, np.tile(rates_rps, repeat)))


def _replayed(trace: Trace, seed: int, repeat: int) -> Schedule:
    times_s = trace.times_s
    end_s = end_of_arrivals(times_s)

    def points(from_s: float, to_s: float) -> Counts:
        """Points just before and just after each arrival."""
        low = int(np.searchsorted(times_s, from_s, side="left"))
        high = int(np.searchsorted(times_s, to_s, side="right"))
        number = np.arange(low, high, dtype=np.float64)
        return Counts(
            np.repeat(times_s[low:high], 2), np.stack((number, number + 1), axis=1).ravel()
        )

    edges = change_points(_cells_of_time(times_s, end_s), points, scattered=True)
    plan = _plan(trace, _counted(times_s, edges.moments_s), repeat)
    return Schedule(plan, seed=seed, trace=DueTimes.of(_tiled(times_s, end_s, repeat)))


def end_of_arrivals(times_s: NDArray[np.float64]) -> float:
    """End of a trace of arrivals: the mean of the last ten gaps after the last arrival.

    Arrivals at the same moment make no gap. The mean is limited to between 1 ms and 1 s.
    """
    tail_s = np.unique(times_s)[-_GAPS - 1 :]
    gap_s = float(np.mean(np.diff(tail_s))) if tail_s.size > 1 else _LONGEST_GAP_S
    return float(times_s[-1]) + min(max(gap_s, _SHORTEST_GAP_S), _LONGEST_GAP_S)


def _counted(times_s: NDArray[np.float64], edges_s: NDArray[np.float64]) -> Counts:
    """Arrivals before each edge; one exactly at an edge belongs to the segment after it.

    If that segment has no other arrival, it belongs to the one before. So a constant 50 rps for 6 s
    count as 300 arrivals, also if the edge lies on an arrival.
    """
    before = np.searchsorted(times_s, edges_s, side="left")
    through = np.searchsorted(times_s, edges_s, side="right")
    silent = through[:-1] == np.append(before[1:-1], times_s.size)
    before[:-1][silent] = through[:-1][silent]
    before[0], before[-1] = 0, times_s.size
    return Counts(edges_s, before.astype(np.float64))


def _cells_of_time(times_s: NDArray[np.float64], end_s: float) -> Counts:
    """Arrivals in cells of a second, or longer in a long trace; the last is up to twice as long."""
    width_s = max(LEAST_CELL_S, end_s / MOST_CELLS)
    edges_s = np.arange(max(1, int(end_s / width_s))) * width_s
    reached = np.searchsorted(times_s, edges_s).astype(np.float64)
    return Counts(np.append(edges_s, end_s), np.append(reached, times_s.size))


def _cells_of_rows(rows: Counts) -> Counts:
    """Rows, combined if they are shorter than a second or too many."""
    end_s = float(rows.moments_s[-1])
    width_s = max(LEAST_CELL_S, end_s / MOST_CELLS)
    number = (rows.moments_s / width_s + 1e-9).astype(np.int64)
    # The first row edge in each cell; the last edge is always the end.
    begins = np.flatnonzero(np.diff(number, prepend=-1))
    chosen = np.append(begins[begins < rows.moments_s.size - 1], rows.moments_s.size - 1)
    return Counts(rows.moments_s[chosen], rows.reached[chosen])


def _plan(trace: Trace, edges: Counts, repeat: int) -> LoadPlan:
    edges = repeated(edges, repeat)
    widths_s = np.diff(edges.moments_s)
    stages: list[Stage] = []
    at_s = 0.0
    for width_s, rate_rps in zip(widths_s, np.diff(edges.reached) / widths_s, strict=True):
        # Digits beyond the fourth are chance.
        level = float(f"{rate_rps:.4g}")
        stages.append(Stage(at_s, float(width_s), level, level))
        at_s = stages[-1].end_s
    return LoadPlan(f"trace {trace.info.file}", repeat, "rps", tuple(stages))


def _tiled(times_s: NDArray[np.float64], length_s: float, repeat: int) -> NDArray[np.float64]:
    return np.concatenate([times_s + k * length_s for k in range(repeat)])
