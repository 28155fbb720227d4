"""`run.json`: what was run, against what, and how it ended."""

from typing import Any, Literal

import msgspec

from scalelag.plan.stages import Arrivals, LoadPlan
from scalelag.plan.trace import TraceInfo
from scalelag.record.rows import DeploymentKey


class LintFinding(msgspec.Struct, frozen=True):
    """A setting that will do harm or nothing: `text` says why, in numbers, and what to change.

    `rule` is a stable name (docs/lint.md). `deployment` is None where it concerns no single one.
    """

    deployment: DeploymentKey | None
    rule: str
    text: str

    @property
    def line(self) -> str:
        """The finding with the deployment it is about."""
        return self.text if self.deployment is None else f"{self.deployment}: {self.text}"


SCHEMA_VERSION = 1

RunStatus = Literal["complete", "interrupted", "invalid"]

UNFINISHED = "the load process ended without closing the run"
"""The reason that stands in run.json until a run is closed, so that `kill -9` leaves the truth."""


class Versions(msgspec.Struct, frozen=True):
    """Versions of what took part; `ray` is the cluster's, None where it was not told."""

    scalelag: str
    locust: str
    python: str
    ray: str | None = None


class ClockInfo(msgspec.Struct, frozen=True):
    """The run's clock, and the cluster's clock relative to it.

    `offset_s` is cluster minus load generator and lies within `error_s`; both are None, with a
    `reason`, where the cluster's answers carry no time.
    """

    anchor_wall_s: float
    anchor_monotonic_s: float
    offset_s: float | None = None
    error_s: float | None = None
    reason: str | None = None


class DeploymentInfo(msgspec.Struct, frozen=True):
    """A deployment as deployed; `autoscaling` is None where its number of replicas is fixed."""

    autoscaling: dict[str, Any] | None = None
    config: dict[str, Any] = {}
    required_resources: dict[str, float] | None = None


class TargetInfo(msgspec.Struct, frozen=True):
    """What was tested. `watched` are the deployments that the probe recorded."""

    host: str
    dashboard: str
    embedded: bool
    deployments: dict[DeploymentKey, DeploymentInfo] = {}
    watched: tuple[DeploymentKey, ...] = ()


class Edge(msgspec.Struct, frozen=True):
    """When a stage of the plan began, in seconds after the plan's start."""

    stage: int
    planned_s: float
    actual_s: float


class ProbeInfo(msgspec.Struct, frozen=True):
    """How the probe was set, and what it cost: `busy_s` bounds the controller's time from above."""

    rate_per_s: float
    budget_ratio: float
    busy_s: float | None = None
    watched_s: float | None = None


class EarlierTry(msgspec.Struct, frozen=True):
    """A run before this one that failed through the target, and was repeated (`--retries`).

    `path` is its run directory; None where it failed before there was one.
    """

    started_s: float
    reason: str
    path: str | None = None


class LoadWorkerInfo(msgspec.Struct, frozen=True):
    """A process that sent load; `index` is the `worker` of its rows.

    `offset_s` is its clock minus the leader's when the run began, right to within `error_s`;
    `drift_s` how much more than both errors that has changed since. `lost_at_s` (seconds after the
    plan's start) is when it was last heard of before it was given up for `lost_reason`, `back_at_s`
    when it was heard of again. `lost_arrivals` are those of its share that have no row of its own:
    None until they were counted, and for users plans.
    """

    index: int
    id: str
    host: str
    offset_s: float = 0.0
    error_s: float = 0.0
    drift_s: float = 0.0
    lost_at_s: float | None = None
    lost_reason: str | None = None
    back_at_s: float | None = None
    lost_arrivals: int | None = None


class RunInfo(msgspec.Struct, frozen=True):
    """Everything about a run that is not a row.

    `zero_s` is the plan's start in Unix seconds; `load_ended_s` and `watched_until_s` likewise,
    None while unknown. `planned_requests` is None for closed-loop plans.
    `warnings` were known before the load began, and so were `findings` on the configuration.
    `tries` are the earlier tries of this run. `trace` is the file that the plan was read from, where
    it was one. `load_workers` are the processes that sent the load.
    """

    schema_version: int
    name: str
    status: RunStatus
    reason: str | None
    versions: Versions
    options: dict[str, Any]
    plan: LoadPlan
    arrivals: Arrivals | Literal["replayed"]
    seed: int
    clock: ClockInfo
    target: TargetInfo
    probe: ProbeInfo
    workers: int
    zero_s: float
    planned_requests: int | None
    edges: tuple[Edge, ...] = ()
    load_ended_s: float | None = None
    watched_until_s: float | None = None
    warnings: tuple[str, ...] = ()
    tries: tuple[EarlierTry, ...] = ()
    findings: tuple[LintFinding, ...] = ()
    trace: TraceInfo | None = None
    load_workers: tuple[LoadWorkerInfo, ...] = ()

    @property
    def warmup_s(self) -> float:
        """How many seconds at the beginning count in no figure of the whole run (`--warmup`)."""
        return float(self.options.get("warmup") or 0.0)
