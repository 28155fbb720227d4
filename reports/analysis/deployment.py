"""One deployment's part of the report: each step's lag, floor and cause, and their statistics."""

from collections.abc import Sequence

import msgspec

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.diagnosis.weigh import diagnosed, failure_report
from reports.analysis.elasticity.of_run import Following, following
from reports.analysis.lag.floor import (
    Ongoing,
    StartUp,
    delay_report,
    fastest_start,
    floor_down,
    floor_up,
    loop_interval,
    ongoing_around,
    wanted_before,
)
from reports.analysis.lag.phases import decisions_of, split_decide
from reports.analysis.lag.policy import Policy, policy_of
from reports.analysis.lag.step_lag import step_lag
from reports.analysis.lag.stopping import stopping_report
from reports.analysis.lag.timeline import Timeline
from reports.analysis.load.concurrency import Concurrency
from reports.model.causes import FailureReport
from reports.model.intervals import Span, stat
from reports.model.steps import (
    DeploymentReport,
    FloorReport,
    PhaseName,
    Replicas,
    ScaleDown,
    ScaleUp,
    StepReport,
)
from scalelag.plan.stages import LoadStep
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

_WANTED_BEFORE = "decided sooner than the delay after the step: it was wanted before"
_NO_POLICY = "it has an autoscaling policy of its own"


class DeploymentAnalysis(msgspec.Struct, frozen=True):
    """A deployment's report, and the failed requests of each step as seen from it."""

    report: DeploymentReport
    failures: tuple[FailureReport, ...]


class _Subject(msgspec.Struct, frozen=True):
    """What all steps of a deployment share. `concurrency` is None where others share the load."""

    run: RecordedRun
    key: DeploymentKey
    timeline: Timeline
    policy: Policy | None
    concurrency: Concurrency | None
    start: StartUp | None
    loop_s: float | None
    until_s: float


def analyse_deployment(
    run: RecordedRun,
    key: DeploymentKey,
    steps: Sequence[LoadStep],
    timeline: Timeline,
    concurrency: Concurrency,
) -> DeploymentAnalysis:
    """Lag, floor, cause and response of each of `steps` for deployment `key`, and its elasticity."""
    alone = len(run.info.target.watched) == 1
    subject = _Subject(
        run=run,
        key=key,
        timeline=timeline,
        policy=policy_of(run.info.target.deployments.get(key)),
        concurrency=concurrency if alone else None,
        start=fastest_start(timeline.replicas),
        loop_s=loop_interval(run.polls),
        until_s=timeline.looks[-1].received_s if timeline.looks else 0.0,
    )
    facts = [_facts(subject, step) for step in steps]
    followed = following(run, steps, timeline, subject.policy, subject.concurrency)
    reports = tuple(
        msgspec.structs.replace(diagnosed(f), response=response)
        for f, response in zip(facts, followed.responses, strict=True)
    )
    failures = [failure_report(f, report) for f, report in zip(facts, reports, strict=True)]
    return DeploymentAnalysis(
        report=_report(subject, reports, followed),
        failures=tuple(failure for failure in failures if failure is not None),
    )


def _facts(subject: _Subject, step: LoadStep) -> StepFacts:
    info = subject.run.info
    begun_s, ended_s = info.zero_s + step.at_s, info.zero_s + step.hold_until_s
    lag = step_lag(step, info.plan.unit, info.zero_s, subject.timeline)
    quarter_s = (ended_s - begun_s) / 4
    ongoing, earlier = (
        subject.concurrency.mean(until_s - quarter_s, until_s) if subject.concurrency else None
        for until_s in (ended_s, ended_s - quarter_s)
    )
    return StepFacts(
        key=subject.key,
        run=subject.run,
        timeline=subject.timeline,
        step=_with_floor(subject, lag, begun_s),
        info=info.target.deployments.get(subject.key),
        policy=subject.policy,
        begun_s=begun_s,
        ended_s=ended_s,
        ongoing=ongoing,
        ongoing_earlier=earlier,
        loop_s=subject.loop_s,
    )


