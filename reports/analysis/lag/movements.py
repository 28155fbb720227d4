"""Movements of the autoscaler's target, and the load step that each answers (docs/metrics.md, 2a).

A real autoscaler does not move once a step: it overshoots, falls back and swings. So each hold is
cut into movements, runs of target changes in one direction.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from reports.analysis.lag.log_times import Decision
from reports.model.intervals import Instant, Window
from scalelag.plan.stages import Direction


class Way(msgspec.Struct, frozen=True):
    """Time in which replicas follow a movement, whose last decision was made by `decided_s`.

    `preceded_s` is the time of the target's move before it.
    """

    from_s: float
    until_s: float
    decided_s: float = -math.inf
    preceded_s: float = -math.inf


class Movement(msgspec.Struct, frozen=True):
    """A run of decisions in one direction within one hold.

    `preceded_s` is the moment of the decision before it. `turned` is the decision that ended it, None
    if the hold ended first. `at_edge` says that the load step lies inside the interval of the first
    decision, so it may have come before the step.
    """

    direction: Direction
    decisions: tuple[Decision, ...]
    turned: Instant | None = None
    at_edge: bool = False
    preceded_s: float = -math.inf

    @property
    def first(self) -> Instant:
        """Moment of its first decision."""
        return self.decisions[0].at

    @property
    def last(self) -> Instant:
        """Moment of its last decision."""
        return self.decisions[-1].at

    def way(self, until_s: float) -> Way:
        """Time from its first decision until `until_s`."""
        return Way(self.first.lo_s, until_s, self.last.hi_s, self.preceded_s)

    @property
    def before(self) -> int:
        """Target before its first decision."""
        return self.decisions[0].before

    @property
    def after(self) -> int:
        """Target after its last decision: the level that the replicas have to reach."""
        return self.decisions[-1].after


def movements_within(
    decisions: Sequence[Decision], begun_s: float, ended_s: float
) -> tuple[Movement, ...]:
    """Movements whose first decision lies in the hold from `begun_s` to `ended_s`, by time.

    A decision that came wholly before the step belongs to the hold before. One whose interval
    holds the step counts as the step's own, and its movement says `at_edge`.
    """
    ordered = sorted(decisions, key=lambda d: d.at.mid_s)
    earlier_s = max((d.at.hi_s for d in ordered if came_before(d.at, begun_s)), default=-math.inf)
    own = [
        decision
        for decision in ordered
        if not came_before(decision.at, begun_s) and came_before(decision.at, ended_s)
    ]
    runs: list[list[Decision]] = []
    for decision in own:
        if runs and _direction(runs[-1][-1]) == _direction(decision):
            runs[-1].append(decision)
        else:
            runs.append([decision])
    return tuple(
        Movement(
            direction=_direction(run[0]),
            decisions=tuple(run),
            turned=runs[number + 1][0].at if number + 1 < len(runs) else None,
            at_edge=_may_precede(run[0].at, begun_s),
            preceded_s=runs[number - 1][-1].at.hi_s if number else earlier_s,
        )
        for number, run in enumerate(runs)
    )


def turns(movements: Sequence[Movement], foreign: Sequence[Window]) -> int:
    """Return how often the target turned within a hold.

    At `foreign` times something other than the autoscaler moved replicas, such as an update. A
    decision at such a time is no turn.
    """
    decisions = [decision for one in movements for decision in one.decisions]
    own = [_direction(one) for one in decisions if not is_within(one.at, foreign)]
    return sum(old != new for old, new in pairwise(own))


def is_within(at: Instant, windows: Sequence[Window]) -> bool:
    """Return whether the middle of a moment lies in one of `windows`, or at its end."""
    return any(one.from_s <= at.mid_s <= one.to_s for one in windows)


def first_in(movements: Sequence[Movement], direction: Direction) -> Movement | None:
    """Return the first movement in `direction`: the one that answers a step in that direction."""
    return next((one for one in movements if one.direction == direction), None)


def decided_before(
    decisions: Sequence[Decision], begun_s: float, direction: Direction
) -> Decision | None:
    """Return the last decision before the step, if it went in `direction`; else None."""
    earlier = [decision for decision in decisions if came_before(decision.at, begun_s)]
    last = max(earlier, key=lambda decision: decision.at.mid_s, default=None)
    return last if last is not None and _direction(last) == direction else None


def came_before(at: Instant, moment_s: float) -> bool:
    """Return whether `at` came before `moment_s`: a point by itself, an interval by its whole."""
    return at.hi_s <= moment_s


def _may_precede(at: Instant, begun_s: float) -> bool:
    return at.lo_s - at.skew_s < begun_s


def _direction(decision: Decision) -> Direction:
    return "up" if decision.after > decision.before else "down"
