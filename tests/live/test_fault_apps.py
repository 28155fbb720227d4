"""The applications with a fault do on a real cluster what their documentation says."""

import json
import threading
import time
from contextlib import contextmanager
from itertools import count

import pytest
import requests

from probes.dashboard import APPLICATIONS_PATH
from probes.serve_state import parse_payload
from scalelag.cluster.apps import resolve_app
from scalelag.cluster.deploy import deploy, undeploy
from scalelag.cluster.preflight import Patience, ready_payload
from tests.support.waiting import wait_for

QUICK = {
    "num_cpus": 0.1,
    "max_replicas": 2,
    "target_ongoing_requests": 1,
    "metrics_interval_s": 0.2,
    "look_back_period_s": 0.5,
    "upscale_delay_s": 0,
    "downscale_delay_s": 600,
    "graceful_shutdown_wait_loop_s": 0.1,
    "graceful_shutdown_timeout_s": 2,
}
PATIENCE = Patience(150, time.monotonic, time.sleep)
_numbers = count(1)


class App:
    """One application on the session's cluster, and the load on it."""

    def __init__(self, dashboard, host, name):
        self._dashboard = dashboard
        self.name = name
        self.url = f"{host}/{name}"

    def deployment(self):
        payload = parse_payload(self._dashboard.get(APPLICATIONS_PATH).body)
        (deployment,) = payload.applications[self.name].deployments.values()
        return deployment

    def running(self):
        """Ids of the replicas that are RUNNING."""
        return {r.replica_id for r in self.deployment().replicas if r.state == "RUNNING"}

    def is_healthy_with(self, replicas):
        return self.deployment().status == "HEALTHY" and len(self.running()) == replicas

    @contextmanager
    def load(self, clients=6):
        """As many requests in progress as there are clients; fails if one of them fails."""
        stop, wrong = threading.Event(), []

        def ask():
            while not stop.is_set():
                answer = requests.get(self.url, timeout=60)
                if answer.status_code != 200:
                    wrong.append(answer.status_code)
                    return

        threads = [threading.Thread(target=ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert wrong == []


@pytest.fixture
def start_app(cluster, dashboard):
    """Deploys a built-in application, waits until it is RUNNING, and takes it away in the end."""
    names = []

    def start(builtin, **arguments):
        texts = [f"{key}={value}" for key, value in (QUICK | arguments).items()]
        (config,) = resolve_app(builtin, texts, importable_here=True)
        name = f"{builtin}-{next(_numbers)}"
        names.extend(deploy(dashboard, [config | {"name": name, "route_prefix": f"/{name}"}]))
        PATIENCE.retry(lambda: ready_payload(dashboard, [], [name]))
        return App(dashboard, cluster.urls.host, name)

    yield start
    undeploy(dashboard, names, PATIENCE)


def truth(path, event):
    """Times at which `event` was noted, by replica."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["replica"]: row["at_s"] for row in rows if row["event"] == event}


def test_the_truth_file_tells_of_every_replica_under_serves_own_name(start_app, tmp_path):
    path = tmp_path / "truth.jsonl"
    app = start_app("slow_start", init_time_s=1, truth_file=path)
    with app.load():
        wait_for(lambda: len(app.running()) == 2, "a second replica", 60)
        wait_for(lambda: len(truth(path, "request")) == 2, "a request to each", 60)

    entered, left, asked = (
        truth(path, event) for event in ("constructor_entered", "constructor_left", "request")
    )
    assert entered.keys() == left.keys() == asked.keys() == app.running()
    assert all(left[replica] - entered[replica] >= 1 for replica in entered)
    assert all(asked[replica] >= left[replica] for replica in entered)
    started = {r.replica_id: r.start_time_s for r in app.deployment().replicas}
    assert all(entered[replica] >= started[replica] for replica in entered)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 6
    assert {(row["app"], row["deployment"]) for row in rows} == {(app.name, "SlowStart")}


def test_the_replicas_of_a_step_fail_as_often_as_arranged_and_then_start(start_app, tmp_path):
    path, state = tmp_path / "truth.jsonl", tmp_path / "tries"
    app = start_app("sick_start", failures=2, truth_file=path, state_file=state)
    first = app.running()
    with app.load():
        message = wait_for(
            lambda: "failed to start" in (said := app.deployment().message) and said,
            "a failed start",
            60,
        )
        wait_for(lambda: app.is_healthy_with(2), "recovery", 60)

    assert "sick_start: failure" in message
    assert "as arranged" in message
    assert first < app.running()
    failed = truth(path, "constructor_entered").keys() - truth(path, "constructor_left").keys()
    assert len(failed) == 2
    assert not failed & app.running()
    assert len(state.read_bytes()) == 4  # the first replica, two failures, the second replica


def test_failures_without_end_leave_the_first_replica_serving(start_app, tmp_path):
    path = tmp_path / "truth.jsonl"
    app = start_app("sick_start", failures=-1, truth_file=path, state_file=tmp_path / "tries")
    first = app.running()
    with app.load():
        # More than the 3 tries for each wanted replica that Serve allows a new deployment.
        wait_for(lambda: len(truth(path, "constructor_entered")) > 1 + 6, "many tries", 60)

    assert app.running() == first
    assert app.deployment().status == "UPSCALING"


@pytest.mark.parametrize("mode", ["raise", "hang"])
def test_sick_replicas_are_stopped_and_none_gets_up_until_the_file_is_gone(
    start_app, tmp_path, mode
):
    sick = tmp_path / "sick"
    times = {"health_check_period_s": 0.3, "health_check_timeout_s": 0.5 if mode == "hang" else 10}
    app = start_app("sick_health", sick_file=sick, mode=mode, **times)
    first = app.running()
    sick.touch()
    wait_for(lambda: app.deployment().status == "UNHEALTHY", "UNHEALTHY", 60)
    trigger = app.deployment().status_trigger
    wait_for(lambda: not first & app.running(), "the replica gone", 60)
    sick.unlink()
    wait_for(lambda: app.is_healthy_with(1), "recovery", 60)

    assert trigger == "HEALTH_CHECK_FAILED"
    assert not first & app.running()


def test_new_replicas_whose_health_check_hangs_wait_until_the_file_is_gone(start_app, tmp_path):
    sick, path = tmp_path / "sick", tmp_path / "truth.jsonl"
    app = start_app(
        "sick_health", sick_file=sick, sick_replicas="new", mode="hang", truth_file=path
    )
    first = app.running()
    sick.touch()
    with app.load():
        wait_for(lambda: len(truth(path, "constructor_left")) == 2, "a second constructor done", 60)
        (waiting,) = [r for r in app.deployment().replicas if r.replica_id not in first]
        sick.unlink()
        wait_for(lambda: app.is_healthy_with(2), "recovery", 60)

    assert (waiting.state, waiting.node_id is None) == ("STARTING", False)
    assert app.running() == first | {waiting.replica_id}


def test_replicas_beyond_the_supply_start_once_the_held_cpus_are_let_go(start_app, tmp_path):
    path = tmp_path / "truth.jsonl"
    # The cluster has 8 CPUs: room for 2 replicas, and for 3 after the release.
    step = {"max_replicas": 3, "release_after_s": 10, "truth_file": path}
    app = start_app("starved", num_cpus=1, held_cpus=6, **step)
    (first,) = app.running()

    def starving():
        deployment = app.deployment()
        running = len(app.running()) == 2
        waiting = [r for r in deployment.replicas if r.state == "STARTING" and not r.node_id]
        return waiting[0] if running and len(waiting) == 1 else None

    with app.load():
        waiting = wait_for(starving, "a replica without a node", 60)
        wait_for(lambda: app.is_healthy_with(3), "recovery", 60)

    assert waiting.replica_id in app.running()
    released_s = truth(path, "request")[first] + 10
    entered = truth(path, "constructor_entered")
    assert entered.pop(waiting.replica_id) >= released_s
    assert all(entered_s < released_s for entered_s in entered.values())


def test_held_cpus_are_there_again_when_the_application_is_gone(start_app, dashboard):
    app = start_app("starved", num_cpus=1, held_cpus=6)
    undeploy(dashboard, [app.name], PATIENCE)

    start_app("starved", num_cpus=1, held_cpus=6)  # 14 CPUs in all would not fit
