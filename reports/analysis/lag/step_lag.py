"""Lag of one load step for one deployment (docs/metrics.md#step-lag).

The critical replica is the last to reach RUNNING (or to go) among those that the step's settled
target needed; its breakpoints cut the lag into phases that share them, so that they add up.
"""

from collections.abc import Callable, Sequence

import msgspec

from reports.analysis.lag.log_times import ORDER_TOLERANCE_S
from reports.analysis.lag.phases import down_phases, up_phases
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll, Timeline
from reports.model.intervals import Instant, Span, between, longer_than, point
from reports.model.steps import Phase, PhaseName, measured_phase
from scalelag.plan.stages import Direction, LoadStep


class _Answer(msgspec.Struct, frozen=True):
    """Total of a step, or None with a reason."""

    total_s: Span | None = None
    reason: str | None = None
    phases: tuple[Phase, ...] = ()
    critical: ReplicaLife | None = None


class StepLag(msgspec.Struct, frozen=True):
    """Lag of one step: its total and phases, or None with a reason."""

    direction: Direction
    replicas_before: int | None
    replicas_after: int | None
    target_before: int | None
    target_after: int | None
    total_s: Span | None = None
    reason: str | None = None
    phases: tuple[Phase, ...] = ()
    critical_replica: str | None = None

    @property
    def censored(self) -> bool:
        """Whether the step was not answered within its hold."""
        return self.total_s is not None and self.total_s.hi is None

    @property
    def unattributed_s(self) -> float | None:
        """Total minus its measured phases, in seconds; None if the total was not measured."""
        if self.total_s is None or self.total_s.value is None:
            return None
        measured = [p.value for p in self.phases if p.value is not None and p.part_of == "total"]
        return round(self.total_s.value - sum(measured), 9)

    def phase(self, name: PhaseName) -> Phase | None:
        """The phase of that name, None if it was not measured."""
        return measured_phase(self.phases, name)


def step_lag(step: LoadStep, zero_s: float, timeline: Timeline) -> StepLag:
    """Lag of `step`; `zero_s` is the plan's start in Unix seconds."""
    begun_s, ended_s = zero_s + step.at_s, zero_s + step.hold_until_s
    before, after = timeline.poll_before(begun_s), timeline.poll_before(ended_s)
    answer = _answer(step, begun_s, ended_s, before, after, timeline)
    return StepLag(
        direction=step.direction,
        replicas_before=before.running if before else None,
        replicas_after=after.running if after else None,
        target_before=before.target if before else None,
        target_after=after.target if after else None,
        total_s=answer.total_s,
        reason=answer.reason,
        phases=answer.phases,
        critical_replica=answer.critical.replica if answer.critical else None,
    )


def _answer(
    step: LoadStep,
    begun_s: float,
    ended_s: float,
    before: ReplicaPoll | None,
    after: ReplicaPoll | None,
    timeline: Timeline,
) -> _Answer:
    if step.direction == "none":
        return _Answer(reason="the load did not change")
    polls = timeline.polls_within(begun_s, ended_s)
    if before is None or after is None or not polls:
        return _Answer(reason="the probe saw nothing of this deployment during the step")
    if after.target is None or before.target is None:
        return _Answer(reason="this version of Ray does not tell the target (it does since 2.10)")
    if step.direction == "up":
        return _up(begun_s, ended_s, before, after.target, polls, timeline)
    return _down(begun_s, ended_s, before, after.target, polls, timeline)


def _up(
    begun_s: float,
    ended_s: float,
    before: ReplicaPoll,
    settled: int,
    polls: Sequence[ReplicaPoll],
    timeline: Timeline,
) -> _Answer:
    if settled <= before.running:
        peak = max(poll.target or 0 for poll in polls)
        passing = f", after a peak of {peak}" if peak > settled else ""
        return _Answer(
            reason=f"no new replica was needed: {before.running} RUNNING before, "
            f"target {settled} at the end{passing}"
        )
    reached = _first(before, polls, lambda poll: poll.running >= settled, lambda poll: poll.running)
    if reached is None:
        critical = _slowest_starter(timeline.replicas, ended_s)
        return _Answer(
            total_s=_censored(
                begun_s, ended_s, polls, timeline, lambda poll: poll.running >= settled
            ),
            reason=f"target {settled} not reached within the hold: {polls[-1].running} RUNNING",
            phases=up_phases(begun_s, ended_s, critical, timeline).phases,
            critical=critical,
        )
    started = [
        r for r in timeline.replicas if r.running and _within(r.running, r.shown_running_s, reached)
    ]
    started.sort(key=_started_order)
    critical = _nth(started, settled - reached.count_before, lambda life: life.running)
    if critical is None or critical.running is None:
        return _Answer(reason="no new replica was needed: the ones that were there had to recover")
    phases, end = up_phases(begun_s, ended_s, critical, timeline)
    return _Answer(
        total_s=_total(begun_s, critical.running, end),
        phases=phases,
        critical=critical,
    )


