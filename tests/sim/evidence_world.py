"""A made-up run, as logs on nodes with wrong clocks and polls tell it."""

import time

from probes.dashboard import Dashboard
from probes.logs.log_files import Limits
from probes.logs.read import read_evidence
from probes.serve_state import parse_payload
from scalelag.record.evidence_rows import LogEvent, NodeClock
from scalelag.record.rows import Transition

CONTROLLER = "serve/controller_77.log"
HEAD = "controller 77"
PAYLOAD = parse_payload(
    b'{"applications": {}, "controller_info": {"node_id": "n1", "log_file_path": '
    b'"/serve/controller_77.log"}, "proxies": {"n1": {"log_file_path": "/serve/proxy_1.log"}}}'
)
STARTS = ("starting", "init_entered", "init_done", "started", "first_request")


class World:
    """A made-up run: what happened, in its logs and as polling saw it."""

    def __init__(self, server):
        self.server = server
        self.begun_s = time.time() - 120
        self.ended_s = self.begun_s + 60
        self.transitions = []
        self.truth = {}

    def theta(self, node):
        return self.server.nodes[node].theta_s

    def seen(self, replica, at_s, from_state, to_state, node, **more):
        # Polling twice a second.
        lo_s = self.begun_s + int((at_s - self.begun_s) / 0.5) * 0.5
        self.transitions.append(
            Transition("a/D", replica, lo_s + 0.51, lo_s, from_state, to_state, node, **more)
        )

    def start(self, replica, at, node="n1", allocate=1.5, initialize=0.75, tz=0.0):
        """A replica that starts `at` seconds after the beginning and serves two requests."""
        begun_s = self.begun_s + at
        entered_s = begun_s + allocate
        done_s = entered_s + initialize
        running_s = done_s + 0.05
        request_s = running_s + 0.2
        self.truth[replica] = dict(
            zip(STARTS, (begun_s, entered_s, done_s, running_s, request_s), strict=True)
        )
        name = f"Replica(id='{replica}', deployment='D', app='a')"
        n1 = self.server.nodes["n1"]
        n1.write(CONTROLLER, begun_s, HEAD, f"Starting {name}.")
        n1.write(
            CONTROLLER,
            running_s,
            HEAD,
            f"{name} started successfully on node '{node}' after 2.3s (PID: 1). Replica "
            f"constructor, reconfigure method, and initial health check took {initialize:.1f}s.",
        )
        own = self.server.nodes[node]
        log = f"serve/replica_a_D_{replica}.log"
        own.write(log, entered_s + tz, f"a_D {replica}", "Started initializing replica.")
        own.write(log, done_s + tz, f"a_D {replica}", "Finished initializing replica.")
        # The second to begin is the first to end.
        own.write(log, request_s + tz + 0.3, f"a_D {replica} req2", "GET / 200 100.0ms")
        own.write(log, request_s + tz + 0.4, f"a_D {replica} req1", "GET / 200 400.0ms")
        start_time_s = begun_s + self.theta("n1") % 900
        self.seen(replica, begun_s, None, "STARTING", None, start_time_s=start_time_s)
        self.seen(
            replica, running_s, "STARTING", "RUNNING", node, log_file=f"/{log}",
            start_time_s=start_time_s,
        )  # fmt: skip

    def stop(self, replica, at, node="n1"):
        name = f"Replica(id='{replica}', deployment='D', app='a')"
        at_s = self.begun_s + at
        write = self.server.nodes["n1"].write
        write(CONTROLLER, at_s, HEAD, f"Stopping {name} (currently ReplicaState.RUNNING).")
        write(CONTROLLER, at_s + 2, HEAD, f"{name} is stopped.")
        self.seen(replica, at_s, "RUNNING", "STOPPING", node)
        self.seen(replica, at_s + 2, "STOPPING", None, node)

    def controller(self, at, *texts):
        self.server.nodes["n1"].write(CONTROLLER, self.begun_s + at, HEAD, *texts)

    def read(self, clock=None, payload=PAYLOAD, **limits):
        dashboard = Dashboard(self.server.url, time.time)
        try:
            return read_evidence(
                dashboard, self.transitions, payload, (self.begun_s, self.ended_s), clock,
                time.time, Limits(**limits),
            )  # fmt: skip
        finally:
            dashboard.close()


def of(kind, rows):
    return [row for row in rows if isinstance(row, kind)]


def starts(rows):
    """Times of each replica's events."""
    found = {}
    for event in of(LogEvent, rows):
        if event.kind in STARTS:
            assert event.kind not in found.setdefault(event.replica, {})
            found[event.replica][event.kind] = event.at_s
    return found


def assert_true(rows, truth, tolerance_s=0.0):
    found = starts(rows)
    assert found.keys() == truth.keys()
    errors_s = {clock.node: clock.error_s for clock in of(NodeClock, rows)}
    for event in of(LogEvent, rows):
        if event.kind in STARTS:
            wrong_s = abs(event.at_s - truth[event.replica][event.kind])
            assert wrong_s <= event.skew_s + 0.001 + tolerance_s, event
            assert event.skew_s == errors_s[event.node]
    for replica, kinds in truth.items():
        assert found[replica].keys() == kinds.keys()
