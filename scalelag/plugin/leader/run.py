"""One run, in the process that leads it: from preflight to the closed run directory."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import Runner

from probes.replica_probe import ProbeState
from scalelag.cluster.preflight import ray_version, watched_deployments
from scalelag.console import say
from scalelag.errors import RecordError, ScalelagError, UsageError
from scalelag.observer.messages import LastPoll
from scalelag.options.run_options import RunOptions
from scalelag.plugin.leader.hosts import hosts_of
from scalelag.plugin.leader.run_record import (
    RunRecord,
    begun,
    broken_off,
    clock_info,
    planned_requests,
    probe_info,
    target_info,
    with_calls,
    with_deployed,
)
from scalelag.plugin.leader.stages.edges import StageEdges
from scalelag.plugin.leader.stages.settling import Signs, watch_for_ends
from scalelag.plugin.leader.start_lint import start_findings
from scalelag.plugin.leader.target_checks import await_target, check_gates_of, lacks
from scalelag.plugin.leader.watching.events import RunEvents
from scalelag.plugin.leader.watching.probing import Observer, open_dashboard, setup_of
from scalelag.plugin.leader.watching.scale_down import Drain
from scalelag.plugin.leader.workers.collector import RowCollector
from scalelag.plugin.leader.workers.losses import write_lost
from scalelag.plugin.leader.workers.workers import RunWorkers
from scalelag.plugin.web.feed import Feed, LiveView
from scalelag.plugin.worker.messages import (
    FLUSH_MESSAGE,
    HURRY_MESSAGE,
    Refusal,
    RowsMessage,
    StageEnd,
)
from scalelag.plugin.worker.task_exceptions import merged
from scalelag.record.clock import Clock
from scalelag.record.requests_file import RequestWriter
from scalelag.record.rows import DeploymentKey, Row
from scalelag.record.run_dir import REQUESTS_FILE, create_run_dir
from scalelag.record.run_info import LintFinding, RunStatus, TaskException

LEAD_S = 2.0
"""From the announcement of a run to its plan's start: workers get ready, the probe polls."""


