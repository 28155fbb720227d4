"""The journal of what events changed: kept until it is given back, also after a run that was killed."""

import os
import subprocess
import sys

import msgspec

from scalelag.cluster.events import carry_out
from scalelag.cluster.given_back import KeptChanges
from scalelag.cluster.left_behind import JournalEntry, note
from scalelag.cluster.take_away import how_to_undo, kept_on, left_on, take_away
from tests.unit.deploy_cases import SETTINGS, target_of
from tests.unit.given_back_cases import PATIENCE, Cluster, app, ready, there


class Run:
    """A run's events on a cluster, kept in the journal of `folder`."""

    def __init__(self, serve, folder, parent=0):
        self.serve = serve
        self.kept = KeptChanges(serve.url, folder, parent)

    def does(self, *texts):
        for one in ready(self.serve, *texts):
            self.kept.note(one, there(self.serve))
            carry_out(self.serve, one)


def test_changes_are_in_the_journal_until_they_are_given_back(folder, capsys):
    serve = Cluster(app("one"), **SETTINGS)
    before = serve.state
    run = Run(serve, folder)

    run.does("1s: scale one/D to 8", "2s: delete one")
    (path,) = folder.iterdir()
    mode, entry = path.stat().st_mode, msgspec.json.decode(path.read_bytes(), type=JournalEntry)
    run.kept.give_back(serve, PATIENCE)

    assert mode & 0o077 == 0
    assert (entry.changed["one"].set_to, entry.changed["one"].deleted) == ({"D": (8,)}, True)
    assert list(folder.iterdir()) == []
    assert serve.state == before
    assert "the application one is deployed again as it was" in capsys.readouterr().err


def test_what_cannot_be_given_back_stays_in_the_journal_with_the_command_for_it(folder, capsys):
    serve = Cluster(app("one"))
    run = Run(serve, folder)
    run.does("1s: delete one")
    serve.refuses = True

    run.kept.give_back(serve, PATIENCE)

    assert len(list(folder.iterdir())) == 1
    said = capsys.readouterr().err
    assert "what events changed of one is not all given back" in said
    assert f"`scalelag doctor --dashboard {serve.url} --take-away`" in said


def test_the_application_of_the_run_itself_is_not_given_back(folder):
    serve = Cluster(app("one"), app("mine"))
    own = note(folder, serve.url, {"mine": "theirs:app"}, 1.0)
    run = Run(serve, folder, parent=own.pid)

    run.does("1s: scale mine/D to 4", "2s: delete mine")
    run.kept.give_back(serve, PATIENCE)

    assert list(serve.targets) == ["one"]


def test_a_journal_that_cannot_be_written_is_a_warning(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    serve = Cluster(app("one"))
    run = Run(serve, tmp_path / "file" / "deep")

    run.does("1s: scale one/D to 8")
    run.kept.give_back(serve, PATIENCE)

    assert "warning: no note of event 1" in capsys.readouterr().err
    assert serve.targets == {"one": 2}


def kill_what_ran(folder, **changed):
    """Have the entries of this process be those of one that was killed."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    for path in folder.iterdir():
        entry = msgspec.json.decode(path.read_bytes(), type=JournalEntry)
        if entry.pid == os.getpid():
            path.write_bytes(
                msgspec.json.encode(
                    msgspec.structs.replace(entry, pid=process.pid, started_ticks=1, **changed)
                )
            )


def test_what_a_killed_run_changed_is_named_and_given_back(folder):
    serve = Cluster(app("one"), app("two"), **SETTINGS)
    before = serve.state
    Run(serve, folder).does("1s: delete one", "2s: scale two/D to 6")
    goes_on = kept_on(serve, folder)
    kill_what_ran(folder)

    found = left_on(serve, folder)
    said = how_to_undo(serve.url, found)
    lines = take_away(serve, found, PATIENCE)

    assert goes_on[0].startswith("one, two is of process ")
    assert f"left one, two at {serve.url} as its events had changed it" in said
    assert serve.state == before
    assert "the target of two/D is 2 replicas again" in lines
    assert list(folder.iterdir()) == []


def test_an_entry_of_what_is_as_before_is_forgotten(folder):
    serve = Cluster(app("one"))
    Run(serve, folder).does("1s: scale one/D to 6")
    kill_what_ran(folder)
    serve.targets["one"] = 2

    assert left_on(serve, folder) == []
    assert list(folder.iterdir()) == []


def test_of_two_killed_runs_the_newer_is_undone_first(folder):
    serve = Cluster(app("one"))
    for at_s, count in ((1.0, 6), (2.0, 9)):
        Run(serve, folder).does(f"1s: scale one/D to {count}")
        kill_what_ran(folder, at_s=at_s)

    take_away(serve, left_on(serve, folder), PATIENCE)

    assert serve.targets == {"one": 2}


def test_a_command_gives_back_what_its_killed_load_process_changed(folder, monkeypatch, capsys):
    serve = Cluster(app("one"), **SETTINGS)
    before = serve.state

    with target_of(serve, monkeypatch, apps=()):
        Run(serve, folder, parent=os.getpid()).does("1s: delete one")
        kill_what_ran(folder)

    assert serve.state == before
    assert "the application one is deployed again as it was" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_a_command_leaves_what_another_killed_one_changed_and_says_so(folder, monkeypatch, capsys):
    serve = Cluster(app("one"))
    Run(serve, folder, parent=1).does("1s: scale one/D to 6")
    kill_what_ran(folder)

    with target_of(serve, monkeypatch, apps=()):
        pass

    assert serve.targets == {"one": 6}
    assert "left one at" in capsys.readouterr().err
