"""A step up from one to two replicas as polling and logs tell it, for tests of both."""

from collections.abc import Sequence

from reports.analysis.lag.step_lag import StepLag, step_lag
from reports.analysis.lag.timeline import Timeline, build_timeline
from reports.model.steps import Phase
from scalelag.plan.stages import LoadStep
from scalelag.record.evidence_rows import LogEvent, LogKind
from scalelag.record.rows import DeploymentPoll, Poll, Transition
from scalelag.record.run_info import ClockInfo

KEY = "app/Model"
NODE = "head"
SKEW_S = 0.003
CLOCK = ClockInfo(0.0, 0.0, offset_s=100.0, error_s=SKEW_S)
STEP_S, HOLD_S = 10.0, 30.0


def event(kind: LogKind, at_s: float, replica: str | None = None, **more: object) -> LogEvent:
    fields = {"deployment": KEY, "replica": replica, "node": NODE, "skew_s": SKEW_S} | more
    return LogEvent(kind=kind, at_s=at_s, raw=f"{kind} {replica}", **fields)


def polls(*looks: tuple[float, int, dict[str, int]]) -> list[Poll]:
    """A poll each 0.5 s that takes 0.1 s; each shows what the last of `looks` by then says."""
    return [
        Poll(t, t + 0.1, 200, {KEY: DeploymentPoll(counts, target)})
        for t in (8.0 + i * 0.5 for i in range(68))
        for _, target, counts in [max((look for look in looks if look[0] <= t), key=lambda x: x[0])]
    ]


def transition(replica: str, at_s: float, state: str | None, **more: object) -> Transition:
    """As polling every 0.5 s saw a change that happened at `at_s`."""
    sent = 8.0 + int((at_s - 8.0) / 0.5) * 0.5
    return Transition(KEY, replica, sent + 0.6, sent, to_state=state, **more)


def life(
    replica: str, submitted: float, allocated: float, running: float, node: str = NODE
) -> list[Transition]:
    return [
        transition(replica, submitted, "STARTING", start_time_s=submitted + 100.0),
        transition(replica, allocated, "STARTING", node=node),
        transition(replica, running, "RUNNING", node=node),
    ]


def log_of(
    replica: str, submitted: float, entered: float, done: float, running: float, node: str = NODE
) -> list[LogEvent]:
    return [
        event("starting", submitted, replica),
        event("init_entered", entered, replica, node=node),
        event("init_done", done, replica, node=node),
        event("started", running, replica),
    ]


ONE_TO_TWO = polls(
    (8.0, 1, {"RUNNING": 1}),
    (14.5, 2, {"RUNNING": 1, "STARTING": 1}),
    (18.0, 2, {"RUNNING": 2}),
)
LIFE = life("a", 14.2, 15.1, 17.84)
UP = event("upscaling", 14.1, before=1, after=2)
LOG = [UP, *log_of("a", 14.21, 15.3, 17.3, 17.84), event("first_request", 18.0, "a")]


def timeline(
    rows: Sequence[Transition] = LIFE, events: Sequence[LogEvent] = LOG, seen: Sequence[Poll] = ()
) -> Timeline:
    ordered = sorted(events, key=lambda e: e.at_s)
    return build_timeline(KEY, seen or ONE_TO_TWO, rows, ordered, CLOCK)


def lag(known: Timeline, levels: tuple[float, float] = (5, 40)) -> StepLag:
    return step_lag(LoadStep(1, STEP_S, HOLD_S, *levels), 0.0, known)


def phase(report: StepLag, name: str) -> Phase:
    return next(p for p in report.phases if p.name == name)


def value(report: StepLag, name: str) -> float | None:
    found = phase(report, name).value
    return None if found is None else round(found, 6)
