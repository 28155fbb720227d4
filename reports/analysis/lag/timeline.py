"""From rows to the lives of replicas and the decisions of the autoscaler, per deployment."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise

import msgspec

from reports.analysis.lag.decisions import same_moment, settled_decisions
from reports.analysis.lag.hidden import hidden_windows
from reports.analysis.lag.log_times import (
    Decision,
    ReplicaLog,
    agrees,
    before_its_effects,
    logged_decisions,
    replica_logs,
)
from reports.analysis.lag.off_clocks import ComparedMoment, off_clocks, off_clocks_of_replicas
from reports.model.intervals import Instant, Window
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import DeploymentKey, Poll, Transition
from scalelag.record.run_info import ClockInfo

_LONG_AGO_S = float("-inf")
_STATE_CLOCK = "times in the state of replicas"
# In turn: a restarted controller looks for it; it takes a new user_config; its node is drained, and it
# serves until another replica does (`DeploymentState` in `ray/serve/_private/deployment_state.py`).
_KEPT = ("RECOVERING", "UPDATING", "PENDING_MIGRATION")
_OF_LOG = ("running", "stopping", "gone")
_OF_ITS_OWN_LOG = ("entered", "initialized", "first_request")
_DOUBTED = "the clock of its log contradicts polling: when its first request came is not known"


class ReplicaLife(msgspec.Struct, frozen=True):
    """Moments at which a replica reached each state; None if it did not, or if unknown.

    `listed`, `allocated`, `running`, `stopping` and `gone` are seen by polling, and points if a log
    tells them. `submitted` is the replica's own field; the others come from logs alone. `shown_*_s`
    is the receive time of the first poll that showed a state, whatever the logs say. `replaced`: a
    new version came in its place. `vanished`: it was last seen before its whole deployment was
    deleted, which hides how its replicas stop. `request_doubt` says why the logged moment of its
    first request is not believed.
    """

    replica: str
    listed: Instant
    node: str | None = None
    submitted: Instant | None = None
    allocated: Instant | None = None
    entered: Instant | None = None
    initialized: Instant | None = None
    running: Instant | None = None
    first_request: Instant | None = None
    stopping: Instant | None = None
    gone: Instant | None = None
    shown_running_s: float | None = None
    shown_stopping_s: float | None = None
    shown_gone_s: float | None = None
    replaced: bool = False
    vanished: bool = False
    request_doubt: str | None = None

    @property
    def begun(self) -> Instant:
        """Moment at which its actor was submitted, else at which it was first listed."""
        return self.submitted or self.listed


class ReplicaPoll(msgspec.Struct, frozen=True):
    """One poll's view of the deployment: replicas RUNNING, all listed, and the target.

    `recovering` replicas run on in another state (`_KEPT`). `foreign`: an update, a deletion or a
    changed configuration moves replicas at this time, and not the autoscaler alone.
    """

    sent_s: float
    received_s: float
    running: int
    listed: int
    target: int | None
    recovering: int = 0
    foreign: bool = False

    @property
    def hidden(self) -> bool:
        """True if RUNNING does not show the effect of the autoscaler alone."""
        return self.recovering > 0 or self.foreign


class Timeline(msgspec.Struct, frozen=True):
    """Everything that is known of one deployment, in the order of time.

    `contradictions` say in words which logged moments lie outside of the polled interval. Polling
    is believed there, since a log's clock is an estimate. A clock most of whose moments contradict
    polling is not believed at all; these are in `off`. `moved_s` are the moments at which something
    other than the autoscaler moved the target. In `hidden` Serve did not show the deployment. In
    `told` the probe had a gap, and `polls` come from logs. In `away` the deployment did not exist.
    """

    polls: tuple[ReplicaPoll, ...]
    decisions: tuple[Decision, ...]
    replicas: tuple[ReplicaLife, ...]
    contradictions: tuple[str, ...] = ()
    moved_s: tuple[float, ...] = ()
    hidden: tuple[Window, ...] = ()
    off: frozenset[str] = frozenset()
    told: tuple[Window, ...] = ()
    away: tuple[Window, ...] = ()

    @property
    def resting(self) -> tuple[Window, ...]:
        """Times in which polls show no replica RUNNING, each until the next poll."""
        return tuple(
            Window(poll.sent_s, after.received_s)
            for poll, after in pairwise(self.polls)
            if not poll.running
        )

    def poll_before(self, at_s: float) -> ReplicaPoll | None:
        """The last poll answered by `at_s`; the first of all if none was."""
        if not self.polls:
            return None
        place = bisect_right(self.polls, at_s, key=lambda poll: poll.received_s)
        return self.polls[max(0, place - 1)]

    def foreign(self) -> tuple[Window, ...]:
        """Times in which Serve did not show it, or others than the autoscaler moved replicas."""
        return (*self.hidden, *self.moved_by_others())

    def moved_by_others(self) -> tuple[Window, ...]:
        """Times in which RUNNING does not show the effect of the autoscaler alone.

        Each is from the last poll before such a time to the first one after.
        """
        found: list[Window] = []
        last: ReplicaPoll | None = None
        hidden = False
        for poll in self.polls:
            if not poll.hidden:
                if hidden and last is not None:
                    found.append(Window(last.received_s, poll.sent_s))
                last = poll
            hidden = poll.hidden
        return tuple(found)

    def poll_sent_by(self, at_s: float) -> ReplicaPoll | None:
        """The last poll sent by `at_s`; None if none was."""
        place = bisect_right(self.polls, at_s, key=lambda poll: poll.sent_s)
        return self.polls[place - 1] if place else None

    def polls_within(self, from_s: float, to_s: float) -> Sequence[ReplicaPoll]:
        """Polls that were over after `from_s` and by `to_s`."""
        low = bisect_right(self.polls, from_s, key=lambda poll: poll.received_s)
        high = bisect_right(self.polls, to_s, key=lambda poll: poll.received_s)
        return self.polls[low:high]


def build_timeline(
    key: DeploymentKey,
    polls: Sequence[Poll],
    transitions: Sequence[Transition],
    events: Sequence[LogEvent] = (),
    clock: ClockInfo | None = None,
) -> Timeline:
    """Timeline of deployment `key` from all rows of a run; `clock` places the cluster's own times."""
    replica_polls = tuple(_replica_polls(key, polls))
    logs = replica_logs(key, events)
    lives = _polled_lives(key, transitions, clock, _deletions(key, polls))
    compared = [
        one for life in lives for _, one in _compared(life, logs.get(life.replica, ReplicaLog()))
    ]
    polled, lines = _decisions(replica_polls), logged_decisions(key, events)
    told = [one for line in lines if (one := same_moment(line, polled, polled)) is not None]
    off = off_clocks([*compared, *told])
    own = off | off_clocks_of_replicas([*compared, *told], off)
    replicas = [_with_log(life, logs.get(life.replica, ReplicaLog()), off, own) for life in lives]
    seen = [before_its_effects(decision, _effects(decision, replicas)) for decision in polled]
    decisions, denied = settled_decisions(seen, lines, off)
    return Timeline(
        polls=replica_polls,
        decisions=tuple(decisions),
        replicas=tuple(replicas),
        contradictions=tuple(_contradiction(one) for one in (*compared, *denied) if one.is_denied),
        hidden=hidden_windows(key, polls),
        off=frozenset(off),
    )


