"""Rows of `replicas.jsonl`. Times are Unix seconds on the load generator's clock.

A change seen by polling is known only to lie in `(lo, hi]`: `lo` is the send time of the last poll
that showed the old state, `hi` the receive time of the first that showed the new one.
"""

import msgspec

DeploymentKey = str
"""`app/Deployment`."""


class DeploymentPoll(msgspec.Struct, frozen=True, omit_defaults=True):
    """One deployment in one poll; `target` is None where the Ray version does not tell (< 2.10)."""

    counts: dict[str, int]
    target: int | None = None
    status: str | None = None


class ControllerHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the Serve controller says of itself; times are on the cluster's clock.

    `loops` counts the turns of its control loop since it started.
    """

    timestamp_s: float | None = None
    start_time_s: float | None = None
    last_control_loop_s: float | None = None
    loops: int | None = None
    loop_mean_s: float | None = None
    loop_max_s: float | None = None
    event_loop_delay_s: float | None = None
    handle_metrics_delay_ms: float | None = None
    memory_mb: float | None = None


class Poll(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="poll",
    omit_defaults=True,
    rename={"sent_s": "sent", "received_s": "received"},
):
    """One answer of the dashboard. `http_status` is 200; refused or unusable answers are gaps."""

    sent_s: float
    received_s: float
    http_status: int
    deployments: dict[DeploymentKey, DeploymentPoll]
    controller: ControllerHealth | None = None


class Transition(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="transition",
    omit_defaults=True,
    rename={"from_state": "from", "to_state": "to", "lo_s": "lo", "hi_s": "hi"},
):
    """A replica changed: its state, or (`from == to`) it got a node.

    `from_state` is None for a replica that was not listed before, `to_state` None for one that is
    listed no more. `lo_s` is None for what the first poll found already there. `start_time_s` is
    the replica's own field, on the cluster's clock.
    """

    deployment: DeploymentKey
    replica: str
    hi_s: float
    lo_s: float | None = None
    from_state: str | None = None
    to_state: str | None = None
    node: str | None = None
    start_time_s: float | None = None
    log_file: str | None = None


class StatusChange(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="status",
    omit_defaults=True,
    rename={"lo_s": "lo", "hi_s": "hi"},
):
    """A deployment's status, trigger or message changed."""

    deployment: DeploymentKey
    hi_s: float
    status: str
    lo_s: float | None = None
    trigger: str | None = None
    message: str = ""


NO_ANSWER_IN_TIME = "no answer in time"
"""The `reason` of a gap in which the target took requests, and was too slow to answer them."""


class Gap(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="gap",
    rename={"from_s": "from", "to_s": "to"},
):
    """The probe saw nothing between two moments, for `reason`; `polls` of its tries failed."""

    from_s: float
    to_s: float
    reason: str
    polls: int


class ControllerRestart(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="controller_restart",
    rename={"lo_s": "lo", "hi_s": "hi"},
):
    """The Serve controller started again; its start times are on the cluster's clock."""

    lo_s: float
    hi_s: float
    old_start_s: float
    new_start_s: float


class ProxyChange(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="proxy",
    omit_defaults=True,
    rename={"from_state": "from", "to_state": "to", "lo_s": "lo", "hi_s": "hi"},
):
    """Serve's proxy on a node changed its status; `to_state` is None where it is listed no more."""

    node: str
    hi_s: float
    lo_s: float | None = None
    from_state: str | None = None
    to_state: str | None = None


Row = Poll | Transition | StatusChange | Gap | ControllerRestart | ProxyChange
