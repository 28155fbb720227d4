"""Load that one replica serves, from a calibration or an option: plans in replicas are made of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from reports.model.calibration import Calibration
from scalelag.errors import UNREADABLE, UsageError
from scalelag.plan.events import PlannedEvent, unquoted
from scalelag.plan.stages import LoadPlan
from scalelag.record.input_file import read_file

SCHEMA_VERSION = 1
_LEAST, _MOST = 1e-3, 1e9


def read_calibration(path: Path, flag: str) -> tuple[Calibration, float]:
    """Return a calibration, and its requests per second of one replica.

    Raises UsageError naming the option `flag` if the file is none, or found no rate that can be.
    """
    try:
        found = msgspec.json.decode(read_file(path), type=Calibration)
    except OSError as error:
        raise UsageError(f"{flag} {path} cannot be read: {error.strerror}.") from error
    except UNREADABLE as error:
        raise UsageError(
            f"{flag} {path} is no calibration ({error}): give the calibration.json that scalelag run "
            "--calibrate wrote."
        ) from error
    if found.schema_version > SCHEMA_VERSION:
        raise UsageError(
            f"{flag} {path} has schema version {found.schema_version}; this scalelag reads up to "
            f"{SCHEMA_VERSION}. Use the scalelag that wrote it, or a newer one."
        )
    if found.capacity_rps is None:
        raise UsageError(f"{flag} {path} found no rate: {found.reason or 'it is not over'}.")
    figures = [("capacity_rps", found.capacity_rps)]
    figures += [
        ("latency_ms", one.latency_ms) for one in found.stages if one.latency_ms is not None
    ]
    for name, value in figures:
        if not _LEAST <= value <= _MOST:
            raise UsageError(f"{flag} {path}: {name} {value:g} is no rate or time of a replica.")
    return found, found.capacity_rps


class PlanInReplicas(NamedTuple):
    """The load of a plan in replicas, and the events that scale a deployment, if it is to be scaled."""

    load: LoadPlan
    events: tuple[PlannedEvent, ...] = ()


def plan_in_load(plan: LoadPlan, values: Mapping[str, Any]) -> PlanInReplicas:
    """Return `plan`; one in replicas becomes the load that they serve, or a constant load.

    It is constant if a deployment is scaled by Serve's API (`--scale`). Raises UsageError if nothing
    tells what a plan in replicas means, or an option stands beside a plan that does not use it.
    """
    calibration: str | None = values["calibration"]
    scaled: str | None = values["scale"]
    if not plan.in_replicas:
        refuse_of_replicas(values)
        return PlanInReplicas(plan)
    if scaled:
        if calibration:
            raise UsageError("--calibration and --scale: give one of the two.")
        return _scaled(plan, scaled, values["rate"])
    if values["rate"]:
        raise UsageError("--rate goes with --scale: the load of other plans is in --steps.")
    capacity_rps: float | None = values["capacity_rps"]
    if calibration:
        found, capacity_rps = read_calibration(Path(calibration), "--calibration")
        if not found.complete:
            raise UsageError(
                f"--calibration {calibration} was left open ({found.reason or 'it is not over'}): one "
                f"replica kept the limit at {capacity_rps:g} rps, and may serve more. Finish it, or "
                f"give --capacity-rps {capacity_rps:g}."
            )
    if capacity_rps is None:
        raise UsageError(
            f'--steps "{plan.text}" is in replicas: say what load one replica serves, with '
            "--calibration FILE (scalelag run --calibrate makes it) or --capacity-rps. Or name the "
            "deployment that is to have these replicas, with --scale."
        )
    return PlanInReplicas(plan.at_capacity(capacity_rps))


def refuse_of_replicas(values: Mapping[str, Any]) -> None:
    """Raise UsageError for an option of plans in replicas, beside a load that is none."""
    for name in ("calibration", "scale", "rate"):
        if values[name]:
            raise UsageError(f"--{name} goes with --steps in replicas, such as 2replicas:60s.")


def _scaled(plan: LoadPlan, name: str, rate_rps: float) -> PlanInReplicas:
    """Return a constant load, and an event for each stage of `plan` at which the number changes."""
    events: list[PlannedEvent] = []
    for number, stage in enumerate(plan.stages, start=1):
        if stage.start_level != stage.end_level or stage.most_s is not None:
            raise UsageError(
                f'Stage {number} of "{plan.text}": --scale sets a number of replicas at a time. Give '
                "each stage one number and a duration."
            )
        replicas = int(stage.end_level)
        if not events or events[-1].count != replicas:
            action = f"scale {name} to {replicas}"
            events.append(PlannedEvent(action, stage.at_s, "scale", unquoted(name), replicas))
    return PlanInReplicas(plan.at_rate(rate_rps), tuple(events))
