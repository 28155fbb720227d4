"""Analysis of a recorded run, from its record to its report and charts."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypedDict

import msgspec

from reports.analysis.change_reports import change_reports, change_warnings
from reports.analysis.charts.of_run import chart_series
from reports.analysis.controller import controller_report, nodes_report
from reports.analysis.deployment import DeploymentAnalysis, analyse_deployment
from reports.analysis.diagnosis.failed_reasons import ReasonSources, reasoned
from reports.analysis.diagnosis.failures_of_run import failures_of_run
from reports.analysis.diagnosis.front import around_of
from reports.analysis.diagnosis.replayed import Replayer
from reports.analysis.events.apart import own_timelines, without_events
from reports.analysis.events.of_run import event_reports, event_windows
from reports.analysis.gates import Gate, judge
from reports.analysis.health import health_warnings
from reports.analysis.lag.changed_timeline import own_timeline
from reports.analysis.lag.changes import Changes, changes_of
from reports.analysis.lag.gap_logs import through_gaps
from reports.analysis.lag.hidden import unhidden
from reports.analysis.lag.timeline import Timeline, build_timeline
from reports.analysis.lint.run import lint_run
from reports.analysis.load.concurrency import Concurrency
from reports.analysis.load.goodput import recorded_limits
from reports.analysis.load.latency import Circumstances, load_report
from reports.analysis.load.load_workers import worker_reports
from reports.analysis.load.recovery import Recovery, recoveries
from reports.analysis.load.saturation import with_reasons
from reports.analysis.origin import run_origin
from reports.analysis.restarts import all_restarts
from reports.analysis.seen.application import application_reports
from reports.analysis.seen.requests_at import all_requests_at
from reports.analysis.seen.routing import apps_of_names
from reports.analysis.validity import (
    Problem,
    invalid_through,
    probe_report,
    run_problems,
    warnings,
)
from reports.model.causes import EvidenceReport, FailureReport
from reports.model.charts import Analysis
from reports.model.controller import ControllerReport, NodesReport
from reports.model.events import EventReport
from reports.model.intervals import Window
from reports.model.load import LoadReport
from reports.model.report import GateResult, ProbeReport, Report, RunSummary, Verdict
from reports.model.steps import DeploymentReport
from scalelag.plan.stages import LoadStep
from scalelag.record.evidence_rows import CLUSTER_STATUS
from scalelag.record.requests_file import rows_from
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import SCHEMA_VERSION, RunInfo


class _OfRun(TypedDict):
    """Parts of the report that hold for the whole run, named as in the report."""

    run: RunSummary
    load: LoadReport
    probe: ProbeReport
    evidence: EvidenceReport
    controller: ControllerReport
    nodes: NodesReport
    events: tuple[EventReport, ...]


def analyse(
    run: RecordedRun, gates: Sequence[Gate] = (), replay: Replayer | None = None
) -> Analysis:
    """Analyse `run` and judge `gates`; `replay` asks Ray's own policy, where a cause needs it."""
    run = _completed(run)
    watched_s = _watched_s(run)
    steps = _measured_steps(run.info, watched_s)
    changes = {key: changes_of(run, key) for key in run.info.target.watched}
    recorded, (run, events, windows, timelines) = run, _without_events(run, steps, changes)
    recovered = recoveries(run, steps)
    whole = Concurrency(run.requests)
    analysed = _deployments(run, whole, steps, timelines, recovered, changes, replay)
    deployments = {key: one.report for key, one in analysed.items()}
    load = _load(run, steps, recovered, deployments)
    of_run = _of_run(run, load, events, watched_s)
    judged = judge(gates, deployments, {**of_run, "requests": load, "event": events})
    problems = run_problems(run, load, of_run["probe"], watched_s)
    changed = change_reports(run, changes)
    report = Report(
        **of_run,
        schema_version=SCHEMA_VERSION,
        verdict=_verdict(problems, judged),
        reasons=tuple(problem.text for problem in problems),
        gates=judged,
        deployments=deployments,
        warnings=(
            *warnings(run, deployments, load, timelines),
            *health_warnings(run),
            *change_warnings(changed),
        ),
        not_measured=_not_measured(run, of_run["evidence"]),
        failures=_failures(
            analysed, steps, ReasonSources(run, timelines, changes, events, windows)
        ),
        invalid_through=invalid_through(problems),
        lint=lint_run(run, timelines, steps, whole),
        changes=changed,
        applications=application_reports(run, timelines, steps, deployments, changes),
    )
    return Analysis(report, chart_series(recorded, report, timelines), run_origin(run.info))


