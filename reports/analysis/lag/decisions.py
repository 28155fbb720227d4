"""Decisions of the autoscaler: by its log where that tells them, else as polling saw them."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from reports.analysis.lag.log_times import Decision, agrees
from reports.analysis.lag.off_clocks import ComparedMoment
from reports.model.intervals import Instant
from scalelag.wording import count

# A logged decision and a polled one are the same if they are this near.
_SAME_DECISION_S = 5.0


def settled_decisions(
    seen: Sequence[Decision], logged: Sequence[Decision], off: AbstractSet[str]
) -> tuple[list[Decision], list[ComparedMoment]]:
    """Decisions, with logged ones in place of polled ones; and those that contradict polling.

    Serve logs none while fewer than `min_replicas` replicas run: those come from polling. So do all
    whose line has a clock that is off, and the rest of a change of which lines tell only a part.
    """
    good = [line for line in logged if line.at.clock not in off]
    kept = [d for d in seen if not any(agrees(d.at, line.at) for line in good)]
    denied: list[ComparedMoment] = []
    believed: list[Decision] = []
    for line in logged:
        moment = same_moment(line, seen, kept)
        if moment is not None and moment.is_denied:
            denied.append(moment)
        elif line.at.clock not in off:
            believed.append(line)
    untold = [part for d in seen for part in _untold(d, seen, believed)]
    return sorted([*kept, *believed, *untold], key=lambda d: d.at.mid_s), denied


def same_moment(
    line: Decision, seen: Sequence[Decision], kept: Sequence[Decision]
) -> ComparedMoment | None:
    """A logged decision beside the polled one at its time, else beside its equal of `kept` near it."""
    found = next((d for d in seen if agrees(d.at, line.at)), None)
    found = found or next((d for d in kept if _is_same(d, line)), None)
    if found is None:
        return None
    what = f"the decision from {line.before} to {count(line.after, 'replica')}"
    return ComparedMoment(what, found.at, line.at)


def _is_same(seen: Decision, line: Decision) -> bool:
    return (seen.before, seen.after) == (line.before, line.after) and abs(
        seen.at.mid_s - line.at.mid_s
    ) < _SAME_DECISION_S


def _untold(
    change: Decision, seen: Sequence[Decision], lines: Sequence[Decision]
) -> Iterator[Decision]:
    """Parts of a change that polling saw, before, between and behind the lines that tell the others.

    Lines that may belong to another change as well tell nothing of that.
    """
    own = sorted((one for one in lines if agrees(change.at, one.at)), key=lambda d: d.at.mid_s)
    others = [one for one in seen if one is not change]
    if not own or any(agrees(other.at, line.at) for other in others for line in own):
        return
    target, since_s = change.before, change.at.lo_s
    for line in own:
        yield from _part(since_s, line.at.hi_s + line.at.skew_s, target, line.before)
        target, since_s = line.after, max(change.at.lo_s, line.at.lo_s - line.at.skew_s)
    yield from _part(since_s, change.at.hi_s, target, change.after)


def _part(from_s: float, to_s: float, before: int, after: int) -> Iterator[Decision]:
    if before != after:
        yield Decision(Instant(from_s, max(from_s, to_s)), before, after, abs(after - before) > 1)
