"""Third probe of a run, as its options ask for it."""

from collections.abc import Callable, Collection, Sequence

import gevent

from probes.dashboard import Dashboard
from probes.gauges.metrics_port import MetricsPorts
from probes.gauges.port_list import PortList
from probes.gauges.ports_reader import PortsReader
from probes.gauges.probe import GaugeProbe, GaugeReader
from probes.gauges.prometheus import PrometheusReader, session_of
from probes.pacing import Pacing
from scalelag.options.run_options import RunOptions
from scalelag.record.clock import Clock
from scalelag.record.rows import DeploymentKey
from scalelag.record.seen_rows import Seen

_EXPORT_S = 10.0
"""Ray's `metrics_report_interval_ms`, by default."""
_EXPORT_EMBEDDED_S = 1.0
_READ_S = 5.0
_READ_EMBEDDED_S = 1.0
_LONGEST_S = 60.0


def gauge_probe(
    options: RunOptions,
    clock: Clock,
    dashboard: Dashboard,
    watched: Collection[DeploymentKey],
    sink: Callable[[Sequence[Seen]], None],
) -> GaugeProbe:
    """Return the probe; `dashboard` must not be shared. Nothing is asked before it runs."""
    interval_s = _READ_EMBEDDED_S if options.embedded else _READ_S
    pacing = Pacing(1.0 / interval_s, options.observer_budget_ratio, longest_s=_LONGEST_S)
    apps = frozenset(key.rpartition("/")[0] for key in watched)
    return GaugeProbe(_reader(options, clock, dashboard, apps), sink, pacing, clock.now)


def _reader(
    options: RunOptions, clock: Clock, dashboard: Dashboard, apps: Collection[str]
) -> GaugeReader:
    export_s = _EXPORT_EMBEDDED_S if options.embedded else _EXPORT_S
    if options.prometheus is None:
        ports = PortList(dashboard, clock.now)
        client = MetricsPorts(clock.now, pause=lambda: gevent.sleep(0))
        return PortsReader(ports, client, apps, clock.now, export_s)
    server = Dashboard(options.prometheus, clock.now, token=None, verify=options.verify)
    return PrometheusReader(server, apps, clock.now, export_s, lambda: session_of(dashboard))
