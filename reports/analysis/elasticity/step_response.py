"""Response of the replicas to one step of the demand, and flapping (docs/metrics.md#elasticity)."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import msgspec
import numpy as np

from reports.analysis.elasticity.metrics import integrals
from reports.analysis.elasticity.staircase import Staircase
from reports.analysis.elasticity.supply import Change, Supply
from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.movements import is_within
from reports.model.elasticity import FlappingReport, ResponseReport
from reports.model.intervals import (
    Span,
    Window,
    around,
    between,
    longer_than,
    point,
    seconds_in,
    without,
)
from reports.model.steps import BLIND_S

_BAND_REPLICAS = 0.5
_BAND_SHARE = 0.05
_REVERSALS_OF_A_PERIOD = 3
_UNSEEN = "the probe saw nothing of this deployment during the step"


class _Path(msgspec.Struct, frozen=True):
    """RUNNING, or the target, at the beginning of a hold, and each change after it.

    No change counts as before the hold. In `hidden`, times of some length, nobody saw the effect of
    the autoscaler. `cut`: the hold went on for some time after the last poll.
    """

    hold: Window
    before: int
    changes: tuple[Change, ...]
    hidden: tuple[Window, ...] = ()
    cut: bool = False

    @property
    def levels(self) -> list[int]:
        """At the beginning, and after each change."""
        return list(accumulate((change.delta for change in self.changes), initial=self.before))

    def known_until_s(self, since_s: float) -> float:
        """End of the time from a moment on in which it is known."""
        return next((w.from_s for w in self.hidden if w.to_s > since_s), self.hold.to_s)

    def since_step(self, change: Change) -> Span:
        """From the step to a change."""
        return between(point(self.hold.from_s), change.at)


def _path(supply: Supply, hold: Window) -> _Path:
    changes = tuple(
        Change(change.at.not_before(hold.from_s), change.delta, change.foreign)
        for change in supply.changes_within(hold)
    )
    seen = Window(hold.from_s, min(hold.to_s, supply.seen.to_s))
    hidden = [w for w in without(seen, supply.watched(seen)) if w.to_s - w.from_s > BLIND_S]
    cut = hold.to_s - seen.to_s > BLIND_S
    return _Path(seen, supply.running_before(hold.from_s), changes, tuple(hidden), cut)


def _target_path(decisions: Sequence[Decision], hold: Window, foreign: Sequence[Window]) -> _Path:
    """Decisions within a hold; those at times of something else, such as an update's, are foreign."""
    within = [d for d in decisions if hold.from_s <= d.at.mid_s < hold.to_s]
    changes = tuple(
        Change(d.at, d.after - d.before, foreign=is_within(d.at, foreign)) for d in within
    )
    return _Path(hold, within[0].before if within else 0, changes)


def step_response(
    supply: Supply,
    hold: Window,
    before: int,
    after: int,
    least_band_replicas: float = _BAND_REPLICAS,
) -> ResponseReport:
    """Response of RUNNING replicas to the demand that goes from `before` to `after` with `hold`.

    The step is taken as an ideal one: the demand is `after` throughout the hold.
    """
    windows = supply.watched(hold)
    unwatched_s = hold.to_s - hold.from_s - seconds_in(windows)
    if not windows:
        return ResponseReport(before, after, unwatched_s=unwatched_s, reason=_UNSEEN)
    path = _path(supply, hold)
    under, over = _areas(supply, path, after)
    size = abs(after - before)
    approach = _approach(path, before, after)
    band_replicas = max(least_band_replicas, _BAND_SHARE * size)
    missed = under if after > before else over
    return ResponseReport(
        demand_before=before,
        demand_after=after,
        dead_time_s=approach.dead_time_s,
        rise_s=approach.rise_s,
        overshoot_pct=approach.overshoot_pct,
        settling_s=_settling(path, after, band_replicas) if size else None,
        iae_replica_s=_sum(under, over),
        under_replica_s=under,
        over_replica_s=over,
        mean_lag_per_replica_s=_divided(missed, size) if size else None,
        excess_variation=_excess_variation(path),
        direction_reversals=len(_reversals(path)),
        unwatched_s=unwatched_s,
        reason=approach.reason,
    )


def _areas(supply: Supply, path: _Path, demand: int) -> tuple[Span, Span]:
    """Replica-seconds below and above a constant demand; unseen times are added to the bounds."""
    constant = Staircase(np.empty(0), np.array([demand], np.int64))
    windows = without(path.hold, path.hidden)
    middle, fewest, most = (
        integrals(constant, running, windows)
        for running in (supply.middle(), supply.fewest(), supply.most())
    )
    if path.hidden or (path.cut and path.levels[-1] != demand):
        return longer_than(most.under_replica_s), longer_than(fewest.over_replica_s)
    return (
        around(middle.under_replica_s, most.under_replica_s, fewest.under_replica_s),
        around(middle.over_replica_s, fewest.over_replica_s, most.over_replica_s),
    )


def _sum(first: Span, then: Span) -> Span:
    lo = first.lo + then.lo
    if first.value is None or then.value is None:
        return longer_than(lo)
    return around(first.value + then.value, lo, first.upper + then.upper)


def _divided(span: Span, by: int) -> Span:
    if span.value is None:
        return longer_than(span.lo / by)
    return around(span.value / by, span.lo / by, span.upper / by)


