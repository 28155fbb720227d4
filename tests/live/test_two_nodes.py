"""One cluster of two nodes, the second in another time zone, until the last test cuts it off.

Serve listens on each node's own 127.0.0.1. The tests come in this order, on one cluster.
"""

import time
from contextlib import closing

import numpy as np
import psutil
import pytest
import requests

from probes.dashboard import Dashboard, DashboardError
from scalelag.cluster.apps import resolve_app
from scalelag.cluster.deploy import deploy, undeploy
from scalelag.cluster.preflight import Patience
from scalelag.record.evidence_rows import NodeClock, NoLog
from tests.live.come_and_go import REPLICAS, assert_as_polled, came, come_and_go, sleeper
from tests.live.conftest import commands
from tests.live.load_workers import CLOCKS_S, QUICK, actors, due, recorded
from tests.support.waiting import wait_for
from tools.diagnosis.apps import needing
from tools.diagnosis.network import Cable, ip
from tools.diagnosis.processes import replicas, session_name
from tools.diagnosis.ray_start import alive_nodes
from tools.diagnosis.second_node import two_nodes

pytestmark = pytest.mark.several_nodes

KEY = "default/Sleeper"
PATIENCE = Patience(150, time.monotonic, time.sleep)
QUICK_HEALTH_CHECKS = {"health_check_period_s": 1, "health_check_timeout_s": 3}


@pytest.fixture(scope="module")
def nodes():
    """The cluster. Nothing of it is left behind."""
    inside = Cable.inside
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cable, "inside", lambda cable: [*inside(cable), "env", "TZ=Asia/Kolkata"])
        with two_nodes("EveryNode") as cluster:
            with closing(Dashboard(cluster.dashboard, time.time, cluster.token)) as dashboard:
                session = session_name(dashboard)
            yield cluster
    assert [p for p in psutil.process_iter(["cmdline"]) if session in str(p.info["cmdline"])] == []
    assert cluster.namespace not in ip("netns", "list") + ip("link", "show")


@pytest.fixture(scope="module")
def dashboard(nodes):
    with closing(Dashboard(nodes.dashboard, time.time, nodes.token)) as dashboard:
        yield dashboard


@pytest.fixture
def start(tmp_path):
    with commands(tmp_path) as start:
        yield start


def nodes_of(dashboard, state):
    """Nodes of the replicas in `state`; None for one that has no node yet."""
    return [r.get("node_id") for r in replicas(dashboard, KEY) if r["state"] == state]


def wait_for_replicas(dashboard, count):
    # Ray's scheduler may not know the far node yet, though it is on its list.
    wait_for(
        lambda: len(nodes_of(dashboard, "RUNNING")) == count,
        "replicas on the far node",
        90,
        forgiven=DashboardError,
    )


def test_load_workers_are_spread_over_the_nodes_and_each_is_answered_on_its_own(
    nodes, dashboard, start
):
    app = resolve_app("sleeper", ["service_time_s=0.01"], importable_here=True)
    names = deploy(dashboard, needing(app, "Sleeper", {"far": 1}))
    wait_for_replicas(dashboard, 1)
    command = start(
        *("run", "--dashboard", nodes.dashboard, "--host", nodes.host, *QUICK),
        *("--workers-on-ray", "2", "--master-host", nodes.near_ip, "--steps", "20rps:4s"),
        RAY_AUTH_TOKEN=nodes.token,
    )
    command.wait_for_output("stage 1/1")
    placed = {actor["node_id"] for actor in actors(dashboard)}
    code, output = command.wait()
    undeploy(dashboard, names, PATIENCE)

    rows, info = recorded(command)
    report = command.report()
    assert code == (5 if report["load"]["on_time_ratio"] < 0.99 else 0), output
    assert len(placed) == 2
    assert np.allclose(rows.intended_s - info["zero_s"], due((20, 4)), atol=1e-6)
    assert [int(np.count_nonzero(rows.worker == index)) for index in range(2)] == [40, 40]
    assert (report["load"]["failed"], report["load"]["not_sent"]) == (0, 0)
    assert all(abs(w["offset_s"]) <= w["error_s"] + CLOCKS_S for w in info["load_workers"])


def test_the_logs_of_both_tell_what_polling_saw(nodes):
    far = needing([sleeper()], "Sleeper", {"far": 1})

    watched, rows = come_and_go(nodes.dashboard, nodes.token, nodes.host, far)

    assert [row for row in rows if isinstance(row, NoLog)] == []
    assert len(came(watched.transitions)) == REPLICAS
    assert_as_polled(rows, watched.transitions)
    offsets_s = sorted(row.offset_s for row in rows if isinstance(row, NodeClock))
    assert offsets_s == pytest.approx([time.localtime().tm_gmtoff, 19800.0], abs=0.1)


def test_a_short_cut_heals_and_a_long_one_takes_the_replicas_of_the_far_node(nodes, dashboard):
    app = resolve_app("sleeper", ["service_time_s=0", "min_replicas=2"], importable_here=True)
    deploy(dashboard, needing(app, "Sleeper", {"far": 1}, **QUICK_HEALTH_CHECKS))
    wait_for_replicas(dashboard, 2)
    (far,) = set(nodes_of(dashboard, "RUNNING"))

    with nodes.severed(), pytest.raises(requests.ReadTimeout):
        requests.get(nodes.host, timeout=1)
    wait_for(
        lambda: requests.get(nodes.host, timeout=5),
        "an answer once it has healed",
        90,
        forgiven=requests.RequestException,
    )
    assert nodes_of(dashboard, "RUNNING") == [far, far]

    nodes.cut()
    wait_for(lambda: len(alive_nodes(dashboard)) == 1, "the node's death", 90)
    wait_for(lambda: nodes_of(dashboard, "STARTING") == [None, None], "replacements", 90)
    assert nodes_of(dashboard, "RUNNING") == []
