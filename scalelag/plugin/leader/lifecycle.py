"""Ties a Locust environment to runs: Locust's events on one side, a `Session` on the other."""

import os
import signal
from pathlib import Path

import gevent
import gevent.event
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import MasterRunner, Runner, WorkerNode, WorkerRunner
from locust.user import User

from reports.model.report import Report
from reports.render.formats import exit_code
from reports.render.text import sanitized
from scalelag.errors import EXIT_INTERRUPTED, EXIT_TARGET, ScalelagError, TargetError
from scalelag.options.run_options import run_options
from scalelag.plugin.leader.dispatchers import DISPATCHERS
from scalelag.plugin.leader.live_line import say, show
from scalelag.plugin.leader.reporter import Reporter
from scalelag.plugin.leader.run import Session
from scalelag.plugin.parent import (
    PARENT_VARIABLE,
    WORKERS_WAIT_VARIABLE,
    Outcome,
    cluster_is_ours,
    earlier_tries,
    note_outcome,
)
from scalelag.plugin.process import leave, watch_parent
from scalelag.plugin.web.runs import WebRuns
from scalelag.plugin.worker.worker import PONG_MESSAGE, REFUSAL_MESSAGE, ROWS_MESSAGE, LoadWorker
from scalelag.record.clock import Clock

_WORKERS_LOOK_S = 0.2
_INTERRUPTED_STOP_TIMEOUT_S = 2.0
_SETTLE_TIMEOUT_S = 120.0


