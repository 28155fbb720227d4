"""The script of a stand-in for Serve's dashboard: replicas, targets, faults and their times.

A script is data and pure functions of it. All its times are seconds relative to the stand-in's time
zero; negative times are before it. A `Script` is written as JSON with `msgspec.json`.
"""

from typing import Any, Literal, TypeVar

import msgspec

Timed = TypeVar("Timed", "ReplicaScript", "StatusOverride")

HEAD_NODE_ID = "1e5ca1e1" * 7  # as long as Ray's

FaultKind = Literal[
    "http_status", "hang", "slow", "garbage", "truncated", "reset", "refuse", "restart"
]


class ReplicaScript(msgspec.Struct, frozen=True):
    """The life of one replica; a time that is None never comes.

    `created_s` is when it is first listed (and its `start_time_s`), `allocated_s` when `node_id`,
    `pid` and the rest appear, `gone_s` when it is listed no more. Times may be equal: the state in
    between is then never shown.
    """

    replica_id: str
    created_s: float
    allocated_s: float | None = None
    running_s: float | None = None
    stopping_s: float | None = None
    gone_s: float | None = None
    node_id: str = HEAD_NODE_ID


class StatusOverride(msgspec.Struct, frozen=True):
    """A deployment's status from `at_s` until `until_s`, whatever its replicas do."""

    at_s: float
    until_s: float
    status: str
    status_trigger: str
    message: str = ""


class DeploymentScript(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment.

    `targets` are `(at_s, target_num_replicas)`, sorted by time; the first is its deployment, and
    before it the target is 0. `autoscaling` overrides fields of `autoscaling_config`; None makes it
    a deployment with a fixed number of replicas. `step_up_s` and `step_down_s` are the load steps
    that the timeline answers: they are for the reader of the truth, and never served.
    """

    targets: tuple[tuple[float, int], ...]
    replicas: tuple[ReplicaScript, ...]
    autoscaling: dict[str, Any] | None = {}
    required_resources: dict[str, float] = msgspec.field(default_factory=lambda: {"CPU": 0.1})
    config: dict[str, Any] = {}
    statuses: tuple[StatusOverride, ...] = ()
    step_up_s: float | None = None
    step_down_s: float | None = None


class Fault(msgspec.Struct, frozen=True):
    """Something that goes wrong from `at_s`, for `lasts_s` (None: until cleared).

    `at_s` None means from the start of the script, or, when posted, from then on. `path` is the
    start of the request paths it touches; `/` is all of the dashboard.

    http_status  answers `status` with a short text
    hang         does not answer for `seconds`, then closes the connection
    slow         waits for `seconds` before it looks at the state, then answers
    garbage      answers 200 with a body that is not JSON
    truncated    closes the connection in the middle of the body
    reset        resets the connection as soon as the request has come
    refuse       listens no more (`path` has no meaning); open connections are reset when used
    restart      the controller restarts at `at_s`: replicas are RECOVERING for `seconds`

    `seconds` None makes hang and slow last as long as the fault, as with a stopped controller, and
    a restart recover at once.
    """

    kind: FaultKind
    at_s: float | None = None
    lasts_s: float | None = None
    status: int = 503
    seconds: float | None = None
    path: str = "/api/serve/"

    @property
    def start_s(self) -> float:
        """Start of the fault."""
        return 0.0 if self.at_s is None else self.at_s

    def active(self, t_s: float) -> bool:
        """Return True if requests meet it at `t_s`; never for a restart, which is part of the state."""
        began = self.kind != "restart" and self.start_s <= t_s
        return began and (self.lasts_s is None or t_s < self.start_s + self.lasts_s)


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A whole cluster: `applications[app][deployment]`, its faults, its clock and its costs.

    `clock_offset_s` is how far the cluster's clock is ahead of the true one. `handler_cost_s` and
    `handler_cost_per_replica_s` are spent per request after the state was looked at, one request
    at a time, as the controller does. `schema` is the Ray version whose fields are served. `health`
    overrides fields of `controller_health_metrics`. `steady` tells that nothing changes but these: the
    rest is evaluated and encoded once. `metrics_ports` are addresses HOST:PORT of metrics
    ports, on nodes at 127.0.0.1; `listed_ports` those that are listed beside them.
    """

    applications: dict[str, dict[str, DeploymentScript]] = {}
    faults: tuple[Fault, ...] = ()
    clock_offset_s: float = 0.0
    schema: Literal["2.60", "2.10"] = "2.60"
    token: str | None = None
    handler_cost_s: float = 0.0
    handler_cost_per_replica_s: float = 0.0
    controller_age_s: float = 600.0
    cpu_total: float = 4.0
    metrics_ports: tuple[str, ...] = ()
    listed_ports: tuple[str, ...] = ()
    http_port: int = 8000
    health: dict[str, Any] = {}
    steady: bool = False
    serve_started: bool = True


class Truth(msgspec.Struct, frozen=True):
    """A script in Unix seconds of the true clock, deployments by `app/Deployment`."""

    deployments: dict[str, DeploymentScript]
    faults: tuple[Fault, ...]


def has_come(at_s: float | None, t_s: float) -> bool:
    """Return True if `at_s`, None for never, is not after `t_s`."""
    return at_s is not None and at_s <= t_s


def last_restart(script: Script, t_s: float) -> Fault | None:
    """The last restart of the controller up to `t_s`."""
    restarts = (f for f in script.faults if f.kind == "restart" and f.start_s <= t_s)
    return max(restarts, key=lambda f: f.start_s, default=None)


def state_at(replica: ReplicaScript, t_s: float, restart: Fault | None = None) -> str | None:
    """The replica's state as Serve names it, None while it is not listed.

    `restart` is the last restart up to `t_s`. A replica that was starting at that time is shown as
    RECOVERING until it would have been RUNNING.
    """
    if t_s < replica.created_s or has_come(replica.gone_s, t_s):
        return None
    if has_come(replica.stopping_s, t_s):
        return "STOPPING"
    running = has_come(replica.running_s, t_s)
    if restart is None or replica.created_s >= restart.start_s:
        return "RUNNING" if running else "STARTING"
    recovered = t_s >= restart.start_s + (restart.seconds or 0.0)
    return "RUNNING" if running and recovered else "RECOVERING"


def truth_of(script: Script, zero_s: float) -> Truth:
    """The script with every time moved from its time zero to Unix time."""
    return Truth(
        deployments={
            f"{app}/{name}": shifted(deployment, zero_s)
            for app, deployments in script.applications.items()
            for name, deployment in deployments.items()
        },
        faults=tuple(msgspec.structs.replace(f, at_s=f.start_s + zero_s) for f in script.faults),
    )


def shifted(deployment: DeploymentScript, by_s: float) -> DeploymentScript:
    """The same deployment, everything `by_s` later."""
    return msgspec.structs.replace(
        deployment,
        targets=tuple((at_s + by_s, target) for at_s, target in deployment.targets),
        replicas=tuple(_shift(replica, by_s) for replica in deployment.replicas),
        statuses=tuple(_shift(status, by_s) for status in deployment.statuses),
        step_up_s=None if deployment.step_up_s is None else deployment.step_up_s + by_s,
        step_down_s=None if deployment.step_down_s is None else deployment.step_down_s + by_s,
    )


def _shift(timed: Timed, by_s: float) -> Timed:
    times = {name: getattr(timed, name) for name in timed.__struct_fields__ if name[-2:] == "_s"}
    moved = {name: value + by_s for name, value in times.items() if value is not None}
    return msgspec.structs.replace(timed, **moved)
