"""The application that holds CPUs, on the cluster of 8 CPUs of which it leaves 2."""

import pytest

from tests.live.fault_app import deployed, truth
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

RELEASE_AFTER_S = 10
HOLDING = {"num_cpus": 1, "held_cpus": 6}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "truth.jsonl"


@pytest.fixture
def app(cluster, dashboard, path):
    """Room for 2 of 3 replicas, and for the third after the release.

    It is there a second time: what the first one held is free again, since 12 CPUs would not fit.
    """
    with deployed(dashboard, cluster.urls.host, {"first": ("starved", HOLDING)}):
        pass
    more = {"max_replicas": 3, "release_after_s": RELEASE_AFTER_S, "truth_file": path}
    with deployed(dashboard, cluster.urls.host, {"starved": ("starved", HOLDING | more)}) as apps:
        yield apps["starved"]


def test_replicas_beyond_the_supply_start_once_the_held_cpus_are_let_go(app, path):
    (first,) = app.running()

    def starving():
        deployment = app.deployment()
        running = len(app.running()) == 2
        waiting = [r for r in deployment.replicas if r.state == "STARTING" and not r.node_id]
        return waiting[0] if running and len(waiting) == 1 else None

    with app.load():
        waiting = wait_for(starving, "a replica without a node", 120)
        wait_for(lambda: app.is_healthy_with(3), "recovery", 120)

    assert waiting.replica_id in app.running()
    released_s = truth(path, "request")[first] + RELEASE_AFTER_S
    entered = truth(path, "constructor_entered")
    assert entered.pop(waiting.replica_id) >= released_s
    assert all(entered_s < released_s for entered_s in entered.values())
