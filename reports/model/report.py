"""What an analysis yields: `report.json` (schema_version 1; may grow, names stay).

"Not measured" is null with a reason: the step's `reason`, a phase's `reason`, or `not_measured`.
"""

from typing import Any, Literal

import msgspec

from reports.analysis.floor_report import DelayReport, FloorReport
from reports.analysis.load.load_workers import LoadWorkerReport
from reports.analysis.load_parts import NameReport, StoppingReport, StreamReport, WindowReport
from reports.model.causes import Cause, Evidence, EvidenceReport, FailureReport, Finding
from reports.model.elasticity import ElasticityReport, FlappingReport, ResponseReport
from reports.model.intervals import Span, Stat
from scalelag.plan.stages import Direction, Unit
from scalelag.record.finding import LintFinding
from scalelag.record.run_info import RunStatus, Versions

Verdict = Literal["pass", "fail", "invalid", "inconclusive"]
InvalidThrough = Literal["target", "load"]
GateVerdict = Literal["pass", "fail", "inconclusive"]
Source = Literal["log", "poll", "requests", "config"]
PhaseName = Literal[
    "decide",
    "detect",
    "delay",
    "create",
    "restart",
    "allocate",
    "initialize",
    "mark_running",
    "route",
    "stop",
    "drain",
]
PhasePart = Literal["total", "decide", "recovery"]
UP_PHASES: tuple[PhaseName, ...] = ("decide", "create", "allocate", "initialize")
DOWN_PHASES: tuple[PhaseName, ...] = ("decide", "stop", "drain")


class Phase(msgspec.Struct, frozen=True):
    """One part of a step's lag, in seconds.

    Phases that are `part_of` the total add up to it, with what is unattributed; `detect` and
    `delay` are what `decide` consists of, and `route` comes after the total. `restart` stands
    only where replicas failed to start: from the first of them to the one that replaced it.
    """

    name: PhaseName
    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    source: Source | None = None
    reason: str | None = None
    part_of: PhasePart = "total"


class StepReport(msgspec.Struct, frozen=True):
    """One load step as one deployment answered it. `at_s` counts from the plan's start.

    `cause` is None where nothing made it late, or where `findings` name several that fit; its
    evidence is repeated in `evidence`. `recovered_s` is that of all requests of the step: when
    latency was back in its band, None for `recovered_reason`, censored where it was not.
    """

    index: int
    direction: Direction
    at_s: float
    hold_s: float
    from_level: float
    to_level: float
    unit: Unit
    replicas_before: int | None
    replicas_after: int | None
    target_before: int | None
    target_after: int | None
    total_s: Span | None = None
    censored: bool = False
    reason: str | None = None
    phases: tuple[Phase, ...] = ()
    unattributed_s: float | None = None
    critical_replica: str | None = None
    recovered_s: Span | None = None
    recovered_reason: str | None = None
    floor_s: float | None = None
    excess_s: float | None = None
    floor: FloorReport | None = None
    floor_reason: str | None = None
    delay: DelayReport | None = None
    cause: Cause | None = None
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()
    response: ResponseReport = ResponseReport()

    def phase(self, name: PhaseName) -> Phase | None:
        """The phase of that name, if it was measured."""
        return next((p for p in self.phases if p.name == name and p.value is not None), None)


class ScaleUp(msgspec.Struct, frozen=True):
    """All measured scale-ups of a deployment, censored ones among them (their upper bound is open)."""

    steps: int = 0
    censored: int = 0
    total_s: Stat | None = None
    decide_s: Stat | None = None
    create_s: Stat | None = None
    allocate_s: Stat | None = None
    initialize_s: Stat | None = None
    mark_running_s: Stat | None = None
    route_s: Stat | None = None
    excess_s: Stat | None = None


class ScaleDown(msgspec.Struct, frozen=True):
    """All measured scale-downs of a deployment."""

    steps: int = 0
    censored: int = 0
    total_s: Stat | None = None
    decide_s: Stat | None = None
    stop_s: Stat | None = None
    drain_s: Stat | None = None
    excess_s: Stat | None = None


class Replicas(msgspec.Struct, frozen=True):
    """RUNNING replicas as polled; None where no poll was answered."""

    min: int | None = None
    max: int | None = None
    final: int | None = None


