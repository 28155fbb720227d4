"""Contents of `run.json`: options, plan, target, and how the run ended."""

from typing import Any, Literal

import msgspec

from scalelag.plan.stages import Arrivals, LoadPlan
from scalelag.plan.trace_info import TraceInfo
from scalelag.prompts.info import PromptInfo
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import DeploymentKey


class LintFinding(msgspec.Struct, frozen=True):
    """A setting that does harm or has no effect: `text` says why, with numbers, and what to change.

    `rule` is a stable name (docs/lint.md). `deployment` is None if no single one is concerned.
    `command` tries the change by simulation, with RUN for the run directory; None if it cannot.
    """

    deployment: DeploymentKey | None
    rule: str
    text: str
    command: str | None = None

    @property
    def line(self) -> str:
        """Text of the finding, with its deployment."""
        return self.text if self.deployment is None else f"{self.deployment}: {self.text}"


SCHEMA_VERSION = 1

RunStatus = Literal["complete", "interrupted", "invalid"]

UNFINISHED = "the load process ended without closing the run"
"""The reason in run.json until a run is closed, so that it is true after `kill -9`."""


class Versions(msgspec.Struct, frozen=True):
    """Versions of the software; `ray` is the cluster's, None if it is not known."""

    scalelag: str
    locust: str
    python: str
    ray: str | None = None


class ClockInfo(msgspec.Struct, frozen=True):
    """The run's clock, and the cluster's clock relative to it.

    `offset_s` is cluster minus load generator, within `error_s`. Both are None, with a `reason`, if
    the cluster's answers carry no time.
    """

    anchor_wall_s: float
    anchor_monotonic_s: float
    offset_s: float | None = None
    error_s: float | None = None
    reason: str | None = None


class TargetInfo(msgspec.Struct, frozen=True):
    """The tested applications. `watched` are the deployments that the probe recorded.

    `applications` are those that they belong to; empty in records before version 0.2.
    """

    host: str
    dashboard: str
    embedded: bool
    deployments: dict[DeploymentKey, DeploymentInfo] = {}
    watched: tuple[DeploymentKey, ...] = ()
    applications: dict[str, ApplicationInfo] = {}


class Edge(msgspec.Struct, frozen=True):
    """Start of a stage of the plan, in seconds after the plan's start; the last is the plan's end.

    `waited_s` is how long users of the stage before went on in their tasks after they were told to
    stop. `actual_s` is when they were gone, unless they went on until the next edge.
    """

    stage: int
    planned_s: float
    actual_s: float
    waited_s: float = 0.0


class ProbeInfo(msgspec.Struct, frozen=True):
    """Settings of the probe, and its cost: `busy_s` is an upper bound of the controller's time."""

    rate_per_s: float
    budget_ratio: float
    busy_s: float | None = None
    watched_s: float | None = None


class EarlierAttempt(msgspec.Struct, frozen=True):
    """A run before this one that failed through the target, and was repeated (`--retries`).

    `path` is its run directory; None if it failed before there was one.
    """

    started_s: float
    reason: str
    path: str | None = None


class LoadWorkerInfo(msgspec.Struct, frozen=True):
    """A load process; `index` is the `worker` of its rows.

    `offset_s` is its clock minus the master's at the start of the run, within `error_s`. `drift_s` is
    the change since then, beyond the errors of both measurements. A lost process was last heard of at
    `lost_at_s` (seconds after the plan's start), was given up for `lost_reason`, and was heard of
    again at `back_at_s`. `lost_arrivals` counts the arrivals of its share that have no row from it;
    None until they are counted, and for plans of users.
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


class TaskException(msgspec.Struct, frozen=True):
    """A kind of exception in the tasks of users: the last line of its traceback, and its place."""

    text: str
    where: str | None
    count: int


class RequestInfo(msgspec.Struct, frozen=True):
    """A request of a mix.

    `weights` are those of the stages of the plan as it was written, or one for all stages. `path` is
    without secrets. `sha256` is that of its headers as given, body, data and expected text.
    """

    name: str
    method: str
    path: str
    weights: tuple[float, ...]
    arrivals: Arrivals
    sha256: str
    model: str | None = None

    @property
    def text(self) -> str:
        """The request in few words, without what only its `sha256` tells."""
        weights = "/".join(f"{weight:g}" for weight in self.weights)
        model = f" {self.model}" if self.model else ""
        return f"{self.name} {weights} {self.arrivals} {self.method} {self.path}{model}"


class RunInfo(msgspec.Struct, frozen=True, rename={"earlier_attempts": "tries"}):
    """Everything about a run that is not a row.

    `zero_s` is the plan's start in Unix seconds, as are `load_ended_s` and `watched_until_s`, which are
    None while unknown. `planned_requests` is None for closed-loop plans. `warnings`, and `findings` on
    the configuration, were known before the load began. `earlier_attempts` failed through the target.
    `trace` describes the file of the plan if it was a trace. `load_workers` are the load processes.
    `locustfiles` and `user_classes` of Locust are empty in records before version 0.2.
    `task_exceptions` are None until the load is over, and in records of versions before 0.2.
    `launched` are options of `scalelag run` alone, other than their defaults: application, processes.
    `prompts` are None if requests were sent as the body of the options has them. `requests` are those
    of a mix; empty without one, and in records before version 0.2.
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
    earlier_attempts: tuple[EarlierAttempt, ...] = ()
    findings: tuple[LintFinding, ...] = ()
    trace: TraceInfo | None = None
    load_workers: tuple[LoadWorkerInfo, ...] = ()
    locustfiles: tuple[str, ...] = ()
    user_classes: tuple[str, ...] = ()
    task_exceptions: tuple[TaskException, ...] | None = None
    launched: dict[str, Any] = {}
    prompts: PromptInfo | None = None
    requests: tuple[RequestInfo, ...] = ()

    @property
    def warmup_s(self) -> float:
        """Seconds at the start that are excluded from figures of the whole run (`--warmup`)."""
        return float(self.options.get("warmup") or 0.0)

    @property
    def counted_from_s(self) -> float:
        """Unix seconds from which figures of the whole run count: the end of the warm-up.

        Without one all counts, also what was seen before the plan's start.
        """
        return self.zero_s + self.warmup_s if self.warmup_s else float("-inf")