class Control:
    """One per Locust environment. Only the process that leads a run has a `session`."""

    def __init__(self, environment: Environment, runner: Runner) -> None:
        self._environment = environment
        self._runner = runner
        self._clock = Clock()
        self._runs = 0
        self._path: str | None = None
        self._reporter = Reporter()
        self._prepared = False
        self._quitting = False
        self.runs = WebRuns()
        self._live: gevent.Greenlet[..., None] | None = None
        self._closing: gevent.Greenlet[..., None] | None = None
        self.worker = LoadWorker(environment, runner, self._clock)
        self.session: Session | None = None
        # From the first look at the target until the shape is done or the test is stopped.
        self.busy = False
        # Set once test_start has been dealt with: Locust fires it in a greenlet of its own.
        self.opened = gevent.event.Event()
        runner.register_message(ROWS_MESSAGE, self._on_rows)
        runner.register_message(PONG_MESSAGE, self._on_pong)
        runner.register_message(REFUSAL_MESSAGE, self._on_refusal)
        if isinstance(runner, MasterRunner):
            environment.dispatcher_class = self._dispatcher  # pyright: ignore[reportAttributeAccessIssue]  called as the class is
        self.begun = False
        wait_s = os.environ.get(WORKERS_WAIT_VARIABLE)
        if wait_s and isinstance(runner, MasterRunner):
            gevent.spawn(self._await_workers, runner, float(wait_s))
        if os.environ.get(PARENT_VARIABLE):
            # The parent of a worker that Locust forked is the process that leads the run.
            forked = isinstance(runner, WorkerRunner)
            parent = os.getppid() if forked else int(os.environ[PARENT_VARIABLE])
            gevent.spawn(watch_parent, parent)

    def prepare(self) -> bool:
        """Check the options and look at the target. What is wrong is said; then it is False."""
        if self._prepared:
            self._prepared, self.busy = False, True
            return True
        self.begun = True
        self.session, self.busy, self._path, self._closing = None, True, None, None
        self.opened.clear()
        try:
            if not self.staffed:
                raise TargetError(
                    "No load process is connected: start some with --worker, or use --processes."
                )
            options = run_options(
                vars(self._environment.parsed_options),
                embedded=cluster_is_ours(),
                earlier_tries=earlier_tries(),
            )
            if options.trace is not None:
                say(options.trace.line)
            session = Session(self._environment, self._runner, options, self._clock, say)
        except ScalelagError as error:
            self.refuse(error)
            return False
        if options.plan.unit == "users":
            # Of a worker that is lost the others take over the users at once, not at the next stage.
            vars(self._environment.parsed_options)["enable_rebalancing"] = True
        # A request that is on its way when the load ends is waited for, never cut off.
        self._environment.stop_timeout = max(
            self._environment.stop_timeout or 0.0, options.request.timeout_s + 1
        )
        self.session = session
        return True

    def prepare_from_page(self) -> str | None:
        """Prepare the run that Locust is about to start, and return what is wrong, if anything is.

        The run before, if its scale-down is still being watched, is closed first.
        """
        settled = self.busy or self._settle()
        if self.busy:
            return "A test is running or starting: stop it first."
        if not settled:
            return "The run before is still being closed: try again in a moment."
        prepared = self.prepare()
        # Locust's shape takes it over from here.
        self._prepared, self.busy = prepared, False
        return None if prepared else self.runs.refusal

    @property
    def is_starting(self) -> bool:
        """True from the moment a start was accepted until the load ends, or the run is refused."""
        return self._prepared or self.busy

    def _settle(self) -> bool:
        """Wait until the run before is closed; False if it takes too long."""
        if self.running is not None:
            self.running.end_drain()
        deadline_s = self._clock.now() + _SETTLE_TIMEOUT_S
        while self._closing_goes_on and not self.busy and self._clock.now() < deadline_s:
            gevent.sleep(0.05)
        return not self._closing_goes_on

    @property
    def _closing_goes_on(self) -> bool:
        closed = self._closing is None or self._closing.ready()
        return self.running is not None or not closed or self._runner.shape_greenlet is not None

    def refuse(self, error: ScalelagError) -> None:
        """Say what is wrong and have Locust end with the error's exit code."""
        say(str(error))
        self.runs.refuse(str(error))
        self._environment.process_exit_code = error.exit_code
        lasting = isinstance(error, TargetError) and error.lasting
        note_outcome(Outcome(self._path, str(error), lasting))

    def on_test_start(self, environment: Environment, **_rest: object) -> None:  # noqa: ARG002
        """Open the run directory and announce the plan's start."""
        try:
            if self.session is not None:
                self._open(self.session)
        finally:
            self.opened.set()

    def _open(self, session: Session) -> None:
        self._runs += 1
        try:
            session.start(self._run_name)
        except ScalelagError as error:
            self.session = None
            self.refuse(error)
            return
        self._path = str(session.path)
        self.runs.open(session)
        note_outcome(Outcome(self._path))
        for finding in session.findings:
            say(sanitized(finding.line))
        self._live = gevent.spawn(show, session)

    @property
    def _run_name(self) -> str:
        return f"{os.getpid()}-{self._runs}"

    @property
    def staffed(self) -> bool:
        """Whether there is a process that can send load."""
        return not isinstance(self._runner, MasterRunner) or self._runner.worker_count > 0

    @property
    def running(self) -> Session | None:
        """The run under way; None before it was opened and after it was closed."""
        return self.session if self.session is not None and self.session.running else None

    def on_test_stopping(self, environment: Environment, **_rest: object) -> None:
        """Wait for open requests to their time-out only where the plan is done."""
        if self.running is not None:
            self.running.stopping()
            if not self.running.load_done:
                environment.stop_timeout = _INTERRUPTED_STOP_TIMEOUT_S

    def on_test_stop(self, environment: Environment, **_rest: object) -> None:  # noqa: ARG002
        """Watch the scale-down after a plan that was done, then close the run and report.

        After Stop on the page as well, which gets its answer before that is over.
        """
        self.busy = False
        session = self.running
        if session is None:
            return
        session.end_load()
        if session.load_done:
            session.drain()
        elif session.going and self._environment.web_ui is not None and not self._quitting:
            self._closing = gevent.spawn(self._drain_and_finish, session)
            return
        self._close(session, interrupted=not session.load_done)

    def _drain_and_finish(self, session: Session) -> None:
        session.drain()
        self._finish(session, interrupted=True)

    def on_quitting(self, environment: Environment, **_rest: object) -> None:  # noqa: ARG002
        """Close a run that `test_stop` did not (Ctrl-C, SIGTERM); it may be called twice."""
        self._quitting = True
        if self.running is not None:
            self.running.end_drain()
            # Fires test_stop, after the users were stopped and what they had open was recorded.
            self._runner.stop()
        # Already stopped by Locust: test_stop was fired, and broken off while it drained or closed.
        if self.session is not None and (self.running is not None or self._closing is not None):
            self._close(self.session, interrupted=True)

    def on_quit(self, exit_code: int, **_rest: object) -> None:  # noqa: ARG002
        """Print the report last of all, below what Locust has to say."""
        self._reporter.print_last()

    def _close(self, session: Session, *, interrupted: bool) -> None:
        """Finish the run once, to its end: Locust may end the greenlet that we are called in."""
        if self._closing is None:
            self._closing = gevent.spawn(self._finish, session, interrupted=interrupted)
        self._closing.get()

    def _finish(self, session: Session, *, interrupted: bool) -> None:
        if self._live is not None:
            self._live.kill()
        while_doing = (
            "while watching the scale-down" if session.load_done else "before the plan ended"
        )
        if session.failure:
            path = session.finish("invalid", str(session.failure))
        elif session.fleet.deserted and not session.load_done:
            path = session.finish("invalid", "every load process was lost before the plan ended")
            interrupted = False
        elif interrupted:
            path = session.finish("interrupted", f"stopped {while_doing}")
        else:
            path = session.finish("complete", None)
        report = None
        if session.failure:
            self.refuse(session.failure)
        else:
            report = self._report(session, path, interrupted=interrupted)
        self.runs.close(report)

    def _report(self, session: Session, path: Path, *, interrupted: bool) -> Report | None:
        on_page = self._environment.web_ui is not None
        try:
            report = self._reporter.report(session.options, path, html=on_page)
        except ScalelagError as error:
            self.refuse(error)
            return None
        code = exit_code(report, strict=session.options.strict)
        self._environment.process_exit_code = EXIT_INTERRUPTED if interrupted else code
        if on_page:
            self._reporter.print_last()
        return report

    def _on_rows(self, environment: Environment, msg: object) -> None:  # noqa: ARG002
        data = getattr(msg, "data", None)
        if self.session is not None and data and data["run"] == self._run_name:
            self.session.collect(data)

    def _on_refusal(self, environment: Environment, msg: object) -> None:  # noqa: ARG002
        data = getattr(msg, "data", None)
        if self.session is not None and data and data["run"] == self._run_name:
            self.session.refused(int(data["worker"]), str(data["reason"]))

    def _on_pong(self, environment: Environment, msg: object) -> None:  # noqa: ARG002
        if self.session is not None:
            self.session.fleet.pong(str(getattr(msg, "node_id", "")), getattr(msg, "data", {}))

    def _dispatcher(
        self, worker_nodes: list[WorkerNode], user_classes: list[type[User]]
    ) -> UsersDispatcher:
        """What Locust hands users out with; as it does itself where no run is led from here."""
        if self.session is None:
            return UsersDispatcher(worker_nodes, user_classes)
        kind = DISPATCHERS[self.session.options.plan.unit]
        return kind(worker_nodes, user_classes, self.session.fleet.takes)

    def interrupt(self) -> None:
        """End in good order, as by Ctrl-C."""
        if self.begun:
            os.kill(os.getpid(), signal.SIGINT)
        else:
            leave(self._runner, EXIT_INTERRUPTED)

    def _await_workers(self, runner: MasterRunner, wait_s: float) -> None:
        """Refuse the run where fewer workers than expected have come after `wait_s`."""
        wanted = int(vars(self._environment.parsed_options)["expect_workers"])
        deadline_s = self._clock.now() + wait_s
        while not self.begun and runner.worker_count < wanted:
            if self._clock.now() > deadline_s:
                text = f"{runner.worker_count} of {wanted} load processes came within {wait_s:g} s."
                say(text)
                note_outcome(Outcome(refusal=text, unstaffed=True))
                leave(runner, EXIT_TARGET)
            gevent.sleep(_WORKERS_LOOK_S)
