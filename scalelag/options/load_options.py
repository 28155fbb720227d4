"""The load that the options ask for: stages, or a trace."""

from collections.abc import Mapping
from typing import Any

import msgspec

from scalelag.errors import UsageError
from scalelag.options.capacity import plan_in_load, refuse_of_replicas
from scalelag.options.catalog import DEFAULT_STEPS, OPTIONS, default_of
from scalelag.options.load_catalog import LOAD_OPTIONS
from scalelag.options.trace_options import spec_of
from scalelag.plan.events import PlannedEvent
from scalelag.plan.mix import Mix
from scalelag.plan.own_shape import unknown_plan
from scalelag.plan.schedule import DueTimes, Schedule
from scalelag.plan.stages import Arrivals, check_size
from scalelag.plan.trace import read_trace
from scalelag.plan.trace_info import TraceInfo
from scalelag.plan.trace_lengths import Lengths
from scalelag.plan.trace_plan import trace_schedule
from scalelag.wording import count

# Options of a load that have a meaning without a plan, or are checked elsewhere.
_OF_ANY_LOAD = ("seed", "event")


class AskedLoad(msgspec.Struct, frozen=True):
    """Schedule of a run; facts about its trace, and the lengths of its arrivals, if it has any.

    `events` are those of a plan in replicas that scales a deployment.
    """

    schedule: Schedule
    trace: TraceInfo | None = None
    lengths: Lengths | None = None
    events: tuple[PlannedEvent, ...] = ()


def steps_given(parsed: Mapping[str, Any]) -> Any:  # noqa: ANN401  any option's value
    """Return `--steps`; the default if it was emptied on Locust's page to make way for a trace."""
    given = parsed.get("steps", DEFAULT_STEPS)
    return DEFAULT_STEPS if given == "" and parsed.get("trace") else given


def without_plan(shape: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a plan at their defaults, for a run that the class `shape` drives.

    Raises UsageError for one that was given.
    """
    for option in LOAD_OPTIONS:
        # Locust's parser does not tell a default that was written out from one that was not.
        given = raw[option.dest]
        if option.dest in _OF_ANY_LOAD or given in (None, "", [], option.default):
            continue
        raise UsageError(
            f"{option.flag}: the shape class {shape} of the locustfile drives the load. Leave "
            f"{option.flag} out, or take the class out of the file."
        )
    return {"steps": default_of("steps")}


def check_spacing(schedule: Schedule, arrivals: Arrivals | None) -> Schedule:
    """Return `schedule`. Raises UsageError if it has no arrivals that Poisson's law could space."""
    if arrivals == "poisson" and (reason := _not_spaced(schedule, "option")):
        raise UsageError(f"--arrivals poisson: {reason}")
    return schedule


def _not_spaced(schedule: Schedule, what: str) -> str | None:
    """Say why a load has no arrivals to space, and what to do; None if it has some."""
    if schedule.plan.unit == "users":
        return (
            "the plan is in users, each of which sends its next request when it has its answer. Leave "
            f"the {what} out, or give a plan in rps."
        )
    if isinstance(schedule.trace, DueTimes):
        return (
            "the trace holds arrival times, which are replayed as they are. Leave the "
            f"{what} out, or use a trace of rates."
        )
    return None


def shape_load(shape: str) -> AskedLoad:
    """Return the load of a run that the class `shape` drives: nothing is known before."""
    return AskedLoad(Schedule(unknown_plan(shape)))


def asked_load(values: Mapping[str, Any]) -> AskedLoad:
    """Return the load that the parsed `values` ask for.

    Raises UsageError if the options contradict one another, or the trace cannot be used.
    """
    arrivals, seed, repeat = values["arrivals"], values["seed"], values["repeat"]
    path = values["trace"]
    if not path:
        _refuse_without_trace(values)
        plan, events = plan_in_load(values["steps"].repeated(repeat), values)
        return AskedLoad(check_spacing(Schedule(plan, arrivals, seed), arrivals), events=events)
    # Locust's parser does not tell a default that was written out from one that was not.
    if values["steps"].text != DEFAULT_STEPS:
        raise UsageError("--steps and --trace: give one of the two.")
    refuse_of_replicas(values)
    trace = read_trace(spec_of(path, values))
    schedule = check_spacing(trace_schedule(trace, arrivals, seed, repeat), arrivals)
    check_size(schedule.plan)
    return AskedLoad(schedule, trace.info, trace.lengths and trace.lengths.repeated(repeat))


def with_mix(
    schedule: Schedule, mix: Mix, values: Mapping[str, Any], *, shape: str | None
) -> Schedule:
    """Return `schedule`, which may be that of a run driven by the class `shape`, with `mix`.

    Raises UsageError if its weights do not go with the stages, or its arrivals with the load.
    """
    plan, file = schedule.plan, values["requests"]
    if mix.is_by_stage and (schedule.trace is not None or shape is not None):
        raise UsageError(
            f"{file}: mix has weights for the stages of --steps, and there are none: give each "
            "[[request]] a weight in its place."
        )
    stages = len(plan.stages) // plan.repeat
    if mix.is_by_stage and len(mix.weights) != stages:
        raise UsageError(
            f"{file}: mix has weights for {count(len(mix.weights), 'stage')}, and --steps has "
            f"{stages}: give "
            "one table for each stage."
        )
    if "poisson" in mix.arrivals and (reason := _not_spaced(schedule, "key")):
        name = mix.names[mix.arrivals.index("poisson")]
        raise UsageError(f'{file}: arrivals of [[request]] "{name}": {reason}')
    return schedule.mixed(mix)


def _refuse_without_trace(values: Mapping[str, Any]) -> None:
    for option in OPTIONS:
        if option.needs == "trace" and values[option.dest] not in (None, option.default):
            raise UsageError(f"{option.flag} goes with --trace.")
