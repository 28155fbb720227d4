"""Floor of one step, and its `decide` split by the delay (docs/metrics.md#floor)."""

from collections.abc import Sequence

import msgspec

from reports.analysis.lag.floor import (
    Ongoing,
    StartUp,
    delay_report,
    floor_down,
    floor_up,
    ongoing_around,
    wanted_before,
)
from reports.analysis.lag.phases import decisions_of, split_decide
from reports.analysis.lag.policy import Policy
from reports.analysis.lag.step_lag import StepLag
from reports.analysis.lag.timeline import Timeline
from reports.analysis.load.concurrency import Concurrency
from reports.model.intervals import Span
from reports.model.steps import DelayReport, FloorReport, Phase
from scalelag.plan.stages import LoadStep

_WANTED_BEFORE = "decided sooner than the delay after the step: it was wanted before"
_NO_POLICY = "it has an autoscaling policy of its own"


class ScalingSetup(msgspec.Struct, frozen=True):
    """Facts that the floors of all steps of a deployment depend on.

    `policy` is None if the number of replicas is fixed. `concurrency` is None if other deployments
    share the load.
    """

    timeline: Timeline
    policy: Policy | None
    concurrency: Concurrency | None
    start: StartUp | None
    loop_s: float | None


class StepFloor(msgspec.Struct, frozen=True):
    """Floor and delay of one step; `floor` is None for `reason`, or if the step has no lag.

    `phases` are those of the lag, `decide` with its parts.
    """

    phases: tuple[Phase, ...]
    floor: FloorReport | None = None
    delay: DelayReport | None = None
    reason: str | None = None

    def excess_s(self, total_s: Span | None) -> float | None:
        """`total_s` beyond the floor, None if either is not known."""
        if self.floor is None or total_s is None or total_s.value is None:
            return None
        return total_s.value - self.floor.total_s


def step_floor(setup: ScalingSetup, step: LoadStep, lag: StepLag, begun_s: float) -> StepFloor:
    """Floor of `step`, which began at `begun_s` Unix seconds and was answered with `lag`."""
    policy = setup.policy
    if policy is None or lag.total_s is None:
        return StepFloor(lag.phases)
    if not policy.default:
        return StepFloor(split_decide(lag.phases, None, _NO_POLICY), reason=_NO_POLICY)
    decide = lag.phase("decide")
    ongoing = (
        ongoing_around(setup.concurrency, begun_s, step.hold_s, decide, policy)
        if setup.concurrency
        else None
    )
    floor = _floor(setup, policy, lag, ongoing)
    decided = decisions_of(setup.timeline, decide, begun_s, up=lag.direction == "up")
    if _began_before(lag, policy, ongoing, decided, floor):
        return StepFloor(split_decide(lag.phases, None, _WANTED_BEFORE), reason=_WANTED_BEFORE)
    return StepFloor(
        phases=split_decide(lag.phases, floor.delay_s * max(1, len(decided)), ""),
        floor=floor,
        delay=delay_report(decided[0] if decided else None, policy, floor, setup.loop_s),
    )


def _floor(
    setup: ScalingSetup, policy: Policy, lag: StepLag, ongoing: Ongoing | None
) -> FloorReport:
    before = lag.replicas_before or 0
    if lag.direction == "up":
        return floor_up(policy, before, ongoing, setup.start, setup.loop_s)
    return floor_down(policy, before, lag.target_after or 0, ongoing, setup.loop_s)


def _began_before(
    lag: StepLag,
    policy: Policy,
    ongoing: Ongoing | None,
    decided: Sequence[Span],
    floor: FloorReport,
) -> bool:
    """Whether the delay was running when the step came, so that nothing can be said of it."""
    if decided and decided[0].upper < floor.delay_s:
        return True
    before, up = lag.replicas_before or 0, lag.direction == "up"
    return ongoing is not None and wanted_before(policy, before, ongoing, up=up)
