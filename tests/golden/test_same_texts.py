"""Terminal, Markdown and page say the same: causes, notes, warnings and reasons stand in each."""

import html
import io
import re
from collections.abc import Iterator

import msgspec
import pytest
from rich.console import Console

from reports.model.causes import Evidence, FailureReport, Finding
from reports.model.charts import Analysis
from reports.model.formats import Details
from reports.model.report import Report
from reports.model.steps import StepReport
from reports.render.html.report_page import render_html
from reports.render.markdown import render_markdown
from reports.render.tables.causes import told_of
from reports.render.tables.lag import bounds, no_cause, not_measured
from reports.render.tables.notes import findings, warnings
from reports.render.terminal.report import render_terminal
from reports.render.text import finding_words, reasons_of, verdict_words
from scalelag.foreign import sanitized
from tests.golden.rendered import RECORD
from tests.support.built import samples
from tests.support.stored_runs import RUNS, analysed

WIDE = 4000


def terminal(analysis: Analysis) -> str:
    raw = io.StringIO()
    console = Console(width=WIDE, color_system=None, file=raw, legacy_windows=False)
    render_terminal(analysis, console, RECORD, Details.ALL)
    return raw.getvalue()


def markdown(analysis: Analysis) -> str:
    shown = render_markdown(analysis.report, RECORD, Details.ALL).decode()
    return html.unescape(re.sub(r"\\([\\`*_\[\]#|~!>])", r"\1", shown)).replace("\u200b", "")


def page(analysis: Analysis) -> str:
    shown = render_html(analysis, record=RECORD, details=Details.ALL).decode()
    without = re.sub(r"<(script|style)\b.*?</\1>", "", shown, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", "", without))


FORMATS = {"terminal": terminal, "md": markdown, "html": page}


def plain(text: str) -> str:
    """Without what the formats write in their own ways: spaces, arrows."""
    return re.sub(r"\s+", "", sanitized(text)).replace("→", "->")


def told(report: Report) -> Iterator[str]:
    """Yield every text on causes, notes, warnings and reasons that a reader of `report` needs."""
    yield from reasons_of(report)
    yield verdict_words(report)
    yield from warnings(report)
    yield from (text for _, text in findings(report))
    yield from not_measured(report)
    yield from (gate.reason for gate in report.gates if gate.reason)
    for deployment in report.deployments.values():
        yield bounds(deployment)
        yield from _of_steps(deployment.steps)
        for step in told_of(deployment):
            yield from _of_findings(step.findings, step.cause)
            if not step.findings:
                yield "no cause found"
                yield no_cause(step)
                yield from (evidence.text for evidence in step.evidence)
    for failure in report.failures:
        yield from failure.notes
        yield from _of_findings(failure.findings, failure.cause)
        if not (failure.findings or failure.notes):
            yield "no cause found"


def _of_steps(steps: tuple[StepReport, ...]) -> Iterator[str]:
    for step in steps:
        yield step.reason or ""
        if step.total_s is not None:
            yield step.floor_reason or ""


def _of_findings(found: tuple[Finding, ...], cause: str | None) -> Iterator[str]:
    for finding in found:
        leads = finding.cause == cause
        yield finding_words(finding)
        if finding.cause != "configured_delay" or leads:
            yield finding.tell_apart or ""
        if leads:
            yield finding.evidence[0].text
            if finding.cause != "configured_delay":
                yield finding.advice


def missing(analysis: Analysis, kind: str) -> list[str]:
    shown = plain(FORMATS[kind](analysis))
    return [text for text in told(analysis.report) if plain(text) not in shown]


@pytest.fixture(scope="module")
def unexplained() -> Analysis:
    """A run with a late step and failed requests of which no cause was found, and with notes."""
    analysis = samples.busy()
    report = analysis.report
    key, deployment = next(iter(report.deployments.items()))
    late = msgspec.structs.replace(
        next(step for step in deployment.steps if step.total_s is not None),
        cause=None,
        findings=(),
        evidence=(Evidence("9.7 s went to decide, in 2 decisions"),),
    )
    doubted = Finding(
        "network",
        (Evidence("3 of 9 requests found no connection", 4.0),),
        "Look at the way from the load generator to the host.",
        tell_apart="network: the access logs show whether the requests arrived",
    )
    failures = (
        FailureReport(0, 1.0, 2.0, 3, {"HTTP 500": 3}),
        FailureReport(1, 1.0, 2.0, 3, {"HTTP 503": 3}, notes=("what stands before may be full",)),
        FailureReport(2, 1.0, 2.0, 9, {"ConnectError": 3}, None, (doubted,), ("one lost a node",)),
    )
    steps = tuple(late if step.index == late.index else step for step in deployment.steps)
    changed = {**report.deployments, key: msgspec.structs.replace(deployment, steps=steps)}
    built = msgspec.structs.replace(report, deployments=changed, failures=failures)
    return msgspec.structs.replace(analysis, report=built)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_has_no_cause_is_said_in_every_format(unexplained: Analysis, kind: str):
    assert missing(unexplained, kind) == []
    # Two are the sample's own.
    assert FORMATS[kind](unexplained).count("no cause found") == 4


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", RUNS)
def test_every_format_says_the_same_of_a_real_run(name: str, kind: str):
    assert missing(analysed(name), kind) == []
