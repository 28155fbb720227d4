"""Applications that a killed `run --app` left on a cluster are named, and they alone taken away."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from probes.dashboard import DashboardError
from scalelag.cli.run.signals import interruptible, undisturbed
from scalelag.cluster.deploy import deploy
from scalelag.cluster.left_behind import JournalEntry, journal_folder
from scalelag.cluster.take_away import left_on, noted, take_away
from scalelag.errors import InterruptedRunError, UsageError
from tests.unit.deploy_cases import OURS, SETTINGS, THEIRS, Serve, patience, target_of


def left_by_a_dead_process(folder, apps):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "1-a.json"
    path.write_bytes(msgspec.json.encode(JournalEntry(Serve.url, apps, process.pid, 1, 5.0)))
    return path


def test_what_was_left_is_found_and_it_alone_is_taken_away(folder):
    serve = Serve(THEIRS, OURS, **SETTINGS)
    path = left_by_a_dead_process(folder, {"ours": "ours:app", "gone": "gone:app"})

    found = left_on(serve, folder)
    take_away(serve, found, patience())

    assert [entry.apps for entry in found] == [{"ours": "ours:app"}]
    assert serve.document == {**SETTINGS, "applications": [THEIRS]}
    assert not path.exists()


@pytest.mark.parametrize("there", [[THEIRS], [THEIRS, {**OURS, "import_path": "another:app"}]])
def test_an_entry_whose_application_is_gone_or_anothers_is_forgotten(folder, there):
    path = left_by_a_dead_process(folder, {"ours": "ours:app"})

    assert left_on(Serve(*there), folder) == []
    assert not path.exists()


def test_a_run_has_an_entry_while_its_application_is_there(folder, monkeypatch):
    serve = Serve(THEIRS, **SETTINGS)

    with target_of(serve, monkeypatch):
        (entry,) = folder.iterdir()
        noted_apps = msgspec.json.decode(entry.read_bytes(), type=JournalEntry).apps

    assert noted_apps == {"ours": "ours:app"}
    assert list(folder.iterdir()) == []
    assert serve.document == {**SETTINGS, "applications": [THEIRS]}


def test_what_somebody_deploys_under_the_name_during_a_run_stays_and_is_forgotten(
    folder, monkeypatch, capsys
):
    serve = Serve(THEIRS)
    replaced = {**OURS, "import_path": "another:app"}

    with target_of(serve, monkeypatch):
        serve.document = {"applications": [THEIRS, replaced]}

    assert serve.document == {"applications": [THEIRS, replaced]}
    assert '"ours" at' in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_what_an_event_of_ours_deploys_in_its_place_goes_too(folder, monkeypatch):
    serve = Serve(THEIRS)
    newer = {**OURS, "import_path": "newer:app"}

    with target_of(serve, monkeypatch, replacing=[newer]):
        serve.document = {"applications": [THEIRS, newer]}

    assert serve.document == {"applications": [THEIRS]}
    assert list(folder.iterdir()) == []


def test_the_name_of_what_was_left_is_refused_with_the_command(folder, monkeypatch):
    left_by_a_dead_process(folder, {"ours": "ours:app"})

    with (
        pytest.raises(UsageError, match=f"ours at .*doctor --dashboard {Serve.url} --take-away"),
        target_of(Serve(OURS), monkeypatch),
    ):
        pass


def test_a_run_beside_what_was_left_says_so(folder, monkeypatch, capsys):
    left_by_a_dead_process(folder, {"theirs": "theirs:app"})

    with target_of(Serve(THEIRS), monkeypatch):
        pass

    assert "left theirs at" in capsys.readouterr().err


def test_a_journal_that_cannot_be_written_is_a_warning(tmp_path, capsys):
    (tmp_path / "file").write_text("")

    with noted(tmp_path / "file" / "deep", Serve.url, [OURS], []):
        pass

    assert "warning: no note of ours" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("stage", ["deploying", "load", "taking away"])
def test_a_signal_at_any_stage_leaves_all_as_it_was(folder, monkeypatch, stage, number):
    serve = Serve(THEIRS, **SETTINGS)
    tell = serve.put
    told = []

    def put(path, body):
        told.append(body)
        tell(path, body)
        if stage == ("deploying" if len(told) == 1 else "taking away"):
            signal.raise_signal(number)

    serve.put = put
    in_load = [number] if stage == "load" else []
    with (
        pytest.raises(InterruptedRunError, match=signal.Signals(number).name),
        interruptible(),
        target_of(serve, monkeypatch),
    ):
        list(map(signal.raise_signal, in_load))

    assert serve.document == {**SETTINGS, "applications": [THEIRS]}
    assert list(folder.iterdir()) == []


def test_an_application_that_could_not_be_taken_away_stays_noted(folder, monkeypatch):
    serve = Serve(THEIRS)

    with pytest.raises(DashboardError), target_of(serve, monkeypatch):
        serve.put = refused

    assert len(list(folder.iterdir())) == 1


def refused(*_args):
    raise DashboardError("no", "HTTP 403", 403)


def test_an_answer_that_is_lost_does_not_make_our_own_application_anothers():
    serve = Serve(THEIRS)
    ours = []
    deploy(serve, [OURS], ours)

    deploy(serve, [OURS], ours)

    assert serve.document == {"applications": [THEIRS, OURS]}
    assert ours == ["ours"]


def test_signals_wait_for_the_end_of_what_must_not_be_broken_off():
    done = []

    def take_down():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        done.append("taken down")

    with pytest.raises(InterruptedRunError, match="SIGTERM"), interruptible(), undisturbed():
        take_down()

    assert done == ["taken down"]


def test_tests_keep_a_journal_of_their_own():
    assert not journal_folder(os.environ).is_relative_to(Path("~").expanduser() / ".local")