def _failures(
    analysed: Mapping[DeploymentKey, DeploymentAnalysis],
    steps: Sequence[LoadStep],
    told: ReasonSources,
) -> tuple[FailureReport, ...]:
    """One report a step, with the findings of every deployment."""
    failed = {key: one.failures for key, one in analysed.items()}
    return reasoned(failures_of_run(told.run, steps, failed), steps, told)


def _without_events(
    run: RecordedRun, steps: Sequence[LoadStep], changes: Mapping[DeploymentKey, Changes]
) -> tuple[RecordedRun, tuple[EventReport, ...], dict[int, Window], dict[DeploymentKey, Timeline]]:
    """The run and timelines without the effects of its events; the events, and their times."""
    whole = {key: _whole_timeline(run, key) for key in changes}
    events = event_reports(run, steps, whole, changes)
    windows = event_windows(run, events)
    timelines = own_timelines(_timelines(whole, changes), events, windows)
    return without_events(run, events, windows), events, windows, timelines


def _whole_timeline(run: RecordedRun, key: DeploymentKey) -> Timeline:
    """Timeline of a deployment with the changes by others, and with what logs tell of gaps."""
    polled = build_timeline(key, run.polls, run.transitions, run.events, run.info.clock)
    return through_gaps(key, polled, run.gaps, run.events)


def _timelines(
    whole: Mapping[DeploymentKey, Timeline], changes: Mapping[DeploymentKey, Changes]
) -> dict[DeploymentKey, Timeline]:
    """Timeline of each watched deployment, without the changes by others."""
    return {key: own_timeline(timeline, changes[key]) for key, timeline in whole.items()}


def _of_run(
    run: RecordedRun, load: LoadReport, events: tuple[EventReport, ...], watched_s: float
) -> _OfRun:
    return {
        "run": _run_summary(run.info, watched_s),
        "load": load,
        "probe": probe_report(run, watched_s),
        "evidence": _evidence(run),
        "controller": controller_report(run),
        "nodes": nodes_report(run),
        "events": events,
    }


def _load(
    run: RecordedRun,
    steps: Sequence[LoadStep],
    recovered: Mapping[int, Recovery],
    deployments: Mapping[DeploymentKey, DeploymentReport],
) -> LoadReport:
    """Report of the load after the warm-up."""
    info = run.info
    rows = rows_from(run.requests, info.zero_s + info.warmup_s)
    is_whole = info.load_ended_s and info.status == "complete" and not run.cut_off
    planned = info.planned_requests if is_whole else None
    if planned is not None:
        planned -= run.requests.count - rows.count
    return load_report(
        rows,
        planned,
        steps,
        info.plan.unit,
        info.zero_s,
        Circumstances(
            recovered=recovered,
            workers=worker_reports(info.load_workers, run.requests),
            exceptions=info.task_exceptions,
            warmup_s=info.warmup_s,
            limits=recorded_limits(info, deployments.values()),
            prompts=info.prompts,
            apps=apps_of_names(rows.names, info),
        ),
    )


