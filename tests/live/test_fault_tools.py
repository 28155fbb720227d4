"""The tools of tools/diagnosis, on real clusters: that the faults they make are there, and end.

The last test starts a cluster of its own, of several nodes (about 15 s).
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
from tests.support.waiting import wait_for
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
from tools.diagnosis.ray_start import FaultToolError, alive_nodes, look
from tools.diagnosis.tcp_proxy import TcpProxy

pytestmark = pytest.mark.long

KEY = "default/Sleeper"


def sleeper(*arguments):
    return resolve_app("sleeper", ["service_time_s=0", *arguments], importable_here=True)


def states(dashboard):
    return [replica["state"] for replica in replicas(dashboard, KEY)]


def wait_for_answer(host):
    """Wait until a request to `host` is answered."""
    wait_for(
        lambda: requests.get(host, timeout=5),
        f"an answer from {host}",
        90,
        forgiven=requests.RequestException,
    )


def open_dashboard(cluster):
    return Dashboard(cluster.dashboard, time.time, cluster.token)


def left_over(session):
    """Processes that have Ray's session in their command line."""
    return [p for p in psutil.process_iter(["cmdline"]) if session in str(p.info["cmdline"])]


@pytest.fixture
def host(cluster, dashboard):
    """The session's cluster with a sleeper of its own on it."""
    names = deploy(dashboard, sleeper())
    look(lambda: states(dashboard) == ["RUNNING"], "the app")
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
            wait_for(lambda: has_halted(child), "a stop")
            wait_for(lambda: not has_halted(child), "going on")

    assert not has_halted(child)


def test_slowing_a_process_that_ends_does_no_harm(child):
    with slowed(child.pid, stopped_s=0.05, running_s=0.05):
        child.kill()
        wait_for(lambda: child.status() == psutil.STATUS_ZOMBIE, "its end")


def test_while_the_controller_is_stopped_the_dashboard_does_not_answer(cluster, dashboard):
    with (
        stopped(controller_pid(dashboard)),
        pytest.raises(DashboardError, match="no answer in time"),
    ):
        dashboard.get(APPLICATIONS_PATH, read_timeout_s=1.5)

    look(lambda: dashboard.get(APPLICATIONS_PATH), "an answer")


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

    assert look(lambda: alive_nodes(dashboard), "an answer")


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


@pytest.mark.several_nodes
def test_a_node_autoscaler_starts_the_nodes_that_a_deployment_needs():
    with node_autoscaler() as cluster, closing(open_dashboard(cluster)) as dashboard:
        session = session_name(dashboard)
        assert len(alive_nodes(dashboard)) == 1

        deploy(dashboard, needing(sleeper("min_replicas=2"), "Sleeper", {"worker_only": 2}))
        look(lambda: states(dashboard) == ["RUNNING"] * 2, "the replicas")

        assert len({replica["node_id"] for replica in replicas(dashboard, KEY)}) == 2
        assert len(alive_nodes(dashboard)) == 3
        assert requests.get(cluster.host, timeout=10).ok

    assert left_over(session) == []
