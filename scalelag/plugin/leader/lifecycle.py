"""The lifecycle of a process's runs: one owner of the state, moved by Locust, the shape and signals."""

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent import GreenletExit
from locust.env import Environment
from locust.runners import LocalRunner, Runner

from reports.analysis.gates import judges_errors
from reports.model.report import Report
from reports.render.formats import exit_code
from scalelag.console import say
from scalelag.errors import EXIT_INTERRUPTED, RetryAdvice, ScalelagError, TargetError
from scalelag.options.release_output import release_output
from scalelag.options.run_options import RunOptions, run_options
from scalelag.plugin.exporter.server import Exporter
from scalelag.plugin.leader.exit_code import ExitCode
from scalelag.plugin.leader.live_line import show
from scalelag.plugin.leader.locust_setup import (
    configure_locust,
    is_staffed,
    make_prompts,
    sends_as_planned,
)
from scalelag.plugin.leader.reporter import Reporter
from scalelag.plugin.leader.run import LeaderRun
from scalelag.plugin.leader.run_state import RunProgress, RunState
from scalelag.plugin.leader.shapes import own_shape_name
from scalelag.plugin.leader.start_form import StartForm
from scalelag.plugin.leader.stopper import exiting_code, stopping_code
from scalelag.plugin.leader.worker_messages import WorkerMessages
from scalelag.plugin.parent import PARENT_VARIABLE, Outcome, note_outcome, told_by_parent
from scalelag.plugin.process import awaits_workers, interrupt_locust, is_stopping, leave
from scalelag.plugin.web.runs import WebRuns
from scalelag.plugin.worker.worker import LoadWorker
from scalelag.record.clock import Clock

_SETTLE_TIMEOUT_S = 120.0
_POLL_S = 0.05
_BUSY = "A test is running or starting: stop it first."
_STILL_CLOSING = "The run before is still being closed: try again in a moment."
_STOPPED = "The test was stopped before it began."
_BUG = "a bug of ours in the report, whose traceback stands here too; the record is whole:"


