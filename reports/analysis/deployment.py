"""One deployment's part of the report: each step's lag, floor and cause, and their statistics."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from reports.analysis.controller import over_target
from reports.analysis.diagnosis.counts import counts
from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.diagnosis.failed_steps import failed_steps
from reports.analysis.diagnosis.front import Surroundings
from reports.analysis.diagnosis.front_rules import was_blind
from reports.analysis.diagnosis.overdue import overdue_replicas
from reports.analysis.diagnosis.weigh import diagnose
from reports.analysis.elasticity.demand import capacity_asked
from reports.analysis.elasticity.of_run import ElasticityParts, elasticity_parts
from reports.analysis.lag.changes import Changes, since
from reports.analysis.lag.control_loop import loop_interval
from reports.analysis.lag.floor import fastest_start
from reports.analysis.lag.gap_logs import unseen_windows
from reports.analysis.lag.in_force import floor_in_force, measured_step
from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.step_floor import ScalingSetup, StepFloor
from reports.analysis.lag.step_lag import StepLag
from reports.analysis.lag.stopping import stopping_report
from reports.analysis.lag.timeline import Timeline
from reports.analysis.load.open_requests import OpenRequests
from reports.analysis.load.recovery import Recovery
from reports.analysis.seen.gauges_report import seen_report
from reports.analysis.seen.requests_at import RequestsAt
from reports.model.causes import FailureReport
from reports.model.elasticity import ResponseReport
from reports.model.intervals import Span, Window, open_above, stat
from reports.model.steps import (
    DeploymentReport,
    PhaseName,
    Replicas,
    ScaleDown,
    ScaleUp,
    StepReport,
)
from scalelag.plan.stages import LoadStep
from scalelag.ray_versions import HAPROXY, is_at_least
from scalelag.record.effective import around_it
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun
from scalelag.wording import count

_BLIND = "its autoscaler was blind: how many were wanted is not known"
_UNTOLD = (
    "whether more were wanted is not known: no value of Serve's gauges can only be of the end of "
    "this hold"
)


class DeploymentAnalysis(msgspec.Struct, frozen=True):
    """A deployment's report, and the failed requests of each step as seen from it."""

    report: DeploymentReport
    failures: tuple[FailureReport, ...]


class _Subject(msgspec.Struct, frozen=True):
    """Facts that all steps of a deployment share."""

    run: RecordedRun
    key: DeploymentKey
    setup: ScalingSetup
    until_s: float
    changes: Changes
    requests: RequestsAt
    around: Callable[[float], Surroundings]


class _StepParts(msgspec.Struct, frozen=True):
    """Everything that is known of one step; its report is made from it."""

    step: LoadStep
    facts: StepFacts
    lag: StepLag
    floor: StepFloor


def analyse_deployment(
    run: RecordedRun,
    key: DeploymentKey,
    steps: Sequence[LoadStep],
    timeline: Timeline,
    requests: RequestsAt,
    recovered: Mapping[int, Recovery],
    changes: Changes,
    around: Callable[[float], Surroundings],
) -> DeploymentAnalysis:
    """Lag, floor, cause and response of each of `steps` for deployment `key`, and its elasticity.

    `requests` are those open at it. `recovered` holds the recovery of latency after each step, by
    index. `around` gives the deployments that the same requests pass, at a given moment.
    """
    described, ray = run.info.target.deployments.get(key), run.info.versions.ray
    setup = ScalingSetup(
        timeline=timeline,
        policy=policy_of(described, ray),
        open_requests=requests.open,
        start=fastest_start(timeline.replicas),
        loop_s=loop_interval(run.polls),
        may_hide_drain=is_at_least(ray, HAPROXY)
        and (described is None or described.is_ingress is not False),
    )
    until_s = timeline.polls[-1].received_s if timeline.polls else 0.0
    subject = _Subject(run, key, setup, until_s, changes, requests, around)
    parts = [_parts(subject, step) for step in steps]
    later = [(row.hi_s, policy_of(row.info, ray)) for row in changes.configs]
    known, moved = _given(run, requests, parts), _decided(parts)
    followed = elasticity_parts(run, steps, timeline, setup.policy, known, later, described, moved)
    reports = tuple(
        _step_report(subject, one, response, recovered.get(one.step.index, Recovery()))
        for one, response in zip(parts, followed.responses, strict=True)
    )
    return DeploymentAnalysis(
        report=_report(subject, reports, followed),
        failures=failed_steps([one.facts for one in parts], steps),
    )


