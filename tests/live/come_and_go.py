"""Replicas that come and go while a probe watches, and what the logs tell of them afterwards."""

import threading
import time
from collections import defaultdict
from contextlib import closing, contextmanager
from itertools import pairwise

import requests

from probes.dashboard import APPLICATIONS_PATH, Dashboard, DashboardError
from probes.logs.read import read_evidence
from probes.pacing import Pacing
from probes.replica_probe import ReplicaProbe
from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from scalelag.cluster.apps import resolve_app
from scalelag.cluster.deploy import deploy, undeploy
from scalelag.cluster.preflight import Patience
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import Transition
from tests.support.waiting import wait_for
from tools.diagnosis.processes import replicas

REPLICAS = 3
QUICK = {"downscale_delay_s": 1, "look_back_period_s": 1, "metrics_interval_s": 0.2}
STARTS = ["starting", "init_entered", "init_done", "started", "first_request"]
# The controller writes its line, then changes its state, or the other way round, within one turn.
TOLERANCE_S = 0.005
SEEN = {
    ("starting", None): "STARTING",
    ("started", "STARTING"): "RUNNING",
    ("stopping", "RUNNING"): "STOPPING",
    ("stopped", "STOPPING"): None,
}


class WatchedDeployment:
    """A deployment as a probe saw it, and then as the logs tell it."""

    def __init__(self, url, token):
        self._url, self._token = url, token
        self.rows = []
        self.dashboard = Dashboard(url, time.time, token)
        self.probe = ReplicaProbe(
            self.dashboard, self.rows.extend, time.time, ReplicaTracker(), Pacing(10, 1.0)
        )

    @property
    def transitions(self):
        return [row for row in self.rows if isinstance(row, Transition)]

    def evidence(self):
        with closing(Dashboard(self._url, time.time, self._token)) as dashboard:
            payload = parse_payload(dashboard.get(APPLICATIONS_PATH).body)
            window = (self.probe.started_s, time.time())
            return read_evidence(
                dashboard, self.transitions, payload, window, self.probe.offset, time.time
            )


@contextmanager
def watching(url, token):
    watched = WatchedDeployment(url, token)
    thread = threading.Thread(target=watched.probe.run, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        watched.probe.stop()
        thread.join(30)
        watched.dashboard.close()


def come_and_go(url, token, host, apps):
    """Deploy while a probe watches, send requests, scale down to none; the evidence of all that."""
    with closing(Dashboard(url, time.time, token)) as dashboard, watching(url, token) as watched:
        names = deploy(dashboard, [between(app, REPLICAS, REPLICAS) for app in apps])
        for app in apps:
            wait_for(
                lambda key=f"{app['name']}/Sleeper": (
                    states(dashboard, key) == ["RUNNING"] * REPLICAS
                ),
                "the replicas",
                90,
                forgiven=DashboardError,
            )
            for _ in range(20):
                assert requests.get(host + app["route_prefix"], timeout=30).status_code == 200
        dashboard.put(APPLICATIONS_PATH, {"applications": [between(app, 0, 1) for app in apps]})
        wait_for(lambda: gone(watched.transitions) == came(watched.transitions), "their end", 90)
        undeploy(dashboard, names, Patience(150, time.monotonic, time.sleep))
    return watched, watched.evidence()


def states(dashboard, key):
    return [replica["state"] for replica in replicas(dashboard, key)]


def between(app, fewest, most):
    """The application with other bounds; where only they differ Serve does not build it anew.

    While it is built, and once it is deleted, none of its replicas is listed.
    """
    (override,) = app.get("deployments", [{"name": "Sleeper"}])
    bounds = {"min_replicas": fewest, "max_replicas": most, **QUICK}
    return {**app, "deployments": [{**override, "autoscaling_config": bounds}]}


def came(transitions):
    return {change.replica for change in transitions}


def gone(transitions):
    return {change.replica for change in transitions if change.to_state is None}


def sleeper(name="default", **more):
    """The application `sleeper` under this name, at a path of its own."""
    (app,) = resolve_app("sleeper", ["service_time_s=0.01"], importable_here=True)
    return {**app, "name": name, "route_prefix": f"/{name}", **more}


def events_by_replica(rows):
    found = defaultdict(dict)
    for row in rows:
        if isinstance(row, LogEvent) and row.replica:
            assert row.kind not in found[row.replica], row
            found[row.replica][row.kind] = row
    return found


def assert_as_polled(rows, transitions):
    """Each event lies where polling saw its change, and each replica's events in their order."""
    events = events_by_replica(rows)
    checked = 0
    for change in transitions:
        for (kind, from_state), to_state in SEEN.items():
            if (change.from_state, change.to_state) == (from_state, to_state):
                event = events[change.replica][kind]
                slack_s = event.skew_s + TOLERANCE_S
                assert change.lo_s - slack_s <= event.at_s <= change.hi_s + slack_s, event
                checked += 1
    assert checked == 4 * len(came(transitions)), transitions
    for replica in came(transitions):
        of_it = events[replica]
        assert of_it.keys() >= {*STARTS[:4], "stopping", "stopped"}, replica
        # The error of a node's clock is the same for all its lines, but not for another node's.
        errors_s = {event.node: event.skew_s for event in of_it.values()}
        slack_s = sum(errors_s.values()) + TOLERANCE_S if len(errors_s) > 1 else TOLERANCE_S
        times_s = [of_it[kind].at_s for kind in STARTS if kind in of_it]
        for earlier_s, later_s in pairwise(times_s):
            assert earlier_s <= later_s + slack_s, of_it
    assert sum("first_request" in events[replica] for replica in came(transitions)) > 0
