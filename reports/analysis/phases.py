"""The lag of one replica, cut into phases at its breakpoints (METRICS.md, section 2)."""

from collections.abc import Callable, Sequence

from reports.analysis.intervals import Instant, between, point
from reports.analysis.model import DOWN_PHASES, UP_PHASES, Phase, PhaseName
from reports.analysis.timeline import Decision, ReplicaLife, Timeline

_JOINED = "polling cannot tell it from initialize"
_NO_POLL_SOURCE = "polling does not show requests"
_UNFINISHED = "not over by the end of the hold"


def up_phases(
    begun_s: float, ended_s: float, life: ReplicaLife | None, timeline: Timeline
) -> tuple[Phase, ...]:
    """Phases on the way up of `life`, the critical replica, between the step and its hold's end.

    Without a replica only `decide` can be told.
    """
    listed_by_s = life.listed.hi_s if life else ended_s
    decided = _decided(timeline, listed_by_s, lambda d: d.after > d.before)
    breakpoints: list[Instant | None] = [
        decided,
        life.listed if life else None,
        life.allocated if life else None,
        life.running if life else None,
    ]
    return (
        *_phases(UP_PHASES, begun_s, ended_s, breakpoints),
        Phase("mark_running", reason=_JOINED),
        Phase("route", reason=_NO_POLL_SOURCE),
    )


def down_phases(
    begun_s: float, ended_s: float, life: ReplicaLife | None, timeline: Timeline
) -> tuple[Phase, ...]:
    """Phases on the way down of `life`, the last replica to go; as `up_phases`."""
    stopped_by_s = life.stopping.hi_s if life and life.stopping else ended_s
    decided = _decided(timeline, stopped_by_s, lambda d: d.after < d.before)
    breakpoints: list[Instant | None] = [
        decided,
        life.stopping if life else None,
        life.gone if life else None,
    ]
    return _phases(DOWN_PHASES, begun_s, ended_s, breakpoints)


def _decided(timeline: Timeline, by_s: float, wanted: Callable[[Decision], bool]) -> Instant | None:
    """When the last wanted decision fell that was seen no later than what it brought about.

    Both are compared by the receive time of the poll that first showed them: by `lo` the next
    poll's decision would seem to come before what the poll before had already shown. Where one
    poll showed a decision and its effect, and an earlier decision was not carried out yet, it may
    be the earlier one's effect: the moment then spans both.
    """
    seen = [d for d in timeline.decisions if wanted(d) and d.at.hi_s <= by_s]
    if not seen:
        return None
    last = seen[-1]
    if last.at.hi_s < by_s or len(seen) == 1:
        return last.at
    earlier = seen[-2]
    look = timeline.look_before(last.at.lo_s + (last.at.hi_s - last.at.lo_s) / 2)
    pending = look is not None and (
        look.listed < earlier.after if last.after > last.before else look.running > earlier.after
    )
    return Instant(earlier.at.lo_s, last.at.hi_s) if pending else last.at


def _phases(
    names: Sequence[PhaseName],
    begun_s: float,
    ended_s: float,
    breakpoints: Sequence[Instant | None],
) -> tuple[Phase, ...]:
    """Phases between the step and each breakpoint in turn.

    One without an end is null, and so is the one after it, which has no beginning: their time is
    what the total leaves unattributed. A breakpoint before the step counts as the step itself.
    """
    phases: list[Phase] = []
    last: Instant | None = point(begun_s)
    for number, (name, end) in enumerate(zip(names, breakpoints, strict=True)):
        if end is not None and end.hi_s > ended_s:
            end = None  # noqa: PLW2901  seen only after the hold
        if end is None or last is None:
            reason = _missing(number, breakpoints) if end is None else "its beginning was not seen"
            phases.append(Phase(name, reason=reason))
        else:
            span = between(last, end.not_before(begun_s))
            phases.append(Phase(name, span.value, span.lo, span.hi, "poll"))
        last = end.not_before(begun_s) if end is not None else None
    return tuple(phases)


def _missing(number: int, breakpoints: Sequence[Instant | None]) -> str:
    later = any(instant is not None for instant in breakpoints[number + 1 :])
    return "its end was not seen" if later else _UNFINISHED
