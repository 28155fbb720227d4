"""The lifecycle under any order of Locust's events, with small stand-ins for Locust and for runs."""

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scalelag.errors import RecordError, TargetError, UsageError
from scalelag.plugin.leader.run_state import RunState
from tests.support.unpatched import import_unpatched

DEADLINE_S = 10.0


@pytest.fixture(scope="module")
def module():
    """The module under test, imported without Locust's monkey-patching of this very process."""
    module = import_unpatched("scalelag.plugin.leader.lifecycle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_POLL_S", 0.0)
        patch.setattr(module, "Reporter", Reporter)
        patch.setattr(module, "exit_code", lambda _report, **_: 0)
        patch.setattr(module, "run_options", lambda *_, **__: OPTIONS)
        patch.setattr(module, "note_outcome", lambda *_: None)
        patch.setattr(module, "say", lambda _text: None)
        patch.setattr(module, "show", lambda _run: gevent.sleep(DEADLINE_S))
        patch.setattr(module, "interrupt_locust", lambda: None)
        patch.setattr(module, "stopping_code", lambda _frame: None)
        yield module


OPTIONS = SimpleNamespace(
    plan=SimpleNamespace(unit="rps", text="10rps:1s"),
    request=SimpleNamespace(timeout_s=1.0),
    trace=None,
    strict=False,
    gates=(),
    reports=(),
    prometheus_port=None,
)


class Reporter:
    def __init__(self, *_):
        pass

    def report(self, *_, **__):
        gevent.sleep(0)
        return SimpleNamespace(verdict="pass")

    def print_last(self):
        pass


class Run:
    """Stands in for a LeaderRun; `world` notes what is opened and closed."""

    LOAD_POLLS = DRAIN_POLLS = 4

    def __init__(self, world):
        gevent.sleep(0)
        if world.next_fault == "target":
            world.next_fault = None
            raise TargetError("nobody is there")
        self.world = world
        self.options, self.path, self.zero_s = OPTIONS, Path("runs/x"), 0.0
        self.elapsed_s, self.findings, self.shown = 0.0, (), None
        self.failure, self.plan_done, self.was_deserted = None, False, False
        self.stopper = None
        self.workers = SimpleNamespace(takes=lambda _: True)
        self.opened = self.closed = self.dropped = 0
        self.deserted = self.drain_ended = False
        self.status = None
        world.runs.append(self)

    @property
    def is_going(self):
        return self.failure is None and not self.deserted

    def open(self, _name):
        gevent.sleep(0)
        if self.world.next_fault == "disk":
            self.world.next_fault = None
            raise RecordError("no space left")
        self.opened += 1
        gevent.sleep(0)

    def note_plan_done(self):
        self.plan_done = self.failure is None

    def stop_load(self):
        self.was_deserted = self.deserted

    def end_load(self):
        gevent.sleep(0)

    def end_drain(self):
        self.drain_ended = True

    def drain(self):
        for _ in range(self.DRAIN_POLLS):
            if not self.drain_ended:
                gevent.sleep(0)

    def result(self, *, interrupted):
        if self.failure or (self.was_deserted and not self.plan_done):
            return "invalid", "a reason"
        return ("interrupted" if interrupted or not self.plan_done else "complete"), None

    def drop(self):
        self.dropped += 1

    def close(self, status, _reason):
        gevent.sleep(0)
        self.closed += 1
        self.status = status
        return self.path


