"""Facts about one step, gathered once from all rows of a run: the input of a diagnosis."""

from math import sqrt

import msgspec

from probes.cluster_status import demand_resources
from reports.analysis.diagnosis.front import Front
from reports.analysis.diagnosis.replayed import Replayer
from reports.analysis.lag.changes import Absence
from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.policy import Policy
from reports.analysis.lag.step_lag import StepLag
from reports.analysis.lag.timeline import ReplicaLife, Timeline
from reports.analysis.load.concurrency import Concurrency
from reports.analysis.seen.requests_at import RequestsAt
from reports.model.causes import Evidence
from reports.model.controller import DEFAULT_LOOP_S
from reports.model.intervals import Instant, Span, between, in_order, point
from reports.model.steps import DelayReport, FloorReport
from scalelag.plan.stages import LoadStep
from scalelag.record.effective import asked_by_replica
from scalelag.record.evidence_rows import ClusterSnapshot, LogEvent, LogKind
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentKey, StatusChange
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import DeploymentInfo

_MATCH = 0.01
_FOREVER_S = float("inf")
WANTS_MORE = 1.1
"""Open requests fluctuate: more replicas are wanted only above this multiple of the target."""

FAILED_CHECKS: tuple[LogKind, ...] = ("health_check_failed", "health_check_timed_out")
"""Lines on single checks; Serve gives a replica up after 3 in a row."""

_LOOPS = 4
_LOST_S = 1.0
_TREND_S = 1.0
_MOMENT_S = 0.25
_BY_CHANCE = 3.0


class Wait(msgspec.Struct, frozen=True):
    """A replica that waited for its place, from its submission until it began to initialise."""

    life: ReplicaLife
    from_s: float
    to_s: float
    over: bool
    took: Span

    @property
    def seconds(self) -> float:
        """Seconds that it waited so far."""
        return self.to_s - self.from_s


