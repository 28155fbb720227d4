"""Failed requests of each step, with the findings of every deployment that may explain them."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.diagnosis.failed_requests import OVERLOAD, all_failures
from reports.analysis.diagnosis.weigh import leading
from reports.analysis.seen.routing import may_be_for
from reports.model.causes import Cause, FailureReport, Finding
from reports.model.intervals import Window
from scalelag.plan.stages import LoadStep
from scalelag.record.application_info import application_name
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

_OF_ANY_KIND: frozenset[Cause] = frozenset({"network", "health_check"})


class StepFailures(msgspec.Struct, frozen=True):
    """Report of a step's failed requests, and the deployments with findings on them, by name."""

    report: FailureReport
    found: Mapping[DeploymentKey, FailureReport]

    def explained(self, run: RecordedRun, places: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Return which of the failed requests at `places` the findings may explain.

        They have to be for the application of a finding, and of a kind that its cause can make.
        """
        rows = run.requests
        names, found = rows.name[places], np.zeros(places.size, np.bool_)
        overload = rows.with_errors(*OVERLOAD, where=places)
        for key, one in self.found.items():
            app = application_name(key, run.info.target.applications)
            able = np.isin(names, may_be_for(rows.names, run.info, app))
            any_kind = any(finding.cause in _OF_ANY_KIND for finding in one.findings)
            found |= able if any_kind else able & overload
        return found


def failures_of_run(
    run: RecordedRun,
    steps: Sequence[LoadStep],
    failed: Mapping[DeploymentKey, Sequence[FailureReport]],
) -> tuple[StepFailures, ...]:
    """All failed requests by step; `failed` has those of each deployment's application."""
    if not failed:
        return ()
    found: list[StepFailures] = []
    for step in steps:
        own = {key: one for key, all_ in failed.items() for one in all_ if one.index == step.index}
        if (report := _of_step(run, step, own)) is not None:
            with_findings = {key: one for key, one in own.items() if one.findings}
            found.append(StepFailures(report, with_findings))
    return tuple(found)


def _of_step(
    run: RecordedRun, step: LoadStep, own: Mapping[DeploymentKey, FailureReport]
) -> FailureReport | None:
    zero_s = run.info.zero_s
    failed = all_failures(run, Window(zero_s + step.at_s, zero_s + step.hold_until_s))
    if failed is None:
        return None
    findings = _one_each(finding for one in own.values() for finding in one.findings)
    return FailureReport(
        index=step.index,
        first_s=failed.from_s - zero_s,
        last_s=failed.to_s - zero_s,
        count=failed.count,
        errors=failed.kinds,
        cause=leading(findings),
        findings=findings,
        notes=tuple(dict.fromkeys(note for one in own.values() for note in one.notes)),
    )


def _one_each(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """For each cause the finding that explains the most, since deployments share their requests."""
    most: dict[Cause, Finding] = {}
    for finding in findings:
        known = most.get(finding.cause)
        if known is None or (finding.seconds or 0.0) > (known.seconds or 0.0):
            most[finding.cause] = finding
    return tuple(most.values())
