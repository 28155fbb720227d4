"""One event and one deployment: everything that its figures are made of."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from itertools import pairwise

import msgspec

from reports.analysis.lag.changes import Changes
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll, Timeline
from reports.model.intervals import Instant
from scalelag.record.event_rows import EventRow
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun


class Subject(msgspec.Struct, frozen=True):
    """An event and a deployment. `timeline` is the whole one, also with what others changed.

    The event counts as an interval: from its sending to its answer, or by the clock of its job. What
    was not over when a later event took over is never told any more.
    """

    run: RecordedRun
    row: EventRow
    key: DeploymentKey
    timeline: Timeline
    changes: Changes
    taken_over: "TakenOver | None" = None

    @property
    def begun(self) -> Instant:
        """The moment of the event."""
        return moment_of(self.row)

    @property
    def before(self) -> ReplicaPoll | None:
        """The last poll that was answered before the event; None if it was not there."""
        earlier = [p for p in self.timeline.polls if p.received_s <= self.begun.lo_s]
        return earlier[-1] if earlier else None

    def is_of(self, app: str | None) -> bool:
        """Return True if the deployment is one of an application."""
        return self.key.startswith(f"{app}/")

    def lives(self, names: AbstractSet[str]) -> list[ReplicaLife]:
        """Replicas of these names."""
        return [life for life in self.timeline.replicas if life.replica in names]

    def old(self) -> frozenset[str]:
        """Replicas that were there when it happened: begun, or listed, before it."""
        at_s = self.begun.lo_s
        return frozenset(
            life.replica
            for life in self.timeline.replicas
            if life.begun.hi_s <= at_s and (life.gone is None or life.gone.hi_s > at_s)
        )


class TakenOver(msgspec.Struct, frozen=True):
    """Something that made another deployment of it, in words, and when that was noticed."""

    what: str
    at: Instant


class Crossing(msgspec.Struct, frozen=True):
    """The first poll that shows something, and the moment: after the poll before, by this one."""

    poll: ReplicaPoll
    at: Instant


def moment_of(row: EventRow) -> Instant:
    """Moment of an event: within it and its answer, as far as clocks tell."""
    return Instant(row.begun_s - row.skew_s, (row.ended_s or row.begun_s) + row.skew_s)


def first_poll(
    subject: Subject, shows: Callable[[ReplicaPoll], bool], from_s: float | None = None
) -> Crossing | None:
    """First poll answered after the event, or after `from_s`, that `shows` it; None without one."""
    begun_s = subject.begun.lo_s
    after_s = begun_s if from_s is None else from_s
    polls = subject.timeline.polls
    last_s = begun_s
    for old, new in pairwise((None, *polls)):
        if new is None or new.received_s <= after_s:
            continue
        last_s = max(begun_s, old.sent_s) if old is not None else begun_s
        if shows(new):
            return Crossing(new, Instant(last_s, new.received_s))
    return None


def is_shown_running(life: ReplicaLife, at_s: float) -> bool:
    """Return True if the poll received at `at_s` shows a replica RUNNING, or would."""
    if life.shown_running_s is None or life.shown_running_s > at_s:
        return False
    return life.shown_stopping_s is None or life.shown_stopping_s > at_s