def _given(
    run: RecordedRun, requests: RequestsAt, parts: Sequence[_StepParts]
) -> OpenRequests | str:
    """Open requests as the policy was given them; the reason if they are not known, or too few."""
    if requests.given is None:
        return requests.reason or ""
    if requests.whose == "client" or capacity_asked(run.info.options) is not None:
        return requests.given
    blind = [one.step.index for one in parts if was_blind(one.facts)]
    if not blind:
        return requests.given
    return f"its autoscaler was blind in step {blind[0]}: its count is not what was wanted"


def _decided(parts: Sequence[_StepParts]) -> list[Decision]:
    """Decisions of all steps."""
    return [d for one in parts for movement in one.lag.course for d in movement.decisions]


def _parts(subject: _Subject, step: LoadStep) -> _StepParts:
    info, changes = subject.run.info, subject.changes
    measured = measured_step(subject.setup, changes, step, info.versions.ray)
    setup, own = measured.setup, measured.step
    begun_s, ended_s = info.zero_s + own.at_s, info.zero_s + own.hold_until_s
    ongoing, earlier = _last_quarters(subject.requests, Window(begun_s, ended_s))
    around = subject.around(ended_s)
    facts = StepFacts(
        key=subject.key,
        run=subject.run,
        timeline=setup.timeline,
        step=own,
        lag=measured.lag,
        floor=measured.floor.floor,
        delay=measured.floor.delay,
        info=changes.info_at(begun_s),
        policy=setup.policy,
        begun_s=begun_s,
        ended_s=ended_s,
        ongoing=ongoing,
        ongoing_earlier=earlier,
        loop_s=setup.loop_s,
        last_policy=policy_of(changes.info_at(ended_s), info.versions.ray),
        absence=measured.absence,
        hold_ended_s=info.zero_s + step.hold_until_s,
        requests=subject.requests,
        fronts=around.fronts,
        beside=around.beside,
        own=around.own,
        replay=around.replay,
        unwatched=around.unwatched,
    )
    missed = _missed(facts)
    if missed is None:
        return _StepParts(step, facts, _with_doubt(facts), measured.floor)
    return _StepParts(step, facts, missed, floor_in_force(setup, changes, own, missed))


def _last_quarters(requests: RequestsAt, hold: Window) -> tuple[float | None, float | None]:
    """Mean requests given to the policy in the last quarter of a hold and the one before, if known."""
    if requests.given is None:
        return None, None
    given, quarter_s = requests.given.within(hold), (hold.to_s - hold.from_s) / 4
    last_s, earlier_s = hold.to_s - quarter_s, hold.to_s - 2 * quarter_s
    return given.mean(last_s, hold.to_s), given.mean(earlier_s, last_s)


def _missed(facts: StepFacts) -> StepLag | None:
    """Lag of a step that wanted other replicas, and whose target never moved; else None.

    So it is if its autoscaler was blind: that its count asked for no more clears no step. At least
    one more was wanted then. A step down is one only if a decision was due.
    """
    running, hold_s = facts.lag.replicas_before or 0, facts.ended_s - facts.begun_s
    if facts.is_missed:
        wanted = max(facts.demand or 0, running + 1)
        return facts.lag.missed(hold_s, wanted, f"{facts.demand} were wanted")
    if facts.may_be_missed and was_blind(facts):
        return facts.lag.missed(hold_s, running + 1, _BLIND)
    fewer = overdue_replicas(facts)
    if fewer is not None:
        why = f"{count(fewer, 'replica')} would have done for longer than any delay"
        return facts.lag.missed(hold_s, fewer, why)
    return None


def _with_doubt(facts: StepFacts) -> StepLag:
    """The step's lag, its reason with a doubt if it is not known whether more were wanted."""
    lag = facts.lag
    if not facts.is_untold or counts(facts):
        return lag
    return msgspec.structs.replace(lag, reason=f"{lag.reason}; {_UNTOLD}")