def _submitted(start_time_s: float | None, clock: ClockInfo | None) -> Instant | None:
    """The replica's own field as a moment.

    Its clock differs from that of the controller's log. Both belong to the same machine, but are
    placed by two estimates, whose errors do not cancel.
    """
    if start_time_s is None or clock is None or clock.offset_s is None or clock.error_s is None:
        return None
    at_s = start_time_s - clock.offset_s
    return Instant(at_s, at_s, _STATE_CLOCK, clock.error_s)


def _replica_polls(key: DeploymentKey, polls: Sequence[Poll]) -> Iterator[ReplicaPoll]:
    for poll in polls:
        seen = poll.deployments.get(key)
        if seen is None:
            continue
        yield ReplicaPoll(
            sent_s=poll.sent_s,
            received_s=poll.received_s,
            running=seen.counts.get("RUNNING", 0),
            listed=sum(seen.counts.values()),
            target=seen.target,
            recovering=sum(seen.counts.get(state, 0) for state in _KEPT),
        )


def _deletions(key: DeploymentKey, polls: Sequence[Poll]) -> AbstractSet[float]:
    """Receive times of the polls that were the first not to show the deployment any more."""
    telling = [poll for poll in polls if key not in poll.hidden]
    return {
        new.received_s
        for old, new in pairwise(telling)
        if key in old.deployments and key not in new.deployments
    }


def _decisions(polls: Sequence[ReplicaPoll]) -> list[Decision]:
    decisions: list[Decision] = []
    for old, new in pairwise(polls):
        if old.target is not None and new.target is not None and old.target != new.target:
            at = Instant(old.sent_s, new.received_s)
            decisions.append(Decision(at=at, before=old.target, after=new.target))
    return decisions


def _effects(seen: Decision, lives: Sequence[ReplicaLife]) -> list[tuple[Instant | None, ...]]:
    """Moments of each replica that the decision led to; the first of them came at once."""
    if seen.after > seen.before:
        return [(r.submitted, r.entered, r.initialized, r.running) for r in lives]
    return [(life.stopping, life.gone) for life in lives]


