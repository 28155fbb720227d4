"""Figures of Serve's controller and of the cluster's nodes in a run."""

import msgspec

DEFAULT_LOOP_S = 0.1
"""Pause between two turns of the controller's loop (RAY_SERVE_CONTROL_LOOP_INTERVAL_S)."""


class ControllerReport(msgspec.Struct, frozen=True):
    """The controller by its own health figures, from the end of the warm-up on; None for `reason`.

    `loop_p50_s` and `loop_p95_s` are over the polls, of the loop's mean over Serve's own window;
    `loop_max_s` is the longest turn in any window. `metrics_delay_max_s` is the most by which metrics
    of handles or replicas came late. `memory_growth_mb` sums up the growth of each controller, if it
    was restarted. `ingest_cpu_max_ratio` is the share of a core that taking in metrics took at most.
    The `.._update_max_s` are the longest mean times to bring that part of the state up to date.
    """

    loop_p50_s: float | None = None
    loop_p95_s: float | None = None
    loop_max_s: float | None = None
    loops_per_s: float | None = None
    event_loop_delay_p95_s: float | None = None
    event_loop_delay_max_s: float | None = None
    metrics_delay_max_s: float | None = None
    memory_growth_mb: float | None = None
    memory_max_mb: float | None = None
    asyncio_tasks_max: float | None = None
    ingest_cpu_max_ratio: float | None = None
    ingest_max_ms: float | None = None
    reports_per_s: float | None = None
    deployments_update_max_s: float | None = None
    applications_update_max_s: float | None = None
    proxies_update_max_s: float | None = None
    nodes_update_max_s: float | None = None
    reason: str | None = None


class NodesReport(msgspec.Struct, frozen=True):
    """Active nodes by Ray's cluster status; None for `reason`.

    `pending_max` is the most nodes that were being started, `failed` the number of failures listed.
    """

    min: int | None = None
    max: int | None = None
    final: int | None = None
    pending_max: int | None = None
    failed: int | None = None
    reason: str | None = None


class OverTarget(msgspec.Struct, frozen=True):
    """RUNNING over target replicas, at most 1, while the target is above 0; None for `reason`.

    `mean` weighs each moment alike; `min` is the least at any poll.
    """

    min: float | None = None
    mean: float | None = None
    reason: str | None = None


class ControllerPoint(msgspec.Struct, frozen=True):
    """The controller at one poll, `at_s` after the plan's start."""

    at_s: float
    loop_s: float | None = None
    event_loop_delay_s: float | None = None
    memory_mb: float | None = None
