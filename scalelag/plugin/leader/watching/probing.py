"""The observer of one run, as its leader sees it: orders, the probe's state, and restarts."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import gevent
import msgspec
from gevent.event import AsyncResult, Event

from probes.dashboard import Dashboard
from probes.replica_probe import ProbeState
from scalelag.cluster.preflight import ReadyState
from scalelag.errors import RecordError
from scalelag.observer.messages import (
    Access,
    LastPoll,
    LogsRead,
    Predecessor,
    Progress,
    ReadLogs,
    Ready,
    Report,
    Rows,
    Setup,
    Start,
    Stop,
    WriteFailure,
)
from scalelag.observer.watch import dashboard_at
from scalelag.options.run_options import RunOptions
from scalelag.plugin.leader.watching.observer_process import ObserverProcess
from scalelag.record.clock import Clock
from scalelag.record.evidence_rows import NoLog
from scalelag.record.row_files import RowWriter
from scalelag.record.rows import PROBE_ENDED, DeploymentKey, Gap, Row
from scalelag.record.run_dir import EVIDENCE_FILE, REPLICAS_FILE, SEEN_FILE
from scalelag.wording import count

_QUIET_S = 3.0
_MOST_DEATHS = 3
_LONG_LIFE_S = 30.0
_LONGEST_PAUSE_S = 10.0


def _access_of(options: RunOptions) -> Access:
    headers = options.headers_for_dashboard(os.environ)
    return Access(options.dashboard, headers, options.verify)


def open_dashboard(options: RunOptions, clock: Clock) -> Dashboard:
    """Client of the dashboard in `options`; each greenlet needs one of its own.

    Raises TargetError for a token file that cannot be read.
    """
    return dashboard_at(_access_of(options), clock.now)


def setup_of(
    path: Path,
    options: RunOptions,
    clock: Clock,
    watched: frozenset[DeploymentKey],
    ready: ReadyState,
    *,
    apps: frozenset[str],
    shows_rows: bool,
) -> Setup:
    """First order to the observer of the run in folder `path`; `ready` is the state on record.

    Applications `apps` are watched once they are there.
    """
    prometheus = options.prometheus
    return Setup(
        access=_access_of(options),
        prometheus=Access(prometheus, verify=options.verify) if prometheus else None,
        embedded=options.embedded,
        rate_per_s=options.probe_rate_per_s,
        budget_ratio=options.observer_budget_ratio,
        watched=watched,
        apps=apps,
        replicas=str(path / REPLICAS_FILE),
        evidence=str(path / EVIDENCE_FILE),
        seen=str(path / SEEN_FILE),
        anchor_wall_s=clock.anchor_wall_s,
        anchor_monotonic_s=clock.anchor_monotonic_s,
        ready=ready.payload,
        ready_s=ready.sent_s,
        shows_rows=shows_rows,
    )


class Observer:
    """The observer's process, and another one in its place whenever it ends too early.

    A new one goes on with the files of the one before, and gets the orders that this one had.
    `failed` is called if nothing can be written any more, `shown` with the rows of each poll.
    """

    def __init__(
        self,
        setup: Setup,
        now: Callable[[], float],
        say: Callable[[str], None],
        failed: Callable[[RecordError], None],
        shown: Callable[[Sequence[Row]], None],
    ) -> None:
        """Start the process; `await_ready` follows."""
        self._setup = setup
        self._now = now
        self._say = say
        self._failed = failed
        self._shown = shown
        self._state = ProbeState(started_s=now())
        self._ended: str | None = None
        self._heard_s = now()
        self._orders: list[Start | Stop | ReadLogs] = []
        self._rows: list[Row] = []
        self._process: ObserverProcess | None = None
        self._deaths = 0
        self._is_closing = False
        self._news = Event()
        self._ready: AsyncResult[None] = AsyncResult()
        self._stopped: AsyncResult[LastPoll] = AsyncResult()
        self._logs_read: AsyncResult[None] = AsyncResult()
        self._supervision = gevent.spawn(self._supervise)

    @property
    def state(self) -> ProbeState:
        """State of the probe; blind, too, while its process is gone or gives no sign of life."""
        reason = self._ended
        if reason is None and self._now() - self._heard_s > _QUIET_S:
            reason = "the probe process gives no sign of life"
        return msgspec.structs.replace(self._state, blind_reason=reason) if reason else self._state

    def await_ready(self) -> None:
        """Wait until the files are open. Raises RecordError if they cannot be written."""
        self._ready.get()

    def start(self) -> None:
        """Begin to watch."""
        self._order(Start())

    def stop(self) -> LastPoll:
        """Poll a last time and end; return when that was, and the applications by then."""
        self._order(Stop())
        stopped = self._stopped.get()
        if stopped is None:
            raise TypeError("it is set to what the process reports")
        return stopped

    def read_logs(self, from_s: float, to_s: float, ray: str | None) -> None:
        """Read the logs of a cluster of version `ray` between two moments, in Unix seconds."""
        self._order(ReadLogs(from_s, to_s, ray))
        self._logs_read.get()

    def close(self) -> None:
        """End the process, and wait until it is gone."""
        self._is_closing = True
        self._news.set()
        if self._process is not None:
            self._process.close()
        self._supervision.join()

    def _order(self, order: Start | Stop | ReadLogs) -> None:
        self._orders.append(order)
        self._deaths = 0
        self._news.set()
        if self._process is not None:
            self._process.send(order)

    # --- one process after another -------------------------------------------------------------

    def _supervise(self) -> None:
        while not self._is_closing:
            born_s = self._now()
            how = self._live()
            if self._is_closing:
                return
            self._ended = f"{PROBE_ENDED} ({how})"
            self._deaths = 1 if self._now() - born_s > _LONG_LIFE_S else self._deaths + 1
            if self._deaths >= _MOST_DEATHS and not self._is_watching:
                self._give_up(self._ended)
                return
            self._say(f"{self._ended}: another one is started")
            self._news.clear()
            self._news.wait(min(_LONGEST_PAUSE_S, 2.0**self._deaths - 2.0))

    @property
    def _is_watching(self) -> bool:
        """True from start to stop: until then, however often it ends, there is something to see."""
        return [type(order) for order in self._orders] == [Start]

    def _live(self) -> str:
        """Lead one process until it ends, and return how it did."""
        try:
            process = self._process = ObserverProcess()
        except OSError as error:
            return str(error.strerror)
        before = self._ended and Predecessor(
            self._ended, msgspec.structs.replace(self._state, latest=None, deployed={})
        )
        process.send(msgspec.structs.replace(self._setup, before=before or None), *self._orders)
        for report in process.reports():
            self._heard_s = self._now()
            self._take(report)
        self._process = None
        self._rows = []
        return process.end()

    def _take(self, report: Report) -> None:
        match report:
            case Progress(state, as_before) if state is not None:
                self._ended = None
                deployed = self._state.deployed if as_before else state.deployed
                self._state = msgspec.structs.replace(state, deployed=deployed)
            case Rows(rows, more):
                self._rows += rows
                if not more:
                    self._shown(self._rows)
                    self._rows = []
            case Ready():
                self._ready.set(None)
            case WriteFailure(text) if self._ready.ready():
                self._failed(RecordError(text))
            case WriteFailure(text):
                self._ready.set_exception(RecordError(text))
            case LastPoll():
                self._stopped.set(report)
            case LogsRead():
                self._logs_read.set(None)
            case Progress():
                pass

    def _give_up(self, reason: str) -> None:
        """Start no other process; write what the last one cannot write any more."""
        if not self._ready.ready():
            self._ready.set_exception(RecordError(f"{reason}, {self._deaths} times: see above."))
            return
        self._say(f"{reason}, {count(self._deaths, 'time')}: logs are not read")
        latest, now_s = self._state.latest, self._now()
        from_s = latest.received_s if latest else self._state.started_s
        try:
            for path, row in (
                (self._setup.replicas, Gap(from_s, now_s, reason, polls=0)),
                (self._setup.evidence, NoLog(reason)),
            ):
                writer = RowWriter(Path(path))
                writer.append([row])
                writer.close()
        except RecordError as error:
            self._failed(error)
        self._stopped.set(LastPoll(now_s, {}))
        self._logs_read.set(None)