def _step_report(
    subject: _Subject, parts: _StepParts, response: ResponseReport, recovered: Recovery
) -> StepReport:
    step, lag, floor = parts.step, parts.lag, parts.floor
    diagnosis, excess = diagnose(parts.facts), floor.excess(lag.total_s)
    return StepReport(
        index=step.index,
        direction=step.direction,
        at_s=step.at_s,
        hold_s=step.hold_s,
        from_level=step.from_level,
        to_level=step.to_level,
        unit=subject.run.info.plan.unit,
        replicas_before=lag.replicas_before,
        replicas_after=lag.replicas_after,
        target_before=lag.target_before,
        target_after=lag.target_after,
        total_s=lag.total_s,
        censored=lag.censored,
        reason=_with_warmup(lag, step, subject.run.info.warmup_s),
        phases=floor.phases,
        unattributed_s=lag.unattributed_s,
        critical_replica=lag.critical_replica,
        recovered_s=recovered.recovered_s,
        recovered_reason=recovered.reason,
        floor_s=floor.floor.total_s if floor.floor else None,
        excess_s=excess.value if excess else None,
        excess=excess,
        floor=floor.floor,
        floor_reason=floor.reason,
        delay=floor.delay,
        response=response,
        wanted_before=floor.wanted_before,
        settled_s=lag.settled_s,
        movements=lag.movements,
        reversals=lag.reversals,
        absent=parts.facts.is_absent,
        **msgspec.structs.asdict(diagnosis),
    )


def _with_warmup(lag: StepLag, step: LoadStep, warmup_s: float) -> str | None:
    """Reason of a lag, also of one that counts in no figure of the whole run."""
    if lag.total_s is None or step.at_s >= warmup_s:
        return lag.reason
    left_out = f"it began in the warm-up of {warmup_s:g} s: no figure of all steps counts it"
    return f"{lag.reason}; {left_out}" if lag.reason else left_out


def _report(
    subject: _Subject, reports: tuple[StepReport, ...], followed: ElasticityParts
) -> DeploymentReport:
    warmup_s = subject.run.info.warmup_s
    counted = [report for report in reports if report.total_s and report.at_s >= warmup_s]
    up = [report for report in counted if report.direction == "up"]
    down = [report for report in counted if report.direction == "down"]
    from_s = subject.run.info.counted_from_s
    timeline = subject.setup.timeline
    described = subject.run.info.target.deployments.get(subject.key)
    around = around_it(described) if described else ()
    return DeploymentReport(
        autoscaling=described.autoscaling if described else None,
        steps=reports,
        scale_up=_scale_up(up),
        scale_down=_scale_down(down),
        replicas=_replicas(subject, from_s),
        elasticity=followed.elasticity,
        flapping=followed.flapping,
        stopping=stopping_report(
            subject.run.requests if subject.requests.rows is None else subject.requests.rows,
            timeline,
            subject.until_s,
            from_s,
        ),
        around=(*around, *since(subject.changes)),
        requests_from=subject.requests.whose,
        seen=seen_report(
            subject.run, subject.key, subject.requests, subject.setup.policy, timeline.resting
        ),
        target_reversals=sum(report.reversals for report in reports),
        running_over_target=over_target(
            timeline.polls, _away(subject), Window(from_s, subject.until_s)
        ),
    )


def _away(subject: _Subject) -> list[Window]:
    """Times in which nobody saw the deployment, or it was deleted or not ready again."""
    timeline = subject.setup.timeline
    unseen = [*unseen_windows(timeline, subject.run.gaps), *timeline.hidden]
    return unseen + [absence.window for absence in subject.changes.absences]


def _replicas(subject: _Subject, from_s: float) -> Replicas:
    """RUNNING replicas from a moment on, with those that run on in another state; 0 while deleted."""
    polls = [poll for poll in subject.setup.timeline.polls if poll.received_s >= from_s]
    running = [poll.running + poll.recovering for poll in polls]
    gone = [a for a in subject.changes.absences if a.ready_s > from_s]
    if not running:
        return Replicas()
    is_gone = any(a.back is None for a in gone)
    return Replicas(min(running) if not gone else 0, max(running), 0 if is_gone else running[-1])


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
        for phase in step.bounded_phases
        if phase.name == name and phase.lo is not None
    ]


def _excess_spans(steps: Sequence[StepReport]) -> list[Span]:
    """Excess of each step; without bounds for a step that was not answered and has no floor."""
    known = [excess for step in steps if (excess := step.excess) is not None]
    return [*known, *open_above(known, sum(step.lacks_excess for step in steps))]
