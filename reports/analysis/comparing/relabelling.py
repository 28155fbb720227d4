"""p-values of several figures at once, by exchanging whole runs between the sides.

Westfall and Young (1993), step-down max-T. The statistic of a figure is the mean difference of its
logarithms, divided by its own deviation over all runs, so that a restless deployment does not hide
a quiet one. If the builds are equal, any assignment of runs to sides is as likely, whatever the
deployments of one run have in common. The p of a figure is the share of assignments in which any of
the figures that are left differs as much. Why not Holm's correction:
docs/decisions/0007-main-figures.md.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reports.model.intervals import Span

# More assignments than this are drawn by chance, always the same ones.
_MOST_LISTED = 20_000

_Floats = NDArray[np.float64]
_Values = Mapping[str, Span]


def grouped_ps(base: Sequence[_Values], candidate: Sequence[_Values]) -> list[float]:
    """One-sided p of each figure, measured by run on both sides, adjusted for their number."""
    if not base:
        return []
    sides = [list(dict.fromkeys(run for one in side for run in one)) for side in (base, candidate)]
    columns = [
        _centred([*_side_logs(one, other, sides)])
        for one, other in zip(base, candidate, strict=True)
    ]
    return _stepped_down(_draws(len(sides[0]), len(sides[1])), columns)


def paired_ps(base: Sequence[_Values], candidate: Sequence[_Values]) -> list[float]:
    """One-sided p of each figure, measured by the same steps on both sides, adjusted likewise."""
    if not base:
        return []
    steps = list(dict.fromkeys(step for one in base for step in one))
    columns: list[_Floats] = []
    for one, other in zip(base, candidate, strict=True):
        before, after = _side_logs(one, other, [steps, steps])
        columns.append(_scaled(np.nan_to_num(np.subtract(after, before))))
    return _stepped_down(_flips(len(steps)), columns)


def _side_logs(
    base: _Values, candidate: _Values, units: Sequence[Sequence[str]]
) -> tuple[_Floats, _Floats]:
    """Logarithms by run or step of both sides, NaN where not measured.

    A censored value is twice as long as the longest known, and 0 half of the shortest.
    """
    known = [math.log(s.lo if s.value is None else s.value) for s in _positive(base, candidate)]
    longest, shortest = max(known, default=0.0), min(known, default=0.0)
    one, other = (
        np.array([_log(side.get(unit), longest, shortest) for unit in of_side], np.float64)
        for side, of_side in zip((base, candidate), units, strict=True)
    )
    return one, other


def _positive(*sides: _Values) -> list[Span]:
    spans = [span for side in sides for span in side.values()]
    return [span for span in spans if (span.lo if span.value is None else span.value) > 0]


def _log(span: Span | None, longest: float, shortest: float) -> float:
    if span is None:
        return math.nan
    if span.value is None:
        return longest + math.log(2)
    return math.log(span.value) if span.value > 0 else shortest - math.log(2)


def _centred(sides: Sequence[_Floats]) -> _Floats:
    values = np.concatenate(sides)
    return _scaled(np.nan_to_num(values - np.nanmean(values)))


def _scaled(values: _Floats) -> _Floats:
    """The values with a sum of squares of 1; equal ones stay 0."""
    size = math.sqrt(float((values**2).sum()))
    return values / size if size > 1e-9 else np.zeros_like(values)


def _draws(base: int, candidate: int) -> _Floats:
    """Assignments of runs to sides, -1 and 1 for base and candidate; the first is the true one."""
    runs = base + candidate
    if math.comb(runs, candidate) <= _MOST_LISTED:
        drawn = np.array(list(itertools.combinations(range(runs - 1, -1, -1), candidate)))
    else:
        random = np.random.default_rng(0)
        others = [random.permutation(runs)[:candidate] for _ in range(_MOST_LISTED - 1)]
        drawn = np.array([np.arange(base, runs), *others])
    signs = np.full((len(drawn), runs), -1.0)
    np.put_along_axis(signs, drawn, 1.0, 1)
    return signs


def _flips(steps: int) -> _Floats:
    """Exchanges of base and candidate in each step; the first exchanges none."""
    if 2**steps <= _MOST_LISTED:
        return np.array(list(itertools.product((1.0, -1.0), repeat=steps)))
    random = np.random.default_rng(0)
    others = random.choice((1.0, -1.0), (_MOST_LISTED - 1, steps))
    return np.concatenate([np.ones((1, steps)), others])


def _stepped_down(signs: _Floats, columns: Sequence[_Floats]) -> list[float]:
    """One-sided p of each column in the direction of its difference."""
    sums = signs @ np.stack(columns, 1)
    slower, faster = _largest_first(sums), _largest_first(-sums)
    return [slower[at] if of >= 0 else faster[at] for at, of in enumerate(sums[0])]


def _largest_first(sums: _Floats) -> list[float]:
    """One-sided p of each column by the largest of itself and those that differ less, never falling."""
    order = np.argsort(-sums[0], kind="stable")
    adjusted, highest = [1.0] * order.size, 0.0
    for rank, at in enumerate(order):
        largest = sums[:, order[rank:]].max(1)
        highest = max(highest, float((largest >= sums[0, at] - 1e-9).mean()))
        adjusted[at] = highest
    return adjusted
