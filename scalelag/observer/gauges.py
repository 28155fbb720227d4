"""Third probe of a run, as its options ask for it."""

from collections.abc import Callable, Collection, Sequence

from probes.dashboard import Dashboard
from probes.gauges.metrics_port import MetricsPorts
from probes.gauges.port_list import PortList
from probes.gauges.ports_reader import PortsReader
from probes.gauges.probe import GaugeProbe, GaugeReader
from probes.gauges.prometheus import PrometheusReader, session_of
from probes.pacing import Pacing
from scalelag.observer.messages import Setup
from scalelag.record.clock import Clock
from scalelag.record.seen_rows import SeenRow

_EXPORT_S = 10.0
"""Ray's `metrics_report_interval_ms`, by default."""
_EXPORT_EMBEDDED_S = 1.0
_READ_S = 5.0
_READ_EMBEDDED_S = 1.0
_LONGEST_S = 60.0


def gauge_probe(
    setup: Setup, clock: Clock, dashboard: Dashboard, sink: Callable[[Sequence[SeenRow]], None]
) -> GaugeProbe:
    """Return the probe; `dashboard` must not be shared. Nothing is asked before it runs."""
    interval_s = _READ_EMBEDDED_S if setup.embedded else _READ_S
    pacing = Pacing(1.0 / interval_s, setup.budget_ratio, longest_s=_LONGEST_S)
    reader = _reader(setup, clock, dashboard, watched_applications(setup))
    return GaugeProbe(reader, sink, pacing, clock.now)


def watched_applications(setup: Setup) -> frozenset[str]:
    """Names of the applications whose gauges are read: the watched ones, and those that may come."""
    return setup.apps.union(map(setup.ready.application_of, setup.watched))


def _reader(setup: Setup, clock: Clock, dashboard: Dashboard, apps: Collection[str]) -> GaugeReader:
    export_s = _EXPORT_EMBEDDED_S if setup.embedded else _EXPORT_S
    if setup.prometheus is None:
        ports = PortList(dashboard, clock.now)
        return PortsReader(ports, MetricsPorts(clock.now), apps, clock.now, export_s)
    other = setup.prometheus
    server = Dashboard(other.url, clock.now, token=None, verify=other.verify)
    return PrometheusReader(server, apps, clock.now, export_s, lambda: session_of(dashboard))
