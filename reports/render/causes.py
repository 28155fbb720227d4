"""What made steps late and requests fail, with the evidence, for the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.text import Text

from reports.analysis.findings import Evidence, FailureReport, Finding
from reports.analysis.model import DeploymentReport, Report, StepReport
from reports.render.layout import emit, flow, hanging, room
from reports.render.wording import count, plain, shortened, step_name

_RAW_LENGTH = 240
_SHOWN_EVIDENCE = 5


def print_causes(console: Console, report: Report) -> None:
    """Print each step's findings, and those of failed requests; nothing where there are none.

    A step that only its configuration made long is told of in the lag table.
    """
    late = [
        (key, step)
        for key, deployment in report.deployments.items()
        for step in told_of(deployment)
    ]
    if not late and not report.failures:
        return
    console.print()
    emit(console, Text("Causes", style="bold"))
    for key, step in late:
        _print_findings(console, f"{plain(key)} step {step_name(step)}", step.findings)
    for failure in report.failures:
        _print_findings(console, _failed(failure), failure.findings, repeated=bool(late))


def told_of(deployment: DeploymentReport) -> Iterator[StepReport]:
    """Steps with a cause other than their configuration."""
    for step in deployment.steps:
        if any(finding.cause != "configured_delay" for finding in step.findings):
            yield step


def _failed(failure: FailureReport) -> str:
    kinds = ", ".join(f"{n:,} x {plain(kind)}" for kind, n in failure.errors.items())
    return f"{count(failure.count, 'failed request')} in step {failure.index} ({kinds})"


def _print_findings(
    console: Console, title: str, findings: Sequence[Finding], *, repeated: bool = False
) -> None:
    """One title, and below it each finding; `repeated` ones are named without their evidence."""
    names = " or ".join(_named(finding) for finding in findings)
    several = len(findings) > 1
    emit(console, flow([f"{title}:", names or "no cause found"], room(console), " "))
    for finding in findings if not repeated else ():
        if several:
            emit(console, Text(finding.cause, style="italic"), 3)
        for line in _lines(finding):
            emit(console, line, 3)


def _named(finding: Finding) -> str:
    return f"{finding.cause} ({finding.seconds:.1f} s)" if finding.seconds else finding.cause


def _lines(finding: Finding) -> Iterator[RenderableType]:
    for evidence in finding.evidence[:_SHOWN_EVIDENCE]:
        yield _shown(evidence)
    left_out = len(finding.evidence) - _SHOWN_EVIDENCE
    if left_out > 0:
        yield hanging(Text("-"), Text(f"and {left_out} more (report.json has them)", style="dim"))
    yield hanging(Text(">", style="bold"), Text(plain(finding.advice)))
    if finding.tell_apart:
        yield hanging(Text("?", style="bold"), Text(plain(finding.tell_apart)))


def _shown(evidence: Evidence) -> RenderableType:
    when = f"{evidence.at_s:.1f} s: " if evidence.at_s is not None else ""
    text = Text(f"{when}{plain(evidence.text)}")
    if evidence.raw:
        text.append(f'  "{shortened(evidence.raw, _RAW_LENGTH)}"', style="dim")
    return hanging(Text("-"), text)
