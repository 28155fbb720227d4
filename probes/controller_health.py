"""Parser of `controller_health_metrics`, which Serve's state has since Ray 2.56."""

import msgspec

from scalelag.record.rows import ControllerHealth


class _Summary(msgspec.Struct, frozen=True):
    """Figures over a rolling window of Serve's own; empty without any value."""

    mean: float | None = None
    max: float | None = None


_NONE = _Summary()


class HealthPayload(msgspec.Struct, frozen=True):
    """Health of the controller under Ray's names (`ControllerHealthMetrics` in `ray/serve/schema.py`).

    Left out are those that follow from others: uptime, and the sum of reports received.
    """

    timestamp: float | None = None
    controller_start_time: float | None = None
    last_control_loop_time: float | None = None
    num_control_loops: int | None = None
    loop_duration_s: _Summary | None = None
    loops_per_second: float | None = None
    last_sleep_duration_s: float | None = None
    expected_sleep_duration_s: float | None = None
    event_loop_delay_s: float | None = None
    num_asyncio_tasks: int | None = None
    handle_ingest_duration_ms: _Summary | None = None
    replica_ingest_duration_ms: _Summary | None = None
    metrics_decompress_duration_ms: _Summary | None = None
    columnar_decode_duration_ms: _Summary | None = None
    handle_reports_received: int | None = None
    replica_reports_received: int | None = None
    ingest_cpu_fraction: float | None = None
    deployment_state_update_duration_s: _Summary | None = None
    application_state_update_duration_s: _Summary | None = None
    proxy_state_update_duration_s: _Summary | None = None
    node_update_duration_s: _Summary | None = None
    handle_metrics_delay_ms: _Summary | None = None
    replica_metrics_delay_ms: _Summary | None = None
    process_memory_mb: float | None = None

    def health(self) -> ControllerHealth:
        """Return the health as it is recorded."""
        loop = self.loop_duration_s or _NONE
        return ControllerHealth(
            timestamp_s=self.timestamp,
            start_time_s=self.controller_start_time,
            last_control_loop_s=self.last_control_loop_time,
            loops=self.num_control_loops,
            loop_mean_s=loop.mean,
            loop_max_s=loop.max,
            event_loop_delay_s=self.event_loop_delay_s,
            handle_metrics_delay_ms=(self.handle_metrics_delay_ms or _NONE).max,
            memory_mb=self.process_memory_mb,
            replica_metrics_delay_ms=(self.replica_metrics_delay_ms or _NONE).max,
            loops_per_s=self.loops_per_second,
            sleep_s=self.last_sleep_duration_s,
            expected_sleep_s=self.expected_sleep_duration_s,
            asyncio_tasks=self.num_asyncio_tasks,
            handle_ingest_ms=(self.handle_ingest_duration_ms or _NONE).mean,
            replica_ingest_ms=(self.replica_ingest_duration_ms or _NONE).mean,
            decompress_ms=(self.metrics_decompress_duration_ms or _NONE).mean,
            decode_ms=(self.columnar_decode_duration_ms or _NONE).mean,
            handle_reports=self.handle_reports_received,
            replica_reports=self.replica_reports_received,
            ingest_cpu_ratio=self.ingest_cpu_fraction,
            deployments_update_s=(self.deployment_state_update_duration_s or _NONE).mean,
            applications_update_s=(self.application_state_update_duration_s or _NONE).mean,
            proxies_update_s=(self.proxy_state_update_duration_s or _NONE).mean,
            nodes_update_s=(self.node_update_duration_s or _NONE).mean,
        )
