"""The job of a kill: which replicas it takes."""

import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from scalelag.cluster.ray_job import kill_main

LISTED = [
    {"actor_name": f"actor {i}", "replica_id": f"r{i}", "node_id": "here", "pid": None}
    for i in range(4)
]
ORDER = {"deployment": "a/D", "count": 2}


@pytest.fixture
def killed(monkeypatch):
    """Actors that were killed; the first and the third have died before, unseen by Serve."""
    killed = []

    def get_actor(name, namespace):
        if name in ("actor 0", "actor 2"):
            raise ValueError("Failed to look up actor")
        return name

    context = SimpleNamespace(get_node_id=lambda: "here")
    monkeypatch.setattr(
        kill_main,
        "ray",
        SimpleNamespace(
            get_actor=get_actor, kill=killed.append, get_runtime_context=lambda: context
        ),
    )
    return killed


def test_the_oldest_that_live_are_killed_whatever_serve_still_lists(killed, monkeypatch):
    monkeypatch.setattr(kill_main, "_running", lambda _order: LISTED)

    kill, lost, _ = kill_main._kill_replicas(ORDER)
    kill()

    assert killed == ["actor 1", "actor 3"]
    assert lost == ["r1", "r3"]


def test_where_none_lives_any_more_the_job_says_so(killed, monkeypatch, capsys):
    monkeypatch.setattr(kill_main, "_running", lambda _order: LISTED[:1])

    with pytest.raises(SystemExit):
        kill_main._kill_replicas(ORDER)

    assert "no RUNNING replica of a/D lives any more" in capsys.readouterr().out


def test_the_kill_is_over_when_the_process_has_gone(killed, monkeypatch):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        monkeypatch.setattr(
            kill_main, "_running", lambda _order: [LISTED[1] | {"pid": process.pid}]
        )
        kill, _, _ = kill_main._kill_replicas(ORDER)
        ender = threading.Timer(0.3, process.kill)
        ender.start()
        kill()
        assert process.poll() is not None
        ender.join()