def _settling(path: _Path, demand: int, band_replicas: float) -> Span | None:
    """From the step until RUNNING stays within the band; censored if it does not.

    None if RUNNING may have left the band while nobody saw it.
    """
    out = [abs(level - demand) > band_replicas for level in path.levels]
    if out[-1]:
        known = without(path.hold, path.hidden)
        return longer_than(known[-1].to_s - path.hold.from_s) if known else None
    if path.hidden:
        return None
    if not any(out):
        return Span(0.0, 0.0, 0.0)
    last_out = max(i for i, outside in enumerate(out) if outside)
    return path.since_step(path.changes[last_out])


class _Approach(msgspec.Struct, frozen=True):
    """Dead time, rise and overshoot of a response; None for `reason`."""

    dead_time_s: Span | None = None
    rise_s: Span | None = None
    overshoot_pct: float | None = None
    reason: str | None = None


def _approach(path: _Path, before: int, after: int) -> _Approach:
    """Approach of RUNNING replicas to the demand `after`."""
    if after == before:
        return _Approach(reason=f"the demand stayed at {after}")
    sign = 1 if after > before else -1
    if path.known_until_s(path.hold.from_s) <= path.hold.from_s:
        return _Approach(reason=_hidden_words(path))
    if sign * (path.before - after) >= 0:
        return _Approach(
            reason=f"{path.before} RUNNING at the step, demand {after}: nothing to follow"
        )
    first = next((change for change in path.changes if sign * change.delta > 0), None)
    known_s = path.known_until_s(path.hold.from_s)
    if path.hidden and (first is None or first.foreign or known_s < first.at.lo_s):
        lo_s = max(0.0, known_s - path.hold.from_s)
        return _Approach(longer_than(lo_s), reason=_hidden_words(path))
    if first is None:
        hold_s = path.hold.to_s - path.hold.from_s
        return _Approach(longer_than(hold_s), reason="no replica came or went in the hold")
    beyond = [sign * (level - after) for level in path.levels[1:]]
    reached = next((c for c, far in zip(path.changes, beyond, strict=True) if far >= 0), None)
    rise_s = (
        between(first.at, reached.at)
        if reached
        else longer_than(max(0.0, path.known_until_s(first.at.hi_s) - first.at.hi_s))
    )
    overshoot_pct = None if path.hidden else 100 * max(0, *beyond) / abs(after - before)
    reason = _hidden_words(path) if path.hidden else None
    return _Approach(path.since_step(first), rise_s, overshoot_pct, reason)


def _hidden_words(path: _Path) -> str:
    """Reason that a response is not known as a whole."""
    return (
        f"for {seconds_in(path.hidden):.1f} s of the hold nobody saw what the autoscaler did: a gap of "
        "the probe, or a change of somebody else's"
    )


def _excess_variation(path: _Path) -> int:
    """`sum|change| - |step|`; the step is the total change of RUNNING."""
    deltas = [change.delta for change in path.changes if not change.foreign]
    return sum(map(abs, deltas)) - abs(sum(deltas))


def _reversals(path: _Path) -> list[int]:
    """Indices in `changes` of those opposite to the one before, without foreign ones."""
    own = [place for place, change in enumerate(path.changes) if not change.foreign]
    return [
        new
        for old, new in pairwise(own)
        if (path.changes[old].delta > 0) != (path.changes[new].delta > 0)
    ]


def flapping(
    supply: Supply, holds: Sequence[Window], decisions: Sequence[Decision] = ()
) -> FlappingReport:
    """Reversals of RUNNING, or of the target, within each of `holds`, and period and size of the swing.

    Turning back at a load step is not flapping, so each hold is judged alone. In each hold the one
    of the two that turned more often counts: a target may swing faster than replicas start.
    `decisions` are those that moved the target.
    """
    watched_s = sum(seconds_in(supply.watched(hold)) for hold in holds)
    if not watched_s:
        return FlappingReport(reason="the probe saw nothing of it during the load")
    running = [_path(supply, hold) for hold in holds]
    target = [_target_path(decisions, hold, supply.foreign) for hold in holds]
    both = list(zip(running, target, strict=True))
    paths = [max(pair, key=lambda path: len(_reversals(path))) for pair in both]
    turns = [_reversals(path) for path in paths]
    count = sum(map(len, turns))
    periods_s: list[float] = []
    sizes: list[int] = []
    for path, places in zip(paths, turns, strict=True):
        if len(places) >= _REVERSALS_OF_A_PERIOD:
            times_s = [path.changes[place].at.mid_s for place in places]
            periods_s += [later - t for t, later in zip(times_s, times_s[2:], strict=False)]
            extremes = [path.levels[place] for place in places]
            sizes += [abs(new - old) for old, new in pairwise(extremes)]
    return FlappingReport(
        direction_reversals=count,
        most_in_one_step=max(map(len, turns)),
        reversals_per_min=60 * count / watched_s,
        running_reversals=sum(len(_reversals(path)) for path in running),
        excess_variation=sum(max(map(_excess_variation, pair)) for pair in both),
        period_s=float(np.median(periods_s)) if periods_s else None,
        size_replicas=float(np.median(sizes)) if sizes else None,
    )
