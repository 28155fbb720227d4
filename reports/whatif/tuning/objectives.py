"""Figures that a search makes small, candidates on its Pareto front, and their order."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from reports.model.intervals import Span
from reports.model.tune import TUNE_FIGURES, TuneFigure
from reports.whatif.outcome import Outcome

_OVER_HOLD = 1.5
"""Weight of a lag that was not over within the hold: it is longer than every measured one."""
_SLACK: Mapping[TuneFigure, tuple[float, float]] = {
    "lag_s": (0.25, 0.03),
    "beyond_slo_s": (1.0, 0.03),
    "reversals": (0.5, 0.0),
    "replica_hours": (0.0, 0.01),
}
"""Differences that do not count: absolute, and as a share."""


class Goals(msgspec.Struct, frozen=True):
    """Figures of one candidate: the mean over its repetitions."""

    lag_s: float
    beyond_slo_s: float
    reversals: float
    replica_hours: float

    def of(self, name: TuneFigure) -> float:
        """One figure by its name."""
        return getattr(self, name)

    @property
    def values(self) -> tuple[float, ...]:
        """All figures, in the order of `TUNE_FIGURES`."""
        return tuple(self.of(name) for name in TUNE_FIGURES)


def goals_of(outcomes: Sequence[Outcome]) -> Goals:
    """Figures of a candidate, over its repetitions."""
    means = (
        float(np.mean([_number(outcome.whole[name]) for outcome in outcomes]))
        for name in TUNE_FIGURES
    )
    return Goals(*means)


def _number(span: Span | None) -> float:
    if span is None:
        return 0.0
    return span.lo * _OVER_HOLD if span.value is None else span.value


def is_worse(goals: Goals, than: Goals) -> bool:
    """Return True if a figure is larger by more than what does not count."""
    return any(goals.of(name) > _limit(name, than.of(name)) for name in TUNE_FIGURES)


def _limit(name: TuneFigure, value: float) -> float:
    absolute, share = _SLACK[name]
    return value + max(absolute, share * value)


def dominates(one: Goals, other: Goals) -> bool:
    """Return True if `one` is nowhere larger, and somewhere smaller."""
    pairs = list(zip(one.values, other.values, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def front(goals: Sequence[Goals]) -> list[int]:
    """Places of those that no other dominates; of equal ones the first."""
    seen: set[tuple[float, ...]] = set()
    found: list[int] = []
    for place, one in enumerate(goals):
        if one.values in seen or any(dominates(other, one) for other in goals):
            continue
        seen.add(one.values)
        found.append(place)
    return found


def in_order(goals: Sequence[Goals]) -> list[int]:
    """Places of all, the best choice first.

    The least time beyond the limit counts first, then the fewest reversals, replica-hours and lag;
    differences within the slack do not count.
    """
    left = list(range(len(goals)))
    found: list[int] = []
    names: tuple[TuneFigure, ...] = ("beyond_slo_s", "reversals", "replica_hours", "lag_s")
    while left:
        best = left
        for name in names:
            limit = _limit(name, min(goals[place].of(name) for place in best))
            best = [place for place in best if goals[place].of(name) <= limit]
        chosen = min(best, key=lambda place: goals[place].values)
        found.append(chosen)
        left.remove(chosen)
    return found


def spread(goals: Sequence[Goals], count: int) -> list[int]:
    """Places of at most `count`: the best choice, the least of each figure, then the most different."""
    if not goals:
        return []
    table = np.array([one.values for one in goals])
    widths = np.maximum(np.ptp(table, axis=0), 1e-9)
    scaled = (table - table.min(axis=0)) / widths
    extremes = [int(np.lexsort((scaled.sum(axis=1), column))[0]) for column in scaled.T]
    chosen = list(dict.fromkeys([in_order(goals)[0], *extremes]))[:count]
    while len(chosen) < min(count, len(goals)):
        away = np.min([np.abs(scaled - scaled[place]).sum(axis=1) for place in chosen], axis=0)
        farthest = int(np.argmax(away))
        if away[farthest] <= 0:
            break
        chosen.append(farthest)
    return chosen


def savings_pct(goals: Goals, own: Goals) -> float:
    """Replica-hours saved against the run's own settings, in per cent."""
    return 100.0 * (1.0 - goals.replica_hours / own.replica_hours) if own.replica_hours else 0.0
