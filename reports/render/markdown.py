"""A report in Markdown, for a pull request or a job's summary."""

import re
from collections.abc import Iterator, Sequence

from reports.model.causes import Finding
from reports.model.load import LoadReport, LoadStepReport
from reports.model.report import GateResult, Report
from reports.model.steps import DOWN_PHASES, UP_PHASES, DeploymentReport, PhaseName, StepReport
from reports.render.tables.elasticity import following_texts
from reports.render.tables.lag import idle_steps, remark
from reports.render.text import (
    NOT_MEASURED,
    count,
    gate_figure,
    gate_subject,
    load_change,
    milliseconds,
    percent,
    rate,
    reasons_of,
    recovered,
    replica_change,
    sanitized,
    seconds,
    shortened,
    step_name,
)

_SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "invalid": "⚠️"}
_LAST = ("recovered", "floor", "excess", "cause")
_MOST_ERRORS = 10
_SPECIAL = re.compile(r"([\\`*_\[\]#|~!>])")


def render_markdown(report: Report, record: str) -> bytes:
    """`report` as GitHub's Markdown in UTF-8; `record` is where the run directory is.

    What comes from outside is shown as it is: no markup, no links, and nobody is mentioned.
    """
    return ("\n".join(_lines(report, record)).rstrip() + "\n").encode()


def _lines(report: Report, record: str) -> Iterator[str]:
    yield from _head(report)
    yield from _gates(report.gates)
    for key, deployment in report.deployments.items():
        yield from _deployment(key, deployment)
    yield from _load(report.load)
    yield from _causes(report)
    yield from _list("Warnings", report.warnings)
    yield from _list("Configuration", [f"{one.line} [{one.rule}]" for one in report.lint])
    yield f"Record: {code(record)}"


def text(raw: str) -> str:
    """`raw` as Markdown that shows just that."""
    escaped = _SPECIAL.sub(r"\\\1", sanitized(raw)).replace("&", "&amp;").replace("<", "&lt;")
    # The space of no width keeps a name from being told of it.
    return escaped.replace("@", "@&#8203;")


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
    yield f"## {_SIGNS[report.verdict]} {report.verdict.upper()}: {text(run.name)} on {ray}{where}"
    yield ""
    share = probe.observer_share
    cost = "" if share is None else f", {percent(share)} of the controller's time"
    yield (
        f"{code(run.steps)}{f' x {run.repeat}' if run.repeat > 1 else ''} · {run.duration_s:,.0f} s · "
        f"{count(load.planned, 'request')}, {load.failed:,} failed, {load.not_sent:,} not sent · "
        f"{count(probe.gaps, 'gap')} in the probe's watch{cost}"
    )
    yield ""
    reasons = reasons_of(report)
    yield from (f"- {text(reason)}" for reason in reasons)
    if reasons:
        yield ""


def _gates(gates: Sequence[GateResult]) -> Iterator[str]:
    if not gates:
        return
    yield "### Gates"
    yield ""
    yield from table(
        ("", "gate", "measured [between]", "of"),
        [
            (
                f"{_SIGNS[gate.verdict]} {gate.verdict}",
                code(gate.expr),
                gate_figure(gate),
                text(gate_subject(gate)),
            )
            for gate in gates
        ],
        left=("gate", "of"),
    )


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str] = ()
) -> Iterator[str]:
    """A table and an empty line; columns named in `left` and the first are aligned to the left."""
    marks = [":--" if i == 0 or header in left else "--:" for i, header in enumerate(headers)]
    for cells in (headers, marks, *rows):
        yield f"| {' | '.join(cells)} |"
    yield ""


def _deployment(key: str, deployment: DeploymentReport) -> Iterator[str]:
    measured = [step for step in deployment.steps if step.total_s]
    yield f"### Scale lag: {code(key)}"
    yield ""
    for direction, phases in (("up", UP_PHASES), ("down", DOWN_PHASES)):
        steps = [step for step in measured if step.direction == direction]
        if steps:
            yield from _steps(steps, phases)
    idle = idle_steps(deployment.steps)
    for step in deployment.steps:
        if step not in idle and (about := remark(step, deployment)):
            yield f"- {step_name(step)}: {text(about)}"
    if texts := following_texts(deployment):
        yield f"- Elasticity: {text('; '.join(texts))}"
    if len(idle) == len(deployment.steps):
        yield "No replica was needed or to go."
    yield ""


