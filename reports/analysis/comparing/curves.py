"""Chart series of a comparison: those of each run over seconds since its plan's start, and medians."""

from collections.abc import Sequence

import msgspec
import numpy as np

from reports.analysis.charts.of_run import MOST_BANDS, MOST_DEPLOYMENTS
from reports.model.charts import Band, Charts
from reports.model.comparison import ComparedLines, Line, Lines, LoadName, ReplicasName, SideLines
from scalelag.wording import count

MOST_RUNS = 8
MOST_POINTS = 1000

_LOAD: tuple[LoadName, ...] = ("offered_rps", "completed_rps", "latency_p95_ms")
_REPLICAS: tuple[ReplicasName, ...] = ("running", "target")


class RunLines(msgspec.Struct, frozen=True):
    """Lines of one run; the load is in bins of `bin_s`, and `undrawn` deployments have none."""

    end_s: float
    bin_s: float
    load: dict[LoadName, Line]
    replicas: dict[str, dict[ReplicasName, Line]]
    unseen: tuple[Band, ...]
    restarts: tuple[Band, ...]
    undrawn: int = 0


def run_lines(charts: Charts) -> RunLines:
    """Chart series of a run as a comparison needs them."""
    bins = charts.load
    return RunLines(
        end_s=charts.end_s,
        bin_s=bins.bin_s,
        load={
            name: Line(bins.from_s, getattr(bins, name), bins.from_s[-1] + bins.bin_s)
            for name in _LOAD
        },
        replicas={
            key: {
                name: Line(own.curve.times_s, getattr(own.curve, name), own.curve.times_s[-1])
                for name in _REPLICAS
            }
            for key, own in charts.deployments.items()
            if own.curve.times_s
        },
        unseen=charts.unseen,
        restarts=charts.restarts,
        undrawn=charts.undrawn,
    )


def compared_lines(base: Sequence[RunLines], candidate: Sequence[RunLines]) -> ComparedLines:
    """Both sides, aligned at the start of their plans."""
    runs = (*base, *candidate)
    keys = tuple(dict.fromkeys(key for run in runs for key in run.replicas))
    shown = keys[:MOST_DEPLOYMENTS]
    return ComparedLines(
        end_s=max(run.end_s for run in runs),
        base=_side(base, shown),
        candidate=_side(candidate, shown),
        deployments=shown,
        unseen=tuple(band for run in runs for band in run.unseen)[:MOST_BANDS],
        restarts=tuple(band for run in runs for band in run.restarts)[:MOST_BANDS],
        thinned=tuple(_thinned(base, candidate, _left_out(runs, keys, shown))),
    )


def _left_out(runs: Sequence[RunLines], keys: Sequence[str], shown: Sequence[str]) -> int:
    return len(keys) - len(shown) + max((run.undrawn for run in runs), default=0)


def _side(runs: Sequence[RunLines], keys: Sequence[str]) -> SideLines:
    most = MOST_POINTS // max(1, len(keys))
    replicas: dict[str, dict[ReplicasName, Lines]] = {}
    for key in keys:
        own = [run.replicas[key] for run in runs if key in run.replicas]
        if own:
            replicas[key] = {name: _lines([one[name] for one in own], most) for name in _REPLICAS}
    load: dict[LoadName, Lines] = {
        name: _lines([run.load[name] for run in runs], MOST_POINTS) for name in _LOAD
    }
    return SideLines(load, replicas)


def _lines(runs: Sequence[Line], most: int) -> Lines:
    if len(runs) == 1:
        return Lines(runs[0])
    return Lines(median_line(runs, most), tuple(runs[:MOST_RUNS]))


def median_line(lines: Sequence[Line], most: int = MOST_POINTS) -> Line:
    """The median of `lines` at each moment, None if fewer than half of them are known.

    It changes where any of them does, or at `most` moments if that would be too often.
    """
    edges = np.unique([at_s for line in lines for at_s in (*line.times_s, line.end_s)])
    if edges.size > most + 1:
        edges = np.linspace(edges[0], edges[-1], most + 1)
    values = np.array([line.at(edges[:-1]) for line in lines])
    enough = 2 * (~np.isnan(values)).sum(axis=0) >= len(lines)
    medians: list[float | None] = [None] * enough.size
    for place in np.flatnonzero(enough):
        medians[place] = float(np.nanmedian(values[:, place]))
    return Line(tuple(edges[:-1].tolist()), tuple(medians), float(edges[-1]))


def _thinned(
    base: Sequence[RunLines], candidate: Sequence[RunLines], deployments_left: int
) -> list[str]:
    notes: list[str] = []
    widest_s = max(run.bin_s for run in (*base, *candidate))
    if widest_s > 1:
        notes.append(f"load and latency are drawn in bins of up to {widest_s:g} s")
    if deployments_left:
        notes.append(f"{count(deployments_left, 'more scaling deployment')} not drawn")
    notes += [
        f"of the {count(len(runs), 'run')} of the {side} {MOST_RUNS} are drawn; the median is of all"
        for side, runs in (("base", base), ("candidate", candidate))
        if len(runs) > MOST_RUNS
    ]
    return notes
