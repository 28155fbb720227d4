"""Exit codes of a load process, whatever listeners of the user's make of them."""

import sys
from types import SimpleNamespace

import pytest
from gevent.event import Event

from scalelag.errors import EXIT_GATE_FAILED, EXIT_INVALID, EXIT_PASSED
from tests.support.unpatched import import_unpatched

ENDS = ("test_stopping", "test_stop", "quitting")


class Process:
    """Locust as far as it fires events and ends: `of_run` is the code of the run that was made."""

    def __init__(self, of_run, *, web_ui=None):
        module = import_unpatched("scalelag.plugin.leader.exit_code")
        self.events = import_unpatched("locust.event").Events()
        self.environment = SimpleNamespace(
            events=self.events,
            process_exit_code=None,
            web_ui=web_ui,
            runner=SimpleNamespace(errors={}, exceptions={}),
        )
        self.code = module.ExitCode(self.environment)
        self.code.hold_exits()
        self.code.set(of_run)
        self.called = []

    def listen(self, event, body=None):
        def listener(**_):
            self.called.append(event)
            if body is not None:
                body()

        getattr(self.events, event).add_listener(listener)

    def end(self):
        """Fire the events of an end, and return the code that the process ends with."""
        self.events.test_stopping.fire(environment=self.environment)
        self.events.test_stop.fire(environment=self.environment)
        self.events.quitting.fire(environment=self.environment, reverse=True)
        self.code.settle()
        code = self.environment.process_exit_code or EXIT_PASSED
        try:
            self.events.quit.fire(exit_code=code)
        except SystemExit as raised:
            return raised.code
        return code


@pytest.mark.parametrize("event", [*ENDS, "quit"])
@pytest.mark.parametrize("status", [0, None, False, 256, 1, "bad"])
def test_an_exit_in_a_listener_makes_no_failed_run_milder_and_the_other_listeners_are_called(
    event, status
):
    process = Process(EXIT_GATE_FAILED)
    for body in (None, lambda: sys.exit(status), None):
        process.listen(event, body)

    assert process.end() == EXIT_GATE_FAILED
    assert process.called == [event] * 3


@pytest.mark.parametrize("event", [*ENDS, "quit"])
@pytest.mark.parametrize(
    ("status", "code"), [(0, 0), (None, 0), (7, 7), (256, 0), (-1, 255), ("too slow", 1)]
)
def test_an_exit_in_a_listener_is_the_code_of_a_run_that_passed(event, status, code, capsys):
    process = Process(EXIT_PASSED)
    process.listen(event, lambda: sys.exit(status))

    assert process.end() == code
    assert capsys.readouterr().err == ("scalelag: too slow\n" if status == "too slow" else "")


def test_the_strictest_of_several_exits_holds():
    process = Process(EXIT_PASSED)
    for event, status in (("test_stop", 3), ("quitting", 0), ("quit", 0)):
        process.listen(event, lambda status=status: sys.exit(status))

    assert process.end() == 3


def test_a_code_that_a_listener_sets_without_an_exit_holds_for_a_run_that_passed():
    process = Process(EXIT_PASSED)
    process.listen("quitting", lambda: setattr(process.environment, "process_exit_code", 9))

    assert process.end() == 9


def test_listeners_are_fired_in_the_order_that_locust_asks_for():
    process, order = Process(EXIT_PASSED), []
    for number in (1, 2, 3):
        process.listen("test_stop", lambda number=number: order.append(number))
        process.listen("quitting", lambda number=number: order.append(number))

    process.end()

    assert order == [1, 2, 3, 3, 2, 1]


def test_an_exit_at_stop_ends_the_page_as_locust_does():

    ended = Event()
    process = Process(EXIT_GATE_FAILED, web_ui=SimpleNamespace(stop=ended.set))
    process.listen("test_stop", lambda: sys.exit(0))

    assert process.end() == EXIT_GATE_FAILED
    assert ended.wait(10.0)


@pytest.mark.parametrize(
    ("of_run", "status", "who", "code"),
    [
        (EXIT_GATE_FAILED, 0, None, EXIT_GATE_FAILED),
        (EXIT_PASSED, 0, None, 0),
        (EXIT_PASSED, 7, None, 7),
        (EXIT_PASSED, 0, "check() in own.py, line 3", EXIT_INVALID),
        (EXIT_PASSED, 7, "check() in own.py, line 3", 7),
    ],
)
def test_an_exit_that_ends_the_process_at_once_is_as_strict_as_the_run(
    of_run, status, who, code, capsys
):
    process, raised = Process(of_run), SystemExit(status)

    process.code.harden(raised, who)

    assert raised.code == code
    assert capsys.readouterr().err == (
        f"scalelag: the test was ended before it began, by {who}\n" if who else ""
    )


@pytest.mark.parametrize(
    ("of_run", "set_to", "errors", "code", "said"),
    [
        (EXIT_PASSED, None, {"a"}, 1, "a request failed or a task raised"),
        (EXIT_PASSED, None, (), 2, "a listener or greenlet raised"),
        (EXIT_PASSED, 7, {"a"}, 7, "the exit code is 7: the locustfile set it"),
        (EXIT_PASSED, None, (), EXIT_PASSED, ""),
        (EXIT_GATE_FAILED, None, {"a"}, EXIT_GATE_FAILED, ""),
    ],
)
def test_a_code_that_is_not_that_of_a_run_that_passed_is_explained(
    of_run, set_to, errors, code, said, capsys
):
    process = Process(of_run)
    process.environment.runner.errors = errors
    process.environment.process_exit_code = set_to

    process.code.explain(code)

    assert said in capsys.readouterr().err


def test_a_code_of_no_run_is_not_explained(capsys):
    process = Process(EXIT_PASSED)
    fresh = type(process.code)(process.environment)

    fresh.explain(1)

    assert capsys.readouterr().err == ""


def test_an_exit_while_users_are_stopped_is_the_code_of_a_run_that_passed():
    for of_run, code in ((EXIT_PASSED, 3), (EXIT_GATE_FAILED, EXIT_GATE_FAILED)):
        process = Process(of_run)
        process.code.take(SystemExit(3))

        assert process.end() == code