def _deployments(
    run: RecordedRun,
    whole: Concurrency,
    steps: Sequence[LoadStep],
    timelines: Mapping[DeploymentKey, Timeline],
    recovered: Mapping[int, Recovery],
    changes: Mapping[DeploymentKey, Changes],
    replay: Replayer | None,
) -> dict[DeploymentKey, DeploymentAnalysis]:
    requests = all_requests_at(run, timelines, whole)
    return {
        key: analyse_deployment(
            run,
            key,
            steps,
            timeline,
            requests[key],
            recovered,
            changes[key],
            partial(around_of, run, key, timelines, requests, changes, replay),
        )
        for key, timeline in timelines.items()
    }


def _completed(run: RecordedRun) -> RecordedRun:
    """Return `run` with facts that follow only from several of its rows.

    These are reasons of requests, logged restarts, and deployments that polls did not show.
    """
    reasons = with_reasons(run.requests, run.info)
    return unhidden(msgspec.structs.replace(run, requests=reasons, restarts=all_restarts(run)))


def _watched_s(run: RecordedRun) -> float:
    """Seconds from the plan's start to the last row of the record."""
    ends = [run.info.watched_until_s or 0.0, run.info.load_ended_s or 0.0]
    if run.polls:
        ends.append(run.polls[-1].received_s)
    if run.requests.count:
        ends.append(float(run.requests.intended_s[-1]))
    return max(0.0, max(ends) - run.info.zero_s)


def _measured_steps(info: RunInfo, watched_s: float) -> tuple[LoadStep, ...]:
    """Steps that were reached: holds cut at the end of recording, edges at their actual times."""
    moved = {edge.planned_s: edge.actual_s for edge in info.edges}
    reached_s = watched_s if info.status == "complete" else min(watched_s, _load_s(info, watched_s))
    steps: list[LoadStep] = []
    for step in info.plan.steps(watched_s):
        if step.at_s > reached_s:
            break
        begun_s = moved.get(step.at_s, step.at_s)
        ended_s = min(moved.get(step.hold_until_s, step.hold_until_s), max(reached_s, begun_s))
        if ended_s > begun_s:
            steps.append(LoadStep(step.index, begun_s, ended_s, step.from_level, step.to_level))
    return tuple(steps)


def _load_s(info: RunInfo, watched_s: float) -> float:
    return info.load_ended_s - info.zero_s if info.load_ended_s else watched_s


def _evidence(run: RecordedRun) -> EvidenceReport:
    reason = None
    if not run.events:
        logs = [row.reason for row in run.unread if row.file != CLUSTER_STATUS]
        # Logs of a run in which nothing happened have no lines on it.
        reason = logs[0] if logs else None if run.node_clocks else "no log was read"
    return EvidenceReport(
        log_lines=len(run.events),
        snapshots=len(run.snapshots),
        node_error_s={clock.node: clock.error_s for clock in run.node_clocks},
        unread=len(run.unread),
        reason=reason,
    )


def _not_measured(run: RecordedRun, evidence: EvidenceReport) -> dict[str, str]:
    found: dict[str, str] = {}
    if evidence.reason is not None:
        found["exact moments of phases"] = evidence.reason
    for row in run.unread:
        if row.file == CLUSTER_STATUS:
            found[CLUSTER_STATUS] = row.reason
    return found


def _verdict(problems: Sequence[Problem], gates: Sequence[GateResult]) -> Verdict:
    if problems:
        return "invalid"
    verdicts = {gate.verdict for gate in gates}
    if "fail" in verdicts:
        return "fail"
    return "inconclusive" if "inconclusive" in verdicts else "pass"


def _run_summary(info: RunInfo, watched_s: float) -> RunSummary:
    return RunSummary(
        name=info.name,
        status=info.status,
        reason=info.reason,
        versions=info.versions,
        started_s=info.zero_s,
        load_s=min(_load_s(info, watched_s), watched_s),
        duration_s=watched_s,
        steps=info.plan.text,
        repeat=info.plan.repeat,
        unit=info.plan.unit,
        arrivals=info.arrivals,
        seed=info.seed,
        host=info.target.host,
        dashboard=info.target.dashboard,
        embedded=info.target.embedded,
        workers=info.workers,
        warmup_s=info.warmup_s,
    )
