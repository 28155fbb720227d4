"""The load that one replica serves, stage by stage."""

import msgspec

from scalelag.plan.stages import Unit


class StageLoad(msgspec.Struct, frozen=True):
    """A load that is offered for a while: `level` requests a second, or users."""

    level: float
    unit: Unit


class CalibrationStage(msgspec.Struct, frozen=True):
    """A load that was offered to one replica, and whether it kept the limit.

    `within_ratio` is the share of planned requests that were answered well within the limit,
    counted from their intended start. `latency_ms` is the limit's quantile of those that were sent.
    `kept` is None if the stage says nothing, for `reason`.
    """

    load: StageLoad
    hold_s: float
    planned: int
    failed: int
    not_sent: int
    completed_rps: float
    within_ratio: float
    latency_ms: float | None
    kept: bool | None
    reason: str | None
    record: str


class Calibration(msgspec.Struct, frozen=True):
    """Result of a calibration: the limit was kept at `capacity_rps`, and no longer at `exceeded_rps`.

    `reason` says why either is None; `complete` is false if the search ended early.
    """

    slo: str
    deployments: tuple[str, ...]
    capacity_rps: float | None
    exceeded_rps: float | None
    complete: bool
    reason: str | None
    stages: tuple[CalibrationStage, ...]
    schema_version: int = 1