class World:
    """Locust, as far as a lifecycle sees it: a runner with a shape, a page or none, a main greenlet."""

    def __init__(self, module, *, page, master=False):
        self.runs, self.errors, self.greenlets = [], [], []
        self.next_fault, self.is_master = None, master
        module.LeaderRun = lambda *_: Run(self)
        self.environment = SimpleNamespace(
            parsed_options=Namespace(steps="old"),
            host="http://old",
            web_ui=SimpleNamespace(stop=lambda: self.spawn(self.shutdown)) if page else None,
            shape_class=SimpleNamespace(follows_plan=True),
            stop_timeout=None,
            process_exit_code=None,
            user_classes=(),
            runner=None,
            events=SimpleNamespace(
                **{
                    name: SimpleNamespace(add_listener=lambda _: None)
                    for name in (
                        *("request", "user_error", "test_stopping", "test_stop", "quitting"),
                    )
                }
            ),
        )
        self.state, self.shape_greenlet, self.spawning_greenlet = "ready", None, None
        self.lifecycle = module.Lifecycle(self.environment, self, {})

    def register_message(self, *_):
        pass

    def spawn(self, step, *arguments):
        """Do `step` in a greenlet of Locust's; what it raises is kept."""

        def doing():
            try:
                step(*arguments)
            except Exception as error:  # noqa: BLE001  any at all is a failure
                self.errors.append(error)

        self.greenlets.append(gevent.spawn(doing))
        return self.greenlets[-1]

    # What Locust does

    def start_shape(self):
        if self.shape_greenlet is None:
            self.state = "ready"
            self.shape_greenlet = self.spawn(self.shape)

    def shape(self):
        run = self.lifecycle.begin(self.check)
        if run is not None:
            gevent.sleep(0)  # the first tick: test_start is fired
            self.state = "running"
            done = self.lifecycle.open()
            for _ in range(Run.LOAD_POLLS):
                done = done and self.lifecycle.is_going
                gevent.sleep(0)
            if done and self.lifecycle.is_going:
                self.lifecycle.note_plan_done()
        self.stop()
        self.shape_greenlet = None
        if self.environment.web_ui is None:
            self.spawn(self.shutdown)

    def check(self, _options):
        if self.next_fault == "users":
            self.next_fault = None
            raise UsageError("these users do not fit")

    def stop(self):
        # A master that has not started any users yet fires nothing.
        if self.state == "stopped" or (self.is_master and self.state == "ready"):
            return
        self.lifecycle.on_test_stopping()
        if self.shape_greenlet is not None and self.shape_greenlet is not gevent.getcurrent():
            self.shape_greenlet.kill()
            self.shape_greenlet = None
        gevent.sleep(0)
        self.state = "stopped"
        self.lifecycle.on_test_stop()

    def shutdown(self):
        self.lifecycle.on_quitting()
        self.stop()
        self.lifecycle.on_quit(0)

    # What is done to it

    def press_start(self):
        before = (self.environment.host, vars(self.environment.parsed_options).copy())
        new = f"http://{len(self.greenlets)}"
        refusal = self.lifecycle.prepare_for_page({"steps": new}, new)
        if refusal is None:
            assert (self.environment.host, self.environment.parsed_options.steps) == (new, new)
            self.start_shape()
        elif refusal.startswith("A test is running"):
            assert (self.environment.host, vars(self.environment.parsed_options)) == before

    def lose_workers(self):
        for run in self.runs[-1:]:
            run.deserted = True

    def break_disk(self):
        for run in self.runs[-1:]:
            if self.lifecycle.state.is_open:
                run.failure = run.failure or RecordError("no space left")

    def do(self, action):
        steps = {
            "start": self.press_start if self.environment.web_ui else self.start_shape,
            "stop": self.stop,
            "quitting": self.lifecycle.on_quitting,
            "quit": lambda: self.lifecycle.on_quit(0),
            "shutdown": self.shutdown,
            "interrupt": lambda: self.lifecycle.interrupt("SIGINT"),
            "lose workers": self.lose_workers,
            "break disk": self.break_disk,
        }
        if action in ("target", "disk", "users"):
            self.next_fault = action
        elif action in steps:
            self.spawn(steps[action])
        gevent.sleep(0)

    def settle(self):
        """Let everything that is under way come to its end."""
        with gevent.Timeout(DEADLINE_S):
            while any(not greenlet.dead for greenlet in self.greenlets):
                gevent.sleep(0)


ACTIONS = (
    *("start", "stop", "quitting", "quit", "shutdown", "interrupt", "lose workers", "break disk"),
    *("target", "disk", "users", "tick", "tick", "tick"),
)


