"""Causes of late steps and of failed requests, with the evidence, for the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.text import Text

from reports.model.causes import Cause, Evidence, FailureReport, Finding
from reports.model.report import Report
from reports.model.steps import StepReport
from reports.render.tables.causes import named, quotation, told_of
from reports.render.terminal.layout import emit, flow, hanging, room
from reports.render.text import shortened, step_title
from scalelag.foreign import sanitized
from scalelag.wording import count

_QUOTED = 110
_SHOWN = 3
_SHOWN_OF_SEVERAL = 1


def print_causes(console: Console, report: Report) -> None:
    """Print each step's findings, and those of failed requests; nothing if there are none.

    A step that only its configuration made long stands in the lag table alone.
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
        _print_step(console, f"{sanitized(key)} step {step_title(step)}", step)
    explained: set[tuple[int, Cause]] = {
        (step.index, finding.cause) for _, step in late for finding in step.findings
    }
    for failure in report.failures:
        _print_failure(console, failure, explained)


def _print_step(console: Console, title: str, step: StepReport) -> None:
    if not step.findings:
        _print_title(console, title, ["no cause found"])
        for evidence in step.evidence:
            emit(console, _shown(evidence), 3)
        return
    _print_title(console, title, named(step.findings, step.cause))
    for line in _finding_lines(step.findings, step.cause):
        emit(console, line, 3)


def _print_failure(
    console: Console, failure: FailureReport, explained: set[tuple[int, Cause]]
) -> None:
    """Failed requests; what their step's findings have said already is named only."""
    kinds = ", ".join(f"{n:,} x {sanitized(kind)}" for kind, n in failure.errors.items())
    title = f"{count(failure.count, 'failed request')} in step {failure.index} ({kinds})"
    unknown = [] if failure.notes else ["no cause found"]
    _print_title(console, title, named(failure.findings, failure.cause, timed=False) or unknown)
    for note in failure.notes:
        emit(console, _marked(">", note), 3)
    new = [f for f in failure.findings if (failure.index, f.cause) not in explained]
    for line in _finding_lines(new, failure.cause):
        emit(console, line, 3)


def _print_title(console: Console, title: str, names: Sequence[str]) -> None:
    emit(console, flow([f"{title}:", *names], room(console), " "))


def _finding_lines(findings: Sequence[Finding], cause: Cause | None) -> Iterator[RenderableType]:
    """The cause with its evidence and advice; the others, or each of several, in short.

    What two of them rest on stands once.
    """
    told: set[Evidence | str] = set()
    for finding in findings:
        leads = finding.cause == cause or len(findings) == 1
        if finding.cause == "configured_delay" and not leads:
            continue
        shown = finding.evidence[: _SHOWN if leads else _SHOWN_OF_SEVERAL]
        yield from (_shown(evidence) for evidence in shown if evidence not in told)
        if leads:
            yield _marked(">", finding.advice)
        if finding.tell_apart and finding.tell_apart not in told:
            yield _marked("?", finding.tell_apart)
        told.update(shown, [finding.tell_apart or ""])


def _marked(mark: str, text: str) -> RenderableType:
    return hanging(Text(mark, style="bold"), Text(sanitized(text)))


def _shown(evidence: Evidence) -> RenderableType:
    when = f"{evidence.at_s:.1f} s: " if evidence.at_s is not None else ""
    text = Text(f"{when}{sanitized(evidence.text)}")
    if evidence.raw:
        text.append(f'  "{shortened(quotation(evidence.raw), _QUOTED)}"', style="dim")
    return hanging(Text("-"), text)
