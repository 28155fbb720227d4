"""`attach()` in a locustfile makes Locust record, probe and report."""

import logging
import signal
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from locust import events
from locust.env import Environment
from locust.runners import Runner, WorkerRunner
from locust.web import WebUI

from scalelag.errors import UsageError
from scalelag.options.catalog import set_defaults
from scalelag.packages import check_packages
from scalelag.plugin.leader.lifecycle import Control
from scalelag.plugin.locust_options import add_options
from scalelag.plugin.web.pages import add_pages
from scalelag.plugin.web.start import Start
from scalelag.plugin.web.tabs import add_tabs

_controls: WeakKeyDictionary[Environment, Control] = WeakKeyDictionary()
_attached: list[bool] = []


def attach(**defaults: Any) -> None:  # noqa: ANN401  any option's value
    """Add our options and listeners to Locust; once a process, however often it is called.

    `defaults` are those of options that shall differ with this locustfile: `path="/chat"`. Raises
    UsageError where another package shadows one of ours, or there is no such option.
    """
    set_defaults(**defaults)
    if _attached:
        return
    _attached.append(True)
    check_packages()
    events.init_command_line_parser.add_listener(add_options)
    events.init.add_listener(_on_init)
    events.test_start.add_listener(_on_test_start)
    events.test_stopping.add_listener(_on_test_stopping)
    events.test_stop.add_listener(_on_test_stop)
    # Added before the runner adds its own: `quitting` is fired in reverse, so that ours comes after
    # the master has collected what its workers had left.
    events.quitting.add_listener(_on_quitting)
    events.quit.add_listener(_on_quit)


def control_of(environment: Environment) -> Control:
    """Return the control of `environment`. Raises UsageError where Locust was not attached."""
    control = _controls.get(environment)
    if control is None:
        raise UsageError("this locustfile uses scalelag's users or shape without calling attach()")
    return control


def _on_init(environment: Environment, runner: Runner, **_rest: object) -> None:
    _controls[environment] = Control(environment, runner)
    options = environment.parsed_options
    if options is not None and options.headless and not isinstance(runner, WorkerRunner):
        # Locust handles SIGTERM only once a headless test with a shape is over; until then it would
        # end at once.
        gevent.signal_handler(signal.SIGTERM, _controls[environment].interrupt)
    web_ui = environment.web_ui
    if web_ui is not None and not isinstance(runner, WorkerRunner):
        _add_to_page(web_ui, environment)
    logging.getLogger("locust.stats_logger").disabled = True


def _add_to_page(web_ui: WebUI, environment: Environment) -> None:
    control = _controls[environment]
    start = Start(web_ui, environment, control)
    path = add_pages(web_ui, control.runs, start)
    scheme = "https" if web_ui.tls_cert else "http"
    add_tabs(web_ui, control, start, f"{scheme}://{web_ui.host or '*'}:{web_ui.port}{path}")


def _on_test_start(environment: Environment, **rest: object) -> None:
    if not isinstance(environment.runner, WorkerRunner):
        control_of(environment).on_test_start(environment, **rest)


def _on_test_stopping(environment: Environment, **rest: object) -> None:
    if not isinstance(environment.runner, WorkerRunner):
        control_of(environment).on_test_stopping(environment, **rest)


def _on_test_stop(environment: Environment, **rest: object) -> None:
    if not isinstance(environment.runner, WorkerRunner):
        control_of(environment).on_test_stop(environment, **rest)


def _on_quitting(environment: Environment, **rest: object) -> None:
    control = _controls.get(environment)
    if control is not None and not isinstance(environment.runner, WorkerRunner):
        control.on_quitting(environment, **rest)


def _on_quit(exit_code: int, **_rest: object) -> None:
    for control in list(_controls.values()):
        control.on_quit(exit_code)
