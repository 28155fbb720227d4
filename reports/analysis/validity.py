"""Validity of a run (docs/metrics.md#latency), and warnings to its reader."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import numpy as np

from reports.analysis.lag.gap_logs import unseen_windows
from reports.analysis.lag.timeline import Timeline
from reports.analysis.load.load_workers import lost_arrivals, worker_warnings
from reports.analysis.restarts import logged_start
from reports.model.intervals import covered_s
from reports.model.load import LoadReport
from reports.model.report import InvalidThrough, ProbeReport
from reports.model.steps import DeploymentReport
from scalelag.record.error_kinds import OPEN_FILES
from scalelag.record.rows import NO_ANSWER_IN_TIME, ControllerRestart, DeploymentKey, Gap, Poll
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import EarlierAttempt, Edge, RunInfo
from scalelag.wording import count

_MAX_LATE_RATIO = 0.01
_MAX_BLIND_RATIO = 0.2
_EDGE_TOLERANCE_S = 0.005
_BUDGET_TOLERANCE = 1.2
_MOST_CONTRADICTIONS = 3
_TOLD_ERROR_S = 0.05


def probe_report(run: RecordedRun, watched_s: float) -> ProbeReport:
    """Quality of the polling over `watched_s` seconds from the plan's start."""
    round_trips = [poll.received_s - poll.sent_s for poll in run.polls]
    sent = [poll.sent_s for poll in run.polls]
    info, clock = run.info.probe, run.info.clock
    return ProbeReport(
        polls=len(run.polls),
        gaps=len(run.gaps),
        gap_s=_blind_s(run.polls, run.gaps, run.info.zero_s, run.info.zero_s + watched_s),
        restarts=len(run.restarts),
        interval_s=float(np.median(np.diff(sent))) if len(sent) > 1 else None,
        round_trip_p50_ms=float(np.median(round_trips)) * 1000 if round_trips else None,
        observer_share=info.busy_s / info.watched_s if info.busy_s and info.watched_s else None,
        clock_offset_s=clock.offset_s,
        clock_error_s=clock.error_s,
        clock_reason=clock.reason,
    )


def _blind_s(polls: Sequence[Poll], gaps: Sequence[Gap], from_s: float, to_s: float) -> float:
    """Seconds of `[from_s, to_s]` in gaps, and before the first and after the last poll."""
    spans = [(gap.from_s, gap.to_s) for gap in gaps]
    if polls:
        spans += [(from_s, polls[0].sent_s), (polls[-1].received_s, to_s)]
    else:
        spans = [(from_s, to_s)]
    return covered_s((from_s, to_s), spans)


class Problem(NamedTuple):
    """Why a run is invalid, and through whom; None if that is not known, or neither."""

    text: str
    through: InvalidThrough | None = None


def run_problems(
    run: RecordedRun, load: LoadReport, probe: ProbeReport, watched_s: float
) -> list[Problem]:
    """Why the run is invalid; empty if it is valid."""
    info = run.info
    problems: list[Problem] = []
    if info.status != "complete":
        problems.append(Problem(f"{info.status}: {info.reason or 'no reason recorded'}"))
    if lost := _lost_rows(run):
        problems.append(Problem(lost))
    if not load.planned:
        problems.append(Problem(_without_requests(run), "load"))
    elif info.plan.unit == "rps" and (load.late_ratio or 0.0) > _MAX_LATE_RATIO:
        problems.append(Problem(_late_words(load), "load"))
    if (files := _without_files(run, load.planned)) is not None:
        problems.append(Problem(files, "load"))
    if watched_s and probe.gap_s > _MAX_BLIND_RATIO * watched_s:
        text = f"the probe saw nothing for {probe.gap_s:.1f} of {watched_s:.1f} s{_why(run, watched_s)}"
        lost = _lost_s(run.gaps, info.zero_s, watched_s) > _MAX_BLIND_RATIO * watched_s
        problems.append(Problem(text, "target" if lost else None))
    return problems


def _lost_rows(run: RecordedRun) -> str | None:
    """Reason of a run that ended well, but whose record of requests ends too early."""
    planned, rows = run.info.planned_requests or 0, run.requests.count
    if run.info.status != "complete" or not run.cut_off or planned <= rows:
        return None
    return (
        f"{run.cut_off}: of {planned:,} planned requests {rows:,} are in the record, and of the others "
        "nobody knows: take a whole copy of the run directory, or make the run again"
    )


def _without_requests(run: RecordedRun) -> str:
    """Reason of a run without a request that counts."""
    if not run.requests.count:
        return "no request was recorded"
    return (
        f"all requests ({run.requests.count:,}) lie in the warm-up of {run.info.warmup_s:g} s: shorten "
        "--warmup, or lengthen the plan"
    )


