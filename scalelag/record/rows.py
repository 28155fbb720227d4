"""Rows of `replicas.jsonl`. Times are Unix seconds on the load generator's clock.

A change seen by polling lies somewhere in `(lo, hi]`: `lo` is the send time of the last poll with the
old state, `hi` the receive time of the first poll with the new one.
"""

import msgspec

from scalelag.record.deployment_info import DeploymentInfo

DeploymentKey = str
"""`app/Deployment`."""


class DeploymentPoll(msgspec.Struct, frozen=True, omit_defaults=True):
    """One deployment in one poll; `target` is None before Ray 2.10, which does not report it."""

    counts: dict[str, int]
    target: int | None = None
    status: str | None = None


class ControllerHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """Health that the Serve controller reports; times are on the cluster's clock.

    `loops` counts the iterations of its control loop since it started, `handle_reports` and
    `replica_reports` the metrics that it took in. Delays of metrics, and `loop_max_s`, are the most in
    a rolling window of Serve's, other durations the mean in it. `sleep_s` is the last pause between
    two iterations. None is what this version of Ray does not tell.
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
    replica_metrics_delay_ms: float | None = None
    loops_per_s: float | None = None
    sleep_s: float | None = None
    expected_sleep_s: float | None = None
    asyncio_tasks: int | None = None
    handle_ingest_ms: float | None = None
    replica_ingest_ms: float | None = None
    decompress_ms: float | None = None
    decode_ms: float | None = None
    handle_reports: int | None = None
    replica_reports: int | None = None
    ingest_cpu_ratio: float | None = None
    deployments_update_s: float | None = None
    applications_update_s: float | None = None
    proxies_update_s: float | None = None
    nodes_update_s: float | None = None


class Poll(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="poll",
    omit_defaults=True,
    rename={"sent_s": "sent", "received_s": "received"},
):
    """One answer of the dashboard. `http_status` is always 200: any other answer is a gap.

    `hidden` are deployments that Serve does not show while it builds a new version of their
    application, though they go on.
    """

    sent_s: float
    received_s: float
    http_status: int
    deployments: dict[DeploymentKey, DeploymentPoll]
    controller: ControllerHealth | None = None
    hidden: tuple[DeploymentKey, ...] = ()


class Transition(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="transition",
    omit_defaults=True,
    rename={"from_state": "from", "to_state": "to", "lo_s": "lo", "hi_s": "hi"},
):
    """A replica changed its state, or (`from == to`) was assigned a node.

    `from_state` is None if the replica was not listed before, `to_state` if it is no longer listed.
    `lo_s` is None if the first poll already showed it. `start_time_s` is the replica's own field, on
    the cluster's clock.
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
    """A deployment's status, trigger or message changed.

    An update that ends a time in which the deployment was hidden lies behind the last poll that hid it:
    only then was the new version known. While it is hidden, a version that cannot be built is told by
    status and message of the application, with OF_APPLICATION as the trigger.
    """

    deployment: DeploymentKey
    hi_s: float
    status: str
    lo_s: float | None = None
    trigger: str | None = None
    message: str = ""


UPDATE_STARTED = "CONFIG_UPDATE_STARTED"
"""The `trigger` of a status with which an update begins."""

OF_APPLICATION = "APPLICATION"
"""The `trigger` of a status that is not the deployment's own, but its application's."""

BUILD_FAILED = "DEPLOY_FAILED"
"""The `status` of an application of which a new version cannot be built, or of a deployment."""

NO_ANSWER_IN_TIME = "no answer in time"
"""The `reason` of a gap in which the dashboard took requests but did not answer in time."""

PROBE_ENDED = "the probe process ended"
PROBE_HELD_UP = "the probe process was held up"
"""Beginnings of the `reason` of a gap that is the probe's own, and not the target's."""


class Gap(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="gap",
    rename={"from_s": "from", "to_s": "to"},
):
    """Time in which the probe saw nothing, with the `reason` and the number of failed `polls`."""

    from_s: float
    to_s: float
    reason: str
    polls: int

    @property
    def of_the_probe(self) -> bool:
        """True if nothing was asked, so that the gap says nothing about the target."""
        return self.reason.startswith((PROBE_ENDED, PROBE_HELD_UP))


class ControllerRestart(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="controller_restart",
    rename={"lo_s": "lo", "hi_s": "hi"},
):
    """The Serve controller was restarted; its start times are on the cluster's clock.

    They are None before Ray 2.56, which does not tell them: there its worker, or its log, is another.
    """

    lo_s: float
    hi_s: float
    old_start_s: float | None = None
    new_start_s: float | None = None


class ProxyChange(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="proxy",
    omit_defaults=True,
    rename={"from_state": "from", "to_state": "to", "lo_s": "lo", "hi_s": "hi"},
):
    """Serve's proxy on a node changed its status; `to_state` is None if it is no longer listed."""

    node: str
    hi_s: float
    lo_s: float | None = None
    from_state: str | None = None
    to_state: str | None = None


class ConfigChange(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="config",
    omit_defaults=True,
    rename={"lo_s": "lo", "hi_s": "hi"},
):
    """A deployment's configuration changed, to `info`.

    `changed` names the settings that are different, also those whose values are not kept.
    """

    deployment: DeploymentKey
    lo_s: float
    hi_s: float
    info: DeploymentInfo
    changed: tuple[str, ...] = ()


class NeighbourChange(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="neighbour",
    omit_defaults=True,
    rename={"lo_s": "lo", "hi_s": "hi"},
):
    """A deployment that is not watched, but belongs to a watched application, came or went.

    Those that are watched show it in each poll.
    """

    deployment: DeploymentKey
    lo_s: float
    hi_s: float
    present: bool


class CapacityChange(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="capacity",
    omit_defaults=True,
    rename={"lo_s": "lo", "hi_s": "hi"},
):
    """Serve's `target_capacity` changed, in per cent; None if it is not set."""

    lo_s: float
    hi_s: float
    before: float | None = None
    after: float | None = None


Row = (
    Poll
    | Transition
    | StatusChange
    | Gap
    | ControllerRestart
    | ProxyChange
    | ConfigChange
    | NeighbourChange
    | CapacityChange
)
