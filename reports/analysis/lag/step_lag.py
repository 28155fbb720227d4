"""Lag of one load step for one deployment (docs/metrics.md#step-lag and #movements).

The step is answered by the first movement of the target in its direction. The critical replica is
the last of those needed for this movement's level to reach RUNNING (or to go). Its breakpoints cut
the lag into phases; neighbours share a breakpoint, so that they add up.
"""

from collections.abc import Sequence

import msgspec

from reports.analysis.lag.hold import (
    Hold,
    edge,
    joined,
    missing_s,
    proven_s,
    reach_of,
    serving_in,
    slowest,
)
from reports.analysis.lag.movement_rows import movement_rows, settled
from reports.analysis.lag.movements import (
    Movement,
    came_before,
    decided_before,
    first_in,
    movements_within,
    turns,
)
from reports.analysis.lag.phases import PhasedLag, decided_only, down_phases, up_phases, widened
from reports.analysis.lag.reach import Level
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll, Timeline
from reports.model.intervals import Instant, Span, around, between, longer_than, point
from reports.model.steps import (
    BLIND_S,
    DOWN_PHASES,
    NOT_OVER,
    UP_PHASES,
    MovementReport,
    Phase,
    PhaseName,
    measured_phase,
)
from scalelag.plan.stages import Direction, LoadStep
from scalelag.ray_versions import TARGET_REPLICAS, named
from scalelag.wording import count


class _Answer(msgspec.Struct, frozen=True):
    """Total of a step, or None with a reason, and the movement that answered it."""

    total_s: Span | None = None
    reason: str | None = None
    phases: tuple[Phase, ...] = ()
    critical: ReplicaLife | None = None
    movement: Movement | None = None
    unmoved: bool = False


class StepLag(msgspec.Struct, frozen=True):
    """Lag of one step: its total and phases, or None with a reason.

    `answer` is the movement that answered the step. `level` is the number of replicas that it led to,
    or those `wanted` if nothing answered. `course` has all movements of its hold. `unmoved`: none of
    them went in the step's direction, and none was under way.
    """

    direction: Direction
    replicas_before: int | None
    replicas_after: int | None
    target_before: int | None
    target_after: int | None
    total_s: Span | None = None
    reason: str | None = None
    phases: tuple[Phase, ...] = ()
    critical_replica: str | None = None
    answer: Movement | None = None
    settled_s: Span | None = None
    movements: tuple[MovementReport, ...] = ()
    course: tuple[Movement, ...] = ()
    unmoved: bool = False
    reversals: int = 0
    wanted: int | None = None

    @property
    def level(self) -> int | None:
        """Number of replicas that the answer led to, or was wanted to; the last target without one."""
        if self.answer is not None:
            return self.answer.after
        return self.target_after if self.wanted is None else self.wanted

    @property
    def censored(self) -> bool:
        """True if the step was not answered within its hold."""
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

    def missed(self, hold_s: float, wanted: int, why: str) -> "StepLag":
        """The lag of a step that wanted `wanted` replicas, and got no decision in `hold_s`."""
        names = UP_PHASES if self.direction == "up" else DOWN_PHASES
        return msgspec.structs.replace(
            self,
            total_s=longer_than(hold_s),
            reason=f"{self.reason}; {why}",
            phases=tuple(Phase(name, reason=NOT_OVER) for name in names),
            wanted=wanted,
        )


def step_lag(step: LoadStep, zero_s: float, timeline: Timeline) -> StepLag:
    """Lag of `step`; `zero_s` is the plan's start in Unix seconds."""
    begun_s, ended_s = zero_s + step.at_s, zero_s + step.hold_until_s
    before, after = timeline.poll_before(begun_s), timeline.poll_before(ended_s)
    polls = timeline.polls_within(begun_s, ended_s)
    movements = movements_within(timeline.decisions, begun_s, ended_s)
    hold = None
    if before is None or after is None or not polls:
        answer = _Answer(reason=_unless_idle(step, UNSEEN))
    elif before.target is None or after.target is None:
        answer = _Answer(reason=_unless_idle(step, _NO_TARGET))
    else:
        hold = Hold(step, begun_s, ended_s, before, after, polls, movements, timeline)
        answer = _answer(hold)
    return StepLag(
        direction=step.direction,
        replicas_before=serving_in(before),
        replicas_after=serving_in(after),
        target_before=before.target if before else None,
        target_after=after.target if after else None,
        total_s=answer.total_s,
        reason=answer.reason,
        phases=answer.phases,
        critical_replica=answer.critical.replica if answer.critical else None,
        answer=answer.movement,
        settled_s=settled(hold) if hold else None,
        movements=movement_rows(hold, answer.movement, zero_s) if hold else (),
        course=movements,
        unmoved=answer.unmoved,
        reversals=turns(movements, timeline.foreign()),
    )


UNSEEN = "the probe saw nothing of this deployment during the step"
"""Reason of a step in whose hold no poll showed the deployment."""
_NO_TARGET = f"this version of Ray does not tell the target (known since {named(TARGET_REPLICAS)})"
_UNCHANGED = "the load did not change"
_UNNEEDED = (
    "the target rose, and fell back to {level} before more were RUNNING: none that ran had to leave"
)


def _unless_idle(step: LoadStep, reason: str) -> str:
    return _UNCHANGED if step.direction == "none" else reason