def _late_words(load: LoadReport) -> str:
    """Reason of a run whose requests were late though there was room for them."""
    on_time_pct = 100 * (1 - (load.late_ratio or 0.0))
    apart = load.not_sent_by.in_flight_limit
    without = f" (without {apart:,} that met a saturated target)" if apart else ""
    return (
        f"only {on_time_pct:.1f} % of the planned requests were sent within 100 ms of their time"
        f": {_why_late(load)}{without}"
    )


def _without_files(run: RecordedRun, planned: int) -> str | None:
    """Reason of a run with many requests without a connection, through a limit of its own machine."""
    without = int(np.count_nonzero(run.requests.with_errors(OPEN_FILES)))
    if without <= _MAX_LATE_RATIO * planned:
        return None
    return (
        f"{count(without, 'request')} had no connection, since the load process had as many files open "
        "as it may (see ulimit -n, and --processes)"
    )


def _why_late(load: LoadReport) -> str:
    lost = sum(worker.lost_at_s is not None for worker in load.workers)
    if lost and lost_arrivals(load.workers):
        one = "load process was lost"
        return f"{lost} of {count(len(load.workers), one, 'load processes were lost')}"
    if not load.sent:
        return f"the users did not start{_first_exception(load)}"
    return "the load generator was too slow (see --processes)"


def _first_exception(load: LoadReport) -> str:
    """The most frequent exception of the users, or where to look for it."""
    if not load.task_exception_kinds:
        return "; what they raised stands in Locust's log"
    kind = load.task_exception_kinds[0]
    return f": {kind.text}" + (f" ({kind.where})" if kind.where else "")


def _why(run: RecordedRun, watched_s: float) -> str:
    """Reason of the longest time without a poll, in brackets: a gap, or that it ended early."""
    longest = max(run.gaps, key=lambda gap: gap.to_s - gap.from_s, default=None)
    gap_s = longest.to_s - longest.from_s if longest else 0.0
    last_s = run.polls[-1].received_s - run.info.zero_s if run.polls else 0.0
    if watched_s - last_s > gap_s:
        return f" (no poll was answered after {last_s:.1f} s)" if run.polls else ""
    return f" (longest gap: {longest.reason})" if longest else ""


def invalid_through(problems: Sequence[Problem]) -> InvalidThrough | None:
    """Side that makes a run invalid: the target only if every problem is the target's."""
    found = {problem.through for problem in problems}
    if "load" in found:
        return "load"
    return "target" if found == {"target"} else None


def _lost_s(gaps: Sequence[Gap], zero_s: float, watched_s: float) -> float:
    """Seconds in which the target was gone, or answered with errors.

    Late answers do not count: the load may have caused them, and a slow target is what is being
    measured. Gaps of the probe itself do not count either.
    """
    gone = [
        (gap.from_s, gap.to_s)
        for gap in gaps
        if gap.reason != NO_ANSWER_IN_TIME and not gap.of_the_probe
    ]
    return covered_s((zero_s, zero_s + watched_s), gone)


def warnings(
    run: RecordedRun,
    deployments: Mapping[str, DeploymentReport],
    load: LoadReport,
    timelines: Mapping[str, Timeline],
) -> list[str]:
    """Sentences that a reader of the report should know."""
    zero_s = run.info.zero_s
    found = [
        _try_warning(number, one) for number, one in enumerate(run.info.earlier_attempts, start=1)
    ]
    found += [*run.info.warnings, *run.problems]
    found += [_gap_warning(gap, zero_s, timelines) for gap in run.gaps]
    found += _restart_warnings(run, timelines)
    found += _edge_warnings(run.info) + _task_warnings(run.info)
    found += _settle_warnings(run.info)
    found += _budget_warnings(run.info)
    found += worker_warnings(load.workers, run.info.plan.unit)
    found += _not_sent_warnings(load, run.info.options.get("max_in_flight"))
    for key, deployment in deployments.items():
        if deployment.replicas.final is None:
            found.append(f"{key}: {_unseen(run, timelines[key])}")
    for key, timeline in timelines.items():
        found += _contradiction_warnings(key, timeline.contradictions)
    return found


def _unseen(run: RecordedRun, timeline: Timeline) -> str:
    """Reason that no poll of a deployment counts."""
    if timeline.polls:
        return f"every poll that shows it lies in the warm-up of {run.info.warmup_s:g} s"
    return "the probe never saw this deployment"


def _contradiction_warnings(key: DeploymentKey, contradictions: Sequence[str]) -> list[str]:
    """The first few of them: a clock that is off contradicts every poll."""
    told = [f"{key}: {text}" for text in contradictions[:_MOST_CONTRADICTIONS]]
    if len(contradictions) > len(told):
        more = len(contradictions) - len(told)
        told[-1] += f"; so it is with {count(more, 'other moment')}: a clock may be off"
    return told


