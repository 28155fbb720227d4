"""Decisions of Ray's own policy on a run's open requests, made elsewhere and passed in."""

from collections.abc import Callable, Sequence

import msgspec

from reports.analysis.load.concurrency import Concurrency
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun


class TargetChange(msgspec.Struct, frozen=True):
    """A change of the target at `at_s`, Unix seconds."""

    at_s: float
    before: int
    after: int


Phases = Sequence[Sequence[TargetChange]]
"""The same replay for several times at which counts may have been pushed; empty without one."""

Replayer = Callable[[RecordedRun, DeploymentKey, Concurrency], Phases]
"""Function that replays a deployment of a run with given open requests.

It may take seconds, so it is only called for evidence.
"""


def targets_at(phases: Phases, at_s: float) -> tuple[int, int] | None:
    """Least and most target of the replays at a moment; None if there are none."""
    found: list[int] = []
    for changes in phases:
        earlier = [change.after for change in changes if change.at_s <= at_s]
        if changes:
            found.append(earlier[-1] if earlier else changes[0].before)
    return (min(found), max(found)) if found else None
