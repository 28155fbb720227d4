"""A step of a made-up run, on time and without a fault, for the rules of the diagnosis to look at.

The plan begins at ZERO_S, the step at BEGUN_S; its hold ends 30 s later. 1 replica runs before, 3
after; a second and a third are submitted 2 s after the step, placed 1 s and RUNNING 1.5 s later.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.step_lag import StepLag
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll, Timeline
from reports.model.intervals import Instant, Span, longer_than, point
from reports.model.steps import FloorReport, Phase
from scalelag.plan.stages import LoadStep, parse_plan
from scalelag.record.evidence_rows import ClusterSnapshot, LogEvent, LogKind
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import ControllerHealth, Poll
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import (
    ClockInfo,
    DeploymentInfo,
    ProbeInfo,
    RunInfo,
    TargetInfo,
    Versions,
)

ZERO_S = 1000.0
BEGUN_S = 1010.0
ENDED_S = 1040.0
KEY = "app/Model"
NODE = "node-a"
SETTINGS = {
    "min_replicas": 1,
    "max_replicas": 4,
    "target_ongoing_requests": 2.0,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 1.0,
    "upscale_delay_s": 1.0,
    "downscale_delay_s": 600.0,
}
FLOOR = FloorReport(detect_s=0.3, delay_s=1.0, loop_s=0.3, replica_s=1.0, worst_s=4.0)
ON_TIME_S = 3.5
LEVELS = {"up": (5.0, 25.0), "down": (25.0, 5.0), "none": (5.0, 5.0)}


def facts(*, total_s: float | None = ON_TIME_S, censored: bool = False, **changed: object):
    """Facts of the step, lasting `total_s`; what is `changed` may be a field of any part of it.

    `deployment` is how it was deployed. None for `total_s` is a step without a new replica, unless
    it is `censored`.
    """
    total = None if total_s is None else Span(total_s, total_s, total_s)
    if censored:
        total = longer_than(ENDED_S - BEGUN_S)
    direction = changed.pop("direction", "up")
    hold_s = changed.pop("hold_s", ENDED_S - BEGUN_S)
    at_s = BEGUN_S - ZERO_S
    lag = StepLag(
        direction=direction,
        replicas_before=1,
        replicas_after=3,
        target_before=1,
        target_after=3,
        total_s=total,
        phases=(Phase("decide", 1.6, 1.6, 1.6),),
        critical_replica=None if total is None else "r3",
    )
    made = StepFacts(
        key=KEY,
        run=run(),
        timeline=timeline(),
        step=LoadStep(1, at_s, at_s + hold_s, *LEVELS[direction]),
        lag=lag,
        floor=None if total is None else FLOOR,
        delay=None,
        info=info(),
        policy=policy_of(info()),
        begun_s=BEGUN_S,
        ended_s=ENDED_S,
        ongoing=5.0,
        loop_s=0.1,
    )
    if deployment := changed.pop("deployment", None):
        made = msgspec.structs.replace(made, info=deployment)
    for part in ("run", "timeline", "lag", "policy"):
        whole = getattr(made, part)
        own = {n: changed.pop(n) for n in list(changed) if n in whole.__struct_fields__}
        made = msgspec.structs.replace(made, **{part: msgspec.structs.replace(whole, **own)})
    return msgspec.structs.replace(made, **changed)


def info(**config: object) -> DeploymentInfo:
    return DeploymentInfo(
        autoscaling=dict(SETTINGS), config=dict(config), required_resources={"CPU": 1.0}
    )


def run() -> RecordedRun:
    return RecordedRun(
        info=RunInfo(
            schema_version=1,
            name="made",
            status="complete",
            reason=None,
            versions=Versions("0.1.0", "2.43", "3.11.2", "2.60.0"),
            options={},
            plan=parse_plan("5rps:10s,25rps:30s"),
            arrivals="constant",
            seed=0,
            clock=ClockInfo(0.0, 0.0),
            target=TargetInfo("http://serve", "http://dashboard", False, {KEY: info()}, (KEY,)),
            probe=ProbeInfo(rate_per_s=2.0, budget_ratio=0.02),
            workers=1,
            zero_s=ZERO_S,
            planned_requests=None,
        ),
        requests=requests(),
        polls=tuple(polls()),
        transitions=(),
        statuses=(),
        gaps=(),
        restarts=(),
        problems=(),
    )


def timeline() -> Timeline:
    return Timeline(
        polls=(ReplicaPoll(1009.0, 1009.01, 1, 1, 1), ReplicaPoll(1039.0, 1039.01, 3, 3, 3)),
        decisions=(decision(1011.6, 1, 3),),
        replicas=(
            FIRST,
            life("r2"),
            life("r3"),
        ),
    )


def decision(at_s: float, before: int, after: int) -> Decision:
    return Decision(point(at_s), before, after)


def life(
    name: str,
    *,
    submitted: float = 1012.0,
    entered: float | None = 1013.0,
    initialized: float | None = 1013.1,
    running: float | None = 1013.5,
    stopping: float | None = None,
    allocated: float | None = None,
    node: str | None = NODE,
) -> ReplicaLife:
    def at(moment_s: float | None) -> Instant | None:
        return None if moment_s is None else point(moment_s)

    return ReplicaLife(
        replica=name,
        listed=point(submitted),
        node=node,
        submitted=at(submitted),
        allocated=at(allocated or entered),
        entered=at(entered),
        initialized=at(initialized),
        running=at(running),
        stopping=at(stopping),
    )


FIRST = life("r1", submitted=900.0, entered=901.0, initialized=901.1, running=901.5)


def polls(pace_s: float = 0.1, late: Mapping[float, float] | None = None) -> list[Poll]:
    """A look each 0.5 s; `late` are those answered late, by when they were sent, in seconds.

    The loop turns every `pace_s` of the step, and every 0.1 s outside of it.
    """
    late = late or {}
    found: list[Poll] = []
    sent_s = ZERO_S
    while sent_s < ENDED_S:
        received_s = sent_s + late.get(sent_s, 0.01)
        slow_s = min(max(received_s - BEGUN_S, 0.0), 10.0)
        turns = (received_s - ZERO_S - slow_s) / 0.1 + slow_s / pace_s
        health = ControllerHealth(start_time_s=500.0, loops=round(turns))
        found.append(Poll(sent_s, received_s, 200, {}, health))
        sent_s = max(sent_s + 0.5, received_s)
    return found


def requests(
    rate_rps: float = 25.0,
    latency_s: float = 0.2,
    failed: Mapping[str, Sequence[float]] | None = None,
) -> RequestColumns:
    """Requests of the step at a rate, each answered after `latency_s`.

    `failed` are the intended starts, in Unix seconds, of those that failed, by kind; they take the
    place of those in between. A time-out ends after 2 s.
    """
    failed = failed or {}
    lost = sorted(at_s for times in failed.values() for at_s in times)
    well = np.arange(BEGUN_S, ENDED_S, 1 / rate_rps)
    if lost:
        well = well[(well < lost[0]) | (well > lost[-1])]
    rows = [(at_s, latency_s, -1) for at_s in well]
    kinds = list(failed)
    rows += [
        (at_s, 2.0 if kind == "timeout" else 0.001, kinds.index(kind))
        for kind, times in failed.items()
        for at_s in times
    ]
    rows.sort()
    n = len(rows)
    return RequestColumns(
        intended_s=np.array([row[0] for row in rows], np.float64),
        send_lag_s=np.zeros(n, np.float32),
        latency_s=np.array([row[1] for row in rows], np.float32),
        status=np.zeros(n, np.uint16),
        name=np.zeros(n, np.int32),
        error=np.array([row[2] for row in rows], np.int32),
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=tuple(kinds),
    )


def event(kind: LogKind, at_s: float, replica: str | None = None, raw: str = "") -> LogEvent:
    return LogEvent(kind, at_s, 0.001, NODE, raw or f"{kind} {replica}", KEY, replica)


def snapshot(
    at_s: float,
    demands: Mapping[str, int] | None = None,
    free_cpus: float = 0.0,
    nodes: int = 1,
    pending: Sequence[str] = (),
) -> ClusterSnapshot:
    return ClusterSnapshot(
        sent_s=at_s,
        received_s=at_s,
        demands=dict(demands or {}),
        active={"worker": nodes},
        pending=tuple(pending),
        free={"CPU": free_cpus},
    )