class Lifecycle:
    """Owner of `state`: one per Locust environment. Only a leader (master or single process) has runs.

    Checking, opening and ending a run each have a greenlet of their own: Locust ends those in which
    it calls us.
    """

    def __init__(
        self, environment: Environment, runner: Runner, environ: Mapping[str, str]
    ) -> None:
        self._environment = environment
        self._environ = environ
        self._runner = runner
        self._clock = Clock()
        self._progress = RunProgress()
        self._run: LeaderRun | None = None
        self._starts = 0
        self.process_code = ExitCode(environment)
        # Set by a signal, and when Locust quits: the run under way is interrupted, none begins.
        self._leaving = False
        self._form = StartForm(environment)
        self._checking: gevent.Greenlet[..., LeaderRun | ScalelagError] | None = None
        self._opening: gevent.Greenlet[..., None] | None = None
        self._ending: gevent.Greenlet[..., None] | None = None
        self._live: gevent.Greenlet[..., None] | None = None
        self._reporter = Reporter(environ)
        self._exporter = Exporter(lambda: self._run, environ)
        self.web_runs = WebRuns(lambda: self.state)
        self.worker = LoadWorker(environment, runner, self._clock)
        WorkerMessages(environment, runner, lambda: self._run, lambda: self.state)

    @property
    def state(self) -> RunState:
        """State of the last run."""
        return self._progress.state

    @property
    def has_begun(self) -> bool:
        """True once a run was started in this process, even if it was refused."""
        return self._starts > 0

    @property
    def is_starting(self) -> bool:
        """True from the moment a start is accepted until the load ends, or the run is refused."""
        return self.state.is_unopened or (self.state is RunState.LOADING and self._ending is None)

    @property
    def is_going(self) -> bool:
        """True while the run under way can go on."""
        return not self._leaving and self._run is not None and self._run.is_going

    # --- asked by the load shape -------------------------------------------------------------

    def begin(self, check: Callable[[RunOptions], None]) -> LeaderRun | None:
        """Return the run that the shape is to lead, prepared if it is not yet; None if refused.

        `check` raises a ScalelagError for options that do not fit the users.
        """
        if self.state is not RunState.PREPARED:
            self._settle(lambda: self.state.is_over)
            if not self._leaving:
                self._prepare()
        run = self._run
        if self.state is not RunState.PREPARED or run is None:
            return None
        try:
            check(run.options)
        except ScalelagError as error:
            self._refuse(error)
            return None
        self._progress.move(RunState.WAITING)
        return run

    def open(self) -> bool:
        """Open the run once all listeners of `test_start` have returned; False if it cannot go on.

        Until then Locust must not be given a next tick: LocalRunner would end the greenlet in which
        the listeners still run, and fire `test_start` again.
        """
        run = self._run
        while run is not None and self.is_going and self._is_starting:
            gevent.sleep(_POLL_S)
        if run is None or not self.is_going or self.state is not RunState.WAITING:
            return False
        self._opening = gevent.spawn(self._open, run)
        self._opening.get()
        return self.state.is_open

    def note_plan_done(self) -> None:
        """Note that the plan was done to its end: what follows is the scale-down."""
        if self.is_going and self._run is not None:
            self._run.note_plan_done()

    @property
    def _is_starting(self) -> bool:
        """True while a single process fires `test_start`; a master has returned from it."""
        starting = self._runner.spawning_greenlet
        return isinstance(self._runner, LocalRunner) and not (starting is None or starting.ready())

    # --- asked by the page -------------------------------------------------------------------

    def prepare_for_page(self, form: Mapping[str, Any], host: str | None) -> str | None:
        """Prepare the run that Locust is about to start, and return what is wrong, if anything is.

        The run before, if its scale-down is still being watched, is closed first. The options of
        `form`, and `host`, are taken only if the run can begin: a refused form changes nothing.
        """
        if not self.state.is_over and self._ending is None:
            return _BUSY
        settled = self._settle(lambda: self.state.is_over and self._runner.shape_greenlet is None)
        if self.state.is_unopened:
            return _BUSY  # another Start was quicker
        if not settled or self._leaving:
            return _STILL_CLOSING
        number = self._form.take(form, host)
        refusal = self._prepare()
        self._form.end_check(number, refused=refusal is not None)
        return refusal

    def drop_start(self) -> None:
        """Forget the run that was prepared for the page: Locust did not start it."""
        if self.state is RunState.PREPARED:
            self._drop()
            self._form.give_back()

    # --- a run begins ------------------------------------------------------------------------

    def _prepare(self) -> str | None:
        """Check the options and the target; return what is wrong, if anything is."""
        self._progress.move(RunState.CHECKING)
        self._starts += 1
        self._run = self._checking = self._opening = self._ending = None
        checking = self._checking = gevent.spawn(self._check)
        try:
            found = checking.get()
        except Exception:
            self._drop()
            raise
        if self._checking is not checking or isinstance(found, GreenletExit):
            return _STOPPED
        if isinstance(found, ScalelagError):
            self._refuse(found)
            return str(found)
        self._run = found
        configure_locust(self._environment, found.options)
        self._progress.move(RunState.PREPARED)
        return None

    def _check(self) -> LeaderRun | ScalelagError:
        """The run, ready to be opened, or why there is none."""
        try:
            if not is_staffed(self._runner):
                raise TargetError(
                    "No load process is connected: start some with --worker, or use --processes."
                )
            options = run_options(
                vars(self._environment.parsed_options),
                shape=own_shape_name(self._environment.shape_class),
                makes_prompts=make_prompts(self._environment.user_classes),
                **told_by_parent(self._environ),
            )
            release_output(options.reports, self._environ)
            self._exporter.open(options.prometheus_port)
            if options.trace is not None:
                say(options.trace.line)
            return LeaderRun(self._environment, self._runner, options, self._clock, say)
        except ScalelagError as error:
            return error

    def _open(self, run: LeaderRun) -> None:
        """Open the run directory and announce the plan's start."""
        try:
            if not is_staffed(self._runner):
                raise TargetError("Every load process went away before the run began.")
            run.open(f"{os.getpid()}-{self._starts}")
        except ScalelagError as error:
            self._refuse(error)
            return
        self._progress.move(RunState.LOADING)
        self.web_runs.open(run)
        note_outcome(Outcome(str(run.path)), self._environ)
        for finding in run.findings:
            say(finding.line)
        self._live = gevent.spawn(show, run)

    def _refuse(self, error: ScalelagError) -> None:
        """Let no run begin, and say why."""
        self._report_error(error, None)
        self._progress.move(RunState.REFUSED)

    def _report_error(self, error: ScalelagError, path: Path | None) -> None:
        """Say what is wrong and have Locust end with the error's exit code."""
        say(str(error))
        self.web_runs.refuse(str(error))
        self.process_code.set(error.exit_code)
        retry = error.retry if isinstance(error, TargetError) else RetryAdvice.NEVER
        note_outcome(Outcome(path and str(path), str(error), retry), self._environ)

    def _drop(self) -> None:
        """Forget a run that has not been opened."""
        checking, self._checking = self._checking, None
        if checking is not None:
            checking.kill(block=False)
        if self._run is not None:
            self._run.drop()
        self._run = None
        self._progress.move(RunState.IDLE)

    # --- a run ends --------------------------------------------------------------------------

    def on_test_stopping(self) -> None:
        """Stop the load: requests under way are waited for in full only if the plan is done."""
        if self.state is RunState.LOADING and self._run is not None:
            if not self._leaving and (who := stopping_code(inspect.currentframe())):
                self._run.note_stopper(who)
                # Locust would kill it, and stop the same users again while they stop. Our shape ends
                # by itself, and completes what a user that quits from its own task breaks off.
                self._runner.shape_greenlet = None
            self._run.stop_load()

    def on_test_stop(self) -> None:
        """End the run: after Stop on the page in the background, else before Locust goes on."""
        if self._opening is not None:
            self._opening.join()
        if self.state.is_unopened:
            self._drop()
        run = self._run
        if run is None:
            return
        if self.state is RunState.LOADING and self._ending is None:
            self._ending = gevent.spawn(self._end, run)
        goes_on = self._has_page and not self._leaving and not run.plan_done
        if self._ending is not None and not goes_on:
            self._ending.get()

    def on_quitting(self) -> None:
        """Close a run that is still open; Locust may call this twice."""
        self._leaving = True
        if self._run is not None and self.state.is_open:
            self._run.end_drain()
        if self.state is RunState.LOADING and self._ending is None:
            # Fires test_stop, after the users were stopped and what they had open was recorded.
            self._runner.stop()
        self.on_test_stop()  # without effect if Locust fired it; its greenlet may have been ended
        self.process_code.settle()

    def on_quit(self, code: int) -> None:
        """Print the report last of all, below what Locust has to say, and say whose the `code` is."""
        self._reporter.print_last()
        self.process_code.explain(code)

    def interrupt(self, name: str) -> None:
        """End in good order because of the signal `name`; further signals change nothing."""
        if self._leaving or (not self._has_page and self.state is RunState.FINISHING):
            return
        self._leaving = True
        if not (self._has_page or self.has_begun) or not self.state.is_over:
            # The command that started us has had the signal, and named it.
            by = "" if PARENT_VARIABLE in self._environ else f"{name}: "
            say(f"{by}the test is stopped")
            self.process_code.set(EXIT_INTERRUPTED)
        if self.state is RunState.CHECKING:
            self._drop()
        elif self.state.is_open and self._run is not None:
            # Before Locust's workers, which have had the signal too, leave: they are not lost.
            self._run.stop_load()
            self._run.end_drain()
        self._end_locust(name)

    def take_exit(self, raised: SystemExit) -> bool:
        """Return True if a `sys.exit()` in a run was dealt with: the first in a task breaks it off."""
        who = exiting_code(raised)
        if who is None or self._run is None or not self.state.is_open:
            self.process_code.harden(raised, who if self.state.is_unopened else None)
            return False
        goes_on = self.worker.take_exit(raised) or is_stopping(self._runner)
        if self.is_going and not self._run.plan_done and not goes_on:
            self._run.note_stopper(who)
            interrupt_locust()
        else:
            self.process_code.take(raised)
        return True

    def _end_locust(self, name: str) -> None:
        """Have Locust end, as far as it does not when the shape asks us in vain for a next tick."""
        web_ui = self._environment.web_ui
        if web_ui is not None:
            web_ui.stop()
        elif awaits_workers(self._runner) and not self.has_begun:
            leave(self._runner, EXIT_INTERRUPTED)
        elif not getattr(self._environment.shape_class, "follows_plan", False) and not (
            # Locust handles this one itself, if it has no shape.
            name == "SIGTERM" and self._environment.shape_class is None
        ):
            interrupt_locust()

    @property
    def _has_page(self) -> bool:
        return self._environment.web_ui is not None

    def _settle(self, is_settled: Callable[[], bool]) -> bool:
        """Wait until the run before is closed; False if it takes too long."""
        if self._run is not None and self.state.is_open:
            self._run.end_drain()
        deadline_s = self._clock.now() + _SETTLE_TIMEOUT_S
        while not is_settled() and self._clock.now() < deadline_s:
            gevent.sleep(_POLL_S)
        return is_settled()

    def _end(self, run: LeaderRun) -> None:
        """Take the last rows, watch the scale-down of a load that was not broken off, and close."""
        run.end_load()
        if run.plan_done or (self._has_page and run.is_going and not self._leaving):
            self._progress.move(RunState.DRAINING)
            run.drain()
        self._progress.move(RunState.FINISHING)
        try:
            self.web_runs.close(self._finish(run))
        finally:
            self._progress.move(RunState.DONE)

    def _finish(self, run: LeaderRun) -> Report | None:
        """Close the run directory and report on it; None if there can be no report."""
        if self._live is not None:
            self._live.kill()
        status, reason = run.result(interrupted=self._leaving)
        path = run.close(status, reason)
        if run.failure is not None:
            self._report_error(run.failure, path)
            return None
        interrupted = status == "interrupted" and run.stopper is None
        return self._report(run, path, interrupted=interrupted)

    def _report(self, run: LeaderRun, path: Path, *, interrupted: bool) -> Report | None:
        try:
            report = self._reporter.report(run.options, path, html=self._has_page)
        except ScalelagError as error:
            self._report_error(error, path)
            return None
        except Exception:
            # Locust prints the traceback. Its own code for it, 2, would be that of a usage error.
            self._report_error(ScalelagError(f"{_BUG} {path}"), path)
            raise
        code = exit_code(report, strict=run.options.strict)
        judged = judges_errors(run.options.gates) or sends_as_planned(self._environment)
        self.process_code.set(EXIT_INTERRUPTED if interrupted else code, by_locust=not judged)
        if self._has_page:
            self._reporter.print_last()
        return report
