"""A report as JUnit's XML, as CI shows it: a test case for the run, each gate, event and step."""

from collections.abc import Iterable, Iterator, Sequence

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from reports.model.causes import Evidence, Finding
from reports.model.events import EventReport
from reports.model.report import GateResult, Report
from reports.model.steps import DeploymentReport, StepReport
from reports.render.tables.causes import quotation, told_of
from reports.render.tables.lag import no_cause, remark
from reports.render.tables.notes import warnings
from reports.render.text import (
    DEFAULT,
    finding_words,
    gate_figure,
    gate_subject,
    load_change,
    seconds,
    shortened,
    step_name,
)
from scalelag.foreign import sanitized
from scalelag.wording import count

_MOST_ERRORS = 10
_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def render_junit(report: Report, *, strict: bool = False) -> bytes:
    """`report` as JUnit's XML in UTF-8.

    Cases fail where the exit code says so: an invalid run is an error, a failed gate a failure, an
    inconclusive one is skipped, or a failure under `strict`. A step's case is skipped where it was
    not measured or not over within its hold; its time is the lag. A failed gate holds what failed in
    the run, and the causes.
    """
    xml = JUnitXml(name=_clean(f"scalelag {report.run.name}"))
    why = _clean("\n".join([*_failed_requests(report), *_late_steps(report)]))
    gates = [_gate_case(gate, why, strict=strict) for gate in report.gates]
    xml.add_testsuite(_suite("gates", [_run_case(report), *gates]))
    if report.events:
        xml.add_testsuite(_suite("events", [_event_case(one) for one in report.events]))
    for key, deployment in report.deployments.items():
        xml.add_testsuite(_suite(key, [*_step_cases(key, deployment)]))
    return _HEAD + bytes(xml.tostring()) + b"\n"


def _suite(name: str, cases: list[TestCase]) -> TestSuite:
    suite = TestSuite(_clean(name))
    suite.add_testcases(cases)
    return suite


def _run_case(report: Report) -> TestCase:
    case = TestCase("the run is valid", "scalelag.run", report.run.duration_s)
    if report.verdict == "invalid":
        case.result = [Error(_clean("; ".join(report.reasons) or "invalid"))]
    if report.warnings:
        case.system_out = _clean("\n".join(f"warning: {text}" for text in warnings(report)))
    return case


def _gate_case(gate: GateResult, why: str, *, strict: bool) -> TestCase:
    case = TestCase(_clean(gate.expr + (DEFAULT if gate.default else "")), "scalelag.gates", 0.0)
    measured = f"measured {gate_figure(gate)} ({gate_subject(gate)})"
    if gate.verdict == "fail":
        case.result = [_failure(measured, why)]
    elif gate.verdict == "inconclusive":
        skipped = Skipped(f"inconclusive: {measured}")
        case.result = [_failure(measured, why) if strict else skipped]
    else:
        case.system_out = measured
    return case


def _failure(measured: str, why: str) -> Failure:
    failure = Failure(measured)
    if why:
        failure.text = why
    return failure


def _failed_requests(report: Report) -> Iterator[str]:
    """Failed requests by kind, and of each step with their causes."""
    for kind, times in sorted(report.load.errors.items(), key=lambda one: -one[1])[:_MOST_ERRORS]:
        yield f"{times:,} x {shortened(kind)}"
    for failure in report.failures:
        title = f"{count(failure.count, 'failed request')} in step {failure.index}"
        yield from _findings(title, failure.findings, failure.notes)


def _late_steps(report: Report) -> Iterator[str]:
    for key, deployment in report.deployments.items():
        for step in told_of(deployment):
            title = f"{key} step {step_name(step)}"
            yield from _findings(title, step.findings, map(_evidence, step.evidence))


def _findings(title: str, findings: Sequence[Finding], otherwise: Iterable[str]) -> Iterator[str]:
    """Findings with their evidence; without any what is known `otherwise`."""
    for finding in findings:
        yield f"{title}: {finding_words(finding)}"
        yield from (f"  {_evidence(evidence)}" for evidence in finding.evidence)
    if not findings:
        yield f"{title}: no cause found"
        yield from (f"  {line}" for line in otherwise)


def _evidence(evidence: Evidence) -> str:
    when = "" if evidence.at_s is None else f"{evidence.at_s:.1f} s: "
    raw = f" ({shortened(quotation(evidence.raw))})" if evidence.raw else ""
    return f"{when}{evidence.text}{raw}"


def _event_case(event: EventReport) -> TestCase:
    """Case of an event: an error if it was not done, skipped if its end was not measured."""
    end = event.end_s
    name = f"event {event.index} at {event.at_s:.1f} s: {event.what}"
    case = TestCase(_clean(name), "scalelag.events", 0.0 if end is None else end.value or end.lo)
    if event.error is not None:
        case.result = [Error(_clean(event.error))]
    elif end is None or end.value is None:
        case.result = [Skipped(_clean(event.reason or "not measured"))]
    figures = {"detect": event.detect_s, "healed": event.healed_s, "updated": event.updated_s}
    told = [f"{about}: {seconds(span)}" for about, span in figures.items() if span is not None]
    case.system_out = _clean("\n".join([*told, f"failed: {event.failed}"]))
    return case


def _step_cases(key: str, deployment: DeploymentReport) -> Iterator[TestCase]:
    for step in deployment.steps:
        total = step.total_s
        load = load_change(step.from_level, step.to_level)
        name = f"step {step_name(step)} at {step.at_s:.1f} s, {load} {step.unit}"
        case = TestCase(_clean(name), _clean(f"scalelag.steps.{key}"), _lag_s(step))
        if total is None or total.value is None:
            case.result = [Skipped(_clean(step.reason or "not measured"))]
        about = [f"{phase.name}: {seconds(phase)}" for phase in step.phases if phase.lo is not None]
        told = [f"total: {seconds(total)}", *about, no_cause(step), remark(step)]
        case.system_out = _clean("\n".join(filter(None, told)))
        yield case


def _lag_s(step: StepReport) -> float:
    return 0.0 if step.total_s is None else step.total_s.value or step.total_s.lo


def _clean(text: str) -> str:
    """`text` without what XML cannot hold, not even escaped, and terminals would obey."""
    return "\n".join(map(sanitized, text.splitlines()))
