"""Rows become the lives of replicas and the decisions of the autoscaler, one deployment each."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from reports.analysis.intervals import Instant
from scalelag.record.rows import DeploymentKey, Poll, Transition

_LONG_AGO_S = float("-inf")


class ReplicaLife(msgspec.Struct, frozen=True):
    """When a replica was first seen in each state; None for what it never reached."""

    replica: str
    listed: Instant
    node: str | None = None
    allocated: Instant | None = None
    running: Instant | None = None
    stopping: Instant | None = None
    gone: Instant | None = None


class Decision(msgspec.Struct, frozen=True):
    """The autoscaler changed its target."""

    at: Instant
    before: int
    after: int


class Look(msgspec.Struct, frozen=True):
    """One poll's view of the deployment: replicas RUNNING, all listed, and the target."""

    sent_s: float
    received_s: float
    running: int
    listed: int
    target: int | None


class Timeline(msgspec.Struct, frozen=True):
    """Everything that polling saw of one deployment, in the order of time."""

    looks: tuple[Look, ...]
    decisions: tuple[Decision, ...]
    replicas: tuple[ReplicaLife, ...]

    def look_before(self, at_s: float) -> Look | None:
        """The last look that was over by `at_s`; the first one of all where none was."""
        if not self.looks:
            return None
        place = bisect_right(self.looks, at_s, key=lambda look: look.received_s)
        return self.looks[max(0, place - 1)]

    def looks_within(self, from_s: float, to_s: float) -> Sequence[Look]:
        """Looks that were over after `from_s` and by `to_s`."""
        low = bisect_right(self.looks, from_s, key=lambda look: look.received_s)
        high = bisect_right(self.looks, to_s, key=lambda look: look.received_s)
        return self.looks[low:high]


def build_timeline(
    key: DeploymentKey, polls: Sequence[Poll], transitions: Sequence[Transition]
) -> Timeline:
    """Timeline of deployment `key` from all polls and transitions of a run."""
    looks = tuple(_looks(key, polls))
    return Timeline(
        looks=looks, decisions=tuple(_decisions(looks)), replicas=_lives(key, transitions)
    )


def _looks(key: DeploymentKey, polls: Sequence[Poll]) -> list[Look]:
    looks: list[Look] = []
    for poll in polls:
        seen = poll.deployments.get(key)
        if seen is None:
            continue
        looks.append(
            Look(
                sent_s=poll.sent_s,
                received_s=poll.received_s,
                running=seen.counts.get("RUNNING", 0),
                listed=sum(seen.counts.values()),
                target=seen.target,
            )
        )
    return looks


def _decisions(looks: Sequence[Look]) -> list[Decision]:
    decisions: list[Decision] = []
    for old, new in pairwise(looks):
        if old.target is not None and new.target is not None and old.target != new.target:
            at = Instant(old.sent_s, new.received_s)
            decisions.append(Decision(at=at, before=old.target, after=new.target))
    return decisions


def _lives(key: DeploymentKey, transitions: Sequence[Transition]) -> tuple[ReplicaLife, ...]:
    lives: dict[str, ReplicaLife] = {}
    for row in transitions:
        if row.deployment != key:
            continue
        at = Instant(_LONG_AGO_S if row.lo_s is None else row.lo_s, row.hi_s)
        life = lives.get(row.replica) or ReplicaLife(replica=row.replica, listed=at)
        lives[row.replica] = _advance(life, row, at)
    return tuple(lives.values())


def _advance(life: ReplicaLife, row: Transition, at: Instant) -> ReplicaLife:
    """Note what `row` shows for the first time; a replica that recovers reaches nothing anew."""
    new: dict[str, object] = {}
    if row.node is not None and life.allocated is None:
        new |= {"allocated": at, "node": row.node}
    if row.to_state == "RUNNING" and life.running is None:
        new["running"] = at
    if row.to_state in ("STOPPING", None) and life.stopping is None:
        new["stopping"] = at
    if row.to_state is None:
        new["gone"] = at
    return msgspec.structs.replace(life, **new)
