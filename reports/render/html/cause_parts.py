"""Causes of late steps and of failed requests, with the evidence, for a page."""

from collections.abc import Iterator, Sequence

import msgspec

from reports.model.causes import Evidence, FailureReport, Finding
from reports.model.report import Report
from reports.model.steps import StepReport
from reports.render.html.figure import arrows
from reports.render.tables.causes import named, quotation, told_of
from reports.render.text import finding_words, shortened, step_title
from scalelag.foreign import sanitized
from scalelag.wording import count

_MOST = 30
_MOST_EVIDENCE = 8
_QUOTED = 240
_TOLD = 300


class EvidenceLine(msgspec.Struct, frozen=True):
    """One fact that a finding rests on; `quotation` is Ray's own line."""

    when: str
    text: str
    node: str
    quotation: str


class FindingPart(msgspec.Struct, frozen=True):
    """One finding in words: its name with the time it explains, its code, advice, evidence."""

    name: str
    code: str
    advice: str
    tell_apart: str
    evidence: tuple[EvidenceLine, ...]


class CausePart(msgspec.Struct, frozen=True):
    """The findings on one step, or on the failed requests of one; `where` is the deployment."""

    where: str
    title: str
    names: str
    findings: tuple[FindingPart, ...]
    notes: tuple[str, ...] = ()


def cause_parts(report: Report) -> list[CausePart]:
    """Steps that were late, then failed requests; thirty at most of each."""
    late = [_of_step(sanitized(key), step) for key, step in _late(report)[:_MOST]]
    return late + [_of_failure(failure) for failure in report.failures[:_MOST]]


def causes_left_out(report: Report) -> int:
    """Number of steps and failures that `cause_parts` leaves out."""
    numbers = (len(_late(report)), len(report.failures))
    return sum(max(0, number - _MOST) for number in numbers)


def _late(report: Report) -> list[tuple[str, StepReport]]:
    return [
        (key, step)
        for key, deployment in report.deployments.items()
        for step in told_of(deployment)
    ]


def _of_step(where: str, step: StepReport) -> CausePart:
    names = " ".join(named(step.findings, step.cause)) if step.findings else "no cause found"
    alone = () if step.findings else (FindingPart("", "", "", "", tuple(_lines(step.evidence))),)
    return CausePart(
        where=where,
        title=arrows(f"step {step_title(step)}"),
        names=names,
        findings=(*_told(step.findings), *alone),
    )


def _of_failure(failure: FailureReport) -> CausePart:
    kinds = ", ".join(f"{n:,} \u00d7 {shortened(kind)}" for kind, n in failure.errors.items())
    names = " ".join(named(failure.findings, failure.cause))
    return CausePart(
        where="",
        title=f"{count(failure.count, 'failed request')} in step {failure.index} ({kinds})",
        names=names or ("" if failure.notes else "no cause found"),
        findings=tuple(_told(failure.findings)),
        notes=tuple(map(sanitized, failure.notes)),
    )


def _told(findings: Sequence[Finding]) -> Iterator[FindingPart]:
    for finding in findings:
        explains = f", {finding.seconds:.1f} s" if finding.seconds is not None else ""
        yield FindingPart(
            name=f"{finding_words(finding)}{explains}",
            code=finding.cause,
            advice=sanitized(finding.advice),
            tell_apart=sanitized(finding.tell_apart or ""),
            evidence=tuple(_lines(finding.evidence)),
        )


def _lines(evidence: Sequence[Evidence]) -> Iterator[EvidenceLine]:
    for one in evidence[:_MOST_EVIDENCE]:
        yield EvidenceLine(
            when="" if one.at_s is None else f"{one.at_s:.1f} s",
            text=shortened(one.text, _TOLD),
            node=shortened(one.node or "", 12),
            quotation=shortened(quotation(one.raw), _QUOTED) if one.raw else "",
        )
