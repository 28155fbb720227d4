"""Events of a run that are due in the same second: carried out by greenlets, against one Serve."""

import gevent
import msgspec
import pytest

from scalelag.cluster.ray_job.kill import KillResult
from scalelag.errors import TargetError
from scalelag.options.run_options import run_options
from scalelag.plugin.leader.watching import events as module
from scalelag.plugin.leader.watching.events import RunEvents
from scalelag.record.clock import Clock, ClockOffset
from scalelag.record.event_rows import EventRow
from scalelag.record.row_files import read_rows
from tests.unit.deploy_cases import OURS, THEIRS, Target, there


class Slow(Target):
    """Serve that takes its time to answer, in which other greenlets go on."""

    def get(self, path):
        answer = super().get(path)
        gevent.sleep(0.02)
        return answer

    def close(self):
        pass


@pytest.fixture
def serve(monkeypatch):
    serve = Slow(OURS, THEIRS)
    monkeypatch.setattr(module, "open_dashboard", lambda *_: serve)
    return serve


APPS = {app["name"]: app for app in (OURS, THEIRS)}


def begun(serve, path, *texts, offset=None, embedded=False):
    """Events under way; an error of the record fails the test."""
    given = {"steps": "1rps:60s", "event": texts, "allow_faults": True}
    options = run_options(given, embedded=embedded)
    state, clock = there(serve), Clock()
    found = RunEvents(options, state, frozenset(state.deployments()), "2.60.0", clock)
    found.start(path, clock.now(), lambda: offset, pytest.fail)
    return found


def rows_in(path):
    rows, _ = read_rows(path / "events.jsonl", msgspec.json.Decoder(EventRow))
    return {row.index: row for row in rows}


def test_two_that_delete_in_the_same_second_do_not_undo_each_other(serve, tmp_path):
    found = begun(serve, tmp_path, "0s: delete ours", "0s: delete theirs")

    with gevent.Timeout(10):
        while serve.document["applications"]:
            gevent.sleep(0.005)
    found.close()

    assert {row.error for row in rows_in(tmp_path).values()} == {None}


def test_one_that_waits_for_another_does_not_begin_any_more_after_an_interrupt(
    serve, tmp_path, capsys
):
    found = begun(serve, tmp_path, "0s: delete ours", "0s: delete theirs")
    gevent.sleep(0.005)

    found.close()

    assert serve.document["applications"] == [THEIRS]
    assert rows_in(tmp_path)[2].error == "the load was over before its time"
    found.give_back()
    assert {app["name"]: app for app in serve.document["applications"]} == APPS
    said = capsys.readouterr().err
    assert "the application ours is deployed again as it was" in said
    assert "theirs is" not in said


def test_a_cluster_of_our_own_is_left_as_events_changed_it(serve, tmp_path):
    found = begun(serve, tmp_path, "0s: delete ours", embedded=True)

    with gevent.Timeout(10):
        while len(serve.document["applications"]) > 1:
            gevent.sleep(0.005)
    found.close()
    found.give_back()

    assert serve.document["applications"] == [THEIRS]


def test_an_event_that_would_replace_what_python_has_deployed_since_is_not_done(serve, tmp_path):
    found = begun(serve, tmp_path, "0.1s: delete ours")
    serve.document, serve.python = {"applications": [THEIRS]}, [("ours", "/ours")]

    with gevent.Timeout(10):
        while not rows_in(tmp_path):
            gevent.sleep(0.005)
    found.close()

    assert "the application ours was deployed from Python" in rows_in(tmp_path)[1].error
    assert serve.document == {"applications": [THEIRS]}


class Silent:
    """The job of a kill, of which the dashboard tells nothing twice."""

    def __init__(self, *_):
        self.asked = 0
        self.ended = False

    def submit(self, _at_s):
        pass

    def told(self):
        self.asked += 1
        if self.asked < 3:
            raise TargetError("no answer in time")
        return KillResult(ready=1.0, begun=2.0, ended=2.5, lost=("r1",), node="n1")

    def end(self):
        self.ended = True


def test_a_kill_counts_also_if_the_dashboard_does_not_answer_for_a_while(
    serve, tmp_path, monkeypatch
):
    job = Silent()
    monkeypatch.setattr(module, "KillJob", lambda *_: job)
    offset = ClockOffset(1.0, 0.1)

    found = begun(serve, tmp_path, "0s: kill controller", offset=offset)
    with gevent.Timeout(20):
        while not job.ended:
            gevent.sleep(0.01)
    found.close()

    (row,) = rows_in(tmp_path).values()
    assert (row.begun_s, row.ended_s, row.skew_s, row.error) == (1.0, 1.5, 0.1, None)


def test_a_node_that_was_killed_cannot_be_given_back_and_that_is_said(
    serve, tmp_path, monkeypatch, capsys
):
    job = Silent()
    monkeypatch.setattr(module, "KillJob", lambda *_: job)

    found = begun(serve, tmp_path, "0s: kill node of ours/D 1", offset=ClockOffset(0.0, 0.1))
    with gevent.Timeout(20):
        while not job.ended:
            gevent.sleep(0.01)
    found.close()
    found.give_back()

    assert "its event ended the node n1: whoever started it must start another" in (
        capsys.readouterr().err
    )
