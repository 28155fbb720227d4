"""Nothing on somebody's cluster is harmed: not its settings, not by a killed command."""

import os
import signal

import pytest

from probes.dashboard import APPLICATIONS_PATH
from probes.serve_state import parse_payload
from tests.support.waiting import wait_for

OURS = ["--app", "sleeper"]
NEIGHBOUR = {
    "name": "theirs",
    "route_prefix": "/theirs",
    "import_path": "serve_apps.sleeper:app",
    "deployments": [
        {"name": "Sleeper", "num_replicas": 2, "ray_actor_options": {"num_cpus": 0.1}},
    ],
}
FAILING = {"name": "failing", "route_prefix": "/failing", "import_path": "serve_apps.nowhere:app"}


def serve(dashboard):
    return parse_payload(dashboard.get(APPLICATIONS_PATH).body)


@pytest.fixture(scope="module")
def half_capacity(dashboard):
    """A neighbour with two replicas by its configuration, at a `target_capacity` of 50: one."""
    dashboard.put(APPLICATIONS_PATH, {"target_capacity": 50, "applications": [NEIGHBOUR, FAILING]})
    wait_for(lambda: statuses(dashboard) == SETTLED, "the neighbours as they are meant to be", 120)
    yield
    dashboard.put(APPLICATIONS_PATH, {"applications": []})
    wait_for(lambda: not serve(dashboard).applications, "an empty cluster", 120)


SETTLED = {"theirs": "RUNNING", "failing": "DEPLOY_FAILED"}


def statuses(dashboard):
    return {name: app.status for name, app in serve(dashboard).applications.items()}


def as_it_was(dashboard):
    there = serve(dashboard)
    replicas = there.deployments()["theirs/Sleeper"].replicas
    return bytes(there.target_capacity), sorted(replica.replica_id for replica in replicas)


def test_a_killed_command_is_undone_by_doctor_and_nothing_else_changes(
    on_cluster, dashboard, half_capacity
):
    before = as_it_was(dashboard)
    killed = on_cluster("run", *OURS, "--steps", "2rps:120s", "--out", "runs")
    wait_for(lambda: killed.run_dirs, "the load", 90)
    os.kill(killed.process.pid, signal.SIGKILL)
    killed.process.wait()

    _, said = on_cluster("doctor").wait()
    refused_code, refused = on_cluster("run", *OURS, "--steps", "2rps:2s", "--out", "runs").wait()
    _, undone = on_cluster("doctor", "--take-away").wait()

    assert "--take-away" in said, said
    assert (refused_code, "--take-away" in refused) == (2, True), refused
    assert "default: taken away" in undone, undone
    # Serve builds an application that failed anew when it is named again.
    wait_for(lambda: statuses(dashboard) == SETTLED, "the neighbours as they were", 120)
    assert as_it_was(dashboard) == before


@pytest.mark.long
def test_an_app_beside_a_failing_one_is_tested_and_nothing_else_changes(
    on_cluster, dashboard, half_capacity
):
    before = as_it_was(dashboard)

    code, output = on_cluster(
        *("run", *OURS, "--steps", "2rps:4s", "--out", "runs", "--drain", "1")
    ).wait()

    assert code in (0, 4, 5), output
    assert "application-not-running" in output, output
    # Serve builds an application that failed anew when it is named again.
    wait_for(lambda: statuses(dashboard) == SETTLED, "the neighbours as they were", 120)
    assert as_it_was(dashboard) == before
