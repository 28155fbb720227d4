"""The run under way as metrics for Prometheus, made when they are asked for."""

from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

import scalelag
from scalelag.plugin.leader.run import LeaderRun
from scalelag.plugin.web.feed import Feed
from scalelag.plugin.web.totals import BOUNDS_S, Totals
from scalelag.record.rows import ControllerHealth, DeploymentKey, DeploymentPoll

_DEPLOYMENT = ("application", "deployment")
_STATES = ("STARTING", "RUNNING", "STOPPING")
"""States that are 0 and not absent where no replica is in them, so that a chart has no holes."""
_MOST_DEPLOYMENTS = 100
_MOST_LAGS = 500


class RunFigures(Collector):
    """Metrics of the last run of this process; of none, only the version.

    Labels take their values from Serve; prometheus_client escapes them.
    """

    def __init__(self, run: Callable[[], LeaderRun | None]) -> None:
        self._run = run

    def collect(self) -> Iterator[Metric]:
        """Metrics as they are now."""
        run = self._run()
        info = GaugeMetricFamily("scalelag_info", "Version of scalelag.", labels=("version",))
        info.add_metric((scalelag.__version__,), 1)
        yield info
        if run is None or run.live_view is None:
            return
        yield from _load(run, run.live_view.feed.totals)
        yield from _replicas(run)
        yield from _lags(run, run.live_view.feed)
        yield from _probe(run)


def _load(run: LeaderRun, totals: Totals) -> Iterator[Metric]:
    elapsed_s = run.elapsed_s
    yield GaugeMetricFamily(
        "scalelag_elapsed_seconds", "Time since the load began; negative before.", elapsed_s
    )
    stage = run.options.plan.stage_at(elapsed_s)
    level = GaugeMetricFamily("scalelag_planned_load", "Load by the plan.", labels=("unit",))
    level.add_metric((run.options.plan.unit,), stage.level_at(elapsed_s) if stage else 0.0)
    yield level
    requests = CounterMetricFamily(
        "scalelag_requests",
        "Requests by HTTP status; none: without an answer, not_sent: planned and never sent.",
        labels=("status",),
    )
    for status, count in totals.by_status.items():
        requests.add_metric((status,), count)
    yield requests
    yield CounterMetricFamily(
        "scalelag_requests_failed", "Requests that were sent and failed.", totals.failed
    )
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    yield HistogramMetricFamily(
        "scalelag_request_latency_seconds",
        "Latency from the intended start.",
        buckets=list(zip(bounds, accumulate(totals.buckets.tolist()), strict=True)),
        sum_value=totals.latency_sum_s,
    )


def _replicas(run: LeaderRun) -> Iterator[Metric]:
    replicas = GaugeMetricFamily(
        "scalelag_replicas", "Replicas by state, as last polled.", labels=(*_DEPLOYMENT, "state")
    )
    target = GaugeMetricFamily(
        "scalelag_target_replicas", "Replicas that Serve wants.", labels=_DEPLOYMENT
    )
    for key, seen in _polled(run):
        for state in dict.fromkeys((*_STATES, *seen.counts)):
            replicas.add_metric((*_names(run, key), state), seen.counts.get(state, 0))
        if seen.target is not None:
            target.add_metric(_names(run, key), seen.target)
    yield replicas
    yield target


def _polled(run: LeaderRun) -> list[tuple[DeploymentKey, DeploymentPoll]]:
    latest = run.probe.latest
    return sorted(latest.deployments.items())[:_MOST_DEPLOYMENTS] if latest else []


def _lags(run: LeaderRun, feed: Feed) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "scalelag_step_lag_seconds",
        "Time from a load step until the replicas had followed, from polling alone.",
        labels=(*_DEPLOYMENT, "step"),
    )
    for key, lag in feed.lags()[-_MOST_LAGS:]:
        if lag.value_s is not None:
            family.add_metric((*_names(run, key), str(lag.step)), lag.value_s)
    yield family


def _probe(run: LeaderRun) -> Iterator[Metric]:
    probe, workers = run.probe, run.workers
    yield CounterMetricFamily("scalelag_probe_polls", "Answered polls of Serve.", probe.polls)
    gaps = probe.gaps + bool(probe.blind_reason)
    yield CounterMetricFamily("scalelag_probe_gaps", "Times that no poll was answered.", gaps)
    processes = GaugeMetricFamily(
        "scalelag_load_processes", "Load processes that are left.", len(workers.living)
    )
    yield processes
    health = probe.latest.controller if probe.latest else None
    yield from _controller(health or ControllerHealth())


def _controller(health: ControllerHealth) -> Iterator[Metric]:
    """Health of the controller, as far as this version of Ray tells it."""
    if health.loop_mean_s is not None:
        yield GaugeMetricFamily(
            "scalelag_controller_loop_seconds",
            "Mean duration of the control loop, by Serve.",
            health.loop_mean_s,
        )
    if health.event_loop_delay_s is not None:
        yield GaugeMetricFamily(
            "scalelag_controller_event_loop_delay_seconds",
            "Delay of the controller's event loop, by Serve.",
            health.event_loop_delay_s,
        )


def _names(run: LeaderRun, key: DeploymentKey) -> tuple[str, str]:
    application = run.application_of(key)
    return application, key[len(application) + 1 :]