class DeploymentReport(msgspec.Struct, frozen=True):
    """One deployment. `autoscaling` is its configuration as deployed, None if it does not scale."""

    autoscaling: dict[str, Any] | None
    steps: tuple[StepReport, ...]
    scale_up: ScaleUp
    scale_down: ScaleDown
    replicas: Replicas
    elasticity: ElasticityReport = ElasticityReport()
    flapping: FlappingReport = FlappingReport()
    stopping: StoppingReport = StoppingReport()


class LoadStepReport(msgspec.Struct, frozen=True):
    """Requests whose intended start lies in one load step's hold.

    `recovered_s` is as in the steps of deployments.
    """

    index: int
    at_s: float
    hold_s: float
    from_level: float
    to_level: float
    unit: Unit
    planned: int
    sent: int
    completed: int
    failed: int
    not_sent: int
    offered_rps: float
    completed_rps: float
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    latency_max_ms: float | None = None
    service_p50_ms: float | None = None
    service_p99_ms: float | None = None
    error_ratio: float | None = None
    stream: StreamReport | None = None
    recovered_s: Span | None = None
    recovered_reason: str | None = None


class LoadReport(msgspec.Struct, frozen=True):
    """All requests of the run.

    `completed` were answered without an error, `failed` were sent and were not, `not_sent` were
    planned and never sent; `error_ratio` is failed and not sent over planned. Latency counts from
    the intended start, service time from the actual send, over all that were sent. `stream` is None
    where no answer was streamed; `names` begins with the name of most requests. `windows` are
    stretches of 10 s, or longer ones in a long run.
    """

    planned: int
    sent: int
    completed: int
    failed: int
    not_sent: int
    error_ratio: float | None
    errors: dict[str, int]
    on_time_ratio: float | None = None
    send_lag_p50_ms: float | None = None
    send_lag_p99_ms: float | None = None
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    latency_p999_ms: float | None = None
    latency_max_ms: float | None = None
    service_p50_ms: float | None = None
    service_p99_ms: float | None = None
    steps: tuple[LoadStepReport, ...] = ()
    workers: tuple[LoadWorkerReport, ...] = ()
    stream: StreamReport | None = None
    names: dict[str, NameReport] = {}
    windows: tuple[WindowReport, ...] = ()


class ProbeReport(msgspec.Struct, frozen=True):
    """How well the replicas were watched. `observer_share` is a ratio of the controller's time."""

    polls: int
    gaps: int
    gap_s: float
    restarts: int
    interval_s: float | None = None
    round_trip_p50_ms: float | None = None
    observer_share: float | None = None
    clock_offset_s: float | None = None
    clock_error_s: float | None = None
    clock_reason: str | None = None


class GateResult(msgspec.Struct, frozen=True):
    """A gate, judged.

    `deployment` and `figure` say which decided it, where several were looked at.
    """

    expr: str
    verdict: GateVerdict
    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    deployment: str | None = None
    reason: str | None = None
    figure: str | None = None


class RunSummary(msgspec.Struct, frozen=True):
    """What was run. `duration_s` is the watched time, the load's `load_s` among it."""

    name: str
    status: RunStatus
    reason: str | None
    versions: Versions
    started_s: float
    load_s: float
    duration_s: float
    steps: str
    repeat: int
    unit: Unit
    arrivals: str
    seed: int
    host: str
    dashboard: str
    embedded: bool
    workers: int


class Report(msgspec.Struct, frozen=True):
    """`report.json`.

    `invalid_through` says whose doing an invalid run is; None for a valid one, and where it is
    neither's alone. `lint` is what is wrong with the configuration.
    """

    schema_version: int
    run: RunSummary
    verdict: Verdict
    reasons: tuple[str, ...]
    gates: tuple[GateResult, ...]
    deployments: dict[str, DeploymentReport]
    load: LoadReport
    probe: ProbeReport
    warnings: tuple[str, ...]
    not_measured: dict[str, str]
    failures: tuple[FailureReport, ...] = ()
    evidence: EvidenceReport = EvidenceReport()
    invalid_through: InvalidThrough | None = None
    lint: tuple[LintFinding, ...] = ()