class StepFacts(msgspec.Struct, frozen=True):
    """One step of one deployment, and what was recorded from its start until `until_s`.

    `begun_s`, `ended_s` (of its hold) and `until_s` are Unix seconds on the load generator's clock,
    as are all times in `run`. `ongoing` is the mean number of open requests that the policy was
    given in the last quarter of the hold, `ongoing_earlier` in the quarter before. Both are None if
    `requests` does not know them. `policy` was in force at the step, `last_policy` at the end of
    the hold. With an `absence` the hold ends where the deployment was deleted; the load's hold ends
    at `hold_ended_s`. Requests pass `fronts` before this deployment; `beside` may delay them as
    well; `own` is this deployment itself, as a front. `unwatched` fronts also stand before it.
    `replay` asks Ray's own policy for its decisions.
    """

    key: DeploymentKey
    run: RecordedRun
    timeline: Timeline
    step: LoadStep
    lag: StepLag
    floor: FloorReport | None
    delay: DelayReport | None
    info: DeploymentInfo | None
    policy: Policy | None
    begun_s: float
    ended_s: float
    ongoing: float | None
    loop_s: float | None
    ongoing_earlier: float | None = None
    until_s: float = _FOREVER_S
    last_policy: Policy | None = None
    absence: Absence | None = None
    hold_ended_s: float | None = None
    requests: RequestsAt = RequestsAt()
    fronts: tuple[Front, ...] = ()
    beside: tuple[Front, ...] = ()
    own: Front | None = None
    replay: Replayer | None = None
    unwatched: tuple[DeploymentKey, ...] = ()

    @property
    def rows(self) -> RequestColumns:
        """Requests that may have been for its application; all of the run if that is not known."""
        return self.run.requests if self.requests.rows is None else self.requests.rows

    @property
    def concurrency(self) -> Concurrency | None:
        """Open requests of the application at the client; None if they cannot be told."""
        return self.requests.client

    @property
    def answered_s(self) -> float:
        """Moment at which the step was answered for good, or the end of its hold."""
        total = self.lag.total_s
        if total is None or total.value is None:
            return self.ended_s
        return max(self.begun_s + total.value, self._lost_again_until_s())

    def _lost_again_until_s(self) -> float:
        """End of a loss, lasting 1 s or more, of replicas that the step had reached already.

        It is the beginning of the step if none was lost.
        """
        settled, total = self.lag.target_after, self.lag.total_s
        if self.step.direction != "up" or settled is None or total is None or total.value is None:
            return self.begun_s
        after = self.timeline.polls_within(self.begun_s + total.value, self.ended_s)
        short = [p.received_s for p in after if p.running < settled and not p.foreign]
        lost_again = bool(short) and short[-1] - short[0] >= _LOST_S
        return short[-1] if lost_again else self.begun_s

    @property
    def by_s(self) -> float:
        """End of the time that counts."""
        return min(self.until_s, self.ended_s)

    @property
    def lag_s(self) -> float:
        """Seconds until the step was answered, or until the end of its hold."""
        return self.answered_s - self.begun_s

    @property
    def is_late(self) -> bool:
        """True if it took longer than the configuration explains, or replicas were lost again.

        A step without a new replica is late if more were wanted at the end of its hold.
        """
        total = self.lag.total_s
        if total is None:
            return self.step.direction == "up" and self.wants_more
        if self._lost_again_until_s() > self.begun_s:
            return True
        return total.value is None or self.late_s is None or self.late_s > 0.0

    @property
    def is_unseen(self) -> bool:
        """True if no poll shows anything of its hold."""
        return not self.timeline.polls_within(self.begun_s, self.ended_s)

    @property
    def late_s(self) -> float | None:
        """Seconds that it certainly took longer than the configuration explains; None if unknown.

        A mean that rises with the load may lead to several decisions, the last up to one look-back
        later. The floor includes a slow loop, which is not configuration and so is taken out here.
        """
        total, floor = self.lag.total_s, self.floor
        if total is None or floor is None or self.policy is None:
            return None
        slow_s = _LOOPS * max(0.0, (self.loop_s or DEFAULT_LOOP_S) - DEFAULT_LOOP_S)
        ended_s = self.begun_s + total.lo
        decided = [d for d in self.decisions(up=self.step.direction == "up") if d.at.lo_s < ended_s]
        rising_s = self.policy.look_back_period_s if len(decided) > 1 else 0.0
        return total.lo - (floor.worst_s - slow_s + rising_s)

    @property
    def is_on_time(self) -> bool:
        """True if it certainly took no longer than the configuration explains."""
        total, floor, late_s = self.lag.total_s, self.floor, self.late_s
        if total is None or total.hi is None or floor is None or late_s is None or self.is_late:
            return False
        return late_s + total.hi - total.lo + floor.total_s - floor.least_s <= 0.0

    @property
    def final_policy(self) -> Policy | None:
        """The policy in force at the end of the hold."""
        return self.last_policy or self.policy

    @property
    def wanted(self) -> float | None:
        """Replicas that the open requests at the end of the hold ask for, not rounded."""
        if self.ongoing is None or self.final_policy is None or not self.final_policy.default:
            return None
        return self.ongoing / self.final_policy.target_ongoing_requests

    @property
    def demand(self) -> int | None:
        """The same, rounded as the policy does."""
        if self.ongoing is None or self.final_policy is None or not self.final_policy.default:
            return None
        return self.final_policy.demand_of(self.ongoing)

    @property
    def wants_more(self) -> bool:
        """True if more replicas were wanted than were RUNNING."""
        running, wanted = self.lag.replicas_after, self.wanted
        return running is not None and wanted is not None and wanted > running * WANTS_MORE

    @property
    def is_worked_off(self) -> bool:
        """True if the open requests shrink so fast that they are a backlog, and soon gone.

        That is judged by the last two quarters of the hold, or by the time since the step was
        answered.
        """
        policy, running, earlier = self.final_policy, self.lag.replicas_after, self.ongoing_earlier
        if self.ongoing is None or policy is None or running is None or earlier is None:
            return False
        room = running * policy.target_ongoing_requests
        return 2 * self.ongoing - earlier < room or self._shrinks_to(room)

    def _shrinks_to(self, room: float) -> bool:
        """Return True if few are left soon, by how they shrank since the step was answered.

        The mean of a quarter hides a backlog that new replicas work off in seconds. A change by
        less than three times the root of the number may be chance, and is no trend.
        """
        opened, from_s, to_s = self.requests.client, self.answered_s, self.ended_s
        if opened is None or self.requests.whose != "client" or to_s - from_s < _TREND_S:
            return False
        half, at_end = (opened.mean(at_s - _MOMENT_S, at_s) for at_s in ((from_s + to_s) / 2, to_s))
        if half is None or at_end is None or half - at_end < _BY_CHANCE * sqrt(half):
            return False
        return 2 * at_end - half < room

    @property
    def is_missed(self) -> bool:
        """True if the target never rose, and more replicas were wanted, and allowed, at the end."""
        return self.may_be_missed and self.wants_more and not self.is_worked_off

    @property
    def may_be_missed(self) -> bool:
        """True if the target never rose, and more replicas were allowed."""
        policy, running = self.final_policy, self.lag.replicas_after
        is_up = self.lag.unmoved and self.step.direction == "up"
        return is_up and policy is not None and (running or 0) < policy.max_replicas

    @property
    def is_untold(self) -> bool:
        """True if the target never rose, and the known gauges do not cover the end of this hold."""
        policy = self.final_policy
        return (
            self.may_be_missed
            and policy is not None
            and policy.default
            and self.ongoing is None
            and self.requests.given is not None
        )

    @property
    def is_absent(self) -> bool:
        """True if the deployment was deleted, or not there yet, when the step came."""
        return self.absence is not None and self.absence.gone.lo_s <= self.begun_s

    @property
    def noticed_s(self) -> float:
        """Longest time, in seconds, until the autoscaler knows that it wants other replicas."""
        return self.policy.noticed_s(self.loop_s) if self.policy else _FOREVER_S

    @property
    def asked(self) -> dict[str, float]:
        """Resources that one replica asks for; empty if unknown."""
        return asked_by_replica(self.info) if self.info else {}

    def until(self, at_s: float) -> "StepFacts":
        """The same step, up to `at_s` only."""
        return self._with(until_s=at_s)

    def with_hold_until(self, ended_s: float) -> "StepFacts":
        """The same step, as if its hold lasted until `ended_s`."""
        return self._with(ended_s=ended_s)

    def while_gone(self, absence: Absence) -> "StepFacts":
        """The same step, as if its hold was the part in which the deployment was gone."""
        gone = absence.window
        return self._with(
            begun_s=max(self.begun_s, gone.from_s), ended_s=min(self.ended_s, gone.to_s)
        )

    def _with(self, **moments_s: float) -> "StepFacts":
        return msgspec.structs.replace(self, **moments_s)

    def within(self, at_s: float) -> bool:
        """Return True if `at_s` is within the time that is judged."""
        return self.begun_s <= at_s <= self.by_s

    def at(self, unix_s: float) -> float:
        """Seconds since the plan's start."""
        return unix_s - self.run.info.zero_s

    def config(self, name: str, default: object) -> object:
        """A setting of the deployment outside of its autoscaling, as deployed."""
        value = self.info.config.get(name) if self.info else None
        return default if value is None else value

    def now(self, name: str) -> str:
        """` from 2`, for a setting of the autoscaling policy; empty if unknown."""
        value = getattr(self.final_policy, name, None)
        return "" if value is None else f" from {value:g}"

    def critical(self) -> ReplicaLife | None:
        """The replica that the step waited for; None for a step down."""
        name = self.lag.critical_replica
        if self.step.direction != "up" or name is None:
            return None
        return next((life for life in self.timeline.replicas if life.replica == name), None)

    def decisions(self, *, up: bool) -> list[Decision]:
        """The autoscaler's decisions in one direction."""
        return [
            d
            for d in self.timeline.decisions
            if self.within(d.at.mid_s) and (d.after > d.before) == up
        ]

    def events(self, *kinds: LogKind) -> list[LogEvent]:
        """Lines of these kinds about this deployment, or about none."""
        return [
            event
            for event in self.run.events
            if event.kind in kinds
            and self.within(event.at_s)
            and event.deployment in (None, self.key)
        ]

    def statuses(self) -> list[StatusChange]:
        """Changes of the deployment's status and message."""
        return [
            row for row in self.run.statuses if row.deployment == self.key and self.within(row.hi_s)
        ]

    def waits(self) -> list[Wait]:
        """Replicas that waited for their place, the longest first."""
        waits = [self._wait(life) for life in self.timeline.replicas]
        found = [wait for wait in waits if wait is not None]
        return sorted(found, key=lambda wait: -wait.seconds)

    def _wait(self, life: ReplicaLife) -> Wait | None:
        from_s = max(life.begun.mid_s, self.begun_s)
        ended = life.entered or life.allocated or life.stopping
        to_s = min(ended.mid_s if ended else self.by_s, self.by_s)
        if from_s >= to_s:
            return None
        over = ended is not None and ended.mid_s <= self.by_s
        end = ended if ended and over else self.unfinished(ended)
        took = between(*self.ordered(life.begun.not_before(self.begun_s), end))
        return Wait(life, from_s, to_s, over, took)

    def unfinished(self, end: Instant | None) -> Instant:
        """Moment up to which something is known to have gone on that ends later, or never."""
        return Instant(min(end.lo_s, self.by_s), self.by_s) if end else point(self.by_s)

    def ordered(self, first: Instant, then: Instant) -> tuple[Instant, Instant]:
        """Two moments of the step that follow one another, narrowed by that."""
        _, one, other = in_order([point(self.begun_s), first, then])
        return one or first, other or then

    def snapshots(self, from_s: float, to_s: float) -> list[tuple[ClusterSnapshot, float]]:
        """Snapshots of the cluster's status between two moments, each with its end.

        A poll that shows nothing new is not recorded, so a snapshot holds until the next one.
        """
        rows = self.run.snapshots
        ends = [*(row.received_s for row in rows[1:]), _FOREVER_S]
        return [
            (row, end_s)
            for row, end_s in zip(rows, ends, strict=False)
            if row.received_s <= to_s and end_s >= from_s
        ]

    def is_ours(self, demand: str) -> bool:
        """Return True if a pending demand is from one replica or gang of this deployment."""
        asked = demand_resources(demand)
        size = self.policy.scaling.gang_size if self.policy else 1
        return bool(self.asked) and any(
            all(abs(asked.get(n, 0.0) - times * v) < _MATCH for n, v in self.asked.items())
            for times in {1, size}
        )

    def quote(self, event: LogEvent, text: str) -> Evidence:
        """A log line as evidence."""
        return Evidence(text, self.at(event.at_s), event.node, event.raw)
