"""Rows of `evidence.jsonl`: what the cluster's logs and status said, with the raw line kept.

Times of events are Unix seconds on the load generator's clock, moved there from the clock of the
node that wrote the line; `skew_s` bounds how far that move may be off, for every line of a node
alike, so that it cancels between two lines of one node.
"""

from typing import Literal

import msgspec

from scalelag.record.rows import DeploymentKey

LogKind = Literal[
    # The controller's log.
    "upscaling",
    "downscaling",
    "starting",
    "started",
    "stopping",
    "stopped",
    "start_failed",
    "slow_to_schedule",
    "slow_to_initialize",
    "health_check_failed",
    "health_check_timed_out",
    "unhealthy_stopped",
    "force_killed",
    "stale_metrics",
    "controller_started",
    # A replica's log.
    "init_entered",
    "init_done",
    "first_request",
    "at_capacity",
    # A proxy's log.
    "slow_queue_length",
]
"""What a line says; docs/record-format.md has the text of Ray's that each stands for."""


class LogEvent(msgspec.Struct, frozen=True, tag_field="type", tag="log", omit_defaults=True):
    """One line of a log. `duration_s` is what the line itself tells, where it tells one.

    `first_request` is not the line's time but the start of that request: its time less its
    duration. `before` and `after` are replicas, for `upscaling` and `downscaling`; `ongoing` is
    the number of ongoing requests that such a line names.
    """

    kind: LogKind
    at_s: float
    skew_s: float
    node: str
    raw: str
    deployment: DeploymentKey | None = None
    replica: str | None = None
    before: int | None = None
    after: int | None = None
    ongoing: float | None = None
    duration_s: float | None = None


class NodeClock(msgspec.Struct, frozen=True, tag_field="type", tag="node_clock"):
    """How a node's clock stands to the load generator's: node minus ours, within `error_s`.

    `offset_s` holds the node's time zone where its log lines carry none.
    """

    node: str
    offset_s: float
    error_s: float
    lines: int


CLUSTER_STATUS = "cluster status"
"""What a `NoLog` names as its file where not a log but Ray's cluster status could not be read."""


class NoLog(msgspec.Struct, frozen=True, tag_field="type", tag="no_log", omit_defaults=True):
    """A log, or a part of it, that could not be read, and why. `file` is its name on the node."""

    reason: str
    node: str | None = None
    file: str | None = None
    replica: str | None = None


class ClusterSnapshot(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="cluster",
    omit_defaults=True,
    rename={"sent_s": "sent", "received_s": "received"},
):
    """Ray's cluster status. Written when anything but the usage has changed.

    `demands` counts what waits for resources by Ray's own text, such as `{'CPU': 1.0}`; nodes are
    counted by type in `active`, and named as Ray names them in `pending` and `failed`.
    `free` is what is not used of each resource, summed over the nodes.
    """

    sent_s: float
    received_s: float
    demands: dict[str, int] = {}
    active: dict[str, int] = {}
    pending: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    free: dict[str, float] = {}


EvidenceRow = LogEvent | NodeClock | NoLog | ClusterSnapshot
