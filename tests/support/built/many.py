"""Runs with twelve watched deployments: `mixed()` of which most are idle, `all_moved()`."""

import msgspec

from reports.model.causes import Evidence, Finding
from reports.model.charts import Analysis
from reports.model.steps import DeploymentReport, StepReport
from tests.support.built.drawn import charts, curve
from tests.support.built.loads import calm_load
from tests.support.built.samples import (
    CENSORED,
    DOWN,
    END,
    START,
    UP,
    calm,
    deployment,
    missing,
    phase,
    report,
    run,
    span,
)

NO_ROOM = Finding(
    "resources",
    (
        Evidence("replica q2w[b]3e4 waited until the end of the hold for its place", 25.1, "4be1"),
        Evidence("1 pending: {'CPU': 4.0}, and only 0.5 CPU free", 25.4),
    ),
    "Make room for 4 CPU a replica: more or larger nodes, or nodes kept ready (min_workers).",
)
DOWN_AT_50 = msgspec.structs.replace(
    DOWN,
    index=2,
    at_s=50.0,
    from_level=40.0,
    replicas_before=4,
    target_before=4,
    phases=(phase("decide", 8.3, 0.1), phase("stop", 0.11, 0.1), phase("drain", 4.25, 0.2)),
    unattributed_s=0.0,
)
END_AT_80 = msgspec.structs.replace(END, index=3, at_s=80.0)
IDLE_UP = msgspec.structs.replace(
    START, index=1, at_s=20.0, from_level=5.0, to_level=40.0, hold_s=30.0
)
IDLE_DOWN = msgspec.structs.replace(END, index=2, at_s=50.0, from_level=40.0, to_level=5.0)
LATE = msgspec.structs.replace(
    CENSORED,
    index=1,
    at_s=20.0,
    from_level=5.0,
    to_level=40.0,
    replicas_before=1,
    target_before=1,
    replicas_after=3,
    target_after=4,
    reason="target 4 not reached within the hold: 3 RUNNING",
    cause="resources",
    findings=(NO_ROOM,),
    phases=(
        phase("decide", 4.4, 0.1),
        phase("create", 0.12, 0.11),
        missing("allocate", "not over by the end of the hold"),
        missing("initialize", "its beginning was not seen"),
    ),
)
GREW = curve((0, 1, 1), (25, 1, 4), (29.3, 4, 4), (58.3, 4, 1), (62.7, 1, 1), end_s=105.0)
FELL_SHORT = curve((0, 1, 1), (25, 1, 4), (29.3, 3, 4), (58.3, 3, 1), (62.7, 1, 1), end_s=105.0)
STAYED = curve((0, 1, 1), end_s=105.0)


def moved(slower_s: float = 0.0) -> DeploymentReport:
    """One that followed up and down, the way up `slower_s` longer than that of the samples."""
    up = msgspec.structs.replace(UP, total_s=span(9.31 + slower_s, 0.15))
    return deployment(START, up, DOWN_AT_50, END_AT_80, min=1, max=4, final=1)


def idle() -> DeploymentReport:
    return deployment(START, IDLE_UP, IDLE_DOWN, END_AT_80, min=1, max=1, final=1)


def late(step: StepReport = LATE) -> DeploymentReport:
    return deployment(START, step, DOWN_AT_50, END_AT_80, min=1, max=3, final=1)


def mixed() -> Analysis:
    """Three that moved, one that was not up in time for want of room, eight that had no part."""
    deployments = {f"shop/Model{number:02}": idle() for number in range(1, 13)}
    deployments |= {
        "shop/Model02": moved(),
        "shop/Model05": late(),
        "shop/Model07": moved(1.0),
        "shop/Model11": moved(2.0),
    }
    return analysis_of(deployments)


def all_moved() -> Analysis:
    return analysis_of({f"shop/Model{number:02}": moved(number) for number in range(1, 13)})


def analysis_of(deployments: dict[str, DeploymentReport]) -> Analysis:
    curves = {
        key: {None: STAYED, 1: STAYED, 3: FELL_SHORT}.get(one.replicas.max, GREW)
        for key, one in deployments.items()
    }
    return Analysis(
        report=report(
            run=run(duration_s=105.0, load_s=80.0, steps="5rps:20s,40rps:30s,5rps:30s"),
            gates=calm().report.gates,
            deployments=deployments,
            load=calm_load(),
        ),
        charts=charts({0: 5.0, 20: 40.0, 50: 5.0, 80: 0.0}, 105, **curves),
    )