def _down(
    begun_s: float,
    ended_s: float,
    before: ReplicaPoll,
    settled: int,
    polls: Sequence[ReplicaPoll],
    timeline: Timeline,
) -> _Answer:
    if settled >= before.running:
        return _Answer(
            reason=f"no replica was to go: {before.running} RUNNING before, "
            f"target {settled} at the end"
        )
    gone = _first(before, polls, lambda poll: poll.listed <= settled, lambda poll: poll.listed)
    if gone is None:
        critical = _slowest_stopper(timeline.replicas, begun_s, ended_s)
        return _Answer(
            total_s=_censored(
                begun_s, ended_s, polls, timeline, lambda poll: poll.listed <= settled
            ),
            reason=f"{polls[-1].listed} replicas at the end of the hold, target {settled}",
            phases=down_phases(begun_s, ended_s, critical, timeline).phases,
            critical=critical,
        )
    left = [r for r in timeline.replicas if r.gone and _within(r.gone, r.shown_gone_s, gone)]
    left.sort(key=_gone_order)
    critical = _nth(left, gone.count_before - settled, lambda life: life.gone)
    ended = critical.gone if critical and critical.gone else Instant(gone.lo_s, gone.hi_s)
    phases, end = down_phases(begun_s, ended_s, critical, timeline)
    return _Answer(total_s=_total(begun_s, ended, end), phases=phases, critical=critical)


def _total(begun_s: float, ended: Instant, narrowed: Instant | None) -> Span:
    """From the step to its end, in the middle of what the order of its phases leaves of that.

    The bounds are those of the end by itself: they hold also if another clock of the phases is off.
    """
    seen = between(point(begun_s), ended.not_before(begun_s))
    if narrowed is None:
        return seen
    value = narrowed.mid_s - begun_s
    return Span(value, min(seen.lo, value), max(seen.upper, value))


class _Crossing(msgspec.Struct, frozen=True):
    """Two polls between which a number of replicas was reached, and the number at the first."""

    lo_s: float
    hi_s: float
    count_before: int


def _first(
    before: ReplicaPoll,
    polls: Sequence[ReplicaPoll],
    holds: Callable[[ReplicaPoll], bool],
    count: Callable[[ReplicaPoll], int],
) -> _Crossing | None:
    """Crossing at which `holds` became true; None if it did not."""
    last = before
    for poll in polls:
        if holds(poll):
            return _Crossing(last.sent_s, poll.received_s, count(last))
        last = poll
    return None


def _within(at: Instant, shown_s: float | None, reached: _Crossing) -> bool:
    """Whether `at` lies between the polls of `reached`.

    A poll that has shown it has counted it: its logged time only decides if no poll did.
    """
    if shown_s is not None:
        return shown_s == reached.hi_s
    slack_s = at.skew_s + ORDER_TOLERANCE_S
    return reached.lo_s - slack_s <= at.mid_s <= reached.hi_s + slack_s


def _nth(
    lives: Sequence[ReplicaLife], needed: int, at: Callable[[ReplicaLife], Instant | None]
) -> ReplicaLife | None:
    """The one with which the number that was needed was complete; of polling's ties, the last."""
    if not lives:
        return None
    exact = all(moment is not None and moment.clock for moment in map(at, lives))
    return lives[min(needed, len(lives)) - 1] if exact and needed > 0 else lives[-1]


def _censored(
    begun_s: float,
    ended_s: float,
    polls: Sequence[ReplicaPoll],
    timeline: Timeline,
    holds: Callable[[ReplicaPoll], bool],
) -> Span:
    """Longer than the hold, if the next poll still shows it undone; else than the last poll tells."""
    later = next((poll for poll in timeline.polls if poll.received_s > ended_s), None)
    proven_s = ended_s if later and not holds(later) else polls[-1].sent_s
    return longer_than(max(0.0, min(proven_s, ended_s) - begun_s))


def _started_order(life: ReplicaLife) -> tuple[float, float, float, str]:
    """Orders replicas by RUNNING; within one poll, the latest along its way is the last."""
    running = life.running.mid_s if life.running else float("-inf")
    allocated = life.allocated.hi_s if life.allocated else float("-inf")
    return (running, allocated, life.listed.hi_s, life.replica)


def _gone_order(life: ReplicaLife) -> tuple[float, float, str]:
    """Orders replicas by when they were gone; within one poll, by when they began to stop."""
    gone = life.gone.mid_s if life.gone else float("-inf")
    return (gone, life.stopping.hi_s if life.stopping else 0.0, life.replica)


def _slowest_starter(lives: Sequence[ReplicaLife], ended_s: float) -> ReplicaLife | None:
    """Of the replicas still starting at the end of the hold, the one that got the least far."""
    starting = [
        life
        for life in lives
        if life.listed.hi_s <= ended_s
        and (life.running is None or life.running.hi_s > ended_s)
        and (life.stopping is None or life.stopping.hi_s > ended_s)
    ]
    return max(
        starting,
        key=lambda r: (
            r.allocated.hi_s if r.allocated else float("inf"),
            r.listed.hi_s,
            r.replica,
        ),
        default=None,
    )


def _slowest_stopper(
    lives: Sequence[ReplicaLife], begun_s: float, ended_s: float
) -> ReplicaLife | None:
    stopping = [
        life
        for life in lives
        if life.stopping
        and begun_s < life.stopping.hi_s <= ended_s
        and (life.gone is None or life.gone.hi_s > ended_s)
    ]
    return max(
        stopping, key=lambda r: (r.stopping.hi_s if r.stopping else 0.0, r.replica), default=None
    )
