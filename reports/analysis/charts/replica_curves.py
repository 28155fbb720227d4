"""Replicas over time: their number by state, the life of each, and the decisions."""

import math
from collections.abc import Iterator, Mapping, Sequence

from reports.analysis.lag.timeline import ReplicaLife, Timeline
from reports.model.charts import (
    BarState,
    DecisionMark,
    ReplicaBar,
    ReplicaCurve,
    Stretch,
)
from reports.model.intervals import Instant
from scalelag.record.rows import DeploymentKey, DeploymentPoll, Poll

# A replica that waits for its successor on another node is on its way out.
_LEAVING = ("STOPPING", "PENDING_MIGRATION")

_Numbers = tuple[int, int, int, int | None]
_Seen = tuple[float, int, int, int, int | None]
_GONE: _Numbers = (0, 0, 0, None)


def replica_curve(
    key: DeploymentKey, polls: Sequence[Poll], zero_s: float, most: int
) -> tuple[ReplicaCurve, bool]:
    """Replicas of `key` by state, at `most` moments; True if some had to be left out for that."""
    changes = list(_changes(key, polls, zero_s))
    kept = _thinned(changes, most) if len(changes) > most else changes
    curve = ReplicaCurve(
        times_s=tuple(seen[0] for seen in kept),
        starting=tuple(seen[1] for seen in kept),
        running=tuple(seen[2] for seen in kept),
        stopping=tuple(seen[3] for seen in kept),
        target=tuple(seen[4] for seen in kept),
    )
    return curve, len(kept) < len(changes)


def _changes(key: DeploymentKey, polls: Sequence[Poll], zero_s: float) -> Iterator[_Seen]:
    """Polls that show a change of the deployment, with the first and the last that show it.

    From the first poll without it, it is gone and has no replicas.
    """
    last: _Seen | None = None
    seen: _Seen | None = None
    for poll in polls:
        found = poll.deployments.get(key)
        if found is None and (last is None or key in poll.hidden):
            continue
        numbers: _Numbers = _GONE if found is None else counted(found)
        seen = (max(0.0, poll.received_s - zero_s), *numbers)
        if last is None or seen[1:] != last[1:]:
            yield seen
            last = seen
    if seen is not None and last is not None and seen[0] > last[0]:
        yield seen


def counted(found: DeploymentPoll) -> _Numbers:
    """Replicas starting, RUNNING and stopping, and the target."""
    running = found.counts.get("RUNNING", 0)
    stopping = sum(found.counts.get(state, 0) for state in _LEAVING)
    return sum(found.counts.values()) - running - stopping, running, stopping, found.target


def _thinned(changes: Sequence[_Seen], most: int) -> list[_Seen]:
    """The first, the last, and in each equal part of the time the fewest and the most RUNNING."""
    first_s, last_s = changes[0][0], changes[-1][0]
    parts = max(1, (most - 2) // 2)
    extremes: dict[int, tuple[int, int]] = {}
    for place, seen in enumerate(changes):
        part = min(parts - 1, int((seen[0] - first_s) / (last_s - first_s or 1.0) * parts))
        low, high = extremes.get(part, (place, place))
        extremes[part] = (
            place if seen[2] < changes[low][2] else low,
            place if seen[2] > changes[high][2] else high,
        )
    kept = {0, len(changes) - 1, *(place for pair in extremes.values() for place in pair)}
    return [changes[place] for place in sorted(kept)]


def replica_bars(
    timeline: Timeline,
    critical: Mapping[str, Sequence[int]],
    log_files: Mapping[str, str],
    zero_s: float,
    end_s: float,
) -> list[ReplicaBar]:
    """Replicas in the order of their begin; `critical` has steps, `log_files` logs by replica."""
    bars = [
        ReplicaBar(
            replica=life.replica,
            node=life.node,
            stretches=tuple(_stretches(life, zero_s, end_s)),
            critical_in=tuple(critical.get(life.replica, ())),
            log_file=log_files.get(life.replica),
        )
        for life in timeline.replicas
    ]
    known = [bar for bar in bars if bar.stretches]
    return sorted(known, key=lambda bar: (bar.stretches[0].from_s, bar.replica))


def _stretches(life: ReplicaLife, zero_s: float, end_s: float) -> Iterator[Stretch]:
    """Each state until the next that is known; moments known to an interval count as its middle."""
    begun: tuple[tuple[BarState, Instant | None], ...] = (
        ("allocate", life.begun),
        ("initialize", life.entered or life.allocated),
        ("mark_running", life.initialized),
        ("RUNNING", life.running),
        ("STOPPING", life.stopping),
    )
    gone_s = _after_zero(life.gone, zero_s, end_s) if life.gone else end_s
    known: list[tuple[BarState, float]] = [
        (state, _after_zero(at, zero_s, end_s)) for state, at in begun if at is not None
    ]
    ends_s = [*(from_s for _, from_s in known[1:]), gone_s]
    for (state, from_s), to_s in zip(known, ends_s, strict=True):
        if to_s > from_s:
            yield Stretch(state, from_s, to_s)


def _after_zero(at: Instant, zero_s: float, end_s: float) -> float:
    """Seconds after the plan's start; what the first poll found there was there before it."""
    middle_s = at.mid_s if math.isfinite(at.lo_s) else at.lo_s
    return min(max(0.0, middle_s - zero_s), end_s)


def some_bars(bars: Sequence[ReplicaBar], most: int) -> list[ReplicaBar]:
    """At most `most`: the critical ones, and others evenly from all of the run."""
    if len(bars) <= most:
        return list(bars)
    critical = [place for place, bar in enumerate(bars) if bar.critical_in][:most]
    others = [place for place, bar in enumerate(bars) if not bar.critical_in]
    room = most - len(critical)
    spread = {others[i * len(others) // room] for i in range(room)} if others and room else set()
    return [bars[place] for place in sorted({*critical, *spread})]


def decision_marks(timeline: Timeline, zero_s: float) -> list[DecisionMark]:
    """The decisions since the plan's start, by time."""
    return [
        DecisionMark(
            at_s=decision.at.mid_s - zero_s,
            lo_s=decision.at.lo_s - zero_s,
            hi_s=decision.at.hi_s - zero_s,
            before=decision.before,
            after=decision.after,
        )
        for decision in timeline.decisions
        if decision.at.mid_s >= zero_s
    ]
