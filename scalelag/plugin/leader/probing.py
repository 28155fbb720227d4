"""The probes of one run, each in a greenlet of its own, and the files that their rows go to."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import gevent

from probes.cluster_probe import ClusterProbe
from probes.dashboard import APPLICATIONS_PATH, Dashboard, token_from_environment
from probes.logs.read import read_evidence
from probes.pacing import Pacing
from probes.replica_probe import ReplicaProbe, measure_baseline
from probes.serve_state import ServePayload, parse_payload
from probes.topology import applications_of
from probes.tracker import ReplicaTracker
from scalelag.cluster.preflight import ReadyState
from scalelag.errors import RecordError, TargetError
from scalelag.options.run_options import RunOptions
from scalelag.plugin.leader.gauges import gauge_probe
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.clock import Clock
from scalelag.record.evidence_rows import CLUSTER_STATUS, EvidenceRow, NoLog
from scalelag.record.rows import DeploymentKey, Row, Transition
from scalelag.record.run_dir import EVIDENCE_FILE, REPLICAS_FILE, SEEN_FILE, RowWriter
from scalelag.record.seen_rows import Seen

_STOP_TIMEOUT_S = 10


def open_dashboard(options: RunOptions, clock: Clock) -> Dashboard:
    """Client of the dashboard in `options`; each greenlet needs one of its own.

    Raises TargetError for a token file that cannot be read.
    """
    return Dashboard(
        options.dashboard,
        clock.now,
        token_from_environment(os.environ),
        options.verify,
        options.headers_for_dashboard(os.environ),
    )


def _pacing(options: RunOptions, dashboard: Dashboard) -> Pacing:
    """Pace of the replica probe, within the options' budget of the controller's time."""
    baseline_s = measure_baseline(dashboard)
    return Pacing(options.probe_rate_per_s, options.observer_budget_ratio, baseline_s)


class Watch:
    """Watches replicas and cluster, and keeps what they show, until `stop`; then `close` it.

    The error of a full disk is passed to `failed`; nothing is written from then on. `ready` is the
    state that the record describes. `dashboard` is the replica probe's until `stop`. Rows of the
    replica probe are passed to each of `shown`. Applications `apps` are watched once they are there.
    """

    def __init__(
        self,
        path: Path,
        dashboard: Dashboard,
        options: RunOptions,
        clock: Clock,
        watched: frozenset[DeploymentKey],
        ready: ReadyState,
        failed: Callable[[RecordError], None],
        shown: Sequence[Callable[[Sequence[Row]], None]] = (),
        *,
        apps: frozenset[str] = frozenset(),
    ) -> None:
        """Open the files. Raises RecordError if they cannot be written."""
        self._failed = failed
        self._shown, self._broken = shown, False
        self._rows = RowWriter(path / REPLICAS_FILE)
        self._evidence = RowWriter(path / EVIDENCE_FILE)
        self._seen = RowWriter(path / SEEN_FILE)
        tracker = ReplicaTracker(watched, apps)
        tracker.begin(ready.payload, ready.sent_s)
        self._cluster_dashboard = open_dashboard(options, clock)
        self._gauge_dashboard = open_dashboard(options, clock)
        self.replicas = ReplicaProbe(
            dashboard,
            self._add_rows,
            clock.now,
            tracker,
            _pacing(options, dashboard),
        )
        self.cluster = ClusterProbe(self._cluster_dashboard, self.add_evidence, clock.now)
        self.gauges = gauge_probe(
            options,
            clock,
            self._gauge_dashboard,
            watched,
            lambda rows: self._write(self._seen, rows),
        )
        self._dashboard = dashboard
        self._clock = clock
        self._watched = watched
        self._last_payload: ServePayload | None = None
        self._transitions: list[Transition] = []
        self._greenlets: list[gevent.Greenlet[[], None]] = []
        self._reading: gevent.Greenlet[[], None] = gevent.Greenlet()

    def start(self) -> None:
        """Begin to watch."""
        self._greenlets = [gevent.spawn(self.replicas.run), gevent.spawn(self.cluster.run)]
        self._reading = gevent.spawn(self.gauges.run)

    def stop(self) -> None:
        """Poll a last time and end. Evidence can still be added."""
        self.gauges.stop()
        self.replicas.stop()
        self.cluster.stop()
        gevent.joinall(self._greenlets, timeout=_STOP_TIMEOUT_S)
        # A port that hangs holds nothing up: this probe is not waited for.
        gevent.killall([*self._greenlets, self._reading])
        self._cluster_dashboard.close()
        self._gauge_dashboard.close()
        if self.cluster.blind_reason:
            self.add_evidence([NoLog(self.cluster.blind_reason, file=CLUSTER_STATUS)])

    def last_topology(self) -> dict[str, ApplicationInfo]:
        """Applications as Serve shows them now; empty if it does not answer."""
        try:
            self._last_payload = parse_payload(self._dashboard.get(APPLICATIONS_PATH).body)
        except TargetError:
            return {}
        return applications_of(self._last_payload, self._watched)

    def read_logs(self, from_s: float, to_s: float, ray: str | None) -> None:
        """Read the logs of a cluster of version `ray` between two moments, in Unix seconds."""
        self.add_evidence(
            read_evidence(
                self._dashboard,
                self._transitions,
                self._last_payload,
                (from_s, to_s),
                self.replicas.offset,
                self._clock.now,
                ray=ray,
            )
        )

    def _add_rows(self, rows: Sequence[Row]) -> None:
        self._transitions += [row for row in rows if isinstance(row, Transition)]
        self._write(self._rows, rows)
        for show in self._shown:
            show(rows)

    def add_evidence(self, rows: Sequence[EvidenceRow]) -> None:
        """Append `rows` to the evidence file."""
        self._write(self._evidence, rows)

    def close(self) -> None:
        """Close the files."""
        self._rows.close()
        self._evidence.close()
        self._seen.close()

    def _write(self, writer: RowWriter, rows: Sequence[Row | EvidenceRow | Seen]) -> None:
        if not self._broken:
            try:
                writer.append(rows)
            except RecordError as error:
                self._broken = True
                self._failed(error)
