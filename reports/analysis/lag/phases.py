"""The lag of one replica, cut into phases at its breakpoints (docs/metrics.md#step-lag)."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from reports.analysis.lag.log_times import ORDER_TOLERANCE_S
from reports.analysis.lag.movements import Movement
from reports.analysis.lag.timeline import ReplicaLife, Timeline
from reports.model.intervals import Instant, Span, between, in_order, point
from reports.model.steps import (
    DOWN_PHASES,
    JOINED,
    NOT_OVER,
    UP_PHASES,
    Phase,
    PhaseName,
    PhasePart,
    Source,
    measured_phase,
)

# Two decisions are a turn of the controller's loop (0.1 s) apart. `decide` may end a little before
# the interval of its decision does: at the submission that followed.
_SAME_TURN_S = 0.05
_NO_POLL_SOURCE = "polling does not show requests"
_NO_REPLICA = "no single replica completed it"
_NO_REQUEST = "no request reached it during the hold"


class _Breakpoint(NamedTuple):
    """End of a phase; None if unknown."""

    name: PhaseName
    end: Instant | None
    reason: str | None = None


class PhasedLag(NamedTuple):
    """Phases, and the end of the last of them, narrowed by the order of all; None if unknown."""

    phases: tuple[Phase, ...]
    end: Instant | None


def up_phases(
    begun_s: float, ended_s: float, life: ReplicaLife, movement: Movement, timeline: Timeline
) -> PhasedLag:
    """Phases on the way up of `life`, the critical replica, between the step and its hold's end.

    `movement` answered the step: `decide` ends with one of its decisions.
    """
    submitted = life.begun
    decided = _decided(movement, timeline, life.listed.hi_s, submitted)
    first = _first_try(life, decided, timeline)
    breakpoints = [_Breakpoint("decide", decided)]
    if first is not None:
        breakpoints += [_Breakpoint("create", first), _Breakpoint("restart", submitted)]
    else:
        breakpoints.append(_Breakpoint("create", submitted))
    breakpoints += _starting(life)
    phases, end = _phases(point(begun_s), ended_s, breakpoints)
    if life.initialized is None:
        phases = (*phases, Phase("mark_running", reason=JOINED))
    return PhasedLag((*phases, _route(life, ended_s)), end)


def event_phases(
    begun: Instant, ended_s: float, detected: Instant | None, life: ReplicaLife
) -> PhasedLag:
    """Phases of `life`, a replica that came because of an event: `detect` in place of `decide`."""
    breakpoints = [_Breakpoint("detect", detected), _Breakpoint("create", life.begun)]
    phases, end = _phases(begun, ended_s, [*breakpoints, *_starting(life)])
    if life.initialized is None:
        phases = (*phases, Phase("mark_running", reason=JOINED))
    return PhasedLag((*phases, _route(life, ended_s)), end)


def decided_only(begun_s: float, movement: Movement) -> PhasedLag:
    """Phases of a movement without a critical replica: only `decide` is known.

    It ended with one of the decisions; which one is not known.
    """
    names = UP_PHASES if movement.direction == "up" else DOWN_PHASES
    first, last = movement.first.not_before(begun_s), movement.last.not_before(begun_s)
    ends = [between(point(begun_s), at) for at in (first, last)]
    source = "log" if first.clock and first == last else "poll"
    decide = Phase("decide", ends[0].value, ends[0].lo, ends[1].hi, source)
    rest = tuple(Phase(name, reason=_NO_REPLICA) for name in names[1:])
    return PhasedLag((decide, *rest), None)


def widened(phases: Sequence[Phase], others: Sequence[Sequence[Phase]]) -> tuple[Phase, ...]:
    """The same phases, with bounds that also hold for the `others`, as far as theirs were measured."""
    found: list[Phase] = []
    for phase in phases:
        same = [one for of_one in others if (one := measured_phase(of_one, phase.name))]
        bounds = [(one.lo, one.hi) for one in (phase, *same)]
        lows, highs = [lo for lo, _ in bounds if lo is not None], [hi for _, hi in bounds if hi]
        if phase.value is None or not same or not highs:
            found.append(phase)
        else:
            found.append(msgspec.structs.replace(phase, lo=min(lows), hi=max(highs)))
    return tuple(found)


def _starting(life: ReplicaLife) -> list[_Breakpoint]:
    """From the submitted actor to RUNNING; without the replica's log, as far as polling tells."""
    if life.entered is None or life.initialized is None:
        begun = life.entered or life.allocated
        return [_Breakpoint("allocate", begun), _Breakpoint("initialize", life.running)]
    return [
        _Breakpoint("allocate", life.entered),
        _Breakpoint("initialize", life.initialized),
        _Breakpoint("mark_running", life.running),
    ]


def down_phases(
    begun_s: float, ended_s: float, life: ReplicaLife, movement: Movement, timeline: Timeline
) -> PhasedLag:
    """Phases on the way down of `life`, the last replica to go; otherwise as `up_phases`."""
    stopping = life.stopping
    by_s = life.shown_stopping_s or (stopping.hi_s if stopping else ended_s)
    decided = _decided(movement, timeline, by_s, stopping)
    breakpoints = [
        _Breakpoint("decide", decided),
        _Breakpoint("stop", stopping),
        _Breakpoint("drain", life.gone),
    ]
    return _phases(point(begun_s), ended_s, breakpoints)


