"""The report in a terminal: verdict first, then what led to it."""

import shlex
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.model.charts import Analysis
from reports.model.report import GateResult, ProbeReport, Report, RunSummary
from reports.render.tables.lag import print_lag, unmeasured_phases
from reports.render.terminal.causes import print_causes
from reports.render.terminal.chart import print_charts
from reports.render.terminal.layout import columns, emit, first_fitting, flow, hanging, room
from reports.render.terminal.tables import print_load
from reports.render.text import (
    NOT_MEASURED,
    count,
    gate_figure,
    gate_subject,
    percent,
    reasons_of,
    sanitized,
)


def print_configuration(console: Console, report: Report) -> None:
    """Print each finding with the rule that it broke; nothing where there is none."""
    if not report.lint:
        return
    console.print()
    emit(console, Text("Configuration", style="bold"))
    for finding in report.lint:
        line = Text(sanitized(finding.line), overflow="fold")
        line.append(f"  [{finding.rule}]", style="dim")
        emit(console, hanging(Text("-"), line))


_STYLES = {
    "pass": "bold black on green",
    "fail": "bold white on red",
    "invalid": "bold white on magenta",
    "inconclusive": "bold black on yellow",
}


def render_terminal(analysis: Analysis, console: Console, record: str) -> None:
    """Print the report; `record` is the run directory, as the reader would type it."""
    report = analysis.report
    _print_verdict(console, report)
    for key, deployment in report.deployments.items():
        console.print()
        print_lag(console, key, deployment)
    console.print()
    print_load(console, report.run, report.load)
    print_charts(console, analysis.charts)
    print_causes(console, report)
    print_configuration(console, report)
    _print_warnings(console, report)
    _print_gates(console, report.gates)
    _print_record(console, report, record)


def _print_verdict(console: Console, report: Report) -> None:
    badge = _badge(report.verdict)
    parts = (*_about_run(report.run), *_about_load(report), *_about_probe(report.probe))
    emit(console, hanging(badge, flow(parts, room(console) - badge.cell_len - 1)))
    for reason in reasons_of(report):
        emit(console, hanging(Text("!", style="bold"), Text(reason, overflow="fold")))


def _badge(verdict: str) -> Text:
    return Text.assemble((f" {verdict.upper()} ", _STYLES[verdict]))


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
    blind = f" ({probe.gap_s:.1f} s)" if probe.gaps else ""
    share = probe.observer_share
    cost = "cost not measured" if share is None else f"{percent(share)} of the controller's time"
    return (f"probe {often}, {count(probe.gaps, 'gap')}{blind}, {cost}",)


def _print_warnings(console: Console, report: Report) -> None:
    if not report.warnings:
        return
    console.print()
    emit(console, Text("Warnings", style="bold"))
    for warning in report.warnings:
        emit(console, hanging(Text("-"), Text(sanitized(warning), overflow="fold")))


def _print_gates(console: Console, gates: Sequence[GateResult]) -> None:
    if not gates:
        return
    console.print()
    emit(console, Text("Gates", style="bold"))
    table = first_fitting(console, [lambda: _gate_table(gates)])
    if table:
        emit(console, table)
        return
    width = max(len(_badge(gate.verdict)) for gate in gates)
    for gate in gates:
        badge = _badge(gate.verdict)
        about = [text for text in _about_gate(gate) if text != NOT_MEASURED]
        padded = Text.assemble(badge, " " * (width - len(badge)))
        emit(console, hanging(padded, flow(about, room(console) - width - 1)))


def _gate_table(gates: Sequence[GateResult]) -> Table:
    headers = ("verdict", "gate", "measured [between]", "of")
    rows = [(_badge(gate.verdict), *_about_gate(gate)) for gate in gates]
    return columns(headers, rows, frozenset(headers))


def _about_gate(gate: GateResult) -> tuple[str, str, str]:
    """The gate, what was measured, and for which deployment or why not."""
    return (sanitized(gate.expr), gate_figure(gate), gate_subject(gate))


def _print_record(console: Console, report: Report, record: str) -> None:
    console.print()
    if missing := not_measured(report):
        emit(console, Text(f"not measured: {'; '.join(missing)}", style="dim"))
    path = sanitized(record)
    again = f"(scalelag report {shlex.quote(path)})"
    emit(console, flow([f"Record: {path}", again], room(console), "   "))


def not_measured(report: Report) -> list[str]:
    """What no step measured, with reasons where they are short."""
    phases = unmeasured_phases(report.deployments.values())
    names = ", ".join(sanitized(name) for name in report.not_measured)
    return [
        *(f"{name} ({reason})" for name, reason in phases.items()),
        *([f"{names} (report.json says why)"] if names else []),
    ]
