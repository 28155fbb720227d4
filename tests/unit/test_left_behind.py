"""The journal of what was deployed on a cluster that is not ours."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from scalelag.cluster.left_behind import (
    JournalEntry,
    _started_ticks,  # pyright: ignore[reportPrivateUsage]
    forget,
    in_use,
    journal_folder,
    note,
    orphans,
)

URL = "http://127.0.0.1:8265"


def entry_of_a_dead_process(folder: Path, **changed: object) -> Path:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    known = {
        "dashboard": URL,
        "apps": {"mine": "mine:app"},
        "pid": process.pid,
        "started_ticks": 1,
        "at_s": 5.0,
    }
    path = folder / "1-a.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(JournalEntry(**(known | changed))))
    return path


def test_an_entry_is_there_until_it_is_forgotten(tmp_path):
    entry = note(tmp_path / "new", URL, {"mine": "mine:app"}, 5.0)
    inside = list((tmp_path / "new").iterdir())

    forget(entry)

    assert [str(path) for path in inside] == [entry.path]
    assert list((tmp_path / "new").iterdir()) == []


def test_an_entry_of_a_living_process_is_no_orphan(tmp_path):
    entry = note(tmp_path, URL, {"mine": "mine:app"}, 5.0)

    assert orphans(tmp_path, URL) == []
    assert in_use(tmp_path, URL) == [entry]


def test_a_killed_process_that_nobody_waited_for_is_gone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        ticks = _started_ticks(process.pid)
        entry_of_a_dead_process(tmp_path, pid=process.pid, started_ticks=ticks)
        lives = orphans(tmp_path, URL)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert lives == []
        assert [entry.apps for entry in orphans(tmp_path, URL)] == [{"mine": "mine:app"}]
        assert in_use(tmp_path, URL) == []


def test_an_entry_of_a_dead_process_is_an_orphan_of_its_dashboard(tmp_path):
    entry_of_a_dead_process(tmp_path)

    (found,) = orphans(tmp_path, URL)

    assert found.apps == {"mine": "mine:app"}
    assert orphans(tmp_path, "http://127.0.0.1:9999") == []


@pytest.mark.parametrize(
    "same",
    [
        "http://localhost:8265",
        "http://127.0.0.1:8265/",
        "http://[::1]:8265",
        "http://LOCALHOST:8265",
        "http://0.0.0.0:8265",
    ],
)
def test_another_spelling_of_the_dashboard_is_the_same_one(tmp_path, same):
    entry_of_a_dead_process(tmp_path)

    assert [one.apps for one in orphans(tmp_path, same)] == [{"mine": "mine:app"}]


@pytest.mark.parametrize(
    "other",
    ["http://127.0.0.1:8266", "http://10.0.0.1:8265", "http://127.0.0.1:8265/b", "http://a:x"],
)
def test_another_server_port_or_path_is_another_dashboard(tmp_path, other):
    entry_of_a_dead_process(tmp_path)

    assert orphans(tmp_path, other) == []


def test_a_process_that_took_the_number_over_is_not_the_one(tmp_path):
    entry_of_a_dead_process(tmp_path, pid=os.getpid())

    assert [one.apps for one in orphans(tmp_path, URL)] == [{"mine": "mine:app"}]


def test_an_orphan_can_be_forgotten(tmp_path):
    entry_of_a_dead_process(tmp_path)

    forget(orphans(tmp_path, URL)[0])

    assert orphans(tmp_path, URL) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"pid": 1}'])
def test_a_file_that_is_no_entry_is_passed_over(tmp_path, content):
    entry_of_a_dead_process(tmp_path)
    (tmp_path / "2-b.json").write_bytes(content)

    assert len(orphans(tmp_path, URL)) == 1


def test_a_place_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OSError, match="file"):
        note(tmp_path / "file" / "deep", URL, {"mine": "mine:app"}, 5.0)


def test_the_folder_follows_the_environment():
    assert journal_folder({"XDG_STATE_HOME": "/there"}) == Path("/there/scalelag/deployed")
    assert journal_folder({}).parts[-2:] == ("scalelag", "deployed")
