"""Failed requests of all steps of a deployment: what one step tells of another."""

from collections.abc import Mapping, Sequence

import msgspec

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.diagnosis.failed_requests import OVERLOAD, before_calm, sent
from reports.analysis.diagnosis.weigh import failure_report, leading
from reports.model.causes import FailureReport
from scalelag.plan.stages import LoadStep

_AFTER_S = 1.0
_LEAST_SENT = 20
_LEAST_FAILED = 2


class FailedStep(msgspec.Struct, frozen=True):
    """Failed requests of one step of which `sent` were sent; None if none failed.

    `overload` of them failed as an overload may do it, `at_once` of those before the step was calm.
    """

    index: int
    sent: int
    overload: int
    at_once: int
    report: FailureReport | None

    @property
    def share(self) -> float:
        """Part of its requests that failed as an overload may do it."""
        return self.overload / self.sent if self.sent else 0.0

    @property
    def has_cause(self) -> bool:
        """True if something was found that makes requests fail."""
        return self.report is not None and bool(self.report.findings)


def failed_steps(
    facts: Sequence[StepFacts], steps: Sequence[LoadStep]
) -> tuple[FailureReport, ...]:
    """Reports of the failed requests of each step of one deployment."""
    return carried_on(doubted([_failed(one) for one in facts]), steps)


def _failed(facts: StepFacts) -> FailedStep:
    whole = facts.with_hold_until(facts.hold_ended_s or facts.ended_s)
    report = failure_report(facts)
    at_once, failed = before_calm(whole, facts.begun_s) if report else (0, 0)
    return FailedStep(facts.step.index, sent(whole), failed, at_once, report)


def doubted(found: Sequence[FailedStep]) -> list[FailedStep]:
    """The same; causes are in doubt if as large a part failed in a step that had none of them."""
    without = [one for one in found if one.sent >= _LEAST_SENT and not one.has_cause]
    usual = min(without, key=lambda one: one.share, default=None)
    if usual is None or usual.overload < _LEAST_FAILED:
        return list(found)
    return [_with_doubt(one, usual) if one.has_cause else one for one in found]


def _with_doubt(step: FailedStep, usual: FailedStep) -> FailedStep:
    report = step.report
    if report is None or not step.overload or 2 * usual.share < step.share:
        return step
    doubt = (
        f"{100 * usual.share:.1f} % of the requests of step {usual.index} failed in such ways as well, "
        f"where nothing of this was seen, and {100 * step.share:.1f} % here: these may be failures of "
        "their own"
    )
    findings = tuple(
        one if one.tell_apart else msgspec.structs.replace(one, tell_apart=doubt)
        for one in report.findings
    )
    told = msgspec.structs.replace(report, findings=findings, cause=leading(findings))
    return msgspec.structs.replace(step, report=told)


def carried_on(found: Sequence[FailedStep], steps: Sequence[LoadStep]) -> tuple[FailureReport, ...]:
    """The reports; an overload that continues from the step before keeps its cause.

    It does if requests failed from the beginning of the hold on, most of them before it was calm,
    and have no cause of their own: requests from before were still open.
    """
    begun_s = {step.index: step.at_s for step in steps}
    reports: list[FailureReport] = []
    for one in found:
        if one.report is None:
            continue
        earlier = reports[-1] if reports else None
        goes_on = 2 * one.at_once >= one.overload and _goes_on(one.report, earlier, begun_s)
        reports.append(_carried(one.report, earlier) if goes_on else one.report)
    return tuple(reports)


def _goes_on(
    failure: FailureReport, earlier: FailureReport | None, begun_s: Mapping[int, float]
) -> bool:
    at_s = begun_s.get(failure.index)
    return (
        earlier is not None
        and at_s is not None
        and not failure.findings
        and earlier.index == failure.index - 1
        and bool(OVERLOAD & set(failure.errors) & set(earlier.errors))
        and failure.first_s - at_s <= _AFTER_S < earlier.last_s - at_s + _AFTER_S
    )


def _carried(failure: FailureReport, earlier: FailureReport | None) -> FailureReport:
    if earlier is None:
        return failure
    return msgspec.structs.replace(
        failure,
        cause=earlier.cause,
        findings=earlier.findings,
        notes=(*failure.notes, f"what had piled up in step {earlier.index} was still open"),
    )
