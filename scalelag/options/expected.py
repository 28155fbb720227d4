"""Parts that a run will have, as far as its options tell, for the gates to be checked against."""

from collections.abc import Collection, Mapping

import msgspec

from reports.analysis.gate_checks import ExpectedParts
from scalelag.plan.mix import Mix
from scalelag.plan.schedule import Schedule
from scalelag.plan.stages import LoadPlan, LoadStep


def expected(schedule: Schedule, *, events: int, has_limits: bool) -> ExpectedParts:
    """Return what options tell whatever a locustfile does: names of a mix, events, limits."""
    return ExpectedParts(
        requests=schedule.mix.names if schedule.mix is not None else None,
        events=range(1, events + 1),
        has_limits=has_limits,
    )


def with_steps(parts: ExpectedParts, schedule: Schedule) -> ExpectedParts:
    """Return `parts` with the steps of the plan, and the names that a mix sends in each."""
    steps = schedule.plan.steps(schedule.plan.duration_s)
    return msgspec.structs.replace(
        parts,
        steps=range(len(steps)),
        load_steps=_load_steps(schedule.plan, steps, schedule.mix),
    )


def _load_steps(
    plan: LoadPlan, steps: Collection[LoadStep], mix: Mix | None
) -> Mapping[int, Collection[str] | None]:
    """Steps with load, and the names that a mix sends in each."""
    found = {step.index: _loaded(plan, step) for step in steps}
    return {index: _names(numbers, mix) for index, numbers in found.items() if numbers}


def _loaded(plan: LoadPlan, step: LoadStep) -> list[int]:
    """Return the numbers of the stages of a step that send anything."""
    return [
        number
        for number, stage in enumerate(plan.stages)
        if stage.at_s < step.hold_until_s
        and stage.end_s > step.at_s
        and max(stage.start_level, stage.end_level) > 0
    ]


def _names(stages: Collection[int], mix: Mix | None) -> Collection[str] | None:
    """Return the names in some stages, in the order of the mix; None without a mix."""
    if mix is None:
        return None
    shares = [mix.shares(number) for number in stages]
    return [name for at, name in enumerate(mix.names) if any(share[at] > 0 for share in shares)]
