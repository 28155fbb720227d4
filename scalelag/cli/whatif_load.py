"""Another load than the recorded one for a what-if: `--steps`, or `--trace`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from reports.whatif.answer import Question
from reports.whatif.from_record import RecordedScenario, users_of
from reports.whatif.scenario import Arrivals, Load
from scalelag.errors import UsageError
from scalelag.options.load_options import check_spacing
from scalelag.options.trace_options import trace_spec
from scalelag.plan.schedule import Schedule
from scalelag.plan.stages import Arrivals as ArrivalKind
from scalelag.plan.stages import LoadPlan, check_size, parse_plan
from scalelag.plan.trace import read_trace
from scalelag.plan.trace_plan import trace_schedule

_DRAIN_S = 60.0
_WINDOW = (
    "Replica-hours are over the plan and {:.0f} s after it. A run watches until its deployments are at "
    "their minimum, --drain s at most."
)


class OtherLoad(msgspec.Struct, frozen=True):
    """The load to simulate; the recorded one if nothing is given.

    `of_trace` are the options that say how the trace is read, by their `dest`.
    """

    steps: str | None = None
    trace: Path | None = None
    arrivals: ArrivalKind | None = None
    of_trace: Mapping[str, Any] = {}

    @property
    def is_given(self) -> bool:
        """Return True if it is not the recorded load."""
        return self.steps is not None or self.trace is not None


def with_load(
    question: Question, recorded: RecordedScenario, load: OtherLoad, seed: int
) -> Question:
    """The question with another load, if one is given.

    Raises UsageError for a plan or trace that makes no sense, or a unit that was not recorded.
    """
    if not load.is_given:
        if load.arrivals is not None:
            raise UsageError(
                f"--arrivals {load.arrivals} goes with --steps or --trace: recorded requests are "
                "simulated when they came."
            )
        return question
    schedule, words = _schedule(load, seed)
    plan, info = schedule.plan, recorded.run.info
    if plan.unit != info.plan.unit:
        raise UsageError(
            f"--steps {words}: it is in {plan.unit}, and the run was in {info.plan.unit}. The time "
            "between two requests of a user is known of a run in users only."
        )
    scenario, zero_s = question.scenario, info.zero_s
    drained_s = max(_DRAIN_S, scenario.to_s - (info.load_ended_s or scenario.to_s))
    until_s = zero_s + plan.duration_s + drained_s
    return msgspec.structs.replace(
        question,
        scenario=msgspec.structs.replace(
            scenario, load=_load(schedule, recorded, seed), to_s=until_s
        ),
        steps=plan.steps(until_s - zero_s),
        unit=plan.unit,
        load=words,
        notes=(*question.notes, _WINDOW.format(drained_s)),
    )


def _schedule(load: OtherLoad, seed: int) -> tuple[Schedule, str]:
    arrivals = load.arrivals or "constant"
    if load.steps is not None and load.trace is not None:
        raise UsageError("--steps and --trace: give one of the two.")
    if load.steps is not None:
        plan: LoadPlan = check_size(parse_plan(load.steps))
        if plan.in_replicas:
            raise UsageError(f"--steps {plan.text}: give the load to simulate in rps or users.")
        if plan.settles:
            raise UsageError(
                f"--steps {plan.text}: it is not simulated when replicas and latency have settled. "
                "Write how long such a stage takes, such as 10rps:60s."
            )
        return check_spacing(Schedule(plan, arrivals, seed), arrivals), plan.text
    trace = read_trace(trace_spec(str(load.trace), load.of_trace))
    schedule = check_spacing(trace_schedule(trace, arrivals, seed), arrivals)
    check_size(schedule.plan)
    return schedule, f"trace {trace.info.file}"


def _load(schedule: Schedule, recorded: RecordedScenario, seed: int) -> Load:
    """Arrivals of a schedule; their names are drawn as the record has them."""
    info, rows = recorded.run.info, recorded.run.requests
    if schedule.plan.unit == "users":
        return users_of(recorded.run, schedule.plan)
    blocks = list(schedule.blocks())
    at_s = info.zero_s + (np.concatenate(blocks) if blocks else np.empty(0))
    names = np.random.default_rng(seed).choice(rows.name, at_s.size)
    return Arrivals(at_s, names, rows.names)