def _answer(hold: Hold) -> _Answer:
    direction = hold.step.direction
    if direction == "none":
        return _Answer(reason=_UNCHANGED)
    movement = first_in(hold.movements, direction)
    under_way = _under_way(hold)
    if under_way and movement is not (hold.movements[0] if hold.movements else None):
        movement = None
    if movement is None:
        return _Answer(reason=under_way or _unmoved(hold), unmoved=under_way is None)
    level = Level(direction, movement.after)
    if direction == "down" and _fell_back(hold, level, movement):
        return _Answer(reason=_UNNEEDED.format(level=level.replicas))
    reached = reach_of(hold, level, movement)
    if reached is None:
        return _unanswered(hold, level, movement)
    phased = _phases(hold, movement, reached.critical, reached.rivals)
    return _Answer(
        total_s=_total(hold.begun_s, reached.end, phased.end),
        reason=joined(edge(hold, movement), _short(hold)),
        phases=phased.phases,
        critical=reached.critical,
        movement=movement,
    )


def _fell_back(hold: Hold, level: Level, movement: Movement) -> bool:
    """Return True if a way down took back one up of the same hold, before any replica had come."""
    until_s = movement.turned.hi_s if movement.turned else hold.ended_s
    polls = [hold.before, *hold.timeline.polls_within(hold.begun_s, until_s)]
    stayed = all(poll.running + poll.recovering <= level.replicas for poll in polls)
    return stayed and movement is not hold.movements[0]


def _under_way(hold: Hold) -> str | None:
    """Sentence on an earlier movement in the step's direction that is not over at the step."""
    direction, before = hold.step.direction, hold.before
    decision = decided_before(hold.timeline.decisions, hold.begun_s, direction)
    if decision is not None:
        if Level(direction, decision.after).is_reached(before):
            return None
        earlier_s = hold.begun_s - decision.at.mid_s
        return (
            f"already under way, decided {earlier_s:.1f} s before: "
            f"from {decision.before} to {count(decision.after, 'replica')}"
        )
    decided = any(came_before(d.at, hold.begun_s) for d in hold.timeline.decisions)
    target = before.target or 0
    if decided or Level(direction, target).is_reached(before) or serving_in(before) == target:
        return None
    first = hold.timeline.polls[0]
    if first.target == target and serving_in(first) == target:  # a replica was lost since
        return None
    return f"already under way before the probe's first poll: {before.running} RUNNING, target {target}"


def _unmoved(hold: Hold) -> str:
    serving = serving_in(hold.before)
    up = hold.step.direction == "up"
    before, after = hold.before.target or 0, hold.after.target or 0
    what = "the target did not rise" if up else "the target did not fall"
    if after > before if up else after < before:
        what = f"the target was {'raised' if up else 'lowered'}, and not by the autoscaler"
    turns = f" ({count(len(hold.movements), 'other movement')})" if hold.movements else ""
    return f"{what}: {serving} RUNNING before, target {hold.after.target} at the end{turns}"


def _unanswered(hold: Hold, level: Level, movement: Movement) -> _Answer:
    """A censored answer: the target turned, or the hold ended, before the level was reached."""
    critical = None
    if movement.turned is not None:
        last = hold.timeline.poll_before(movement.turned.lo_s) or hold.before
        reason = (
            f"given up after {movement.turned.mid_s - hold.begun_s:.1f} s "
            f"at {_counted(level, last)}, target {level.replicas}"
        )
        seen_s = movement.turned.lo_s
    else:
        critical = slowest(hold, level)
        reason = _unfinished(hold, level)
        seen_s = proven_s(hold, level)
    seen_s = missing_s(hold, level, movement, min(seen_s, hold.ended_s))
    return _Answer(
        total_s=longer_than(max(0.0, seen_s - hold.begun_s)),
        reason=joined(reason, edge(hold, movement)),
        phases=_phases(hold, movement, critical).phases,
        critical=critical,
        movement=movement,
    )


def _unfinished(hold: Hold, level: Level) -> str:
    counted = _counted(level, hold.after)
    seen_s = proven_s(hold, level)
    if hold.ended_s - seen_s > BLIND_S:
        when = f"when last seen, {seen_s - hold.begun_s:.1f} s after the step"
        return f"target {level.replicas} not reached {when}: {counted}"
    if level.direction == "up":
        return f"target {level.replicas} not reached within the hold: {counted}"
    return f"{counted} at the end of the hold, target {level.replicas}"


def _counted(level: Level, poll: ReplicaPoll) -> str:
    if level.direction == "up":
        return f"{serving_in(poll)} RUNNING"
    return count(poll.listed, "replica")


def _phases(
    hold: Hold,
    movement: Movement,
    critical: ReplicaLife | None,
    rivals: Sequence[ReplicaLife] = (),
) -> PhasedLag:
    """Phases of the critical replica, widened to those of all replicas that may have been it."""
    if critical is None:
        return decided_only(hold.begun_s, movement)
    phased = up_phases if hold.step.direction == "up" else down_phases
    own, *others = (
        phased(hold.begun_s, hold.ended_s, life, movement, hold.timeline)
        for life in (critical, *rivals)
    )
    return PhasedLag(widened(own.phases, [other.phases for other in others]), own.end)


def _short(hold: Hold) -> str | None:
    """Sentence on replicas missing at the end of a hold in which the target did not turn."""
    serving, target = serving_in(hold.after), hold.after.target
    turned = len(hold.movements) > 1
    if serving is None or target is None or serving >= target or hold.after.hidden or turned:
        return None
    return f"{serving} RUNNING at the end of the hold, target {target}"


def _total(begun_s: float, ended: Instant, narrowed: Instant | None) -> Span:
    """From the step to its end; the value is the middle of what the order of its phases allows.

    The bounds are those of the end alone: they hold even if another clock of the phases is off.
    """
    seen = between(point(begun_s), ended.not_before(begun_s))
    if narrowed is None:
        return seen
    return around(narrowed.mid_s - begun_s, seen.lo, seen.upper)
