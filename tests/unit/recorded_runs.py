"""A run of 80 s with a step up and a step down, as it is recorded, and its report."""

from collections.abc import Sequence

import msgspec
import numpy as np

from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gate
from reports.model.report import Report
from scalelag.plan.arrivals import arrival_blocks
from scalelag.plan.stages import parse_plan
from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import ControllerRestart, Gap, Poll, Row, StatusChange, Transition
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import (
    ClockInfo,
    DeploymentInfo,
    ProbeInfo,
    RunInfo,
    TargetInfo,
    Versions,
)

ZERO_S = 1_795_371_900.0
KEY = "app/Model"
PLAN = "5rps:20s,40rps:40s,5rps:20s"
LOAD_S = 80.0
WATCHED_S = 100.0
REQUESTS = 100 + 1600 + 100


def info(plan: str = PLAN, **changed: object) -> RunInfo:
    """A complete run of 80 s of load, watched for 100 s."""
    made = RunInfo(
        schema_version=1,
        name="demo",
        status="complete",
        reason=None,
        versions=Versions("0.1.0", "2.43", "3.11.2", "2.60.0"),
        options={},
        plan=parse_plan(plan),
        arrivals="constant",
        seed=0,
        clock=ClockInfo(ZERO_S - 2, 100.0, offset_s=0.03, error_s=0.002),
        target=TargetInfo(
            host="http://h",
            dashboard="http://d",
            embedded=False,
            deployments={KEY: DeploymentInfo(autoscaling={"min_replicas": 1})},
            watched=(KEY,),
        ),
        probe=ProbeInfo(rate_per_s=2.0, budget_ratio=0.02, busy_s=1.2, watched_s=120.0),
        workers=1,
        zero_s=ZERO_S,
        planned_requests=REQUESTS,
        load_ended_s=ZERO_S + LOAD_S,
        watched_until_s=ZERO_S + WATCHED_S,
    )
    return msgspec.structs.replace(made, **changed)


def requests(
    plan: str = PLAN, late: int = 0, lag_s: float = 5.0, not_sent: int = 0, keep: int | None = None
) -> RequestColumns:
    """Requests of `plan`, 50 ms each; the first `late` sent `lag_s` late, the last `not_sent` not."""
    due = np.concatenate(list(arrival_blocks(parse_plan(plan))))[:keep]
    n = due.size
    send_lag = np.zeros(n, np.float32)
    send_lag[:late] = lag_s
    latency = send_lag + np.float32(0.05)
    error = np.full(n, -1, np.int32)
    if not_sent:
        send_lag[-not_sent:] = latency[-not_sent:] = np.nan
        error[-not_sent:] = 0
    return RequestColumns(
        intended_s=ZERO_S + due,
        send_lag_s=send_lag,
        latency_s=latency,
        status=np.full(n, 200, np.uint16),
        name=np.zeros(n, np.int32),
        error=error,
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=(NOT_SENT,),
    )


NO_REQUESTS = requests(keep=0)


def shown_at(t_s: float) -> tuple[int, dict[str, str]]:
    """Target and states of replicas: 1 to 3 for the step at 20 s, back to 1 for that at 60 s."""
    states = {"r0": "RUNNING"}
    if t_s < 25 or t_s >= 75:
        return (3 if 25 <= t_s < 70 else 1), states
    extra = "STARTING" if t_s < 27 else "RUNNING" if t_s < 71 else "STOPPING"
    return (3 if t_s < 70 else 1), states | {"r1": extra, "r2": extra}


def watch(
    from_s: float = -2.0, until_s: float = WATCHED_S, blind: Sequence[range] = ()
) -> list[Row]:
    """Rows of two polls a second, 50 ms each, with a gap row for each of `blind`."""
    tracker = ReplicaTracker()
    rows: list[Row] = [Gap(ZERO_S + gap.start, ZERO_S + gap.stop, "HTTP 503", 9) for gap in blind]
    for half in range(round(2 * from_s), round(2 * until_s)):
        t_s = half / 2
        if any(gap.start <= t_s < gap.stop for gap in blind):
            continue
        target, states = shown_at(t_s)
        replicas = [
            {"replica_id": name, "state": state, "node_id": "n"} for name, state in states.items()
        ]
        model = {"target_num_replicas": target, "replicas": replicas}
        body = msgspec.json.encode({"applications": {"app": {"deployments": {"Model": model}}}})
        rows += tracker.rows(parse_payload(body), ZERO_S + t_s, ZERO_S + t_s + 0.05)
    return rows


def recorded(
    run_info: RunInfo | None = None,
    columns: RequestColumns | None = None,
    rows: Sequence[Row] | None = None,
    problems: tuple[str, ...] = (),
) -> RecordedRun:
    rows = watch() if rows is None else rows
    return RecordedRun(
        info=run_info or info(),
        requests=requests() if columns is None else columns,
        polls=tuple(row for row in rows if isinstance(row, Poll)),
        transitions=tuple(row for row in rows if isinstance(row, Transition)),
        statuses=tuple(row for row in rows if isinstance(row, StatusChange)),
        gaps=tuple(row for row in rows if isinstance(row, Gap)),
        restarts=tuple(row for row in rows if isinstance(row, ControllerRestart)),
        problems=problems,
    )


def report_of(run: RecordedRun, *gates: str) -> Report:
    return analyse(run, [parse_gate(gate) for gate in gates]).report
