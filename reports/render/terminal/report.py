"""The report in a terminal: verdict first, then what led to it."""

import shlex
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from reports.model.charts import Analysis
from reports.model.formats import Details
from reports.model.report import GateResult, ProbeReport, Report, RunSummary
from reports.model.steps import DeploymentReport
from reports.render.tables.answers import answers
from reports.render.tables.applications import application_texts
from reports.render.tables.changes import change_table
from reports.render.tables.controller import cluster_texts
from reports.render.tables.deployments import (
    FEW,
    deployment_table,
    detailed,
    left_out,
    worst_first,
)
from reports.render.tables.events import event_table, starts_table
from reports.render.tables.gates import gate_table
from reports.render.tables.lag import not_measured
from reports.render.tables.notes import findings, warnings
from reports.render.tables.try_out import TRIES, tries
from reports.render.terminal.causes import print_causes
from reports.render.terminal.chart import print_charts
from reports.render.terminal.lag import print_lag, print_shared_lag
from reports.render.terminal.layout import badge, emit, flow, hanging, room
from reports.render.terminal.load import print_load
from reports.render.terminal.seen import print_seen
from reports.render.terminal.tables import print_table
from reports.render.text import percent, reasons_of, verdict_words, watched_words
from scalelag.foreign import sanitized
from scalelag.wording import count


def render_terminal(
    analysis: Analysis, console: Console, record: str, details: Details = Details.MOVED
) -> None:
    """Print the report; `record` is the run directory, as the reader would type it."""
    report = analysis.report
    shown = detailed(report, details)
    _print_verdict(console, report)
    _print_answers(console, report)
    many = len(report.deployments) > FEW
    is_short = many and details is Details.MOVED
    _print_deployments(console, report, shown, is_short=is_short)
    _print_applications(console, report)
    if is_short:
        print_shared_lag(console, shown)
    else:
        for key, deployment in shown.items():
            console.print()
            print_lag(console, key, deployment)
    _print_changes(console, report)
    console.print()
    print_load(console, report.run, report.load)
    print_charts(console, analysis.charts, worst_first(shown) if many else shown, is_low=is_short)
    print_seen(console, shown, report.run.duration_s)
    print_causes(console, report)
    _print_configuration(console, report)
    _print_tries(console, report, record)
    _print_warnings(console, report)
    _print_gates(console, report.gates)
    _print_record(console, report, record)


def _print_verdict(console: Console, report: Report) -> None:
    verdict = badge(report.verdict)
    parts = (*_about_run(report.run), *_about_load(report), *_about_probe(report.probe))
    parts += cluster_texts(report.controller, report.nodes)
    emit(console, hanging(verdict, flow(parts, room(console) - verdict.cell_len - 1)))
    if judged := verdict_words(report):
        emit(console, hanging(Text(f"{report.verdict.upper()}:", style="bold"), Text(judged)))
    for reason in reasons_of(report):
        emit(console, hanging(Text("!", style="bold"), Text(reason, overflow="fold")))


def _print_answers(console: Console, report: Report) -> None:
    """Print the answer first: one sentence a step."""
    found, others = answers(report)
    if not found:
        return
    console.print()
    for step, text in found:
        emit(console, hanging(Text(f"{step}:", style="bold"), Text(text)))
    if others:
        emit(console, Text(f"and {count(others, 'more step')}: see below", style="dim"))


def _print_deployments(
    console: Console, report: Report, shown: Mapping[str, DeploymentReport], *, is_short: bool
) -> None:
    """Print a row a deployment, and how many have no details; nothing for one alone."""
    if (table := deployment_table(report)) is None:
        return
    console.print()
    print_table(console, table)
    text = left_out(report, shown)
    if is_short and not text:
        text = "--details all shows each deployment by itself."
    if text:
        emit(console, Text(text, style="dim"))


def _print_applications(console: Console, report: Report) -> None:
    """Print who calls whom, and what the limit is; nothing for deployments alone."""
    lines = application_texts(report)
    if lines:
        console.print()
    for line in lines:
        emit(console, hanging(Text("application", style="bold"), Text(line, overflow="fold")))


def _about_run(run: RunSummary) -> tuple[str, ...]:
    ray = f"Ray {sanitized(run.versions.ray)}" if run.versions.ray else "Ray of unknown version"
    where = "(embedded)" if run.embedded else f"at {sanitized(run.host)}"
    return (f"{sanitized(run.name)} on {ray} {where}", f"{run.duration_s:,.0f} s")


def _about_load(report: Report) -> tuple[str, ...]:
    load = report.load
    return (
        f"{count(load.planned, 'request')}, {load.failed:,} failed, {load.not_sent:,} not sent",
    )


def _about_probe(probe: ProbeReport) -> tuple[str, ...]:
    often = f"{1 / probe.interval_s:.1f}/s" if probe.interval_s else count(probe.polls, "poll")
    share = probe.observer_share
    cost = "cost not measured" if share is None else f"{percent(share)} of the controller's time"
    return (f"probe {often}, {watched_words(probe)}, {cost}",)


def _print_changes(console: Console, report: Report) -> None:
    """Print what happened beside the load: events, and what others changed."""
    events = (event_table(report.events), starts_table(report.events))
    for table in (*events, change_table(report.changes)):
        if table is not None:
            console.print()
            print_table(console, table)


def _print_configuration(console: Console, report: Report) -> None:
    """Print each finding with the rule that it broke; nothing without any."""
    if not report.lint:
        return
    console.print()
    emit(console, Text("Configuration", style="bold"))
    for rule, text in findings(report):
        line = Text(text, overflow="fold")
        line.append(f"  [{sanitized(rule)}]", style="dim")
        emit(console, hanging(Text("-"), line))


def _print_tries(console: Console, report: Report, record: str) -> None:
    """Print the commands that try the advice, whole, so that they can be copied."""
    found = tries(report, record)
    if not found:
        return
    console.print()
    emit(console, Text(TRIES, style="bold"))
    for about, command in found:
        emit(console, hanging(Text("-"), Text(f"{about}: {command}", overflow="fold")))


def _print_warnings(console: Console, report: Report) -> None:
    if not report.warnings:
        return
    console.print()
    emit(console, Text("Warnings", style="bold"))
    for warning in warnings(report):
        emit(console, hanging(Text("-"), Text(warning, overflow="fold")))


def _print_gates(console: Console, gates: Sequence[GateResult]) -> None:
    if (table := gate_table(gates)) is not None:
        console.print()
        emit(console, Text("Gates", style="bold"))
        print_table(console, table, caption=False)


def _print_record(console: Console, report: Report, record: str) -> None:
    console.print()
    if missing := not_measured(report):
        emit(console, Text(f"not measured: {'; '.join(missing)}", style="dim"))
    path = sanitized(record)
    again = f"(scalelag report {shlex.quote(path)})"
    emit(console, flow([f"Record: {path}", again], room(console), "   "))
