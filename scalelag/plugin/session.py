"""One run, in the process that leads it: from preflight to the closed run directory."""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gevent
import locust
from locust.env import Environment
from locust.runners import MasterRunner, Runner

import scalelag
from probes.pacing import Pacing
from probes.payload import ServePayload
from probes.replica_probe import ReplicaProbe, measure_baseline
from probes.serve_api import Dashboard, token_from_environment
from probes.tracker import ReplicaTracker
from scalelag.errors import RecordError, ScalelagError, UsageError
from scalelag.plugin.recorder import RowCollector
from scalelag.plugin.run_options import RunOptions
from scalelag.plugin.worker import FLUSH_MESSAGE, START_MESSAGE, Assignment
from scalelag.record.clock import Clock
from scalelag.record.plan import count_arrivals
from scalelag.record.requests_file import RequestWriter
from scalelag.record.rows import Row
from scalelag.record.run_dir import (
    REPLICAS_FILE,
    REQUESTS_FILE,
    RowWriter,
    create_run_dir,
    write_run_info,
)
from scalelag.record.run_info import (
    SCHEMA_VERSION,
    UNFINISHED,
    ClockInfo,
    Edge,
    ProbeInfo,
    RunInfo,
    RunStatus,
    TargetInfo,
    Versions,
)
from scalelag.target.preflight import (
    Patience,
    check_endpoint,
    ray_version,
    ready_payload,
    without_credentials,
)
from scalelag.target.room import look_for_room

LEAD_S = 2.0
"""From the announcement of a run to its plan's start: workers get ready, the probe takes looks."""

_FINAL_ROWS_TIMEOUT_S = 5.0
_DRAIN_LOOK_S = 0.2
_CALM_LOOKS = 5


