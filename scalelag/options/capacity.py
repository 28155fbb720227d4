"""Load that one replica serves, from a calibration or an option: plans in replicas are made of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from reports.model.calibration import Calibration
from scalelag.errors import UNREADABLE, UsageError
from scalelag.plan.stages import LoadPlan


def read_calibration(path: Path, flag: str) -> tuple[Calibration, float]:
    """Return a calibration, and its requests per second of one replica.

    Raises UsageError naming the option `flag` if the file is none, or found no rate.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Calibration)
    except OSError as error:
        raise UsageError(f"{flag} {path} cannot be read: {error.strerror}.") from error
    except UNREADABLE as error:
        raise UsageError(
            f"{flag} {path} is no calibration ({error}): give the calibration.json that scalelag run "
            "--calibrate wrote."
        ) from error
    if found.capacity_rps is None:
        raise UsageError(f"{flag} {path} found no rate: {found.reason or 'it is not over'}.")
    return found, found.capacity_rps


def plan_in_load(plan: LoadPlan, values: Mapping[str, Any]) -> LoadPlan:
    """Return `plan`; one in replicas as the load that so many replicas serve.

    Raises UsageError if nothing tells what a replica serves, or a calibration stands beside a plan that
    does not use it.
    """
    calibration: str | None = values["calibration"]
    if not plan.in_replicas:
        if calibration:
            raise UsageError("--calibration goes with --steps in replicas, such as 2replicas:60s.")
        return plan
    capacity_rps: float | None = values["capacity_rps"]
    if calibration:
        capacity_rps = read_calibration(Path(calibration), "--calibration")[1]
    if capacity_rps is None:
        raise UsageError(
            f'--steps "{plan.text}" is in replicas: say what load one replica serves, with '
            "--calibration FILE (scalelag run --calibrate makes it) or --capacity-rps."
        )
    return plan.at_capacity(capacity_rps)
