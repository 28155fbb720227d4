"""The tools of tools/diagnosis, on real clusters: that the faults they make are there, and end.

The last two tests start clusters of their own, of several nodes (about 20 and 15 s).
"""

import subprocess
import sys
import time
from contextlib import closing, suppress

import psutil
import pytest
import requests

from probes.dashboard import APPLICATIONS_PATH, Dashboard, DashboardError
from scalelag.cluster.apps import resolve_app
from scalelag.cluster.deploy import deploy, undeploy
from scalelag.cluster.preflight import Patience
from tools.diagnosis.apps import needing
from tools.diagnosis.network import ip
from tools.diagnosis.node_autoscaler import node_autoscaler
from tools.diagnosis.processes import (
    controller_pid,
    gcs_server_pid,
    replica_pid,
    replicas,
    session_name,
    slowed,
    stopped,
)
from tools.diagnosis.ray_start import FaultToolError, alive_nodes, wait_for
from tools.diagnosis.second_node import two_nodes
from tools.diagnosis.tcp_proxy import TcpProxy

KEY = "default/Sleeper"
QUICK_HEALTH_CHECKS = {"health_check_period_s": 1, "health_check_timeout_s": 3}


def sleeper(*arguments):
    return resolve_app("sleeper", ["service_time_s=0", *arguments], importable_here=True)


def states(dashboard):
    return [replica["state"] for replica in replicas(dashboard, KEY)]


def nodes_of(dashboard, state):
    """Nodes of the replicas in `state`; None for one that has no node yet."""
    return [r.get("node_id") for r in replicas(dashboard, KEY) if r["state"] == state]


def wait_for_answer(host):
    """Wait until a request to `host` is answered."""

    def ask():
        with suppress(requests.RequestException):
            return requests.get(host, timeout=5)
        return None

    wait_for(f"an answer from {host}", ask)


def open_dashboard(cluster):
    return Dashboard(cluster.dashboard, time.time, cluster.token)


def left_over(session):
    """Processes that have Ray's session in their command line."""
    return [p for p in psutil.process_iter(["cmdline"]) if session in str(p.info["cmdline"])]


@pytest.fixture
def host(cluster, dashboard):
    """The session's cluster with a sleeper of its own on it."""
    names = deploy(dashboard, sleeper())
    wait_for("the app", lambda: states(dashboard) == ["RUNNING"])
    yield cluster.urls.host
    undeploy(dashboard, names, Patience(150, time.monotonic, time.sleep))


