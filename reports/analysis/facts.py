"""Everything that a diagnosis of one step looks at, gathered once from all rows of a run."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np

from probes.cluster_status import demand_resources
from reports.analysis.concurrency import Concurrency
from reports.analysis.findings import Evidence
from reports.analysis.intervals import Instant
from reports.analysis.model import StepReport
from reports.analysis.policy import DEFAULT_LOOP_S, Policy
from reports.analysis.timeline import ReplicaLife, Timeline
from scalelag.record.evidence_rows import ClusterSnapshot, LogEvent, LogKind
from scalelag.record.rows import DeploymentKey, Poll, StatusChange
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import DeploymentInfo

_STALL_S = 1.0
_MATCH = 0.01
# A look that shows nothing new is not written: what a snapshot says holds until the next one.
_FOREVER_S = float("inf")


class Wait(msgspec.Struct, frozen=True):
    """A replica that waited for its place, from its submission until it began to initialise."""

    life: ReplicaLife
    from_s: float
    to_s: float
    over: bool

    @property
    def seconds(self) -> float:
        """How long it waited, or had waited by the end of the hold."""
        return self.to_s - self.from_s


class Stall(msgspec.Struct, frozen=True):
    """A time in which the controller answered nothing, or turned its loop far too seldom."""

    from_s: float
    to_s: float
    text: str

    @property
    def seconds(self) -> float:
        """How long."""
        return self.to_s - self.from_s


class StepFacts(msgspec.Struct, frozen=True):
    """One step of one deployment, and what was recorded from its start to its hold's end.

    `begun_s` and `ended_s` are Unix seconds on the load generator's clock, as is all in `run`.
    `ongoing` is the mean number of open requests in the last part of the hold, None where requests
    cannot be told from those of other deployments. `decided_s` is when the step was answered, or
    the hold's end where it was not.
    """

    key: DeploymentKey
    run: RecordedRun
    timeline: Timeline
    step: StepReport
    info: DeploymentInfo | None
    policy: Policy | None
    begun_s: float
    ended_s: float
    ongoing: float | None
    loop_s: float | None

    @property
    def answered_s(self) -> float:
        """When the step was answered; the end of its hold where it was not."""
        total = self.step.total_s
        return self.ended_s if total is None or total.value is None else self.begun_s + total.value

    @property
    def is_late(self) -> bool:
        """Whether it took longer than the configuration explains, or was not over by its end."""
        total, floor = self.step.total_s, self.step.floor
        if total is None:
            return False
        return total.value is None or (floor is not None and total.lo > floor.worst_s)

    def at(self, unix_s: float) -> float:
        """Seconds since the plan's start."""
        return unix_s - self.run.info.zero_s

    def events(self, *kinds: LogKind) -> list[LogEvent]:
        """Lines of these kinds about this deployment, or about none, within the hold."""
        return [
            event
            for event in self.run.events
            if event.kind in kinds
            and self.begun_s <= event.at_s <= self.ended_s
            and event.deployment in (None, self.key)
        ]

    def statuses(self) -> list[StatusChange]:
        """Changes of the deployment's status and message within the hold."""
        return [
            row
            for row in self.run.statuses
            if row.deployment == self.key and self.begun_s <= row.hi_s <= self.ended_s
        ]

    def waits(self) -> list[Wait]:
        """Replicas that waited for their place within the hold, the longest first."""
        waits = [self._wait(life) for life in self.timeline.replicas]
        found = [wait for wait in waits if wait is not None]
        return sorted(found, key=lambda wait: -wait.seconds)

    def _wait(self, life: ReplicaLife) -> Wait | None:
        from_s = max(life.begun.mid_s, self.begun_s)
        ended = life.entered or life.allocated or life.stopping
        to_s = min(ended.mid_s if ended else self.ended_s, self.ended_s)
        if from_s >= to_s:
            return None
        return Wait(life, from_s, to_s, over=bool(life.entered or life.allocated))

    def snapshots(self, from_s: float, to_s: float) -> list[tuple[ClusterSnapshot, float]]:
        """What the cluster's status said between two moments, and until when each said so."""
        rows = self.run.snapshots
        ends = [row.received_s for row in rows[1:]] + [_FOREVER_S]
        return [
            (row, end_s)
            for row, end_s in zip(rows, ends, strict=True)
            if row.received_s <= to_s and end_s >= from_s
        ]

    def is_ours(self, demand: str) -> bool:
        """Whether a pending demand is what one replica of this deployment asks for."""
        wanted = (self.info.required_resources if self.info else None) or {}
        asked = demand_resources(demand)
        return bool(wanted) and all(
            abs(asked.get(name, 0.0) - amount) < _MATCH for name, amount in wanted.items()
        )

    def stalls(self) -> list[Stall]:
        """When the controller did not answer, or turned its loop at under half its pace."""
        polls = [p for p in self.run.polls if self.begun_s <= p.received_s <= self.ended_s]
        found = [
            Stall(p.sent_s, p.received_s, f"answered after {p.received_s - p.sent_s:.1f} s")
            for p in polls
            if p.received_s - p.sent_s >= _STALL_S
        ]
        found += [
            Stall(
                max(gap.from_s, self.begun_s),
                min(gap.to_s, self.ended_s),
                f"gave no usable answer ({gap.reason})",
            )
            for gap in self.run.gaps
            if gap.from_s < self.ended_s and gap.to_s > self.begun_s and gap.to_s > gap.from_s
        ]
        found += self._slow_loops(polls, found)
        return sorted(found, key=lambda stall: stall.from_s)

    def _slow_loops(self, polls: Sequence[Poll], known: Sequence[Stall]) -> list[Stall]:
        pace_s = self.loop_s or DEFAULT_LOOP_S
        slow: list[Stall] = []
        for first, then in pairwise(polls):
            a, b = first.controller, then.controller
            if a is None or b is None or a.loops is None or b.loops is None:
                continue
            if a.start_time_s != b.start_time_s:
                continue
            seconds = then.received_s - first.received_s
            lost_s = seconds - (b.loops - a.loops) * pace_s
            overlaps = any(s.from_s < then.received_s and s.to_s > first.received_s for s in known)
            if lost_s >= _STALL_S and lost_s >= seconds / 2 and not overlaps:
                turns = b.loops - a.loops
                text = f"turned its loop {turns} times in {seconds:.1f} s"
                slow.append(Stall(first.received_s, then.received_s, text))
        return slow

    def lost_nodes(self) -> dict[str, list[Evidence]]:
        """Nodes that dropped out within the hold, each with what shows it."""
        shown: dict[str, list[Evidence]] = {}
        for row in self.run.proxies:
            if row.from_state == "HEALTHY" and self.begun_s <= row.hi_s <= self.ended_s:
                state = row.to_state or "listed no more"
                text = f"Serve's proxy on node {row.node[:8]} went from HEALTHY to {state}"
                shown.setdefault(row.node, []).append(Evidence(text, self.at(row.hi_s), row.node))
        for node, count in self._died_on().items():
            if node in shown:
                text = f"all {count} RUNNING replicas on node {node[:8]} were given up together"
                shown[node].append(Evidence(text, None, node))
        for earlier, later in pairwise(self.run.snapshots):
            fell = sum(later.active.values()) < sum(earlier.active.values())
            failed = [name for name in later.failed if name not in earlier.failed]
            if self.begun_s <= later.received_s <= self.ended_s and (fell or failed):
                text = (
                    f"Ray's cluster status went from {sum(earlier.active.values())} active nodes to "
                    f"{sum(later.active.values())}" + (f", failed: {failed[0]}" if failed else "")
                )
                for found in shown.values():
                    found.append(Evidence(text, self.at(later.received_s)))
        return shown

    def _died_on(self) -> Counter[str]:
        """RUNNING replicas per node that stopped within the hold without a scale-down."""
        died: Counter[str] = Counter()
        for life in self.timeline.replicas:
            stopping = life.stopping
            if life.node and life.running and stopping and self._in_hold(stopping):
                decided = any(
                    d.after < d.before and abs(d.at.mid_s - stopping.mid_s) < 1.0
                    for d in self.timeline.decisions
                )
                if not decided:
                    died[life.node] += 1
        return died

    def _in_hold(self, at: Instant) -> bool:
        return self.begun_s <= at.hi_s <= self.ended_s

    def errors(self) -> Counter[str]:
        """Requests of the hold that were sent and failed, by kind."""
        rows = self.run.requests
        low, high = np.searchsorted(rows.intended_s, (self.begun_s, self.ended_s))
        codes = rows.error[low:high]
        failed = codes[(codes >= 0) & ~rows.not_sent[low:high]]
        counts = np.bincount(failed, minlength=len(rows.errors)) if failed.size else []
        return Counter({rows.errors[i]: int(n) for i, n in enumerate(counts) if n})

    def sent(self) -> int:
        """Requests of the hold that were sent."""
        rows = self.run.requests
        low, high = np.searchsorted(rows.intended_s, (self.begun_s, self.ended_s))
        return int(np.count_nonzero(~rows.not_sent[low:high]))

    def first_failure_s(self) -> float | None:
        """When the first failed request of the hold was meant to start, Unix seconds."""
        rows = self.run.requests
        low, high = np.searchsorted(rows.intended_s, (self.begun_s, self.ended_s))
        failed = np.flatnonzero(rows.error[low:high] >= 0)
        return float(rows.intended_s[low + failed[0]]) if failed.size else None

    def quote(self, event: LogEvent, text: str) -> Evidence:
        """A log line as evidence."""
        return Evidence(text, self.at(event.at_s), event.node, event.raw)


def ongoing_at_end(concurrency: Concurrency, begun_s: float, ended_s: float) -> float | None:
    """Mean open requests in the last quarter of a hold."""
    return concurrency.mean(ended_s - (ended_s - begun_s) / 4, ended_s)
