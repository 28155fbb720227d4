"""Recovery of latency after each step of a run, in the report."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from reports.analysis.load.recovery import Recovery, recovery
from reports.analysis.load.slo import Slo, parse_slo
from reports.model.report import DeploymentReport, LoadReport, LoadStepReport, StepReport
from scalelag.plan.stages import LoadStep
from scalelag.record.run_dir import RecordedRun

_Step = TypeVar("_Step", StepReport, LoadStepReport)
_NO_LOAD = "there is no load"


def recoveries(run: RecordedRun, steps: Sequence[LoadStep]) -> dict[int, Recovery]:
    """That of each step by its index, with the limit that the run was given, if any."""
    text = run.info.options.get("slo")
    slo = parse_slo(text) if text else None
    return {step.index: _recovery(run, step, slo) for step in steps}


def _recovery(run: RecordedRun, step: LoadStep, slo: Slo | None) -> Recovery:
    if step.to_level <= 0:
        return Recovery(reason=_NO_LOAD)
    return recovery(run.requests, step, run.info.zero_s, slo)


def load_with(load: LoadReport, found: Mapping[int, Recovery]) -> LoadReport:
    """The load's report with the recovery of each step."""
    steps = tuple(_with(step, found) for step in load.steps)
    return msgspec.structs.replace(load, steps=steps)


def deployment_with(report: DeploymentReport, found: Mapping[int, Recovery]) -> DeploymentReport:
    """A deployment's report with the recovery of each step: requests are those of all deployments."""
    steps = tuple(_with(step, found) for step in report.steps)
    return msgspec.structs.replace(report, steps=steps)


def _with(step: _Step, found: Mapping[int, Recovery]) -> _Step:
    one = found.get(step.index, Recovery())
    return msgspec.structs.replace(step, recovered_s=one.recovered_s, recovered_reason=one.reason)
