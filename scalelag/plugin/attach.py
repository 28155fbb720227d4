"""`attach()` in a locustfile makes Locust record, probe and report."""

import logging
import os
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from locust import events
from locust.env import Environment
from locust.event import EventHook
from locust.runners import MasterRunner, Runner, WorkerRunner
from locust.web import WebUI

from scalelag.console import say
from scalelag.errors import UsageError
from scalelag.options.catalog import set_defaults
from scalelag.packages import check_packages
from scalelag.plugin.leader.lifecycle import Lifecycle
from scalelag.plugin.leader.shapes import lead_own_shapes
from scalelag.plugin.load_errors import explain_load_errors, leave_later_errors
from scalelag.plugin.locust_options import add_options
from scalelag.plugin.log_lines import make_harmless
from scalelag.plugin.parent import PARENT_VARIABLE, WORKERS_WAIT_VARIABLE
from scalelag.plugin.process import await_workers, handle_exits, handle_signals, watch_parent
from scalelag.plugin.steady_time import keep_steady_time
from scalelag.plugin.web.answers import tidy_answers
from scalelag.plugin.web.guard import close_door
from scalelag.plugin.web.pages import add_pages
from scalelag.plugin.web.start import Start
from scalelag.plugin.web.tabs import add_tabs
from scalelag.plugin.worker.locust_statistics import take_odd_values

_lifecycles: WeakKeyDictionary[Environment, Lifecycle] = WeakKeyDictionary()
_attached: list[bool] = []


def attach(**defaults: Any) -> None:  # noqa: ANN401  any option's value
    """Add our options and listeners to Locust; once a process, however often it is called.

    `defaults` are those of options that shall differ with this locustfile: `path="/chat"`. Raises
    UsageError where another package shadows one of ours, or there is no such option.
    """
    if not _attached:
        explain_load_errors()
    set_defaults(**defaults)
    if _attached:
        return
    _attached.append(True)
    check_packages()
    events.init_command_line_parser.add_listener(add_options)
    events.init.add_listener(_on_init)
    events.test_stopping.add_listener(_on_test_stopping)
    events.test_stop.add_listener(_on_test_stop)
    # Added before the runner adds its own: `quitting` is fired in reverse, so that ours comes after
    # the master has collected what its workers had left.
    events.quitting.add_listener(_on_quitting)
    events.quit.add_listener(_on_quit)


def lifecycle_of(environment: Environment) -> Lifecycle:
    """Return the lifecycle of `environment`. Raises UsageError if Locust was not attached."""
    lifecycle = _lifecycles.get(environment)
    if lifecycle is None:
        raise UsageError("this locustfile uses scalelag's users or shape without calling attach()")
    return lifecycle


def _on_init(environment: Environment, runner: Runner, **_rest: object) -> None:
    leave_later_errors()
    make_harmless()
    keep_steady_time()
    take_odd_values(environment.stats, say)
    lifecycle = _lifecycles[environment] = Lifecycle(environment, runner, os.environ)
    is_worker = isinstance(runner, WorkerRunner)
    if not is_worker:
        lead_own_shapes(environment)
        come_last(events.quitting, _on_quitting)
        lifecycle.process_code.hold_exits()
    handle_exits(lifecycle.worker.take_exit if is_worker else lifecycle.take_exit)
    options = environment.parsed_options
    handle_signals(
        lifecycle.worker.interrupt if is_worker else lifecycle.interrupt,
        headless_leader=not is_worker and options is not None and options.headless,
    )
    _watch_others(runner, lifecycle)
    web_ui = environment.web_ui
    if web_ui is not None and not is_worker:
        _add_to_page(web_ui, environment)
    logging.getLogger("locust.stats_logger").disabled = True


def come_last(event: EventHook, listener: Callable[..., None]) -> None:
    """Have `listener` called last when `event` is fired in reverse, also if others came before it."""
    handlers: list[Any] = event._handlers  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  Locust has no order
    handlers.remove(listener)
    handlers.insert(0, listener)


def _watch_others(runner: Runner, lifecycle: Lifecycle) -> None:
    """Watch the process that started this one, and the coming of workers, as far as asked to."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent:
        # The parent of a worker that Locust forked is its master.
        is_forked = isinstance(runner, WorkerRunner)
        gevent.spawn(watch_parent, os.getppid() if is_forked else int(parent))
    wait_s = os.environ.get(WORKERS_WAIT_VARIABLE)
    if wait_s and isinstance(runner, MasterRunner):
        expected = int(vars(runner.environment.parsed_options)["expect_workers"])
        gevent.spawn(await_workers, runner, expected, float(wait_s), lambda: lifecycle.has_begun)


def _add_to_page(web_ui: WebUI, environment: Environment) -> None:
    lifecycle = _lifecycles[environment]
    start = Start(web_ui, environment, lifecycle)
    close_door(web_ui, os.environ)
    tidy_answers(web_ui, environment)
    path = add_pages(web_ui, lifecycle.web_runs, start)
    scheme = "https" if web_ui.tls_cert else "http"
    add_tabs(web_ui, lifecycle, start, f"{scheme}://{web_ui.host or '*'}:{web_ui.port}{path}")


def _led_here(environment: Environment) -> Lifecycle | None:
    """The lifecycle of `environment`; None on a worker."""
    is_worker = isinstance(environment.runner, WorkerRunner)
    return None if is_worker else _lifecycles.get(environment)


def _on_test_stopping(environment: Environment, **_rest: object) -> None:
    if lifecycle := _led_here(environment):
        lifecycle.on_test_stopping()


def _on_test_stop(environment: Environment, **_rest: object) -> None:
    if lifecycle := _led_here(environment):
        lifecycle.on_test_stop()


def _on_quitting(environment: Environment, **_rest: object) -> None:
    if lifecycle := _led_here(environment):
        lifecycle.on_quitting()


def _on_quit(exit_code: int, **_rest: object) -> None:
    for lifecycle in list(_lifecycles.values()):
        lifecycle.on_quit(exit_code)
