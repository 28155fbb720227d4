"""Applications with a fault, deployed on the shared cluster: load on them, and what they wrote down."""

import json
import threading
import time
from contextlib import contextmanager

import requests

from probes.dashboard import APPLICATIONS_PATH
from probes.serve_state import parse_payload
from scalelag.cluster.apps import resolve_app
from scalelag.cluster.deploy import deploy, undeploy
from scalelag.cluster.preflight import Patience, ready_payload

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


@contextmanager
def deployed(dashboard, host, applications):
    """Deploy several at once, given as `{name: (builtin, arguments)}`; an App of each until the end."""
    configs = []
    for name, (builtin, arguments) in applications.items():
        texts = [f"{key}={value}" for key, value in (QUICK | arguments).items()]
        (config,) = resolve_app(builtin, texts, importable_here=True)
        configs.append(config | {"name": name, "route_prefix": f"/{name}"})
    names = deploy(dashboard, configs)
    try:
        PATIENCE.retry(lambda: ready_payload(dashboard, [], names))
        yield {name: App(dashboard, host, name) for name in names}
    finally:
        undeploy(dashboard, names, PATIENCE)


def truth(path, event):
    """Times at which `event` was noted, by replica."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["replica"]: row["at_s"] for row in rows if row["event"] == event}
