"""The probes of one run, each in a thread of its own, and the files that their rows go to."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from probes.cluster_probe import ClusterProbe
from probes.dashboard import APPLICATIONS_PATH, Dashboard, token_from_environment
from probes.logs.read import read_evidence
from probes.pacing import Pacing
from probes.replica_probe import ReplicaProbe, measure_baseline
from probes.serve_state import ServePayload, parse_payload
from probes.topology import applications_of
from probes.tracker import ReplicaTracker
from scalelag.errors import RecordError, TargetError
from scalelag.observer.gauges import gauge_probe
from scalelag.observer.messages import (
    MOST_ROWS,
    Access,
    LastPoll,
    Predecessor,
    Progress,
    ReadLogs,
    Report,
    Rows,
    Setup,
    WriteFailure,
)
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.clock import Clock
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.evidence_rows import CLUSTER_STATUS, EvidenceRow, NoLog
from scalelag.record.row_files import RowWriter, read_rows
from scalelag.record.rows import PROBE_HELD_UP, DeploymentKey, Gap, Row, Transition
from scalelag.record.seen_rows import SeenRow

_STOP_TIMEOUT_S = 10.0


def dashboard_at(access: Access, now: Callable[[], float]) -> Dashboard:
    """Return a client of the dashboard, not yet connected; each thread needs one of its own.

    Raises TargetError for a token file that cannot be read.
    """
    token = token_from_environment(os.environ)
    return Dashboard(access.url, now, token, access.verify, access.headers)


class Watch:
    """Watches replicas and cluster, and keeps what they show, from `start` to `stop`.

    The error of a full disk is reported; nothing is written from then on.
    """

    def __init__(self, setup: Setup, send: Callable[[Report], None]) -> None:
        """Open the files, and go on where the process before ended, if there was one.

        Raises RecordError if the files cannot be written.
        """
        self._setup = setup
        self._send = send
        self._clock = Clock.at(setup.anchor_wall_s, setup.anchor_monotonic_s)
        self._writing = threading.Lock()
        self._broken = self._over = False
        self._rows = RowWriter(Path(setup.replicas))
        self._evidence = RowWriter(Path(setup.evidence))
        self._seen = RowWriter(Path(setup.seen))
        self._told: dict[DeploymentKey, DeploymentInfo] = {}
        self._last_payload: ServePayload | None = None
        self._transitions: list[Transition] = []
        self.replicas = self._replica_probe(setup)
        self.cluster = ClusterProbe(self._dashboard(), self._add_evidence, self._clock.now)
        self.gauges = gauge_probe(
            setup, self._clock, self._dashboard(), lambda rows: self._write(self._seen, rows)
        )
        if setup.before is not None:
            self._resume(setup.before)
        self._threads: list[threading.Thread] = []

    def _dashboard(self) -> Dashboard:
        return dashboard_at(self._setup.access, self._clock.now)

    def _replica_probe(self, setup: Setup) -> ReplicaProbe:
        dashboard = self._dashboard()
        tracker = ReplicaTracker(setup.watched, setup.apps)
        tracker.begin(setup.ready, setup.ready_s)
        before = setup.before
        baseline_s = (before and before.state.baseline_s) or measure_baseline(dashboard)
        pacing = Pacing(setup.rate_per_s, setup.budget_ratio, baseline_s)
        return ReplicaProbe(dashboard, self._add_rows, self._clock.now, tracker, pacing)

    def _resume(self, before: Predecessor) -> None:
        rows, _ = read_rows(Path(self._setup.replicas), msgspec.json.Decoder(Row))
        self._transitions = [row for row in rows if isinstance(row, Transition)]
        self.replicas.resume(rows, before.state, before.reason)

    def start(self) -> None:
        """Begin to watch."""
        probes = (self.replicas, self.cluster, self.gauges)
        self._threads = [threading.Thread(target=probe.run, daemon=True) for probe in probes]
        for thread in self._threads:
            thread.start()

    def stop(self) -> LastPoll:
        """Poll a last time and end; return when that was, and the applications by then."""
        for probe in (self.gauges, self.replicas, self.cluster):
            probe.stop()
        deadline_s = time.monotonic() + _STOP_TIMEOUT_S
        # A port that hangs holds nothing up: the thread of the gauges is not waited for.
        for thread in self._threads[:2]:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        self._over = True
        if self.cluster.blind_reason:
            self._add_evidence([NoLog(self.cluster.blind_reason, file=CLUSTER_STATUS)])
        ended_s = self._clock.now()
        return LastPoll(ended_s, self._last_topology())

    def _last_topology(self) -> dict[str, ApplicationInfo]:
        try:
            self._last_payload = parse_payload(self._dashboard().get(APPLICATIONS_PATH).body)
        except TargetError:
            return {}
        return applications_of(self._last_payload, self._setup.watched)

    def read_logs(self, order: ReadLogs) -> None:
        """Read the logs, and write what they show."""
        self._add_evidence(
            read_evidence(
                self._dashboard(),
                self._transitions,
                self._last_payload,
                (order.from_s, order.to_s),
                self.replicas.offset,
                self._clock.now,
                ray=order.ray,
            )
        )

    def held_up(self, seconds: float) -> None:
        """Note that no thread of this process went on for the `seconds` before now."""
        if self._threads and not self._over:
            now_s = self._clock.now()
            self.replicas.gaps += 1
            self._add_rows([Gap(now_s - seconds, now_s, PROBE_HELD_UP, polls=0)])

    def report(self) -> None:
        """Send the state of the probe."""
        state = self.replicas.state
        as_before, self._told = state.deployed == self._told, state.deployed
        if as_before:
            state = msgspec.structs.replace(state, deployed={})
        self._send(Progress(state, as_before))

    def _add_rows(self, rows: Sequence[Row]) -> None:
        if self._over:
            return  # a last answer that came too late to be waited for
        self._transitions += [row for row in rows if isinstance(row, Transition)]
        self._write(self._rows, rows)
        self.report()
        if self._setup.shows_rows:
            for first in range(0, len(rows), MOST_ROWS):
                part = tuple(rows[first : first + MOST_ROWS])
                self._send(Rows(part, more=first + MOST_ROWS < len(rows)))

    def _add_evidence(self, rows: Sequence[EvidenceRow]) -> None:
        self._write(self._evidence, rows)

    def _write(self, writer: RowWriter, rows: Sequence[Row | EvidenceRow | SeenRow]) -> None:
        with self._writing:
            if self._broken:
                return
            try:
                writer.append(rows)
            except RecordError as error:
                self._broken = True
                self._send(WriteFailure(str(error)))
