"""Settings in force at the start of a step; the step is measured by them, until a deletion."""

import msgspec

from reports.analysis.lag.changed_timeline import within
from reports.analysis.lag.changes import Absence, Changes
from reports.analysis.lag.phases import split_decide
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.step_floor import ScalingSetup, StepFloor, step_floor
from reports.analysis.lag.step_lag import UNSEEN, StepLag, step_lag
from reports.model.intervals import Window
from scalelag.plan.stages import LoadStep


class MeasuredStep(msgspec.Struct, frozen=True):
    """Lag and floor of a step, and the part of its hold in which the deployment was there.

    `absence` lies in the hold, or the hold lies in it; None if there is none.
    """

    setup: ScalingSetup
    step: LoadStep
    lag: StepLag
    floor: StepFloor
    absence: Absence | None = None


def measured_step(
    setup: ScalingSetup, changes: Changes, step: LoadStep, ray: str | None
) -> MeasuredStep:
    """Measure `step`; `setup` holds the facts that do not change, `ray` is Ray's version."""
    zero_s = changes.zero_s
    begun_s, ended_s = zero_s + step.at_s, zero_s + step.hold_until_s
    absence = changes.absence_at(begun_s)
    if absence is not None:
        lag = StepLag(step.direction, None, None, None, None, reason=_deleted(absence, zero_s))
        gone = step.until(step.at_s)
        return MeasuredStep(setup, gone, lag, StepFloor(()), absence)
    there = changes.there_around(begun_s)
    in_force = changes.info_at(begun_s)
    own = msgspec.structs.replace(
        setup,
        timeline=within(setup.timeline, there),
        policy=policy_of(in_force, ray),
        is_external=in_force is not None and in_force.external_scaler,
    )
    ended_with = changes.absence_between(begun_s, ended_s)
    cut = step.until(min(there.to_s, ended_s) - zero_s)
    lag = _with_reasons(step_lag(cut, zero_s, own.timeline), changes, cut, ended_with)
    floor = floor_in_force(own, changes, cut, lag)
    return MeasuredStep(own, cut, lag, floor, ended_with)


def _deleted(absence: Absence, zero_s: float) -> str:
    return f"it {absence.what(zero_s)}"


def _with_reasons(
    lag: StepLag, changes: Changes, step: LoadStep, ended_with: Absence | None
) -> StepLag:
    """Add the changes in its hold to the reason of a step without a measured lag."""
    if lag.total_s is not None and not lag.censored:
        return lag
    zero_s = changes.zero_s
    hold = Window(zero_s + step.at_s, zero_s + step.hold_until_s)
    found = [
        None if ended_with and lag.reason == UNSEEN else lag.reason,
        changes.unlike_between(*hold),
        _deleted(ended_with, zero_s) if ended_with else None,
    ]
    return msgspec.structs.replace(lag, reason="; ".join(text for text in found if text) or None)


def floor_in_force(
    setup: ScalingSetup, changes: Changes, step: LoadStep, lag: StepLag
) -> StepFloor:
    """The floor by the settings at the step; none if they changed before the answer."""
    begun_s = changes.zero_s + step.at_s
    found = step_floor(setup, step, lag, begun_s)
    if lag.total_s is None or found.floor is None:
        return found
    answered_s = (
        begun_s + lag.total_s.upper if lag.total_s.hi else changes.zero_s + step.hold_until_s
    )
    reason = changes.unlike_between(begun_s, answered_s)
    if reason is None:
        return found
    return StepFloor(split_decide(lag.phases, None, reason), reason=reason)