def _polled_lives(
    key: DeploymentKey,
    transitions: Sequence[Transition],
    clock: ClockInfo | None,
    deletions: AbstractSet[float],
) -> list[ReplicaLife]:
    lives: dict[str, ReplicaLife] = {}
    for row in transitions:
        if row.deployment != key:
            continue
        at = Instant(_LONG_AGO_S if row.lo_s is None else row.lo_s, row.hi_s)
        life = lives.get(row.replica)
        if life is None:
            submitted = _submitted(row.start_time_s, clock)
            life = ReplicaLife(replica=row.replica, listed=at, submitted=submitted)
        lives[row.replica] = _advance(life, row, at, deletions)
    return list(lives.values())


def _advance(
    life: ReplicaLife, row: Transition, at: Instant, deletions: AbstractSet[float]
) -> ReplicaLife:
    """Note what `row` shows for the first time; a replica that recovers reaches no state again."""
    new: dict[str, object] = {}
    if row.node is not None and life.allocated is None:
        new |= {"allocated": at, "node": row.node}
    if row.to_state == "RUNNING" and life.running is None:
        new |= {"running": at, "shown_running_s": row.hi_s}
    if row.to_state in ("STOPPING", None) and life.stopping is None:
        new |= {"stopping": at, "shown_stopping_s": row.hi_s}
    if row.to_state is None:
        vanished = life.vanished or row.hi_s in deletions
        new |= {"gone": at, "shown_gone_s": row.hi_s, "vanished": vanished}
    return msgspec.structs.replace(life, **new)


def _compared(life: ReplicaLife, log: ReplicaLog) -> Iterator[tuple[str, ComparedMoment]]:
    """Moments of a replica that polling saw, or has bounds for, beside those of its logs."""
    seen: dict[str, Instant | None] = {
        name: None if life.vanished else getattr(life, name) for name in _OF_LOG
    }
    # It is told to initialize once the controller knows its node.
    placed = (life.allocated or life.listed).lo_s
    starts = Instant(placed, life.shown_running_s or math.inf)
    seen |= {"submitted": life.listed, "entered": starts, "initialized": starts}
    for name, bounds in seen.items():
        told: Instant | None = getattr(log, name)
        if name == "submitted":
            told = life.submitted or told
        if bounds is not None and told is not None:
            what = f"replica {life.replica} {name}"
            yield name, ComparedMoment(what, bounds, told, name in _OF_ITS_OWN_LOG)


def _with_log(
    life: ReplicaLife, log: ReplicaLog, off: AbstractSet[str], own: AbstractSet[str]
) -> ReplicaLife:
    """`life` with the log's moments, except those that polling denies and those of clocks in `off`.

    The clocks in `own` are not believed in logs of replicas.
    """
    told: dict[str, Instant | None] = {
        "submitted": life.submitted or log.submitted,
        "entered": log.entered,
        "initialized": log.initialized,
        "first_request": log.first_request,
    }
    told |= {name: at for name in _OF_LOG if (at := getattr(log, name)) is not None}
    denied = [(name, one) for name, one in _compared(life, log) if one.is_denied]
    gone = {name for name, _ in denied}
    gone |= {name for name, at in told.items() if at is not None and at.clock in off}
    doubted = {one.told.clock for _, one in denied} | own
    gone |= {name for name in _OF_ITS_OWN_LOG if (at := told[name]) and at.clock in doubted}
    reason = _doubt(life, log.first_request, own, [one for _, one in denied])
    if reason is not None:
        gone |= {*_OF_ITS_OWN_LOG}
    new = {name: at for name, at in told.items() if name not in gone}
    new |= {name: None for name in ("submitted", *_OF_ITS_OWN_LOG) if name in gone}
    return msgspec.structs.replace(life, **new, request_doubt=reason)


def _doubt(
    life: ReplicaLife,
    request: Instant | None,
    off: AbstractSet[str],
    denied: Sequence[ComparedMoment],
) -> str | None:
    """Reason not to believe the moment of the first request; None if there is none.

    Polling has no such moment. So two other things decide: whether that clock's other moments agree
    with polling, and when the replica ran.
    """
    if request is None:
        return None
    ran_s = (life.running or life.listed).lo_s
    until_s = math.inf if life.gone is None or life.vanished else life.gone.hi_s
    by_clock = [one for one in denied if one.told.clock == request.clock]
    if request.clock in off or by_clock or not agrees(Instant(ran_s, until_s), request):
        return _DOUBTED
    return None


def _contradiction(moment: ComparedMoment) -> str:
    seen, told = moment.seen, moment.told
    off_s = max(seen.lo_s - told.lo_s, told.hi_s - seen.hi_s)
    source = "its own state" if told.clock == _STATE_CLOCK else "the log"
    return (
        f"log and polling contradict each other on {moment.what}: {source} has it {off_s:.3f} s "
        f"outside of what polling saw (clock error {told.skew_s:.3f} s); polling is believed"
    )
