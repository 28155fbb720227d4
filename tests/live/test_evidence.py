"""Evidence from the logs of real clusters, against what polling saw of the same replicas.

The last test starts a cluster of its own, of two nodes (about 40 s).
"""

import threading
import time
from collections import defaultdict
from contextlib import closing, contextmanager
from itertools import pairwise

import pytest
import requests

from probes.dashboard import APPLICATIONS_PATH, Dashboard
from probes.logs.read import read_evidence
from probes.pacing import Pacing
from probes.replica_probe import ReplicaProbe
from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from scalelag.cluster.apps import resolve_app
from scalelag.cluster.deploy import deploy, undeploy
from scalelag.cluster.preflight import Patience
from scalelag.record.evidence_rows import LogEvent, NodeClock, NoLog
from scalelag.record.rows import Transition
from tools.diagnosis.apps import needing
from tools.diagnosis.network import Cable
from tools.diagnosis.processes import replicas
from tools.diagnosis.ray_start import wait_for
from tools.diagnosis.second_node import two_nodes

KEY = "default/Sleeper"
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


def come_and_go(url, token, host, app):
    """Deploy while a probe watches, send requests, scale down to none; the evidence of all that."""
    with closing(Dashboard(url, time.time, token)) as dashboard, watching(url, token) as watched:
        names = deploy(dashboard, [between(app, REPLICAS, REPLICAS)])
        wait_for(
            "the replicas",
            lambda: [r["state"] for r in replicas(dashboard, KEY)] == ["RUNNING"] * REPLICAS,
        )
        for _ in range(20):
            assert requests.get(host, timeout=30).status_code == 200
        dashboard.put(APPLICATIONS_PATH, {"applications": [between(app, 0, 1)]})
        wait_for("their end", lambda: gone(watched.transitions) == came(watched.transitions))
        undeploy(dashboard, names, Patience(150, time.monotonic, time.sleep))
    return watched, watched.evidence()


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


def sleeper(**more):
    (app,) = resolve_app("sleeper", ["service_time_s=0.01"], importable_here=True)
    return {**app, **more}


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
    assert checked == 4 * REPLICAS, transitions
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


@pytest.mark.parametrize("encoding", ["TEXT", "JSON"])
def test_the_logs_tell_what_polling_saw(cluster, encoding):
    app = sleeper(logging_config={"encoding": encoding})

    watched, rows = come_and_go(cluster.urls.dashboard, cluster.token, cluster.urls.host, app)

    assert [row for row in rows if isinstance(row, NoLog)] == []
    assert_as_polled(rows, watched.transitions)
    (clock,) = [row for row in rows if isinstance(row, NodeClock)]
    assert clock.error_s < 0.05
    # This machine wrote all of it: its clock is ours, but for the time zone.
    assert abs(clock.offset_s - time.localtime().tm_gmtoff) <= clock.error_s
    raw = next(row.raw for row in rows if isinstance(row, LogEvent) and row.kind == "init_done")
    assert raw.startswith("{") == (encoding == "JSON")


def test_a_wrong_token_leaves_one_row_with_the_reason(cluster):
    with closing(Dashboard(cluster.urls.dashboard, time.time, "0" * 64)) as dashboard:
        change = Transition(KEY, "r1", time.time(), time.time() - 1, None, "STARTING", "n1")
        rows = read_evidence(dashboard, [change], None, (0, time.time()), None, time.time)

    assert [type(row) for row in rows] == [NoLog, NoLog]
    assert rows[1].reason.startswith("HTTP 403: the dashboard refuses access to logs")


def test_slow_two_nodes_the_second_in_another_time_zone(monkeypatch):
    inside = Cable.inside
    monkeypatch.setattr(Cable, "inside", lambda cable: [*inside(cable), "env", "TZ=Asia/Kolkata"])
    with two_nodes() as nodes:
        (app,) = needing([sleeper()], "Sleeper", {"far": 1})
        watched, rows = come_and_go(nodes.dashboard, nodes.token, nodes.host, app)

    assert [row for row in rows if isinstance(row, NoLog)] == []
    assert_as_polled(rows, watched.transitions)
    offsets_s = sorted(row.offset_s for row in rows if isinstance(row, NodeClock))
    assert offsets_s == pytest.approx([time.localtime().tm_gmtoff, 19800.0], abs=0.1)