@settings(max_examples=300, deadline=None)
@given(
    page=st.booleans(),
    master=st.booleans(),
    actions=st.lists(st.sampled_from(ACTIONS), max_size=30),
)
@example(
    page=True, master=False, actions=["start", *["tick"] * 9, "stop", "start", "tick", "start"]
)
@example(page=True, master=False, actions=["start", "interrupt", "quitting", "interrupt", "start"])
@example(page=True, master=False, actions=["start", "stop", "start"])
@example(
    page=False, master=True, actions=["start", *["tick"] * 12, "interrupt", "shutdown", "shutdown"]
)
@example(
    page=True, master=False, actions=["start", "tick", "tick", "tick", "stop", "stop", "shutdown"]
)
def test_any_order_of_events_ends_in_the_table_with_each_run_closed_once(
    module, page, master, actions
):
    world = World(module, page=page, master=master)

    for action in actions:
        world.do(action)
    world.settle()
    world.do("shutdown")
    world.settle()

    assert world.errors == []
    assert world.lifecycle.state.is_over
    assert [run.closed for run in world.runs] == [run.opened for run in world.runs]
    assert all(run.opened <= 1 and run.dropped <= 1 for run in world.runs)
    if world.lifecycle.state is RunState.DONE:
        assert world.runs[-1].closed == 1
    for run in world.runs:
        if run.status == "complete":
            assert run.plan_done
            assert run.failure is None


def whole_run(module, *, page):
    world = World(module, page=page)
    world.do("start")
    with gevent.Timeout(DEADLINE_S):
        while world.lifecycle.state is not RunState.LOADING:
            gevent.sleep(0)
    return world


def test_a_start_while_a_test_runs_changes_nothing(module):
    world = whole_run(module, page=True)
    host, options = world.environment.host, vars(world.environment.parsed_options).copy()

    refusal = world.lifecycle.prepare_for_page({"steps": "99rps:1s"}, "http://other")

    assert refusal == "A test is running or starting: stop it first."
    assert (world.environment.host, vars(world.environment.parsed_options)) == (host, options)
    assert world.lifecycle.state is RunState.LOADING
    world.do("shutdown")
    world.settle()


@pytest.mark.parametrize("from_locust", [False, True])
def test_a_start_that_is_refused_gives_back_what_was_there(module, from_locust):
    world = World(module, page=True)
    world.next_fault = None if from_locust else "target"

    refusal = world.lifecycle.prepare_for_page({"steps": "99rps:1s"}, "http://other")
    world.lifecycle.drop_start()

    assert refusal == (None if from_locust else "nobody is there")
    assert (world.environment.host, world.environment.parsed_options.steps) == ("http://old", "old")
    assert world.lifecycle.state is (RunState.IDLE if from_locust else RunState.REFUSED)


@pytest.mark.parametrize(("page", "code"), [(False, 130), (True, 130)])
def test_a_signal_ends_a_run_once_as_interrupted(module, page, code):
    world = whole_run(module, page=page)

    for _ in range(3):
        world.do("interrupt")
    world.settle()

    assert world.errors == []
    assert [(run.status, run.closed) for run in world.runs] == [("interrupted", 1)]
    assert world.environment.process_exit_code == code


def test_a_signal_before_anything_began_lets_nothing_begin(module):
    world = World(module, page=False)

    world.do("interrupt")
    world.do("start")
    world.settle()

    assert (world.runs, world.environment.process_exit_code) == ([], 130)


def test_a_bug_in_the_report_ends_with_an_error_of_the_tool_and_the_run_closed(module, monkeypatch):
    def broken(*_, **__):
        raise IndexError("tuple index out of range")

    world = whole_run(module, page=False)
    monkeypatch.setattr(Reporter, "report", broken)
    world.settle()

    assert [type(error) for error in world.errors] == [IndexError]
    assert (world.runs[-1].closed, world.environment.process_exit_code) == (1, 1)
    assert world.lifecycle.state is RunState.DONE
