"""The effect of an event on one deployment: durations, and the replicas that came."""

from collections.abc import Sequence

from reports.analysis.events.ends import ends_of, later_loss
from reports.analysis.events.subject import Subject, moment_of
from reports.analysis.events.whole import Ends
from reports.analysis.lag.phases import event_phases
from reports.analysis.lag.timeline import ReplicaLife
from reports.model.events import EventEffect, StartsReport
from reports.model.intervals import Instant, Span, between, longer_than, stat
from reports.model.steps import Phase, PhaseName, measured_phase
from scalelag.record.event_rows import EventRow


def effect_of(subject: Subject) -> EventEffect | None:
    """Effect of the event on the deployment; None if it does not concern it."""
    ends = ends_of(subject)
    if ends is None:
        return None
    until_s = _until_s(subject, ends)
    arrived = _came(subject, until_s)
    later = later_loss(subject)
    came = _own(subject, ends, arrived, later)
    phased = {life.replica: _phases(subject, ends, life, until_s) for life in came}
    span = _end_span(subject, ends, until_s)
    critical = ends.critical.replica if ends.critical else None
    if ends.critical in arrived and critical not in phased:
        critical = came[-1].replica if came else None
    polls = [
        poll.running
        for poll in subject.timeline.polls
        if subject.begun.lo_s <= poll.received_s <= until_s
    ]
    return EventEffect(
        detect_s=ends.detected and between(subject.begun, ends.detected),
        healed_s=None if ends.updates else span,
        updated_s=span if ends.updates else None,
        censored=span is not None and span.hi is None,
        reason=ends.reason or (later and _kept_open(later, until_s)),
        target=_target(subject, until_s),
        lost=() if ends.updates else tuple(sorted(ends.lost)),
        critical_replica=critical,
        phases=phased.get(critical or "", ()),
        least_running=min(polls, default=None),
        most_running=max(polls, default=None),
        starts=_starts(subject, came, list(phased.values())),
    )


def _end_span(subject: Subject, ends: Ends, until_s: float) -> Span | None:
    """Duration of the event, censored without an end; None if not even its beginning was seen."""
    if ends.over is not None:
        return between(subject.begun, ends.over.not_before(subject.begun.lo_s))
    if ends.detected is None and ends.updates:
        return None
    sure_s = until_s if ends.unseen_s is None else ends.unseen_s
    return longer_than(max(0.0, sure_s - subject.begun.hi_s))


def _until_s(subject: Subject, ends: Ends) -> float:
    if ends.over is not None:
        return max(ends.over.hi_s, _shown_s(ends))
    if subject.taken_over is not None:
        return subject.taken_over.at.lo_s
    polls = subject.timeline.polls
    return polls[-1].received_s if polls else subject.begun.hi_s


def _shown_s(ends: Ends) -> float:
    """Receive time of the poll that showed the last replica; the log may tell of it earlier."""
    return (ends.critical and ends.critical.shown_running_s) or 0.0


def _target(subject: Subject, until_s: float) -> int | None:
    poll = subject.timeline.poll_before(until_s)
    return poll.target if poll else None


def _came(subject: Subject, until_s: float) -> list[ReplicaLife]:
    """Replicas that came RUNNING between the event and its end, in that order."""
    old = subject.old()
    came = [
        life
        for life in subject.timeline.replicas
        if life.replica not in old
        and life.running is not None
        and life.running.mid_s <= until_s
        and life.running.hi_s > subject.begun.lo_s
    ]
    return sorted(came, key=lambda life: life.running.mid_s if life.running else 0.0)


def _own(
    subject: Subject, ends: Ends, came: Sequence[ReplicaLife], later: EventRow | None
) -> list[ReplicaLife]:
    """The replicas that came for this event.

    Those begun before a later loss are its own, and so are as many as it asked for. Others replace
    what the later loss took.
    """
    needed = _needed(subject, ends)
    if later is None or needed is None:
        return list(came)
    first = sorted(came, key=lambda life: life.begun.mid_s)[:needed]
    lost_s = moment_of(later).lo_s
    return [life for life in came if life in first or life.begun.hi_s <= lost_s]


def _needed(subject: Subject, ends: Ends) -> int | None:
    """Replicas that the event asked for; None if that is not a fixed number."""
    if subject.row.kind == "scale":
        return max(0, (subject.row.count or 0) - (subject.before.listed if subject.before else 0))
    return len(ends.lost) if ends.lost and not ends.updates else None


def _kept_open(later: EventRow, until_s: float) -> str | None:
    """Sentence on a later loss before the end, whose replicas had to be replaced as well."""
    if moment_of(later).lo_s >= until_s:
        return None
    return f"event {later.index} ({later.text}) took replicas before it was over"


def _phases(subject: Subject, ends: Ends, life: ReplicaLife, until_s: float) -> tuple[Phase, ...]:
    detected = ends.detected
    if detected is not None and detected.lo_s > life.begun.hi_s:
        detected = None
    last = subject.timeline.polls[-1].received_s if subject.timeline.polls else until_s
    return event_phases(subject.begun, last, detected, life).phases


def _starts(
    subject: Subject, came: Sequence[ReplicaLife], phased: Sequence[tuple[Phase, ...]]
) -> StartsReport | None:
    if not came:
        return None
    totals = [between(subject.begun, _running(life)) for life in came]
    longest_s = max(_running(life).mid_s for life in came) - subject.begun.mid_s
    return StartsReport(
        replicas=len(came),
        replicas_per_s=len(came) / longest_s if longest_s > 0 else None,
        create_s=stat(_spans(phased, "create")),
        allocate_s=stat(_spans(phased, "allocate")),
        initialize_s=stat(_spans(phased, "initialize")),
        mark_running_s=stat(_spans(phased, "mark_running")),
        route_s=stat(_spans(phased, "route")),
        total_s=stat(totals),
    )


def _running(life: ReplicaLife) -> Instant:
    if life.running is None:
        raise TypeError("only replicas that came RUNNING are counted")
    return life.running


def _spans(phased: Sequence[tuple[Phase, ...]], name: PhaseName) -> list[Span]:
    found = [measured_phase(phases, name) for phases in phased]
    return [Span(one.value, one.lo, one.hi) for one in found if one and one.lo is not None]