def _steps(steps: Sequence[StepReport], always: Sequence[PhaseName]) -> Iterator[str]:
    names = list(always)
    for phase in (phase for step in steps for phase in step.phases):
        if phase.value is not None and phase.name not in names and phase.part_of != "decide":
            names.append(phase.name)
    headers = ("step", "at", f"load {steps[0].unit}", "replicas", "total")
    yield from table(
        (*headers, *(name.replace("_", " ") for name in names), *_LAST),
        [
            (
                step_name(step),
                f"{step.at_s:.1f}",
                load_change(step.from_level, step.to_level),
                replica_change(step),
                f"**{seconds(step.total_s)}**",
                *(str(seconds(step.phase(name))) for name in names),
                recovered(step),
                *(_figure(value) for value in (step.floor_s, step.excess_s)),
                (step.cause or "").replace("_", " "),
            )
            for step in steps
        ],
        left=("cause",),
    )


def _figure(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.2f}"


def _load(load: LoadReport) -> Iterator[str]:
    yield "### Load"
    yield ""
    unit = load.steps[0].unit if load.steps else "rps"
    yield from table(
        (
            "step",
            "at",
            f"load {unit}",
            "offered rps",
            "completed rps",
            "failed",
            "not sent",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "max ms",
            "service p99 ms",
        ),
        [*(_load_step(step) for step in load.steps), ("all", "", "", "", "", *_requests(load))],
    )
    if load.errors:
        yield from _errors(load.errors)


def _load_step(step: LoadStepReport) -> tuple[str, ...]:
    return (
        str(step.index),
        f"{step.at_s:.1f}",
        load_change(step.from_level, step.to_level),
        rate(step.offered_rps),
        rate(step.completed_rps),
        *_requests(step),
    )


def _requests(part: LoadReport | LoadStepReport) -> tuple[str, ...]:
    times = (
        part.latency_p50_ms,
        part.latency_p95_ms,
        part.latency_p99_ms,
        part.latency_max_ms,
        part.service_p99_ms,
    )
    return (f"{part.failed:,}", f"{part.not_sent:,}", *map(milliseconds, times))


def _errors(errors: dict[str, int]) -> Iterator[str]:
    kinds = list(errors.items())
    for kind, times in kinds[:_MOST_ERRORS]:
        yield f"- {times:,} x {code(shortened(kind))}"
    if rest := kinds[_MOST_ERRORS:]:
        yield f"- and {count(len(rest), 'other kind')} ({sum(n for _, n in rest):,} requests)"
    yield ""


def _causes(report: Report) -> Iterator[str]:
    found = [
        (f"{text(key)} step {step_name(step)}", step.findings)
        for key, deployment in report.deployments.items()
        for step in deployment.steps
    ]
    found += [
        (f"{count(failure.count, 'failed request')} in step {failure.index}", failure.findings)
        for failure in report.failures
    ]
    told = [
        (title, [finding for finding in findings if finding.cause != "configured_delay"])
        for title, findings in found
    ]
    if not any(findings for _, findings in told):
        return
    yield "### Causes"
    yield ""
    for title, findings in told:
        for finding in findings:
            yield from _finding(title, finding)


def _finding(title: str, finding: Finding) -> Iterator[str]:
    took = "" if finding.seconds is None else f" ({finding.seconds:.1f} s)"
    name = finding.cause.replace("_", " ")
    yield f"<details><summary>{title}: <b>{name}</b>{took}</summary>"
    yield ""
    for evidence in finding.evidence:
        when = "" if evidence.at_s is None else f"{evidence.at_s:.1f} s: "
        raw = f" {code(shortened(evidence.raw))}" if evidence.raw else ""
        yield f"- {when}{text(evidence.text)}{raw}"
    yield f"- → {text(finding.advice)}"
    yield ""
    yield "</details>"
    yield ""


def _list(title: str, texts: Sequence[str]) -> Iterator[str]:
    if not texts:
        return
    yield f"### {title}"
    yield ""
    for one in texts:
        yield f"- {text(one)}"
    yield ""