def _with_floor(subject: _Subject, step: StepReport, begun_s: float) -> StepReport:
    """`step` beside its floor, its `decide` split by the delay."""
    policy = subject.policy
    if policy is None or step.total_s is None:
        return step
    if not policy.default:
        phases = split_decide(step.phases, None, _NO_POLICY)
        return msgspec.structs.replace(step, phases=phases, floor_reason=_NO_POLICY)
    ongoing = (
        ongoing_around(subject.concurrency, begun_s, step, policy) if subject.concurrency else None
    )
    floor = _floor(subject, policy, step, ongoing)
    decided = decisions_of(subject.timeline, step, begun_s)
    if _began_before(step, policy, ongoing, decided, floor):
        phases = split_decide(step.phases, None, _WANTED_BEFORE)
        return msgspec.structs.replace(step, phases=phases, floor_reason=_WANTED_BEFORE)
    total_s = step.total_s.value
    return msgspec.structs.replace(
        step,
        phases=split_decide(step.phases, floor.delay_s * max(1, len(decided)), ""),
        floor_s=floor.total_s,
        excess_s=None if total_s is None else total_s - floor.total_s,
        floor=floor,
        delay=delay_report(decided[0] if decided else None, policy, floor, subject.loop_s),
    )


def _floor(
    subject: _Subject, policy: Policy, step: StepReport, ongoing: Ongoing | None
) -> FloorReport:
    before = step.replicas_before or 0
    if step.direction == "up":
        return floor_up(policy, before, ongoing, subject.start, subject.loop_s)
    return floor_down(policy, before, step.target_after or 0, ongoing, subject.loop_s)


def _began_before(
    step: StepReport,
    policy: Policy,
    ongoing: Ongoing | None,
    decided: Sequence[Span],
    floor: FloorReport,
) -> bool:
    """Whether the delay was running when the step came, so that nothing can be told of it."""
    if decided and decided[0].upper < floor.delay_s:
        return True
    before, up = step.replicas_before or 0, step.direction == "up"
    return ongoing is not None and wanted_before(policy, before, ongoing, up=up)


def _report(
    subject: _Subject, reports: tuple[StepReport, ...], followed: Following
) -> DeploymentReport:
    warmup_s = subject.run.info.warmup_s
    counted = [report for report in reports if report.total_s and report.at_s >= warmup_s]
    up = [report for report in counted if report.direction == "up"]
    down = [report for report in counted if report.direction == "down"]
    running = [look.running for look in subject.timeline.looks]
    described = subject.run.info.target.deployments.get(subject.key)
    return DeploymentReport(
        autoscaling=described.autoscaling if described else None,
        steps=reports,
        scale_up=_scale_up(up),
        scale_down=_scale_down(down),
        replicas=Replicas(min(running), max(running), running[-1]) if running else Replicas(),
        elasticity=followed.elasticity,
        flapping=followed.flapping,
        stopping=stopping_report(subject.run.requests, subject.timeline, subject.until_s),
    )


def _scale_up(steps: Sequence[StepReport]) -> ScaleUp:
    return ScaleUp(
        steps=len(steps),
        censored=sum(r.censored for r in steps),
        total_s=stat([r.total_s for r in steps if r.total_s]),
        decide_s=stat(_phase_spans(steps, "decide")),
        create_s=stat(_phase_spans(steps, "create")),
        allocate_s=stat(_phase_spans(steps, "allocate")),
        initialize_s=stat(_phase_spans(steps, "initialize")),
        mark_running_s=stat(_phase_spans(steps, "mark_running")),
        route_s=stat(_phase_spans(steps, "route")),
        excess_s=stat(_excess_spans(steps)),
    )


def _scale_down(steps: Sequence[StepReport]) -> ScaleDown:
    return ScaleDown(
        steps=len(steps),
        censored=sum(r.censored for r in steps),
        total_s=stat([r.total_s for r in steps if r.total_s]),
        decide_s=stat(_phase_spans(steps, "decide")),
        stop_s=stat(_phase_spans(steps, "stop")),
        drain_s=stat(_phase_spans(steps, "drain")),
        excess_s=stat(_excess_spans(steps)),
    )


def _phase_spans(steps: Sequence[StepReport], name: PhaseName) -> list[Span]:
    return [
        Span(phase.value, phase.lo, phase.hi)
        for step in steps
        for phase in step.phases
        if phase.name == name and phase.lo is not None
    ]


def _excess_spans(steps: Sequence[StepReport]) -> list[Span]:
    """What each measured total exceeds its floor by, as uncertain as the total."""
    return [
        Span(step.excess_s, total.lo - step.floor_s, total.upper - step.floor_s)
        for step in steps
        if (total := step.total_s) is not None
        and step.excess_s is not None
        and step.floor_s is not None
    ]
