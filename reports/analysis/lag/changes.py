"""Changes of one deployment during a run by somebody else than its autoscaler."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from reports.analysis.lag.log_times import narrowed
from reports.analysis.lag.updates import DELETES, Update, updates_of
from reports.model.intervals import Instant, Window
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import scaling_of
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import (
    CapacityChange,
    ConfigChange,
    DeploymentKey,
    DeploymentPoll,
    Poll,
    StatusChange,
)
from scalelag.record.run_dir import RecordedRun

_READY = ("HEALTHY", "UPSCALING", "DOWNSCALING")
_FOREVER_S = math.inf


class Absence(msgspec.Struct, frozen=True):
    """Time in which a deployment was deleted; `back` is None if it was not deployed again.

    It counts as there from `ready_s` on, the first poll that shows it HEALTHY. With `never_ready`
    it was gone again at `ready_s`, before it was HEALTHY. With `from_start` it was not there yet
    when watching began, at `gone`.
    """

    gone: Instant
    back: Instant | None = None
    ready_s: float = _FOREVER_S
    from_start: bool = False
    never_ready: bool = False

    def what(self, zero_s: float) -> str:
        """`was deleted at 39.8 s`, in seconds after `zero_s`."""
        if self.from_start:
            until = f"until {self.back.mid_s - zero_s:.1f} s" if self.back else "from the start"
            return f"was not there {until}"
        return f"was deleted at {self.gone.mid_s - zero_s:.1f} s"

    @property
    def window(self) -> Window:
        """From the last poll that showed it to the first one that shows it HEALTHY again."""
        return Window(self.gone.lo_s, self.ready_s)


class Changes(msgspec.Struct, frozen=True):
    """All changes of one deployment, each kind by time. `deployed` is its first configuration."""

    zero_s: float
    deployed: DeploymentInfo | None = None
    configs: tuple[ConfigChange, ...] = ()
    updates: tuple[Update, ...] = ()
    absences: tuple[Absence, ...] = ()
    capacities: tuple[CapacityChange, ...] = ()

    def info_at(self, at_s: float) -> DeploymentInfo | None:
        """Configuration in force at a moment, as far as polls had shown it by then.

        The drain time of an ingress comes from the cluster's environment, which is read only when a
        run starts.
        """
        shown = [row.info for row in self.configs if row.hi_s <= at_s]
        if not shown:
            return self.deployed
        return shown[-1] if shown[-1].is_ingress is False else _with_drain(shown[-1], self.deployed)

    def absence_at(self, at_s: float) -> Absence | None:
        """Absence that a moment lies in; None if the deployment was there."""
        return next((a for a in self.absences if a.gone.lo_s <= at_s < a.ready_s), None)

    def absence_between(self, since_s: float, until_s: float) -> Absence | None:
        """The first absence that began between two moments; None if there is none."""
        return next((a for a in self.absences if since_s < a.gone.lo_s <= until_s), None)

    def there_around(self, at_s: float) -> Window:
        """Time around a moment in which the deployment was there without an absence."""
        from_s = max((a.ready_s for a in self.absences if a.ready_s <= at_s), default=-_FOREVER_S)
        ended = [a.gone.lo_s for a in self.absences if a.gone.lo_s > at_s]
        return Window(from_s, min(ended, default=_FOREVER_S))

    def unlike_between(self, from_s: float, to_s: float) -> str | None:
        """Sentence on the first change in a time; figures after it mean something else."""
        found = [
            (row.lo_s, row.hi_s, "its configuration changed")
            for row in self.configs
            if row.lo_s < to_s and row.hi_s > from_s
        ]
        found += [
            (update.begun.lo_s, update.begun.hi_s, "a new version of it came")
            for update in self.updates
            if not update.told and update.window.from_s < to_s and update.window.to_s > from_s
        ]
        if not found:
            return None
        lo_s, hi_s, what = min(found)
        return f"{what} at {_middle_s(lo_s, hi_s) - self.zero_s:.1f} s"


def _middle_s(lo_s: float, hi_s: float) -> float:
    return (lo_s + hi_s) / 2 if math.isfinite(lo_s) else hi_s


def changes_of(run: RecordedRun, key: DeploymentKey) -> Changes:
    """All changes of the watched deployment `key`.

    Absences are read from the polls, which older records have too.
    """
    statuses = [row for row in run.statuses if row.deployment == key]
    events = [event for event in run.events if event.deployment == key]
    absences = tuple(_absences(run.polls, key, statuses, events))
    deployed = run.info.target.deployments.get(key)
    configs = tuple(
        ConfigChange(key, row.lo_s, row.hi_s, _with_drain(row.info, deployed), row.changed)
        for row in run.configs
        if row.deployment == key
    )
    return Changes(
        zero_s=run.info.zero_s,
        deployed=deployed,
        configs=configs,
        updates=updates_of(
            run,
            key,
            configs,
            coming=[Window(a.back.lo_s, a.ready_s) for a in absences if a.back],
            gone=[absence.gone for absence in absences],
        ),
        absences=absences,
        capacities=run.capacities,
    )


def since(changes: Changes) -> tuple[str, ...]:
    """Texts on changes that are still in effect at the end: of the bounds, or a deletion."""
    found: list[str] = []
    if changes.deployed is not None and changes.configs:
        before, last = scaling_of(changes.deployed), changes.configs[-1]
        after = scaling_of(last.info)
        if (before.least, before.most) != (after.least, after.most):
            at_s = _middle_s(last.lo_s, last.hi_s) - changes.zero_s
            found.append(f"{after.least} to {after.most} since {at_s:.1f} s")
    gone = [absence for absence in changes.absences if absence.back is None]
    return (*found, *(absence.what(changes.zero_s) for absence in gone))


def last_infos(run: RecordedRun) -> dict[DeploymentKey, DeploymentInfo]:
    """The last configuration of each deployment."""
    infos = dict(run.info.target.deployments)
    return infos | {row.deployment: row.info for row in run.configs}


def _with_drain(info: DeploymentInfo, deployed: DeploymentInfo | None) -> DeploymentInfo:
    """Keep the draining period, which polls do not show in HAProxy mode."""
    if deployed is None or info.least_drain_s is not None:
        return info
    return msgspec.structs.replace(info, least_drain_s=deployed.least_drain_s)


def _absences(
    polls: Sequence[Poll],
    key: DeploymentKey,
    statuses: Sequence[StatusChange],
    events: Sequence[LogEvent],
) -> Iterator[Absence]:
    """Absences as polls show them; the log narrows their beginnings."""
    seen = [(poll, poll.deployments.get(key)) for poll in polls if key not in poll.hidden]
    if not seen:
        return
    begun_s = seen[0][0].sent_s
    first = next((i for i, (_, now) in enumerate(seen) if now is not None), None)
    since_start = narrowed(Instant(begun_s, begun_s), events, "deleting")
    if first is None:
        yield Absence(since_start, from_start=True)
    elif first:
        deployed = Instant(seen[first - 1][0].sent_s, seen[first][0].received_s)
        yield _back(Absence(since_start, deployed, from_start=True), seen[first:])
    for number, ((last, was), (first, now)) in enumerate(pairwise(seen), start=1):
        if was is not None and now is None:
            seen_going = _deleting(statuses, last) or Instant(last.sent_s, first.received_s)
            gone = narrowed(seen_going, events, "deleting")
            back = next((i for i in range(number, len(seen)) if seen[i][1] is not None), None)
            if back is None:
                yield Absence(gone)
            else:
                deployed = Instant(seen[back - 1][0].sent_s, seen[back][0].received_s)
                yield _back(Absence(gone, deployed), seen[back:])


def _deleting(statuses: Sequence[StatusChange], last: Poll) -> Instant | None:
    """Moment at which its status became DELETING; None if the last poll that showed it had another."""
    shown = [row for row in statuses if row.hi_s <= last.received_s]
    if not shown or shown[-1].trigger != DELETES or shown[-1].lo_s is None:
        return None
    return Instant(shown[-1].lo_s, shown[-1].hi_s)


def _back(absence: Absence, seen: Sequence[tuple[Poll, DeploymentPoll | None]]) -> Absence:
    """The absence until the first poll that shows the deployment HEALTHY, or gone again."""
    for poll, now in seen:
        if now is None or now.status in _READY:
            return msgspec.structs.replace(
                absence, ready_s=poll.received_s, never_ready=now is None
            )
    return absence
