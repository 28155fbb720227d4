"""An analysis with what logs tell: exact phases, floors, causes with evidence, failed requests."""

import msgspec

from reports.model.causes import Evidence, EvidenceReport, FailureReport, Finding
from reports.model.charts import Analysis
from reports.model.intervals import Span
from reports.model.steps import DelayReport, FloorReport, Phase, PhaseName, PhasePart
from tests.support.built.drawn import HOSTILE_KEY, charts
from tests.support.built.samples import (
    CENSORED,
    END,
    SCALING,
    START,
    UP,
    calm,
    deployment,
    report,
    span,
)

FLOOR = FloorReport(
    detect_s=0.5, delay_s=2.0, loop_s=0.3, replica_s=1.6, worst_s=6.0, push_s=1.0, average_s=2.0
)
CONFIG = {
    "min_replicas": 1,
    "max_replicas": 8,
    "metrics_interval_s": 1.0,
    "look_back_period_s": 2.0,
    "upscale_delay_s": 2.0,
}
WAITED = Finding(
    "resources",
    (
        Evidence("replica g9aifu0c waited 4.1 s until it got its place", 25.1, "4be1"),
        Evidence("a node was started: ray.worker.default went from 0 to 1", 28.9),
        Evidence("1 pending: {'CPU': 4.0}, and only 0.5 CPU free", 25.4),
        Evidence("Serve says so", 29.0, raw="a fourth piece, which is left to report.json"),
    ),
    "Make room for 4 CPU a replica: more or larger nodes, or nodes kept ready (min_workers).",
    seconds=4.1,
)
STALLED = Finding(
    "state_sync",
    (Evidence("the controller answered after 6.0 s", 52.0),),
    "Give the controller room: no replicas on the head node.",
    seconds=6.0,
    tell_apart="the replica's own log would tell when it had initialised",
)
SLOW = Finding(
    "slow_init",
    (
        Evidence(
            "replica q2w[b]3e4 initialised for 5.5 s",
            52.3,
            raw="WARNING 2026-11-22 18:26:13,261 controller 2232 -- \x1b[36mray::Model[/b]\x1b[0m\n"
            "Traceback (most recent call last):\nValueError: no weights <b>here</b>",
        ),
    ),
    "Make __init__ quicker.",
    seconds=5.5,
    tell_apart="the replica's own log would tell when it had initialised",
)


def logged(name: PhaseName, value: float, part_of: PhasePart = "total") -> Phase:
    return Phase(name, value, value, value, "log", part_of=part_of)


EXACT = msgspec.structs.replace(
    UP,
    total_s=span(9.31, 0.003),
    phases=(
        logged("decide", 3.02),
        logged("detect", 1.02, "decide"),
        logged("delay", 2.0, "decide"),
        logged("create", 0.11),
        logged("allocate", 4.1),
        logged("initialize", 2.0),
        logged("mark_running", 0.08),
        logged("route", 0.18, "recovery"),
    ),
    floor_s=FLOOR.total_s,
    excess_s=9.31 - FLOOR.total_s,
    excess=span(9.31 - FLOOR.total_s, 0.003),
    floor=FLOOR,
    delay=DelayReport(2.0, Span(2.7, 2.4, 3.0), loop_s=0.52),
    cause="resources",
    findings=(WAITED,),
    evidence=WAITED.evidence,
)
AMBIGUOUS = msgspec.structs.replace(CENSORED, floor=FLOOR, floor_s=4.4, findings=(STALLED, SLOW))


TURNED_AWAY = FailureReport(
    3,
    80.4,
    88.0,
    14,
    {"back-pressure": 12, "wrong answer: no [b]HTTP[/b]": 2},
    notes=(
        "12 turned away: a queue in Serve was full (app/[b]Model[/b] has max_queued_requests 5).",
        "2 answered wrongly: look at the application.",
    ),
)


def traced() -> Analysis:
    """A run whose logs were read, with a cause for each of two steps and for what failed."""
    known = deployment(START, EXACT, AMBIGUOUS, END, min=1, max=5, final=1)
    failures = (
        FailureReport(1, 25.2, 30.0, 31, {"HTTP 503": 31}, "resources", (WAITED,)),
        FailureReport(2, 52.0, 58.0, 7, {"connection reset": 6, "[b]odd[/b]\x1b[2J": 1}, None, ()),
        TURNED_AWAY,
    )
    analysis = calm()
    return Analysis(
        report=report(
            deployments={HOSTILE_KEY: msgspec.structs.replace(known, autoscaling=CONFIG)},
            load=analysis.report.load,
            failures=failures,
            evidence=EvidenceReport(log_lines=41, snapshots=3, node_error_s={"4be1": 0.004}),
        ),
        charts=charts({0: 5.0, 20: 40.0}, 60, **{HOSTILE_KEY: SCALING}),
    )
