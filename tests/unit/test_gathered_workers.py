"""Workers that answer late, or never, when a run gathers them, and at its end."""

from types import SimpleNamespace

import pytest

from tests.support.unpatched import import_unpatched

runners = import_unpatched("locust.runners")
messages = import_unpatched("scalelag.plugin.worker.messages")
module = import_unpatched("scalelag.plugin.leader.workers.workers")

NOW_S = 1_000.0
STEP_S = 0.25
"""Time that passes with each ping."""


class Master(runners.MasterRunner):
    """A master whose workers answer pings from a moment on; None: never."""

    greenlet = None

    def __init__(self, answers_from_s):
        self.now_s = NOW_S
        self.workers = None
        self._answers_from_s = answers_from_s
        self.clients = runners.WorkerNodes()
        for name in answers_from_s:
            self.clients[name] = runners.WorkerNode(name)

    def wait(self, seconds):
        self.now_s += seconds

    def send_message(self, _kind, _message, name):
        from_s = self._answers_from_s[name]
        if from_s is not None and self.now_s - NOW_S >= from_s:
            self.workers.pong(name, messages.Pong(self.now_s, self.now_s))
        self.now_s += STEP_S


@pytest.fixture
def gathering(monkeypatch):
    """Makes the workers of a run from the moments at which they begin to answer."""
    monkeypatch.setattr(module.gevent, "sleep", lambda _: None)

    def make(**answers_from_s):
        master, told = Master(answers_from_s), []
        clock = SimpleNamespace(now=lambda: master.now_s)
        workers = master.workers = module.RunWorkers(master, clock, told.append, lambda: None)
        return master, workers, told

    return make


@pytest.mark.parametrize("late_s", [0.0, 5.0, 14.0])
def test_a_worker_that_has_no_turn_for_some_seconds_takes_part(gathering, late_s):
    _, workers, told = gathering(slow=late_s, fast=0.0)

    workers.gather()

    assert [worker.id for worker in workers.all] == ["fast", "slow"]
    assert told == []


def test_a_worker_that_never_answers_is_left_out_after_a_while(gathering):
    master, workers, told = gathering(fast=0.0, other=None)

    workers.gather()

    assert [worker.id for worker in workers.all] == ["fast"]
    assert "worker other does not answer: does it run the same locustfile?" in told[0]
    assert master.now_s - NOW_S == pytest.approx(15, abs=1)


@pytest.mark.parametrize(
    ("state", "waited_s"), [("stopped", 30.0), (runners.STATE_MISSING, 10.0), ("ended", 10.0)]
)
def test_last_rows_are_waited_for_longer_from_a_worker_that_is_there(
    gathering, monkeypatch, state, waited_s
):
    master, workers, told = gathering(a=0.0, b=0.0)
    workers.gather()
    master.clients["b"].state = state
    if state == "ended":
        del master.clients["b"]
    begun_s = master.now_s
    monkeypatch.setattr(module.gevent, "sleep", master.wait)

    workers.await_last_rows({0})

    assert master.now_s - begun_s == pytest.approx(waited_s, abs=0.1)
    assert [worker.lost_reason for worker in workers.all] == [None, "its last rows did not come"]
    assert "load process 1" in told[0]


def test_last_rows_that_come_are_waited_for_no_longer(gathering, monkeypatch):
    master, workers, told = gathering(a=0.0, b=0.0)
    workers.gather()
    came, begun_s = {0}, master.now_s

    def sleep(seconds):
        master.wait(seconds)
        if master.now_s - begun_s > 20:
            came.add(1)

    monkeypatch.setattr(module.gevent, "sleep", sleep)
    workers.await_last_rows(came)

    assert master.now_s - begun_s == pytest.approx(20, abs=0.2)
    assert told == []
