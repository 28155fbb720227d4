"""Events of a run that are due in the same second: carried out by greenlets, against one Serve."""

import gevent
import msgspec
import pytest

from scalelag.options.run_options import run_options
from scalelag.plugin.leader import events as module
from scalelag.plugin.leader.events import RunEvents
from scalelag.record.clock import Clock
from scalelag.record.event_rows import EventRow
from scalelag.record.row_files import read_rows
from tests.unit.test_deploy import OURS, THEIRS
from tests.unit.test_events_actions import Target, there


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


def begun(serve, path, *texts):
    """Events under way; an error of the record fails the test."""
    options = run_options({"steps": "1rps:60s", "event": texts, "allow_faults": True})
    state, clock = there(serve), Clock()
    found = RunEvents(options, state, frozenset(state.deployments()), "2.60.0", clock)
    found.start(path, clock.now(), lambda: None, pytest.fail)
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
    assert "deleted the application theirs" not in capsys.readouterr().err
