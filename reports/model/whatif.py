"""A run with other settings: recorded, simulated as it was, and simulated with the change."""

from typing import Any, Literal

import msgspec

from reports.model.intervals import Span
from scalelag.plan.stages import Direction, Unit

FigureName = Literal[
    "decide_s",
    "total_s",
    "recovered_s",
    "p95_ms",
    "failed",
    "reversals",
    "replica_hours",
    "beyond_slo_s",
    "lag_s",
]
STEP_FIGURES: tuple[FigureName, ...] = (
    "decide_s",
    "total_s",
    "recovered_s",
    "p95_ms",
    "failed",
    "reversals",
)
RUN_FIGURES: tuple[FigureName, ...] = (
    "p95_ms",
    "failed",
    "beyond_slo_s",
    "reversals",
    "replica_hours",
)


class Estimate(msgspec.Struct, frozen=True):
    """A figure over all repetitions: `span` is its median within its 5 % and 95 % quantiles.

    Repetitions in which it was not over by the end of the hold count as longer than that. `missing`
    of the `repetitions` had no such figure, as a step that needs no replica has no lag; `span` is None
    if most had none.
    """

    span: Span | None
    repetitions: int
    missing: int = 0


class Figure(msgspec.Struct, frozen=True):
    """One figure as recorded, as simulated with the run's own settings, and with the change.

    `recorded` is None for a load that was not recorded, or for `reason`; `simulated` for such a load.
    """

    recorded: Span | None = None
    simulated: Estimate | None = None
    whatif: Estimate | None = None
    reason: str | None = None


class WhatIfStep(msgspec.Struct, frozen=True):
    """A load step, and its figures by name."""

    index: int
    direction: Direction
    at_s: float
    from_level: float
    to_level: float
    unit: Unit
    figures: dict[FigureName, Figure]


class Check(msgspec.Struct, frozen=True):
    """A figure of the record beside the simulation with the same settings.

    `within` tells if the error is within the bound; None for figures without one.
    """

    what: str
    recorded: float | None
    simulated: float | None
    error: float | None
    bound: float | None = None
    within: bool | None = None


class Validation(msgspec.Struct, frozen=True):
    """Proof of a simulation: the run's own settings, replayed (docs/metrics.md#what-if).

    `push_phase` is the share of a push interval after which the handle's pushes were found to come.
    `reasons` say what is beyond its bound, and `missing` what may be missing in the record.
    """

    passed: bool
    checks: tuple[Check, ...]
    area_ratio: float
    push_phase: float
    reasons: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Change(msgspec.Struct, frozen=True):
    """A setting with another value than in the run."""

    setting: str
    before: Any
    after: Any


class Curve(msgspec.Struct, frozen=True):
    """A number of replicas over time: seconds after the plan's start, and the number from then on."""

    at_s: tuple[float, ...]
    replicas: tuple[int, ...]


class Curves(msgspec.Struct, frozen=True):
    """Target and RUNNING of one course: the record, or the middle one of all repetitions."""

    target: Curve
    running: Curve


class ServiceReport(msgspec.Struct, frozen=True):
    """Service times that the simulation draws from, in milliseconds, and how they grow.

    Each further request on a replica makes all of them longer by `sharing` times the time of one
    alone. `highest` is the most requests on one replica that the record shows.
    """

    requests: int
    p50_ms: float
    p95_ms: float
    sharing: float
    highest: float
    varied: bool
    starts: int
    start_p50_s: float


class WhatIfReport(msgspec.Struct, frozen=True):
    """Answer of `scalelag whatif`; `load` describes another load than the recorded one.

    Without a change, and where the validation has not passed, nothing stands under `whatif`.
    """

    schema_version: int
    run: str
    deployment: str
    ray_recorded: str | None
    ray_simulated: str
    changes: tuple[Change, ...]
    validation: Validation
    service: ServiceReport
    steps: tuple[WhatIfStep, ...]
    whole: dict[FigureName, Figure]
    repetitions: int
    seed: int
    recorded: Curves | None
    simulated: Curves
    whatif: Curves | None
    policy: str | None = None
    policy_state: str | None = None
    load: str | None = None
    notes: tuple[str, ...] = ()
