"""A report in Markdown, for a pull request or a job's summary."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from reports.model.causes import Evidence, Finding
from reports.model.changes import ChangeReport
from reports.model.events import EventReport
from reports.model.formats import Details
from reports.model.load import LoadReport
from reports.model.report import GateResult, Report
from reports.model.steps import DeploymentReport
from reports.render.tables.answers import answers
from reports.render.tables.applications import application_texts
from reports.render.tables.causes import told_of
from reports.render.tables.changes import change_table
from reports.render.tables.controller import cluster_texts
from reports.render.tables.deployments import deployment_table, detailed, left_out
from reports.render.tables.elasticity import following_texts
from reports.render.tables.events import event_table, starts_table
from reports.render.tables.gates import gate_table
from reports.render.tables.lag import (
    bounds,
    idle_reasons,
    idle_steps,
    lag_tables,
    not_measured,
    remarks,
)
from reports.render.tables.load import (
    error_kinds,
    exception_table,
    goodput_table,
    load_table,
)
from reports.render.tables.named_load import named_tables
from reports.render.tables.notes import findings, warnings
from reports.render.tables.prompts import prompt_table, session_table
from reports.render.tables.table import Cell, Column, Table
from reports.render.tables.try_out import TRIES, tries
from reports.render.text import (
    finding_words,
    percent,
    reasons_of,
    shortened,
    step_title,
    verdict_words,
    watched_words,
)
from scalelag.foreign import sanitized
from scalelag.wording import count

SIGNS = {
    "pass": "✅",
    "fail": "❌",
    "inconclusive": "❔",
    "invalid": "⚠️",
    "regression": "❌",
    "improvement": "✅",
    "no difference shown": "⚪",
    "slower": "🔺",
    "faster": "🔻",
    "cannot be told": "❔",
    "not comparable": "❔",
}
_MOST_NAMES = 20
_MOST_ROWS = 50
_MOST_ERRORS = 10
_SPECIAL = re.compile(r"([\\`*_\[\]#|~!>])")


def render_markdown(report: Report, record: str, details: Details = Details.MOVED) -> bytes:
    """`report` as GitHub's Markdown in UTF-8; `record` is where the run directory is.

    What comes from outside is shown as it is: no markup, no links, and nobody is mentioned.
    """
    return ("\n".join(_lines(report, record, details)).rstrip() + "\n").encode()


def _lines(report: Report, record: str, details: Details) -> Iterator[str]:
    shown = detailed(report, details)
    yield from _head(report)
    yield from _answers(report)
    yield from _deployments(report, shown)
    yield from _list("Application", application_texts(report))
    yield from _gates(report.gates)
    for key, deployment in shown.items():
        yield from _deployment(key, deployment)
    yield from _events(report.events)
    yield from _changes(report.changes)
    yield from _load(report.load)
    yield from _causes(report)
    yield from _list("Warnings", warnings(report))
    yield from _list("Configuration", [f"{line} [{rule}]" for rule, line in findings(report)])
    yield from _list("Not measured", not_measured(report))
    yield from _tries(report, record)
    yield f"Record: {code(record)}"


def text(raw: str) -> str:
    """`raw` as Markdown that shows just that."""
    escaped = _SPECIAL.sub(r"\\\1", sanitized(raw)).replace("&", "&amp;").replace("<", "&lt;")
    # GitHub links bare addresses; and the space of no width keeps a name from being told of it.
    unlinked = escaped.replace("://", "&#58;//").replace("www.", "www&#46;")
    return unlinked.replace("@", "@&#8203;")


def code(raw: str) -> str:
    """`raw` as a code span, in tables too."""
    shown = sanitized(raw).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if len(fence) > 1 else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown.strip() else "(empty)"


def _head(report: Report) -> Iterator[str]:
    run, load, probe = report.run, report.load, report.probe
    ray = f"Ray {text(run.versions.ray)}" if run.versions.ray else "Ray"
    where = " (embedded)" if run.embedded else ""
    yield f"## {SIGNS[report.verdict]} {report.verdict.upper()}: {text(run.name)} on {ray}{where}"
    yield ""
    share = probe.observer_share
    cost = "" if share is None else f", {percent(share)} of the controller's time"
    yield (
        f"{code(run.steps)}{f' x {run.repeat}' if run.repeat > 1 else ''} · {run.duration_s:,.0f} s · "
        f"{count(load.planned, 'request')}, {load.failed:,} failed, {load.not_sent:,} not sent · "
        f"{watched_words(probe)} in the probe's watch{cost}"
        f"{''.join(f' · {one}' for one in cluster_texts(report.controller, report.nodes))}"
    )
    yield ""
    if judged := verdict_words(report):
        yield text(judged)
        yield ""
    reasons = reasons_of(report)
    yield from (f"- {text(reason)}" for reason in reasons)
    if reasons:
        yield ""


def _answers(report: Report) -> Iterator[str]:
    """The answer first: one sentence a step."""
    found, others = answers(report)
    for step, sentence in found:
        yield f"- **{text(step)}**: {text(sentence)}"
    if others:
        yield f"- and {count(others, 'more step')}: see below"
    if found:
        yield ""


def _deployments(report: Report, shown: Mapping[str, DeploymentReport]) -> Iterator[str]:
    """A row a deployment, and how many have no details; nothing for one alone."""
    if (found := deployment_table(report)) is not None:
        yield "### Deployments"
        yield ""
        yield from table(found)
        if left := left_out(report, shown):
            yield text(left)
            yield ""


def _gates(gates: Sequence[GateResult]) -> Iterator[str]:
    if (found := gate_table(gates)) is not None:
        yield "### Gates"
        yield ""
        yield from table(found)


def _events(events: Sequence[EventReport]) -> Iterator[str]:
    for number, found in enumerate((event_table(events), starts_table(events))):
        if found is not None:
            yield from () if number else ("### Events", "")
            yield from table(found)


def _changes(changes: Sequence[ChangeReport]) -> Iterator[str]:
    if (found := change_table(changes)) is not None:
        yield "### Changes during the run"
        yield ""
        yield from table(found)


def table(made: Table) -> Iterator[str]:
    """`made` as a table of Markdown, its note, and an empty line."""
    columns = made.columns
    yield _row(text(column.title) for column in columns)
    yield _row(":--" if column.left else "--:" for column in columns)
    for row in made.rows:
        yield _row(_cell(cell, column) for cell, column in zip(row, columns, strict=True))
    yield ""
    if made.note:
        yield text(made.note)
        yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell, column: Column) -> str:
    raw = sanitized(str(cell))
    match column.kind:
        case "badge":
            return f"{SIGNS[raw]} {raw}"
        case "code":
            return code(raw)
        case "foreign":
            return text(raw)
        case _:
            return f"**{raw}**" if column.strong else raw


def _deployment(key: str, deployment: DeploymentReport) -> Iterator[str]:
    yield f"### Scale lag: {code(key)} ({text(bounds(deployment))})"
    yield ""
    for made in lag_tables(deployment):
        yield f"{text(made.caption)}:"
        yield ""
        yield from table(made)
    notes = [f"- {name}: {text(about)}" for name, about in remarks(deployment)]
    idle = idle_steps(deployment.steps)
    if idle or not deployment.steps:
        notes.append(f"- {text(idle_reasons(idle))}")
    if following := following_texts(deployment):
        notes.append(f"- Elasticity: {text('; '.join(following))}")
    yield from notes
    yield ""


def _load(load: LoadReport) -> Iterator[str]:
    made = load_table(load)
    yield "### Load"
    yield ""
    yield f"{text(made.caption)}:"
    yield ""
    yield from table(made)
    for more in (
        *(goodput_table(load), prompt_table(load), session_table(load)),
        *named_tables(load, _MOST_NAMES, _MOST_ROWS),
    ):
        yield from _captioned(more)
    if load.errors:
        yield from _errors(list(error_kinds(load)))
    yield from _captioned(exception_table(load, _MOST_ERRORS))


def _captioned(made: Table | None) -> Iterator[str]:
    if made is not None:
        yield f"{text(made.caption)}:"
        yield ""
        yield from table(made)


def _errors(kinds: Sequence[tuple[str, int]]) -> Iterator[str]:
    for kind, times in kinds[:_MOST_ERRORS]:
        yield f"- {times:,} x {code(shortened(kind))}"
    if rest := kinds[_MOST_ERRORS:]:
        yield f"- and {count(len(rest), 'other kind')} ({count(sum(n for _, n in rest), 'request')})"
    yield ""


def _causes(report: Report) -> Iterator[str]:
    told = [*_late_steps(report), *_failed_requests(report)]
    if told:
        yield "### Causes"
        yield ""
        yield from told


def _late_steps(report: Report) -> Iterator[str]:
    for key, deployment in report.deployments.items():
        for step in told_of(deployment):
            title = f"{text(key)} step {step_title(step)}"
            for finding in step.findings:
                if finding.cause != "configured_delay":
                    yield from _finding(title, finding)
            if not step.findings:
                yield from _beneath(f"{title}: no cause found", map(_evidence, step.evidence))


def _failed_requests(report: Report) -> Iterator[str]:
    for failure in report.failures:
        title = f"{count(failure.count, 'failed request')} in step {failure.index}"
        for finding in failure.findings:
            yield from _finding(title, finding)
        notes = [text(note) for note in failure.notes]
        if notes:
            yield from _beneath(title, notes)
        elif not failure.findings:
            yield from _beneath(f"{title}: no cause found", ())


def _beneath(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"- {title}"
    yield from (f"  - {line}" for line in lines)
    yield ""


def _finding(title: str, finding: Finding) -> Iterator[str]:
    took = "" if finding.seconds is None else f" ({finding.seconds:.1f} s)"
    words = finding_words(finding)
    name = text(words) if finding.deployment else words
    yield f"<details><summary>{title}: <b>{name}</b>{took}</summary>"
    yield ""
    yield from (f"- {_evidence(evidence)}" for evidence in finding.evidence)
    yield f"- → {text(finding.advice)}"
    if finding.tell_apart:
        yield f"- To tell them apart: {text(finding.tell_apart)}"
    yield ""
    yield "</details>"
    yield ""


def _evidence(evidence: Evidence) -> str:
    when = "" if evidence.at_s is None else f"{evidence.at_s:.1f} s: "
    raw = f" {code(shortened(evidence.raw))}" if evidence.raw else ""
    return f"{when}{text(evidence.text)}{raw}"


def _tries(report: Report, record: str) -> Iterator[str]:
    """Commands that try the advice."""
    found = tries(report, record)
    if not found:
        return
    yield f"### {TRIES}"
    yield ""
    yield from (f"- {text(about)}: {code(command)}" for about, command in found)
    yield ""


def _list(title: str, texts: Sequence[str]) -> Iterator[str]:
    if not texts:
        return
    yield f"### {title}"
    yield ""
    for one in texts:
        yield f"- {text(one)}"
    yield ""