def _not_sent_warnings(load: LoadReport, max_in_flight: int | None) -> Iterator[str]:
    by = load.not_sent_by
    if by.in_flight_limit and load.saturated:
        first, last = load.saturated[0], load.saturated[-1]
        limit = f"{max_in_flight:,} " if max_in_flight else ""
        yield (
            f"the target was saturated for {load.saturated_s:.1f} s between {first.at_s:.1f} and "
            f"{last.until_s:.1f} s: all {limit}requests that a load process may have open "
            f"(--max-in-flight) were open, and {by.in_flight_limit:,} planned requests were not "
            "sent; they count as failed"
        )
    if by.late and load.sent:
        yield (
            f"{by.late:,} planned requests were not sent though there was room, since the load "
            "generator was too slow: they count as failed"
        )


def _try_warning(number: int, one: EarlierAttempt) -> str:
    record = f"its record is {one.path}" if one.path else "it left no record"
    return f"attempt {number} of this run failed through the target, {record}: {one.reason}"


def _gap_warning(gap: Gap, zero_s: float, timelines: Mapping[str, Timeline]) -> str:
    told = [key for key, timeline in timelines.items() if not unseen_windows(timeline, [gap])]
    known = "is known only to that width"
    if told and len(told) == len(timelines):
        known = "is told by logs"
    elif told:
        known += f", but for {', '.join(told)} (told by logs)"
    return (
        f"the probe saw nothing from {gap.from_s - zero_s:.1f} to {gap.to_s - zero_s:.1f} s "
        f"({gap.reason}): what changed in between {known}"
    )


def _restart_warnings(run: RecordedRun, timelines: Mapping[str, Timeline]) -> Iterator[str]:
    off = {clock for timeline in timelines.values() for clock in timeline.off}
    for restart in run.restarts:
        yield (
            f"the Serve controller restarted {_when(restart, run, off)}: replicas were RECOVERING, and "
            "autoscaling started over"
        )


def _when(restart: ControllerRestart, run: RecordedRun, off: AbstractSet[str]) -> str:
    zero_s = run.info.zero_s
    at = logged_start(restart, run.events, off)
    if at is None:
        return f"between {restart.lo_s - zero_s:.1f} and {restart.hi_s - zero_s:.1f} s, by polls"
    error = f" ±{at.skew_s:.1f}" if at.skew_s >= _TOLD_ERROR_S else ""
    return f"at {at.mid_s - zero_s:.1f}{error} s, by its log"


def _budget_warnings(info: RunInfo) -> list[str]:
    busy_s, watched_s, budget = info.probe.busy_s, info.probe.watched_s, info.probe.budget_ratio
    if not busy_s or not watched_s or busy_s / watched_s <= budget * _BUDGET_TOLERANCE:
        return []
    return [
        (
            f"watching took up to {100 * busy_s / watched_s:.1f} % of the controller's time, over the "
            f"budget of {100 * budget:g} %: its answers are slow, or the run was short"
        )
    ]


def _edge_warnings(info: RunInfo) -> list[str]:
    late = [
        edge
        for edge in info.edges
        if abs(edge.actual_s - edge.planned_s) - edge.waited_s > _EDGE_TOLERANCE_S
    ]
    if not late:
        return []
    worst = max(late, key=lambda edge: abs(edge.actual_s - edge.planned_s))
    return [
        (
            f"{count(len(late), 'stage')} did not begin within 5 ms of the plan; the worst is "
            f"{_stage_name(info, worst)}, {1000 * (worst.actual_s - worst.planned_s):.0f} ms late: "
            "lag is counted from when they did"
        )
    ]


def _settle_warnings(info: RunInfo) -> Iterator[str]:
    """Warnings on stages that lasted as long as they may, in a plan that was completed."""
    if info.status != "complete":
        return
    for number, stage in enumerate(info.plan.stages, start=1):
        if stage.most_s == stage.duration_s:
            yield (
                f"stage {number} had not settled within {stage.most_s:g} s, the most it may hold: "
                "replicas or latency still changed when the next one began. Give it more time"
            )


def _task_warnings(info: RunInfo) -> list[str]:
    """Warning about users that went on in their tasks after the load should have gone down."""
    waited = [edge for edge in info.edges if edge.waited_s > 0]
    if not waited:
        return []
    worst = max(waited, key=lambda edge: edge.waited_s)
    text = (
        f"users went on in their tasks for up to {worst.waited_s:.1f} s after they were told to stop "
        f"({_stage_name(info, worst)}): a step down is counted from when they had ended"
    )
    never = [edge for edge in waited if edge.actual_s - edge.planned_s < edge.waited_s / 2]
    if never:
        name = _stage_name(info, never[0])
        text += f"; {name} was over before they had: hold it for longer"
    return [text]


def _stage_name(info: RunInfo, edge: Edge) -> str:
    is_end = edge.stage >= len(info.plan.stages)
    return "the end of the plan" if is_end else f"stage {edge.stage + 1}"