@pytest.fixture
def child():
    """A process that does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with process:
        yield psutil.Process(process.pid)


def has_halted(process):
    return process.status() == psutil.STATUS_STOPPED


def test_a_process_is_stopped_within_the_block_and_goes_on_when_the_block_fails(child):
    with suppress(KeyError), stopped(child.pid):
        assert has_halted(child)
        raise KeyError

    assert not has_halted(child)


def test_a_slowed_process_stops_and_goes_on_by_turns_and_goes_on_afterwards(child):
    with slowed(child.pid, stopped_s=0.25, running_s=0.25):
        for _ in range(3):
            wait_for("a stop", lambda: has_halted(child))
            wait_for("going on", lambda: not has_halted(child))

    assert not has_halted(child)


def test_slowing_a_process_that_ends_does_no_harm(child):
    with slowed(child.pid, stopped_s=0.05, running_s=0.05):
        child.kill()
        wait_for("its end", lambda: child.status() == psutil.STATUS_ZOMBIE)


def test_while_the_controller_is_stopped_the_dashboard_does_not_answer(cluster, dashboard):
    with (
        stopped(controller_pid(dashboard)),
        pytest.raises(DashboardError, match="no answer in time"),
    ):
        dashboard.get(APPLICATIONS_PATH, read_timeout_s=1.5)

    wait_for("an answer", lambda: dashboard.get(APPLICATIONS_PATH))


def test_a_slowed_controller_answers_late(dashboard):
    with slowed(controller_pid(dashboard), stopped_s=0.8, running_s=0.2):
        replies = [dashboard.get(APPLICATIONS_PATH, read_timeout_s=20) for _ in range(6)]

    slowest_s = max(reply.received_s - reply.sent_s for reply in replies)
    assert slowest_s > 0.3


def test_while_the_gcs_server_is_stopped_ray_does_not_tell_its_nodes(dashboard):
    with (
        stopped(gcs_server_pid(dashboard)),
        pytest.raises(DashboardError, match="no answer in time"),
    ):
        dashboard.get("/api/v0/nodes", read_timeout_s=1.5)

    assert wait_for("an answer", lambda: alive_nodes(dashboard))


def test_a_stopped_replica_answers_when_it_goes_on(host, dashboard):
    with stopped(replica_pid(dashboard, KEY)), pytest.raises(requests.ReadTimeout):
        requests.get(host, timeout=1)

    wait_for_answer(host)


def test_a_proxy_before_serve_makes_its_network_bad_and_good_again(host):
    with TcpProxy("127.0.0.1", int(host.rpartition(":")[2])) as proxy, requests.Session() as users:
        assert users.get(proxy.url, timeout=10).ok

        proxy.blackhole()
        with pytest.raises(requests.ReadTimeout):
            users.get(proxy.url, timeout=0.5)
        proxy.reset()
        with pytest.raises(requests.ConnectionError, match="reset"):
            users.get(proxy.url, timeout=10)
        proxy.refuse()
        with pytest.raises(requests.ConnectionError, match="refused"):
            users.get(proxy.url, timeout=10)
        proxy.delay(0.3)
        assert users.get(proxy.url, timeout=10).elapsed.total_seconds() >= 0.3
        proxy.forward()
        assert users.get(proxy.url, timeout=10).ok


def test_a_namespace_that_cannot_be_had_is_an_error_with_the_reason():
    with pytest.raises(FaultToolError, match=r"ip netns delete .* failed: .*No such file.* root"):
        ip("netns", "delete", "scalelag-none")


def test_slow_two_nodes_a_short_cut_heals_and_a_long_one_takes_the_replicas_of_the_far_node():
    with two_nodes() as cluster, closing(open_dashboard(cluster)) as dashboard:
        session = session_name(dashboard)
        app = needing(sleeper("min_replicas=2"), "Sleeper", {"far": 1}, **QUICK_HEALTH_CHECKS)
        deploy(dashboard, app)
        wait_for("the replicas", lambda: states(dashboard) == ["RUNNING"] * 2)
        (far,) = set(nodes_of(dashboard, "RUNNING"))

        with cluster.severed(), pytest.raises(requests.ReadTimeout):
            requests.get(cluster.host, timeout=1)
        wait_for_answer(cluster.host)
        assert nodes_of(dashboard, "RUNNING") == [far, far]

        cluster.cut()
        wait_for("the node's death", lambda: len(alive_nodes(dashboard)) == 1)
        wait_for("replacements", lambda: nodes_of(dashboard, "STARTING") == [None, None])
        assert nodes_of(dashboard, "RUNNING") == []

    assert left_over(session) == []
    assert cluster.namespace not in ip("netns", "list") + ip("link", "show")


def test_slow_node_autoscaler_a_deployment_gets_the_nodes_that_it_needs():
    with node_autoscaler() as cluster, closing(open_dashboard(cluster)) as dashboard:
        session = session_name(dashboard)
        assert len(alive_nodes(dashboard)) == 1

        deploy(dashboard, needing(sleeper("min_replicas=2"), "Sleeper", {"worker_only": 2}))
        wait_for("the replicas", lambda: states(dashboard) == ["RUNNING"] * 2)

        assert len(set(nodes_of(dashboard, "RUNNING"))) == 2
        assert len(alive_nodes(dashboard)) == 3
        assert requests.get(cluster.host, timeout=10).ok

    assert left_over(session) == []
