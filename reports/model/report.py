"""Result of an analysis: `report.json` (schema_version 1; may grow, names stay).

"Not measured" is null with a reason: the step's `reason`, a phase's `reason`, or `not_measured`.
"""

from typing import Literal

import msgspec

from reports.model.application import ApplicationReport
from reports.model.causes import EvidenceReport, FailureReport
from reports.model.changes import ChangeReport
from reports.model.controller import ControllerReport, NodesReport
from reports.model.events import EventReport
from reports.model.load import LoadReport
from reports.model.steps import DeploymentReport
from scalelag.plan.stages import Unit
from scalelag.record.run_info import LintFinding, RunStatus, Versions

Verdict = Literal["pass", "fail", "invalid", "inconclusive"]
InvalidThrough = Literal["target", "load"]
GateVerdict = Literal["pass", "fail", "inconclusive"]


class ProbeReport(msgspec.Struct, frozen=True):
    """Quality of the polling. `observer_share` is a ratio of the controller's time."""

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

    `deployment` and `figure` say which metric decided it, if the gate is on several. `default`: it
    is none of the user's.
    """

    expr: str
    verdict: GateVerdict
    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    deployment: str | None = None
    reason: str | None = None
    figure: str | None = None
    default: bool = False


class RunSummary(msgspec.Struct, frozen=True):
    """Summary of the run. `duration_s` is the watched time, which includes the load's `load_s`.

    The first `warmup_s` do not count in figures of the whole run.
    """

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
    warmup_s: float = 0.0


class Report(msgspec.Struct, frozen=True):
    """`report.json`.

    `invalid_through` is the side that made the run invalid; None for a valid run, and if it is
    neither side alone. `lint` is what is wrong with the configuration, `changes` what changed during
    the run. `applications` are those that the deployments belong to. `events` are those of the run.
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
    changes: tuple[ChangeReport, ...] = ()
    applications: dict[str, ApplicationReport] = {}
    controller: ControllerReport = ControllerReport()
    nodes: NodesReport = NodesReport()
    events: tuple[EventReport, ...] = ()
