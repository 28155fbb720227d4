"""The job of a kill: which replicas it takes."""

from types import SimpleNamespace

import pytest

from scalelag.cluster.ray_job import kill_main

LISTED = [{"actor_name": f"actor {i}", "replica_id": f"r{i}"} for i in range(4)]
ORDER = {"deployment": "a/D", "count": 2}


@pytest.fixture
def killed(monkeypatch):
    """Actors that were killed; the first and the third have died before, unseen by Serve."""
    killed = []

    def get_actor(name, namespace):
        if name in ("actor 0", "actor 2"):
            raise ValueError("Failed to look up actor")
        return name

    monkeypatch.setattr(kill_main, "ray", SimpleNamespace(get_actor=get_actor, kill=killed.append))
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
