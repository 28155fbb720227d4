"""One event and one deployment: all that its figures are made from."""

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
    """An event and a deployment. `timeline` is the whole one, which includes the changes by others.

    The event counts as an interval: from its sending to its answer, or by its job's clock. If a
    later event took over before the end, the end is never known.
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
        """The last poll answered before the event; None if it did not show the deployment."""
        earlier = [p for p in self.timeline.polls if p.received_s <= self.begun.lo_s]
        return earlier[-1] if earlier else None

    def is_of(self, app: str | None) -> bool:
        """Return True if the deployment is one of an application."""
        return self.key.startswith(f"{app}/")

    def lives(self, names: AbstractSet[str]) -> list[ReplicaLife]:
        """Replicas of these names."""
        return [life for life in self.timeline.replicas if life.replica in names]

    def old(self) -> frozenset[str]:
        """Replicas that were there at the event: begun, or listed, before it."""
        at_s = self.begun.lo_s
        return frozenset(
            life.replica
            for life in self.timeline.replicas
            if life.begun.hi_s <= at_s and (life.gone is None or life.gone.hi_s > at_s)
        )


class TakenOver(msgspec.Struct, frozen=True):
    """Something that changed the deployment into another one: in words, and when it was noticed."""

    what: str
    at: Instant


class Crossing(msgspec.Struct, frozen=True):
    """The first poll that shows something, and the moment: between the poll before and this one."""

    poll: ReplicaPoll
    at: Instant


def moment_of(row: EventRow) -> Instant:
    """Moment of an event: between its sending and its answer, as far as clocks tell."""
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