class Session:
    """Leads one run. Made by a preflight that succeeded; `finish` closes its directory."""

    def __init__(
        self, environment: Environment, runner: Runner, options: RunOptions, clock: Clock
    ) -> None:
        """Look at the target. Raises UsageError, TargetError."""
        self._runner = runner
        self.options = options
        self._clock = clock
        self._host = environment.host or ""
        self._dashboard = Dashboard(
            options.dashboard, clock.now, token_from_environment(), options.verify
        )
        self._payload = self._preflight()
        self._ray_version = ray_version(self._dashboard)
        self.warnings = self._room_warnings()
        self.failure: ScalelagError | None = None
        self.zero_s = 0.0
        self.load_done = False
        self.running = False
        self._edges: list[Edge] = []
        self._final: set[int] = set()
        self._load_ended_s: float | None = None
        self._workers = 1
        self._planned = self._count_planned()

    def _preflight(self) -> ServePayload:
        options = self.options
        options.request.headers_with_secrets()
        patience = Patience(options.wait_s, self._clock.now, gevent.sleep)
        if not self._host:
            raise UsageError("--host is missing: the URL at which Serve answers HTTP.")
        payload = patience.retry(lambda: ready_payload(self._dashboard, options.deployments))
        patience.retry(lambda: check_endpoint(self._host))
        return payload

    def _room_warnings(self) -> list[str]:
        room = look_for_room(self._dashboard, self._payload)
        return [f"no room: {shortage.text}" for shortage in room.shortages]

    def _count_planned(self) -> int | None:
        options = self.options
        if options.plan.unit != "rps":
            return None
        return count_arrivals(options.plan, options.arrivals, options.seed)

    def start(self, run_name: str) -> None:
        """Make the run directory, start the probe, announce the plan's start to the workers.

        Raises UsageError for a name that is no file name, RecordError where nothing can be written.
        """
        options = self.options
        self.path = create_run_dir(options.out, options.name, self._clock.now())
        self.zero_s = self._clock.now() + LEAD_S
        self._rows = RowWriter(self.path / REPLICAS_FILE)
        self._requests = RequestWriter(self.path / REQUESTS_FILE)
        self.collector = RowCollector(self._requests)
        self._watched = frozenset(options.deployments or self._payload.deployments())
        pacing = Pacing(
            options.probe_rate_per_s,
            options.observer_budget_ratio,
            measure_baseline(self._dashboard),
        )
        self.probe = ReplicaProbe(
            self._dashboard,
            self._write_rows,
            self._clock.now,
            ReplicaTracker(self._watched),
            pacing,
        )
        self.running = True
        self._assign(run_name)
        self._write_info("interrupted", UNFINISHED)
        self._probe_greenlet = gevent.spawn(self.probe.run)

    def _assign(self, run_name: str) -> None:
        runner = self._runner
        ids: Sequence[str | None] = [None]
        if isinstance(runner, MasterRunner):
            ready = runner.clients.ready + runner.clients.running + runner.clients.spawning
            ids = sorted(client.id for client in ready)
        self._workers = len(ids)
        for index, client_id in enumerate(ids):
            assignment = Assignment(run_name, self.zero_s, index, len(ids))
            data = {name: getattr(assignment, name) for name in assignment.__struct_fields__}
            runner.send_message(START_MESSAGE, data, client_id)

    @property
    def workers(self) -> int:
        """How many processes share the load."""
        return self._workers

    @property
    def elapsed_s(self) -> float:
        """Seconds since the plan's start; negative before it."""
        return self._clock.now() - self.zero_s

    def edge(self, stage: int, planned_s: float) -> None:
        """Note that a closed-loop stage begins now, and put it on record."""
        self._edges.append(Edge(stage, planned_s, self.elapsed_s))
        self._write_info("interrupted", UNFINISHED)

    def collect(self, message: dict[str, Any]) -> None:
        """Take a process's rows. A disk that does not take them ends the run (see `failure`)."""
        if self.running and self.failure is None:
            try:
                self.collector.collect(message, int(message["worker"]))
            except RecordError as error:
                self.failure = error
        if message["final"]:
            self._final.add(int(message["worker"]))

    def _write_rows(self, rows: Sequence[Row]) -> None:
        if self.failure is None:
            try:
                self._rows.append(rows)
            except RecordError as error:
                self.failure = error

    def end_load(self) -> None:
        """Get the last rows from every process; the load is over."""
        if self._load_ended_s is None:
            self._load_ended_s = self._clock.now()
            self._runner.send_message(FLUSH_MESSAGE, {})
            deadline_s = self._clock.now() + _FINAL_ROWS_TIMEOUT_S
            while len(self._final) < self._workers and self._clock.now() < deadline_s:
                gevent.sleep(0.05)

    def drain(self) -> None:
        """Watch until every deployment has come down to its minimum, or `--drain` seconds."""
        deadline_s = self._clock.now() + self.options.drain_s
        calm = 0
        while self._clock.now() < deadline_s and calm < _CALM_LOOKS and self.failure is None:
            calm = calm + 1 if self._is_calm() else 0
            gevent.sleep(_DRAIN_LOOK_S)

    def _is_calm(self) -> bool:
        latest = self.probe.latest
        if latest is None or self.probe.blind_reason:
            return False
        for key, seen in latest.deployments.items():
            described = self._payload.deployments().get(key)
            autoscaling = described.info().autoscaling if described else None
            lowest = autoscaling.get("min_replicas") if autoscaling else None
            if autoscaling is not None and seen.target != lowest:
                return False
            if seen.target is not None and seen.counts.get("RUNNING", 0) != seen.target:
                return False
            if sum(seen.counts.values()) != seen.counts.get("RUNNING", 0):
                return False
        return True

    def finish(self, status: RunStatus, reason: str | None) -> Path:
        """Stop watching and close the run directory. Returns its path; may be called once."""
        self.running = False
        self.probe.stop()
        self._probe_greenlet.join(timeout=10)
        self._probe_greenlet.kill()
        try:
            self._requests.close()
            self._rows.close()
            self._write_info(status, reason)
        except RecordError as error:
            self.failure = self.failure or error
        self._dashboard.close()
        return self.path

    def _write_info(self, status: RunStatus, reason: str | None) -> None:
        write_run_info(self.path, self._info(status, reason))

    def _info(self, status: RunStatus, reason: str | None) -> RunInfo:
        options = self.options
        ended = status != "interrupted" or reason != UNFINISHED
        return RunInfo(
            schema_version=SCHEMA_VERSION,
            name=options.name,
            status=status,
            reason=reason,
            versions=Versions(
                scalelag.__version__,
                locust.__version__,
                platform.python_version(),
                self._ray_version,
            ),
            options=options.public(),
            plan=options.plan,
            arrivals=options.arrivals,
            seed=options.seed,
            clock=self._clock_info(),
            target=self._target_info(),
            probe=ProbeInfo(
                rate_per_s=options.probe_rate_per_s,
                budget_ratio=options.observer_budget_ratio,
                busy_s=self.probe.pacing.busy_s if ended else None,
                watched_s=self._clock.now() - self.probe.started_s if ended else None,
            ),
            workers=self._workers,
            zero_s=self.zero_s,
            planned_requests=self._planned,
            edges=tuple(self._edges),
            load_ended_s=self._load_ended_s,
            watched_until_s=self._clock.now() if ended else None,
            warnings=tuple(self.warnings),
        )

    def _clock_info(self) -> ClockInfo:
        offset = self.probe.offset
        return ClockInfo(
            anchor_wall_s=self._clock.anchor_wall_s,
            anchor_monotonic_s=self._clock.anchor_monotonic_s,
            offset_s=offset.offset_s if offset else None,
            error_s=offset.error_s if offset else None,
            reason=None if offset else "the answers carry no time of the cluster's (Ray < 2.54)",
        )

    def _target_info(self) -> TargetInfo:
        described = self._payload.deployments()
        return TargetInfo(
            host=without_credentials(self._host),
            dashboard=without_credentials(self.options.dashboard),
            embedded=self.options.embedded,
            deployments={key: described[key].info() for key in self._watched},
            watched=tuple(sorted(self._watched)),
        )
