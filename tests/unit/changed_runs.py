"""A run in which somebody changes the deployment, and its report.

The plan offers 5 rps until 20 s, 40 rps until 60 s and 5 rps until 80 s. A poll is sent each half
second and lasts 50 ms, so a change at t is seen between t - 0.5 and t + 0.05.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from reports.analysis.analyse import analyse
from reports.model.charts import Analysis
from reports.model.report import Report
from reports.model.steps import StepReport
from scalelag.plan.stages import parse_plan
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.error_kinds import http_status
from scalelag.record.evidence_rows import LogEvent, LogKind
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import (
    CapacityChange,
    ConfigChange,
    NeighbourChange,
    Poll,
    Row,
    StatusChange,
    Transition,
)
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import ClockInfo, ProbeInfo, RunInfo, TargetInfo, Versions

KEY = "app/Model"
ZERO_S = 1000.0
END_S = 80.0
PLAN = "5rps:20s,40rps:40s,5rps:20s"
SETTINGS: dict[str, Any] = {
    "min_replicas": 1,
    "max_replicas": 4,
    "target_ongoing_requests": 1.0,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 1.0,
    "upscale_delay_s": 2.0,
    "downscale_delay_s": 5.0,
}


class Shown(NamedTuple):
    """State of the deployment on the dashboard, from some moment on."""

    target: int
    replicas: Mapping[str, str]
    status: str = "HEALTHY"
    trigger: str = "CONFIG_UPDATE_COMPLETED"
    settings: Mapping[str, Any] = SETTINGS
    user_config: str = "v1"
    fixed: int | None = None


DESCRIBED = DeploymentInfo(SETTINGS)
BUILDING = "building"
"""In place of a `Shown`: the application is there, and shows no deployment while it is built."""

ONE = Shown(1, {"a": "RUNNING"})
STARTING = Shown(3, {"a": "RUNNING", "b": "STARTING", "c": "STARTING"}, "UPSCALING", "AUTOSCALING")
THREE = Shown(3, {"a": "RUNNING", "b": "RUNNING", "c": "RUNNING"})
# Asked for at 20 s, decided at 24 s, RUNNING at 26 s.
UP = {-2.0: ONE, 24.0: STARTING, 26.0: THREE}


def body(shown: Shown | str | None, **more: Any) -> bytes:
    deployments: dict[str, Any] = dict(more.pop("neighbours", {}))
    if isinstance(shown, Shown):
        deployments["Model"] = {
            "target_num_replicas": shown.target,
            "status": shown.status,
            "status_trigger": shown.trigger,
            "deployment_config": {
                **(
                    {"autoscaling_config": shown.settings}
                    if shown.fixed is None
                    else {"num_replicas": shown.fixed}
                ),
                "user_config": shown.user_config,
            },
            "replicas": [
                {"replica_id": name, "state": state, "node_id": "n"}
                for name, state in shown.replicas.items()
            ],
        }
    status = "DEPLOYING" if shown == BUILDING else "RUNNING"
    app = {"status": status, "deployments": deployments, **more.pop("of_app", {})}
    applications = {"app": app}
    return msgspec.json.encode({"applications": applications, **more})


def watched(
    changes: Mapping[float, Shown | str | None], more: Callable[[float], dict[str, Any]]
) -> list[Row]:
    tracker = ReplicaTracker(frozenset([KEY]))
    rows: list[Row] = []
    for half in range(-4, round(2 * END_S)):
        t_s = half / 2
        shown = changes[max(c for c in changes if c <= t_s)]
        payload = parse_payload(body(shown, **more(t_s)))
        rows += tracker.rows(payload, ZERO_S + t_s, ZERO_S + t_s + 0.05)
    return rows


def requests(failing: tuple[float, float] | None, open_for_s: float) -> RequestColumns:
    """A request each 100 ms, of 50 ms or more; those due within `failing` are answered 404."""
    due_s = np.arange(0, END_S, 0.1)
    n = due_s.size
    error = np.full(n, -1, np.int32)
    if failing:
        error[(due_s >= failing[0]) & (due_s < failing[1])] = 0
    return RequestColumns(
        intended_s=ZERO_S + due_s,
        send_lag_s=np.zeros(n, np.float32),
        latency_s=np.full(n, open_for_s, np.float32),
        status=np.where(error < 0, 200, 404).astype(np.uint16),
        name=np.zeros(n, np.int32),
        error=error,
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=(http_status(404),),
    )


def info_of(described: DeploymentInfo) -> RunInfo:
    return RunInfo(
        schema_version=1,
        name="changed",
        status="complete",
        reason=None,
        versions=Versions("0.2.0", "2.43", "3.11.2", "2.60.0"),
        options={},
        plan=parse_plan(PLAN),
        arrivals="constant",
        seed=0,
        clock=ClockInfo(ZERO_S, 0.0),
        target=TargetInfo("http://serve", "http://dashboard", False, {KEY: described}, (KEY,)),
        probe=ProbeInfo(rate_per_s=2.0, budget_ratio=0.02),
        workers=1,
        zero_s=ZERO_S,
        planned_requests=None,
        load_ended_s=ZERO_S + END_S,
        watched_until_s=ZERO_S + END_S,
    )


def analysis_of(
    changes: Mapping[float, Shown | str | None],
    failing: tuple[float, float] | None = None,
    more: Callable[[float], dict[str, Any]] = lambda _t_s: {},
    open_for_s: float = 0.05,
    events: tuple[LogEvent, ...] = (),
    described: DeploymentInfo = DESCRIBED,
) -> Analysis:
    rows = watched(changes, more)

    def only(kind: type) -> tuple[Any, ...]:
        return tuple(row for row in rows if isinstance(row, kind))

    return analyse(
        RecordedRun(
            info=info_of(described),
            requests=requests(failing, open_for_s),
            polls=only(Poll),
            transitions=only(Transition),
            statuses=only(StatusChange),
            gaps=(),
            restarts=(),
            problems=(),
            configs=only(ConfigChange),
            neighbours=only(NeighbourChange),
            capacities=only(CapacityChange),
            events=events,
        )
    )


def report_of(
    changes: Mapping[float, Shown | str | None],
    failing: tuple[float, float] | None = None,
    more: Callable[[float], dict[str, Any]] = lambda _t_s: {},
    open_for_s: float = 0.05,
    events: tuple[LogEvent, ...] = (),
    described: DeploymentInfo = DESCRIBED,
) -> Report:
    return analysis_of(changes, failing, more, open_for_s, events, described).report


def step(report: Report, index: int = 1) -> StepReport:
    return report.deployments[KEY].steps[index]


def told(report: Report) -> list[tuple[str, str | None, str]]:
    return [(change.kind, change.deployment, change.what) for change in report.changes]


def phases(of: StepReport) -> dict[str, float | None]:
    return {phase.name: phase.value for phase in of.phases}


# --- the configuration -----------------------------------------------------------------------

SLOWER = SETTINGS | {"upscale_delay_s": 8.0, "max_replicas": 5}


def with_settings(shown: Shown, settings: Mapping[str, Any]) -> Shown:
    return shown._replace(settings=settings)


# --- a new version ---------------------------------------------------------------------------

UPDATING = ("UPDATING", "CONFIG_UPDATE_STARTED")
# The version rolls at 40 s, while three replicas run: one after another is replaced until 46 s.
ROLLING = UP | {
    40.0: Shown(3, {"a": "STOPPING", "b": "RUNNING", "c": "RUNNING", "d": "STARTING"}, *UPDATING),
    42.0: Shown(3, {"d": "RUNNING", "b": "STOPPING", "c": "RUNNING", "e": "STARTING"}, *UPDATING),
    44.0: Shown(3, {"d": "RUNNING", "e": "RUNNING", "c": "STOPPING", "f": "STARTING"}, *UPDATING),
    46.0: Shown(3, {"d": "RUNNING", "e": "RUNNING", "f": "RUNNING"}),
}


# --- deleted, and deployed again -------------------------------------------------------------

GONE = UP | {40.0: None}


# Deleted at 40 s, deployed again at 50 s with one replica that is RUNNING at 53 s.
BACK = GONE | {
    50.0: Shown(1, {"x": "STARTING"}, *UPDATING),
    53.0: Shown(1, {"x": "RUNNING"}),
}


def line(kind: LogKind, at_s: float) -> LogEvent:
    return LogEvent(kind, ZERO_S + at_s, 0.001, "n", kind, KEY)
