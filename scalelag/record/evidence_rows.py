"""Rows of `evidence.jsonl`: events from the cluster's logs, each with its raw line, and its status.

Times of events are converted from the clock of the node that wrote the line to Unix seconds on the
load generator's clock. `skew_s` bounds the error of that conversion. It is the same for all lines of
a node, so it cancels between two of them.
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
    "version_deployed",
    "outdated_stopped",
    "deleting",
    # A replica's log.
    "init_entered",
    "init_done",
    "first_request",
    "at_capacity",
    # A proxy's log.
    "slow_queue_length",
    "proxy_reloaded",
]
"""Kind of a log line; docs/record-format.md has Ray's text for each."""

NOT_THE_CONTROLLERS: frozenset[LogKind] = frozenset(
    {
        "init_entered",
        "init_done",
        "first_request",
        "at_capacity",
        "slow_queue_length",
        "proxy_reloaded",
    }
)
"""Kinds that replicas and proxies write; the controller writes all others."""


class LogEvent(msgspec.Struct, frozen=True, tag_field="type", tag="log", omit_defaults=True):
    """One line of a log. `duration_s` is set if the line names a duration.

    The time of a `first_request` is the start of the request: the line's time minus the duration. For
    `upscaling` and `downscaling`, `before` and `after` are numbers of replicas, and `ongoing` is the
    number of ongoing requests in the line.
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
    """Clock of a node minus the load generator's: `offset_s`, within `error_s`.

    `offset_s` includes the node's time zone if its log lines carry none.
    """

    node: str
    offset_s: float
    error_s: float
    lines: int


CLUSTER_STATUS = "cluster status"
"""The `file` of a `NoLog` if Ray's cluster status, rather than a log, could not be read."""


class NoLog(msgspec.Struct, frozen=True, tag_field="type", tag="no_log", omit_defaults=True):
    """A log, or a part of one, that could not be read. `file` is its name on the node."""

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
    """Ray's cluster status, written when anything but the usage has changed.

    `demands` counts the demands that wait for resources, by Ray's own text such as `{'CPU': 1.0}`.
    `active` counts nodes by type; `pending` and `failed` name nodes in Ray's words. `free` is the
    unused amount of each resource, summed over the nodes.
    """

    sent_s: float
    received_s: float
    demands: dict[str, int] = {}
    active: dict[str, int] = {}
    pending: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    free: dict[str, float] = {}


EvidenceRow = LogEvent | NodeClock | NoLog | ClusterSnapshot
