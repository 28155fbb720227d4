"""`scalelag whatif --capacity`: replicas for days of traffic, by hour of day."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from reports.analysis.lag.policy import policy_of
from reports.model.calibration import Calibration
from reports.model.fleet import FleetHour, FleetReport
from reports.model.formats import ComparisonFormat
from reports.model.whatif import Change
from reports.render.terminal.fleet import print_fleet, render_json_fleet, render_markdown_fleet
from reports.whatif.fleet.by_hour import (
    fleet_hours,
    requests_of,
    reversals_of,
    steady_hours,
    whole_days,
)
from reports.whatif.fleet.coarse import CoarseSimulation, Fleet, turn_of
from reports.whatif.from_record import RecordedScenario, recorded_scenario
from reports.whatif.scenario import Settings, settings_of
from reports.whatif.settings import OF_DEPLOYMENT, changed, deployment_of, parse_assignment
from reports.whatif.tuning.space import config_of
from scalelag.autoscaler.ray_autoscaler import (
    RayAutoscaler,
    check_settings,
    checked_config,
    quiet_ray,
    setting_names,
)
from scalelag.autoscaler.ray_names import ray_names
from scalelag.cli.answer_output import Renderers, check_output, write_answer
from scalelag.cli.whatif import scaling_of_run
from scalelag.errors import EXIT_PASSED, UsageError
from scalelag.options.capacity import read_calibration
from scalelag.options.trace_options import trace_spec
from scalelag.plan.trace import read_trace
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import load_run
from scalelag.wording import count

SCHEMA_VERSION = 1
_KEY = "default/Model"
_START_S = 10.0
_DAYS = 7.0
_RENDERERS = Renderers(print_fleet, render_json_fleet, render_markdown_fleet)


class FleetOptions(msgspec.Struct, frozen=True):
    """Options of the command, as given; `others` are the flags of those that say nothing here.

    `of_trace` are the options that say how the trace is read, by their `dest`.
    """

    capacity: Path
    trace: Path | None
    days: float | None
    assignments: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    of_trace: Mapping[str, Any] = {}


def fleet(
    run: Path | None, options: FleetOptions, output_format: ComparisonFormat, output: Path | None
) -> int:
    """Simulate days of traffic, and write the answer."""
    if output_format is ComparisonFormat.HTML:
        raise UsageError("--capacity: there is no page of this answer; take --format md or json.")
    check_output("--output", output)
    report = size_fleet(run, options)
    write_answer(report, _RENDERERS, output_format, output)
    return EXIT_PASSED


def size_fleet(run: Path | None, options: FleetOptions) -> FleetReport:
    """Return replicas for days of traffic. Raises UsageError for what makes no sense."""
    if options.trace is None:
        raise UsageError("--capacity goes with --trace: the traffic to size the fleet for.")
    if options.others:
        raise UsageError(f"{options.others[0]} does not go with --capacity: leave one of them out.")
    days = _days(options.days)
    quiet_ray()
    found, capacity_rps = read_calibration(options.capacity, "--capacity")
    settings, start_s, changes, notes = _settings(run, options.assignments)
    remarks = [*_remarks(found, capacity_rps, None if run is None else settings.key)]
    service_s = _service_s(found, capacity_rps)
    trace = read_trace(trace_spec(str(options.trace), options.of_trace))
    turn_s = turn_of(settings)
    made = Fleet(settings, capacity_rps, service_s, start_s)
    autoscaler = RayAutoscaler({settings.key: settings.info})
    came = requests_of(trace, days, turn_s)
    if not came.size:
        raise UsageError(f"--days {days:g}: it is simulated in steps of {turn_s:g} s. Give more.")
    course = CoarseSimulation(made, autoscaler, turn_s).run(came.tolist())
    hours = fleet_hours(course, capacity_rps)
    return FleetReport(
        schema_version=SCHEMA_VERSION,
        trace=trace.info.file,
        days=days,
        capacity_rps=capacity_rps,
        service_s=service_s,
        start_s=start_s,
        turn_s=turn_s,
        ray_simulated=ray_names().version,
        settings=config_of(settings.info),
        changes=changes,
        hours=hours,
        replica_hours=sum(one.replica_hours for one in hours),
        steady_replica_hours=steady_hours(course, capacity_rps),
        short_replica_hours=sum(one.short_replica_hours for one in hours),
        short_s=sum(one.short_s for one in hours),
        reversals=reversals_of(course),
        notes=(*remarks, *notes, *_too_few(hours, settings, capacity_rps)),
    )


def _days(given: float | None) -> float:
    """Return the days of traffic to simulate. Raises UsageError for a number that cannot be."""
    days = _DAYS if given is None else given
    if not whole_days(days):
        raise UsageError(f"--days {days:g}: give more than 0 and at most 366.")
    return days


def _too_few(hours: Sequence[FleetHour], settings: Settings, capacity_rps: float) -> Iterator[str]:
    """Yield a note where the most replicas that are allowed serve less than the traffic."""
    most = settings.policy.max_replicas
    full = [one for one in hours if one.peak_rps > most * capacity_rps]
    if full:
        yield (
            f"max_replicas {most} is too few in {count(len(full), 'hour')} of the day: the load is not "
            "served, and fewer replica-hours are no saving. Try more with --set max_replicas=N."
        )


def _service_s(found: Calibration, capacity_rps: float) -> float:
    """Time of a request where none waits, in seconds."""
    kept = [one.latency_ms for one in found.stages if one.kept and one.latency_ms is not None]
    return min(kept) / 1000 if kept else 1.0 / capacity_rps


def _remarks(found: Calibration, capacity_rps: float, key: DeploymentKey | None) -> Iterator[str]:
    """Yield notes on a calibration that is for the deployment `key` of a run, if there is one."""
    if not found.complete:
        yield (
            f"The calibration was left open ({found.reason or 'it is not over'}): a replica may serve "
            f"more than {capacity_rps:g} requests/s."
        )
    if key is not None and found.deployments != (key,):
        of = ", ".join(found.deployments) or "no deployment by name"
        yield (
            f"The calibration is of {of}, and the settings and starts are those of {key}: calibrate "
            "that one, if they are not the same."
        )


def _settings(
    run: Path | None, texts: tuple[str, ...]
) -> tuple[Settings, float, tuple[Change, ...], tuple[str, ...]]:
    """Settings, the time of a start, changes, and notes: of a run, else Ray's defaults."""
    assignments = [parse_assignment(text) for text in texts]
    for one in assignments:
        if one.name in OF_DEPLOYMENT:
            raise UsageError(
                f"--set {one.text}: with --capacity a replica serves its calibrated rate, whatever "
                f"{one.name} is. Leave it out, or simulate each request, without --capacity."
            )
        if run is None and one.deployment is not None:
            raise UsageError(
                f"--set {one.text}: without RUN there is no deployment by name. Give the setting alone."
            )
    names = setting_names(ray_names())
    if run is not None:
        recorded = _recorded(run, texts)
        info, changes = changed(recorded.scenario.settings.info, assignments, names)
        key = recorded.scenario.settings.key
        start_s = float(np.median(recorded.scenario.starts.starts_s))
        notes: tuple[str, ...] = ()
    else:
        info, changes = changed(_defaults(), assignments, names)
        key, start_s = _KEY, _START_S
        assumed = (
            "No run was given: the settings are Ray's defaults and --set, and a start of "
            f"{_START_S:g} s is assumed."
        )
        notes = (assumed,)
    check_settings(key, info)
    policy = policy_of(info)
    if policy is None:
        raise UsageError("with these settings nothing scales.")
    return settings_of(key, info, policy), start_s, changes, notes


def _recorded(run: Path, texts: tuple[str, ...]) -> RecordedScenario:
    loaded = load_run(run)
    assignments = [parse_assignment(text) for text in texts]
    key = deployment_of(assignments, loaded.info.target.watched, scaling_of_run(loaded.info))
    return recorded_scenario(loaded, key)


def _defaults() -> DeploymentInfo:
    """Ray's own defaults of an autoscaled deployment."""
    config = checked_config(ray_names(), _KEY, DeploymentInfo(autoscaling={}))
    known: dict[str, Any] = {name: getattr(config, name) for name in setting_names(ray_names())}
    plain = {k: getattr(v, "value", v) for k, v in known.items()}
    return DeploymentInfo(autoscaling=plain)
