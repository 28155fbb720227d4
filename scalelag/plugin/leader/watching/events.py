"""Events of a run, each in a greenlet of its own: carried out at its time, and put on record."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from probes.dashboard import APPLICATIONS_PATH, Dashboard, Reply
from probes.serve_state import ServePayload, parse_payload
from scalelag.cluster.events import ReadyEvent, carry_out, check_replaced, ready_events
from scalelag.cluster.given_back import KeptChanges
from scalelag.cluster.left_behind import journal_folder
from scalelag.cluster.preflight import Patience
from scalelag.cluster.ray_job.kill import KillJob, KillResult
from scalelag.console import say
from scalelag.errors import RecordError, ScalelagError, TargetError, UsageError
from scalelag.foreign import sanitized
from scalelag.options.run_options import RunOptions
from scalelag.plan.events import check_allowed
from scalelag.plugin.leader.watching.probing import open_dashboard
from scalelag.plugin.parent import PARENT_VARIABLE
from scalelag.record.clock import Clock, ClockOffset
from scalelag.record.event_rows import EventRow
from scalelag.record.row_files import RowWriter
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import EVENTS_FILE

_PREPARE_S = 15.0
"""Time before a kill at which its job is submitted: Ray takes some seconds to start it."""

_OFFSET_S = 2.0
_LOOK_S = 0.2
_LATEST_S = 60.0
_END_S = 40.0
_TOO_LATE = "the load was over before its time"
_SILENT = "its job did not tell that it was done"
_GIVEN_BACK = Patience(25.0, time.monotonic, time.sleep)
"""Less than the command that started this process waits for its end after Ctrl-C."""


class RunEvents:
    """The events of a run: checked when it is made, begun with `start`, and at an end with `close`."""

    def __init__(
        self,
        options: RunOptions,
        there: ServePayload,
        watched: frozenset[DeploymentKey],
        ray: str | None,
        clock: Clock,
    ) -> None:
        """Check the events. Raises UsageError, TargetError for what cannot be done."""
        self._options = options
        self._clock = clock
        self._ready: tuple[ReadyEvent, ...] = ()
        self._ended_nodes: list[str] = []
        self._greenlets: list[gevent.Greenlet[..., None]] = []
        self._over = Event()
        # Serve takes all applications as one document: of two events that read it at once, the one that
        # writes last would undo the other. And each notes what was there before it.
        self._document = BoundedSemaphore()
        self._writer: RowWriter | None = None
        self._kept: KeptChanges | None = None
        if not options.embedded:
            parent = int(os.environ.get(PARENT_VARIABLE) or 0)
            self._kept = KeptChanges(
                options.dashboard, journal_folder(os.environ), parent, clock.now
            )
        if options.events:
            check_allowed(options.events, ours=options.embedded, allowed=options.allow_faults)
            dashboard = open_dashboard(options, clock)
            try:
                self._ready = ready_events(options.events, there, watched, dashboard, ray)
            finally:
                dashboard.close()

    @property
    def deploys(self) -> frozenset[str]:
        """Names of the applications that events deploy."""
        return frozenset(name for one in self._ready for name in one.app_names)

    def lead_s(self, least_s: float) -> float:
        """Seconds to wait for the plan's start, so that the job of an early kill is ready in time."""
        early = [one.event.at_s for one in self._ready if one.event.kills]
        return max(least_s, _PREPARE_S - min(early)) if early else least_s

    def start(
        self,
        path: Path,
        zero_s: float,
        offset: Callable[[], ClockOffset | None],
        failed: Callable[[ScalelagError], None],
    ) -> None:
        """Say what will be done, and begin to wait for it. Raises RecordError for a full disk.

        `offset` is the cluster's clock minus ours, when it is known. An error of the record is passed
        to `failed`.
        """
        if not self._ready:
            return
        self._writer = RowWriter(path / EVENTS_FILE)
        for one in self._ready:
            say(sanitized(f"event {one.index} at {one.event.at_s:g} s {one.event.what}"))
        self._greenlets = [
            gevent.spawn(self._run, one, zero_s, offset, failed) for one in self._ready
        ]

    def cancel(self) -> None:
        """Let no further event begin, and take the jobs of kills away: the load was broken off."""
        self._over.set()

    def close(self) -> None:
        """Wait until events under way are over, and their jobs are gone."""
        self.cancel()
        gevent.joinall(self._greenlets, timeout=_END_S)
        gevent.killall(self._greenlets)
        if self._writer is not None:
            self._writer.close()

    def give_back(self) -> None:
        """Give back what events changed on a cluster that is not ours, and say what cannot be."""
        if self._kept is None:
            return
        dashboard = open_dashboard(self._options, self._clock)
        try:
            self._kept.give_back(dashboard, _GIVEN_BACK)
        finally:
            dashboard.close()
        for node in self._ended_nodes:
            say(
                sanitized(f"its event ended the node {node}: whoever started it must start another")
            )

    def _run(
        self,
        ready: ReadyEvent,
        zero_s: float,
        offset: Callable[[], ClockOffset | None],
        failed: Callable[[ScalelagError], None],
    ) -> None:
        due_s = zero_s + ready.event.at_s
        try:
            if not self._come(due_s - (_PREPARE_S if ready.event.kills else 0.0)):
                self._write(self._row(ready, due_s)(self._clock.now(), error=_TOO_LATE))
            elif ready.event.kills:
                self._kill(ready, due_s, offset)
            else:
                self._request(ready, due_s)
        except RecordError as error:
            failed(error)

    def _request(self, ready: ReadyEvent, due_s: float) -> None:
        dashboard = open_dashboard(self._options, self._clock)
        row = self._row(ready, due_s)
        try:
            with self._document:
                reply = self._begun(ready, dashboard, row)
            self._write(row(begun_s=reply.sent_s, ended_s=reply.received_s))
        except (TargetError, UsageError) as error:
            self._write(row(begun_s=self._clock.now(), error=str(error)))
        finally:
            dashboard.close()

    def _begun(
        self, ready: ReadyEvent, dashboard: Dashboard, row: Callable[..., EventRow]
    ) -> Reply:
        """Carry it out. Raises TargetError or UsageError with the reason if that fails."""
        if self._over.is_set():
            raise TargetError(_TOO_LATE)
        if self._kept is not None:
            there = parse_payload(dashboard.get(APPLICATIONS_PATH).body)
            check_replaced(ready.event, ready.changes, there)
            self._kept.note(ready, there)
        self._write(row(begun_s=self._clock.now()))
        return carry_out(dashboard, ready)

    def _kill(
        self, ready: ReadyEvent, due_s: float, offset: Callable[[], ClockOffset | None]
    ) -> None:
        """Have a job do it; whatever happens, the job is taken away."""
        known_by_s = self._clock.now() + _OFFSET_S
        while offset() is None and self._clock.now() < known_by_s:
            gevent.sleep(_LOOK_S)
        dashboard = open_dashboard(self._options, self._clock)
        job = KillJob(dashboard, ready.event, ready.app, ready.deployment)
        known = offset()
        row = self._row(ready, due_s)
        try:
            job.submit(due_s + (known.offset_s if known else 0.0))
            done = self._watched(job, row, due_s, offset)
            self._write(done)
            if done.kind == "kill_node" and done.node is not None:
                self._ended_nodes.append(done.node)
        except TargetError as error:
            self._write(row(begun_s=self._clock.now(), error=str(error)))
        finally:
            _take_away(job)
            dashboard.close()

    def _watched(
        self,
        job: KillJob,
        row: Callable[..., EventRow],
        due_s: float,
        offset: Callable[[], ClockOffset | None],
    ) -> EventRow:
        """Follow the job until it has told what it did. Raises TargetError if it does not.

        A dashboard that does not answer for a while is asked again: a kill may be why, and is done.
        """
        before_s, silence = self._clock.now(), _SILENT
        while True:
            asked_s = self._clock.now()
            try:
                told = job.told()
            except TargetError as error:
                silence = f"what its job did was not told: {error}"
            else:
                if told.over:
                    return _killed(row, told, offset(), before_s, self._clock.now())
                before_s, silence = asked_s, _SILENT
            if asked_s > due_s + _LATEST_S:
                raise TargetError(silence)
            if self._over.is_set():
                raise TargetError(_TOO_LATE if asked_s < due_s else silence)
            self._over.wait(_LOOK_S if asked_s > due_s - 1 else 1.0)

    def _row(self, ready: ReadyEvent, due_s: float) -> Callable[..., EventRow]:
        def row(begun_s: float, **known: object) -> EventRow:
            return EventRow(
                index=ready.index,
                kind=ready.event.kind,
                text=ready.event.text,
                planned_s=due_s,
                begun_s=begun_s,
                name=ready.event.name,
                count=ready.event.count,
                apps=ready.app_names,
                **known,  # pyright: ignore[reportArgumentType]  fields of EventRow
            )

        return row

    def _write(self, row: EventRow) -> None:
        if row.error is not None:
            say(sanitized(f"event {row.index} ({row.text}) was not done: {row.error}"))
        if self._writer is not None:
            self._writer.append([row])

    def _come(self, at_s: float) -> bool:
        """Wait for a moment; False if the run is over before."""
        return not self._over.wait(max(0.0, at_s - self._clock.now()))


def _killed(
    row: Callable[..., EventRow],
    told: KillResult,
    offset: ClockOffset | None,
    lo_s: float,
    hi_s: float,
) -> EventRow:
    """Row of a kill: by the job's own times, else between the polls that did not and did show it."""
    if told.begun is None or told.ended is None:
        return row(begun_s=hi_s, error=told.problem)
    facts = {"lost": told.lost, "node": told.node, "note": told.problem}
    if offset is None:
        return row(begun_s=lo_s, ended_s=hi_s, **facts)
    begun_s, ended_s = told.begun - offset.offset_s, told.ended - offset.offset_s
    return row(begun_s=begun_s, ended_s=ended_s, skew_s=offset.error_s, **facts)


def _take_away(job: KillJob) -> None:
    try:
        job.end()
    except TargetError as error:
        say(f"warning: a job of an event may be left on the cluster: {error}")