def split_decide(phases: Sequence[Phase], delay_s: float | None, reason: str) -> tuple[Phase, ...]:
    """Add the parts of `decide`: `delay`, as configured, and `detect`, the rest.

    If `delay_s` is None, both parts are unknown for `reason`.
    """
    decide = phases[0]
    if decide.value is None or decide.lo is None or decide.hi is None:
        return tuple(phases)
    if delay_s is None:
        parts = [Phase(name, reason=reason, part_of="decide") for name in ("detect", "delay")]
    else:
        rest = [max(0.0, at - delay_s) for at in (decide.value, decide.lo, decide.hi)]
        parts = [
            Phase("detect", *rest, source=decide.source, part_of="decide"),
            Phase("delay", delay_s, delay_s, delay_s, source="config", part_of="decide"),
        ]
    return (decide, *parts, *phases[1:])


def decisions_of(movement: Movement | None, decide: Phase | None, begun_s: float) -> list[Span]:
    """From the step to each decision of its answer, up to the one that `decide` ends with."""
    if movement is None or decide is None or decide.hi is None:
        return []
    return [
        between(point(begun_s), decision.at.not_before(begun_s))
        for decision in movement.decisions
        if decision.at.mid_s <= begun_s + decide.hi + _SAME_TURN_S
    ]


def _can_precede(decided: Instant, effect: Instant | None) -> bool:
    """Return True if a decision can have come before its effect, within the errors of both clocks."""
    if effect is None:
        return True
    same = decided.clock == effect.clock
    slack_s = ORDER_TOLERANCE_S + (0.0 if same else decided.skew_s + effect.skew_s)
    return decided.lo_s <= effect.hi_s + slack_s


def _decided(
    movement: Movement, timeline: Timeline, by_s: float, effect: Instant | None
) -> Instant | None:
    """Moment of the movement's last decision that was seen no later than its effect.

    Both are compared by the receive times of the polls that showed them first. By `lo`, the next
    poll's decision would seem to come before what the poll before had shown. One poll may show both
    a decision and an effect, while an earlier decision is not carried out yet. The effect may then
    be that one's, and the moment spans both decisions. A logged decision is a point.
    """
    seen = [d for d in movement.decisions if d.at.hi_s <= by_s and _can_precede(d.at, effect)]
    if not seen:
        return None
    last = seen[-1]
    if last.at.clock or last.at.hi_s < by_s or len(seen) == 1:
        return last.at
    earlier = seen[-2]
    poll = timeline.poll_sent_by(last.at.lo_s)
    pending = poll is not None and (
        poll.listed < earlier.after if last.after > last.before else poll.running > earlier.after
    )
    return Instant(earlier.at.lo_s, last.at.hi_s) if pending else last.at


def failed_tries(timeline: Timeline, from_s: float, to_s: float) -> list[ReplicaLife]:
    """Replicas submitted after `from_s` that were given up before `to_s` without ever RUNNING.

    Replicas that a new version replaced, or that went with the whole deployment, did not fail.
    """
    return [
        life
        for life in timeline.replicas
        if life.begun.hi_s > from_s
        and life.running is None
        and life.stopping is not None
        and not life.replaced
        and not life.vanished
        and life.stopping.lo_s < to_s
    ]


def _first_try(life: ReplicaLife, decided: Instant | None, timeline: Timeline) -> Instant | None:
    """Moment at which the first replica that failed to start before `life` was submitted."""
    if decided is None:
        return None
    failed = failed_tries(timeline, decided.lo_s, life.begun.hi_s)
    before = [r.begun for r in failed if r.begun.mid_s < life.begun.mid_s]
    return min(before, key=lambda begun: begun.mid_s, default=None)


def _phases(begun: Instant, ended_s: float, breakpoints: Sequence[_Breakpoint]) -> PhasedLag:
    """Phases between the step and each breakpoint in turn.

    A phase without an end is null, and so is the next one, which has no beginning. Their time is
    the unattributed part of the total. A breakpoint before the step counts as the step itself.
    """
    within = [
        None if b.end is None or b.end.hi_s > ended_s else b.end.not_before(begun.lo_s)
        for b in breakpoints
    ]
    ends = in_order([begun, *within])
    phases: list[Phase] = []
    for number, (name, _, _) in enumerate(breakpoints):
        first, then = ends[number], ends[number + 1]
        if then is None or first is None:
            reason = _missing(ends[number + 1 :]) if then is None else "its beginning was not seen"
            phases.append(Phase(name, reason=reason))
        else:
            span = between(first, then)
            phases.append(
                Phase(name, span.value, span.lo, span.hi, _source(first, then, number == 0))
            )
    return PhasedLag(tuple(phases), ends[-1])


def _source(first: Instant, then: Instant, from_step: bool) -> Source:  # noqa: FBT001  internal
    """Return "log" if both ends of a phase are logged points, or the load step."""
    return "log" if then.clock and (from_step or first.clock) else "poll"


def _missing(ends: Sequence[Instant | None]) -> str:
    later = any(instant is not None for instant in ends[1:])
    return "its end was not seen" if later else NOT_OVER


def _route(life: ReplicaLife, ended_s: float) -> Phase:
    """From RUNNING to the start of the replica's first request; no part of the total."""
    part: PhasePart = "recovery"
    if life.running is None:
        return Phase("route", reason=NOT_OVER, part_of=part)
    if life.request_doubt is not None:
        return Phase("route", reason=life.request_doubt, part_of=part)
    if life.first_request is None or life.first_request.hi_s > ended_s:
        was_read = life.entered or life.initialized or life.first_request
        reason = _NO_REQUEST if was_read else _NO_POLL_SOURCE
        return Phase("route", reason=reason, part_of=part)
    running, request = in_order([life.running, life.first_request.not_before(life.running.lo_s)])
    if running is None or request is None:
        raise TypeError("both moments are there")
    span = between(running, request)
    return Phase("route", span.value, span.lo, span.hi, "log", part_of=part)