class LeaderRun:
    """One run, led from this process. Made by a preflight that succeeded; `close` closes its directory.

    Its state is the lifecycle's, which calls the methods in the order of the states.
    """

    def __init__(
        self,
        environment: Environment,
        runner: Runner,
        options: RunOptions,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        """Check the target; `say` gets what is waited for. Raises UsageError, TargetError."""
        self._runner = runner
        self.options = options
        self._clock = clock
        self._hosts = hosts_of(environment)
        self._host = self._hosts[0] if self._hosts else ""
        self._dashboard = open_dashboard(options, clock)
        self._ready = await_target(options, clock, self._dashboard, self._hosts)
        there = self._ready.payload
        self._watched = watched_deployments(there, options.deployments)
        self._ray_version = ray_version(self._dashboard)
        self._events = RunEvents(options, there, self._watched, self._ray_version, clock)
        apps = {*there.applications, *self._events.deploys}
        check_gates_of(options, self._watched, apps, say)
        self.findings = self._start_findings(say)
        self.name = ""
        self.zero_s = 0.0
        self._failure: ScalelagError | None = None
        self._plan_done = False
        self._was_deserted = False
        self._stages = StageEdges(options.plan)
        self.stopper: str | None = None
        self._exceptions: tuple[TaskException, ...] = ()
        self._final: set[int] = set()
        self._load_ended_s: float | None = None
        self._stopped_s: float | None = None
        self.workers = RunWorkers(runner, clock, say, self._note_workers)
        self._drain = Drain(clock, say)
        self._is_shown = environment.web_ui is not None or options.prometheus_port is not None
        self.live_view: LiveView | None = None
        self._planned = planned_requests(options)

    def _start_findings(self, say: Callable[[str], None]) -> tuple[LintFinding, ...]:
        options, there, watched = self.options, self._ready.payload, self._watched
        lacking = lacks(options, self._clock, self._dashboard, there, watched, say)
        cluster_environ = os.environ if options.embedded else {}
        return start_findings(there, watched, lacking, cluster_environ, self._ray_version)

    def open(self, run_name: str) -> None:
        """Make the run directory, start the probe, announce the plan's start to the workers.

        Raises UsageError for a name that is no file name, RecordError if nothing can be written,
        TargetError if no worker answers.
        """
        self.name = run_name
        self.workers.gather()
        self.path = create_run_dir(self.options.out, self.options.name, self._clock.now())
        self._signs = Signs() if self.options.plan.settles else None
        self._observer = self._new_observer()
        try:
            self._open_record()
        except BaseException:
            self._observer.close()
            raise
        self._dashboard.close()
        self._observer.start()
        self._events.start(self.path, self.zero_s, lambda: self.probe.offset, self.fail)
        self.workers.watch(self.zero_s)
        if self._signs is not None:
            gevent.spawn(watch_for_ends, self, self._signs)

    def _new_observer(self) -> Observer:
        setup = setup_of(
            self.path,
            self.options,
            self._clock,
            self._watched,
            self._ready,
            apps=self._events.deploys,
            shows_rows=self._is_shown or self._signs is not None,
        )
        return Observer(setup, self._clock.now, say, self.fail, self._show_rows)

    def _show_rows(self, rows: Sequence[Row]) -> None:
        for one in (self.live_view, self._signs):
            if one is not None:
                one.add_rows(rows)

    def _open_record(self) -> None:
        """Open the files, and announce the plan's start."""
        options = self.options
        # Before the start is set: it takes a while to pack a trace of millions, and to start a process.
        shares = self.workers.shares(options)
        self._observer.await_ready()
        self.zero_s = self._clock.now() + self._events.lead_s(LEAD_S)
        target = target_info(self._host, options, self._ready.payload, self._watched)
        if self._is_shown:
            lines = [finding.line for finding in self.findings]
            feed = Feed(options, target.deployments, self.zero_s, lines, self._clock.now)
            self.live_view = LiveView(feed)
        shown_to = [one for one in (self.live_view, self._signs) if one is not None]
        self._requests = RequestWriter(self.path / REQUESTS_FILE)
        self.collector = RowCollector(self._requests, [one.add_requests for one in shown_to])
        self.workers.assign(self.name, self.zero_s, shares)
        self._record = RunRecord(
            self.path,
            begun(
                self._runner.environment,
                options,
                self._clock,
                target,
                ray=self._ray_version,
                zero_s=self.zero_s,
                planned=self._planned,
                findings=self.findings,
                load_workers=self.workers.infos(),
            ),
        )

    @property
    def probe(self) -> ProbeState:
        """State of the probe that watches the replicas."""
        return self._observer.state

    @property
    def is_going(self) -> bool:
        """True while nothing has failed, nobody has ended it, and a worker is there to send."""
        return self._failure is None and self.stopper is None and not self.workers.deserted

    @property
    def failure(self) -> ScalelagError | None:
        """Error that ends the run, the first of several."""
        return self._failure

    @property
    def plan_done(self) -> bool:
        """True if the load ended with its plan, and was not broken off."""
        return self._plan_done

    @property
    def elapsed_s(self) -> float:
        """Seconds since the plan's start; negative before it."""
        return self._clock.now() - self.zero_s

    def end_stage(self, stage: int, at_s: float) -> None:
        """End a stage of the plan earlier, at `at_s` seconds after its start, in every process."""
        self.options = self.options.ended(stage, at_s)
        self.workers.end_stage(StageEnd(self.name, stage, at_s))
        self._stages.plan = self.options.plan
        if self.live_view is not None:
            self.live_view.revise(self.options)
        self._note(plan=self.options.plan)

    def edge(self, stage: int, planned_s: float) -> None:
        """Note that a closed-loop stage begins now, and put it on record."""
        self._stages.begin(stage, planned_s, self.elapsed_s)
        self._record.update(
            edges=self._stages.edges,
            clock=clock_info(self._clock, self.probe.offset, self._ray_version),
        )

    def note_tick(self, users: int, spawn_rate: float) -> None:
        """Note a tick of the user's own shape; the plan on record follows it."""
        if self._stages.tick(users, spawn_rate, self.elapsed_s):
            self._record.update(plan=self._stages.plan)

    def users_wanted(self) -> int:
        """Return the number of users that the shape has asked for."""
        return self._runner.target_user_count

    def note_end(self) -> None:
        """Note that the load of the plan is over: users are told to stop."""
        self._stages.end(self.elapsed_s)

    def collect(self, message: RowsMessage) -> None:
        """Write a worker's rows. A disk that does not take them ends the run (see `failure`)."""
        if self._failure is None:
            try:
                self.collector.collect(message.rows, message.worker)
                self._exceptions = merged(self._exceptions, message.exceptions)
                self._stages.add_users(message.worker, message.users)
            except RecordError as error:
                self.fail(error)
        if message.final:
            self._final.add(message.worker)

    def note_refusal(self, refusal: Refusal) -> None:
        """End the run: a worker cannot send what the options ask for."""
        host = self.workers.all[refusal.worker].host
        self.fail(UsageError(f"load process {refusal.worker} on {host}: {refusal.reason}"))

    def application_of(self, key: DeploymentKey) -> str:
        """Name of the application of `key`."""
        return self._ready.payload.application_of(key, self._events.deploys)

    def note_stopper(self, who: str) -> None:
        """Note who ends the test before its plan is done: code of the locustfile."""
        if not self._plan_done:
            self.stopper = who

    def fail(self, error: ScalelagError) -> None:
        """Note the error that ends the run; only the first of several counts."""
        self._failure = self._failure or error

    def _note_workers(self) -> None:
        """Write to the record which workers were lost or came back."""
        self._note(load_workers=self.workers.infos())

    def _note(self, **known: Any) -> None:  # noqa: ANN401  fields of RunInfo
        try:
            self._record.update(**known)
        except RecordError as error:
            self.fail(error)

    def note_plan_done(self) -> None:
        """Note that the users have done all that the plan asks for."""
        self._plan_done = self._failure is None

    def stop_load(self) -> None:
        """Stop the load; if the plan is not done, without waiting long for open requests.

        From here on workers may leave. A second call changes nothing.
        """
        if self._stopped_s is not None:
            return
        self.workers.stop()
        self._was_deserted = self.workers.deserted
        self._stopped_s = float("inf")
        if not self._plan_done:
            self._events.cancel()
            self._stopped_s = self._clock.now()
            self._runner.send_message(HURRY_MESSAGE, {})

    def end_load(self) -> None:
        """Get the last rows from every worker that is left; the load is over."""
        self.stop_load()
        if self._load_ended_s is None:
            self._load_ended_s = self._clock.now()
            if self.live_view is not None:
                self.live_view.stop()
            self._runner.send_message(FLUSH_MESSAGE, {})
            self.workers.await_last_rows(self._final)

    def drain(self) -> None:
        """Watch until every deployment is at what its settings keep, `--drain` seconds at most."""
        self._drain.watch(lambda: self.probe, self.options.drain_s, lambda: self._failure is None)

    def end_drain(self) -> None:
        """Have `drain` return soon."""
        self._drain.end()

    def result(self, *, interrupted: bool) -> tuple[RunStatus, str | None]:
        """Status of the run, now that its load is over, and the reason unless it is complete.

        `interrupted`: the process was asked to end before the run was over.
        """
        if self._failure is not None:
            return "invalid", str(self._failure)
        if not self._plan_done:
            return broken_off(self.stopper, was_deserted=self._was_deserted)
        if interrupted:
            return "interrupted", "stopped while watching the scale-down"
        return "complete", None

    def drop(self) -> None:
        """Let go of a run that will not be opened."""
        self._dashboard.close()

    def close(self, status: RunStatus, reason: str | None) -> Path:
        """Stop watching and close the run directory. Returns its path; may be called once."""
        self._events.close()
        stopped = self._observer.stop()
        if self.live_view is not None:
            self.live_view.finish()
        try:
            self._write_lost()
            self._requests.close()
        except RecordError as error:
            self.fail(error)
            status, reason = "invalid", reason or str(error)
        try:
            # Before the logs are read: a run that is killed meanwhile is whole but for them.
            self._close_record(status, reason, stopped)
            self._observer.read_logs(self.probe.started_s, stopped.ended_s, self._ray_version)
        except RecordError as error:
            self.fail(error)
        self._observer.close()
        # Last of all, so that nothing of it is on record.
        self._events.give_back()
        return self.path

    def _write_lost(self) -> None:
        """Write arrivals without a row: of all workers if the plan was done, else of lost ones."""
        if self.options.plan.unit != "rps" or self._failure is not None:
            return
        workers = [m for m in self.workers.all if self._plan_done or m.lost_reason is not None]
        write_lost(
            workers,
            len(self.workers.all),
            self.options,
            self.zero_s,
            float("inf") if self._stopped_s is None else self._stopped_s,
            self.path / REQUESTS_FILE,
            self.collector,
        )

    def _close_record(self, status: RunStatus, reason: str | None, stopped: LastPoll) -> None:
        edges = self._stages.settled(self.zero_s, self._load_ended_s or stopped.ended_s)
        target = with_deployed(self._record.info.target, self.probe.deployed)
        if self.options.plan.settles:
            # Not before: counting millions takes time in which nothing is sent.
            self._planned = planned_requests(self.options)
        self._record.close(
            status=status,
            reason=reason,
            clock=clock_info(self._clock, self.probe.offset, self._ray_version),
            probe=probe_info(self.probe, self.options, stopped.ended_s),
            load_ended_s=self._load_ended_s,
            watched_until_s=stopped.ended_s,
            task_exceptions=self._exceptions,
            edges=edges,
            plan=self._stages.plan,
            planned_requests=self._planned,
            load_workers=self.workers.infos(),
            target=with_calls(target, stopped.applications),
        )
