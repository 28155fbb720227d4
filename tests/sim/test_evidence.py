"""Evidence read over HTTP from nodes whose clocks are wrong, against when things really happened."""

import time

import pytest

from probes.dashboard import Dashboard
from probes.logs.log_files import Limits
from probes.logs.read import read_evidence
from probes.serve_state import parse_payload
from scalelag.record.clock import ClockOffset
from scalelag.record.evidence_rows import LogEvent, NodeClock, NoLog
from scalelag.record.rows import Transition
from tests.support.servers.log_server import Fault, Node, running_log_server

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


@pytest.fixture
def world():
    with running_log_server() as server:
        server.nodes["n1"] = Node(files={"serve/proxy_1.log": b""})
        yield World(server)


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


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("theta_s", [0.0, 7200.0, -12600.0 + 3.5, 3600.0 - 200.0])
def test_every_step_of_a_start_is_told_to_the_millisecond(world, theta_s):
    world.server.nodes["n1"].theta_s = theta_s
    for number in range(5):
        world.start(f"r{number}", 5 + 3 * number)

    rows = world.read()

    assert_true(rows, world.truth)
    assert of(NoLog, rows) == []
    (clock,) = of(NodeClock, rows)
    assert abs(clock.offset_s - theta_s) <= clock.error_s < 0.1


def test_events_come_by_time_with_their_raw_lines(world):
    world.controller(
        4,
        "Upscaling Deployment(name='D', app='a') from 1 to 2 replicas. Current ongoing requests: "
        "6.42, current running replicas: 1.",
    )
    world.start("r0", 5)
    world.stop("r0", 40)

    events = of(LogEvent, world.read())

    assert [event.kind for event in events] == [
        "upscaling", "starting", "init_entered", "init_done", "started", "first_request",
        "stopping", "stopped",
    ]  # fmt: skip
    decision = events[0]
    assert (decision.before, decision.after, decision.ongoing) == (1, 2, 6.42)
    assert "Upscaling Deployment(name='D', app='a') from 1 to 2" in decision.raw
    assert {event.deployment for event in events} == {"a/D"}
    assert events[4].duration_s == pytest.approx(0.75, abs=0.06)


def test_nodes_with_clocks_of_their_own(world):
    world.server.nodes["n1"].theta_s = 3600.0 + 0.8
    world.server.nodes["n2"] = Node(theta_s=-18000.0 + 312.0)
    world.server.nodes["n3"] = Node(theta_s=-2.5)
    for number, node in enumerate(["n1", "n2", "n3"] * 3):
        world.start(f"r{number}", 5 + number, node)

    rows = world.read()

    assert_true(rows, world.truth)
    offsets_s = {clock.node: clock.offset_s for clock in of(NodeClock, rows)}
    for node, theta_s in {"n1": 3600.8, "n2": -17688.0, "n3": -2.5}.items():
        assert offsets_s[node] == pytest.approx(theta_s, abs=0.1)


def test_nodes_that_note_nothing_are_aligned_by_what_comes_before_what(world):
    world.server.nodes["n1"] = Node(theta_s=3600.8, notes=False, files={"serve/proxy_1.log": b""})
    world.server.nodes["n2"] = Node(theta_s=-17688.0, notes=False)
    for number in range(6):
        world.start(f"r{number}", 5 + 1.23 * number, "n2", allocate=0.5 + 0.1 * number)

    rows = world.read()

    assert_true(rows, world.truth)
    errors_s = {clock.node: clock.error_s for clock in of(NodeClock, rows)}
    # Polls half a second apart; the fastest allocation and the marking, half of each.
    assert errors_s["n1"] <= 0.26
    assert errors_s["n2"] <= 0.26 + 0.275 + 0.01


def test_the_controllers_own_word_is_as_good_as_asking_its_node(world):
    world.server.nodes["n1"] = Node(theta_s=3600.25, notes=False, files={"serve/proxy_1.log": b""})
    world.start("r0", 5)

    rows = world.read(ClockOffset(0.251, 0.003))

    assert_true(rows, world.truth)
    assert of(NodeClock, rows)[0].error_s < 0.006


def test_a_replica_with_a_time_zone_of_its_own(world):
    world.start("r0", 5)
    world.start("r1", 6, tz=-18000.0)

    assert_true(world.read(), world.truth)


# --- which lines ---------------------------------------------------------------------------------


def test_other_deployments_and_other_times_are_left_out(world):
    other = "Replica(id='zzz', deployment='Other', app='a')"
    mine = "Deployment(name='D', app='a')"
    world.controller(-900, f"Upscaling {mine} from 1 to 9 replicas. Current ongoing requests: 1.00")
    world.controller(-899, "Starting Replica(id='old', deployment='D', app='a').")
    world.start("r0", 5)
    world.controller(20, f"Starting {other}.")
    world.controller(30, f"Downscaling {mine} from 2 to 1 replicas. Current ongoing requests: 1.00")
    world.controller(80, f"Downscaling {mine} from 1 to 0 replicas. Current ongoing requests: 0.00")

    events = of(LogEvent, world.read())

    assert [event.after for event in events if event.kind.endswith("scaling")] == [1]
    assert {event.replica for event in events if event.replica} == {"r0"}


def test_a_replica_that_was_starting_when_the_run_began_keeps_its_start(world):
    world.start("r0", -30, allocate=35)
    _, running = world.transitions
    world.transitions = [
        Transition("a/D", "r0", world.begun_s + 0.02, None, None, "STARTING"),
        running,
    ]

    assert_true(world.read(), world.truth)


def test_the_log_of_a_replica_that_only_went_is_not_fetched(world):
    world.stop("r9", 40)

    rows = world.read()

    assert [event.kind for event in of(LogEvent, rows)] == ["stopping", "stopped"]
    assert not any("replica" in query.get("filename", "") for _, query in world.server.requests)
    assert of(NoLog, rows) == []


def test_a_replica_that_failed_to_start_keeps_the_reason(world):
    world.controller(10, "Starting Replica(id='bad', deployment='D', app='a').")
    world.controller(
        12,
        "Exception in Replica(id='bad', deployment='D', app='a'), the replica will be stopped.",
        "Traceback (most recent call last):",
        "RuntimeError: no weights",
    )
    world.seen("bad", world.begun_s + 10, None, "STARTING", "n1")
    name = "serve/replica_a_D_bad.log"
    world.server.nodes["n1"].write(
        name, world.begun_s + 11, "a_D bad", "Started initializing replica."
    )

    events = of(LogEvent, world.read())

    assert [event.kind for event in events] == ["starting", "init_entered", "start_failed"]
    assert events[-1].raw.endswith("RuntimeError: no weights")


def test_a_proxy_that_waits_for_a_queue_length(world):
    world.server.nodes["n1"].write(
        "serve/proxy_1.log",
        world.begun_s + 20,
        "proxy 192.0.2.1",
        "Failed to get queue length from Replica(id='r0', deployment='D', app='a') within 0.1s.",
    )
    world.start("r0", 5)

    (event,) = [event for event in of(LogEvent, world.read()) if event.kind == "slow_queue_length"]
    assert (event.replica, event.deployment) == ("r0", "a/D")
    assert event.at_s == pytest.approx(world.begun_s + 20, abs=0.1)


def test_many_lines_alike_are_cut_short_and_counted(world):
    for number in range(500):
        world.controller(10 + 0.01 * number, "Dropping stale metrics for handle 'x' because no")
    world.start("r0", 5)

    rows = world.read()

    stale = [event for event in of(LogEvent, rows) if event.kind == "stale_metrics"]
    assert (len(stale), stale[0].at_s) == (100, pytest.approx(world.begun_s + 10, abs=0.1))
    assert [row.reason for row in of(NoLog, rows)] == [
        "400 more lines of kind stale_metrics are left out"
    ]


# --- rotated, restarted, large -------------------------------------------------------------------


def rotate(node, name, *cuts):
    """Move lines out of a log into `.1`, `.2`, ...: `cuts` are how many lines each keeps."""
    lines = node.files[name].splitlines(keepends=True)
    for number, cut in enumerate(cuts):
        suffix = f".{number}" if number else ""
        node.files[f"{name}{suffix}"] = b"".join(lines[-cut:])
        lines = lines[:-cut]
    node.files[f"{name}.{len(cuts)}"] = b"".join(lines)


def test_the_controllers_log_is_read_back_through_what_was_rotated(world):
    for number in range(20):
        world.start(f"r{number}", 2 + number)
    rotate(world.server.nodes["n1"], CONTROLLER, 5, 10, 12)

    rows = world.read()

    assert_true(rows, world.truth)
    assert of(NoLog, rows) == []


def test_rotated_logs_of_before_the_run_are_not_fetched(world):
    for number in range(2000):
        world.controller(-500 + 0.1 * number, f"old {number}")
    world.start("r0", 5)
    rotate(world.server.nodes["n1"], CONTROLLER, 100, 500, 500, 500)

    world.read()

    asked = [query.get("filename", "") for _, query in world.server.requests]
    assert not any(name.startswith(f"{CONTROLLER}.") for name in asked)


def test_a_replicas_log_that_was_rotated_begins_in_the_oldest_file(world):
    world.start("r0", 5)
    node = world.server.nodes["n1"]
    name = "serve/replica_a_D_r0.log"
    for number in range(30):
        node.write(name, world.begun_s + 20 + number, "a_D r0 req", "GET / 200 10.0ms")
    rotate(node, name, 10, 10)

    assert_true(world.read(), world.truth)


def test_a_beginning_that_was_rotated_away_is_told(world):
    world.start("r0", 5)
    node = world.server.nodes["n1"]
    name = "serve/replica_a_D_r0.log"
    for number in range(30):
        node.write(name, world.begun_s + 20 + number, "a_D r0 req", "GET / 200 10.0ms")
    rotate(node, name, 10, 10)
    node.files[f"{name}.2"] = node.files[f"{name}.1"]

    rows = world.read()

    assert [(row.replica, row.reason) for row in of(NoLog, rows)] == [
        ("r0", "its beginning was rotated away")
    ]


def test_a_controller_that_restarted_left_a_log_beside_its_own(world):
    world.start("r0", 5)
    node = world.server.nodes["n1"]
    node.files["serve/controller_12.log"] = node.files.pop(CONTROLLER)
    node.files["serve/controller_3.log"] = b""
    node.write(
        "serve/controller_2.log", world.begun_s - 9999, "controller 2", "Controller starting"
    )
    world.controller(30, "Controller starting (version='2.60.0').")
    world.start("r1", 35)

    rows = world.read()

    assert_true(rows, world.truth)
    kinds = [event.kind for event in of(LogEvent, rows) if event.replica is None]
    assert kinds == ["controller_started"]


def test_a_beginning_beyond_the_bound_is_told(world):
    for number in range(30):
        world.start(f"r{number}", 1 + number)
        world.controller(1 + number, "something else", *["entirely " * 10] * 300)

    rows = world.read(controller_bytes=300_000)

    assert [row.file for row in of(NoLog, rows)] == [CONTROLLER]
    assert "beyond the limit of 0.3 MB" in of(NoLog, rows)[0].reason
    found = starts(rows)
    assert "starting" in found["r29"]
    assert "starting" not in found["r0"]
    assert abs(found["r0"]["init_done"] - world.truth["r0"]["init_done"]) < 0.1


# --- what cannot be read -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "HTTP 401: the dashboard refuses access to logs"),
        (403, "HTTP 403: the dashboard refuses access to logs"),
        (404, "HTTP 404: this dashboard gives no logs"),
    ],
)
def test_a_dashboard_that_gives_no_logs_is_one_row(world, status, reason):
    for number in range(20):
        world.start(f"r{number}", number)
    world.server.faults["*"] = Fault(status=status)

    (row,) = world.read()

    assert isinstance(row, NoLog)
    assert row.reason.startswith(reason)
    assert len(world.server.requests) == 1


def test_a_dashboard_that_is_gone_is_one_row(world):
    for number in range(20):
        world.start(f"r{number}", number)
    world.server.shutdown()
    world.server.server_close()

    rows = world.read()

    assert of(LogEvent, rows) == []
    assert rows[-1].reason.startswith("connection refused, 3 times in a row")


def test_a_dashboard_that_does_not_answer_ends_it_soon(world):
    for number in range(20):
        world.start(f"r{number}", number)
    world.server.faults["*"] = Fault(hang=True)
    begun_s = time.monotonic()

    rows = world.read(read_timeout_s=0.2)

    assert of(LogEvent, rows) == []
    assert all(isinstance(row, NoLog) for row in rows)
    assert time.monotonic() - begun_s < 5


def test_without_the_state_of_serve_replicas_are_read_all_the_same(world):
    world.start("r0", 5)

    rows = world.read(payload=None)

    assert {event.kind for event in of(LogEvent, rows)} == {
        "init_entered", "init_done", "first_request",
    }  # fmt: skip
    assert "does not name the controller's log" in of(NoLog, rows)[0].reason


def test_a_log_that_is_missing_is_one_row_and_the_rest_is_read(world):
    for number in range(4):
        world.start(f"r{number}", 5 + number)
    del world.server.nodes["n1"].files["serve/replica_a_D_r2.log"]

    rows = world.read()

    assert [(row.replica, row.reason) for row in of(NoLog, rows)] == [
        ("r2", "there is no such file on the node")
    ]
    assert starts(rows)["r2"].keys() == {"starting", "started"}
    assert starts(rows)["r3"].keys() == set(STARTS)


def test_a_node_that_is_gone_is_one_row_however_many_replicas_it_had(world):
    world.server.nodes["n2"] = Node()
    for number in range(20):
        world.start(f"r{number}", 1 + number, "n2" if number % 2 else "n1")
    del world.server.nodes["n2"]

    rows = world.read()

    assert [(row.node, row.reason) for row in of(NoLog, rows)] == [
        ("n2", "the node is gone, or no dashboard agent runs on it (10 logs)")
    ]
    assert starts(rows)["r1"].keys() == {"starting", "started"}
    assert starts(rows)["r2"].keys() == set(STARTS)


def test_a_replica_whose_node_was_never_known_is_told(world):
    world.controller(5, "Starting Replica(id='r0', deployment='D', app='a').")
    world.seen("r0", world.begun_s + 5, None, "STARTING", None)

    assert [(row.replica, row.file) for row in of(NoLog, world.read())] == [
        ("r0", "serve/replica_a_D_r0.log")
    ]


def test_the_last_to_come_are_read_where_there_are_too_many(world):
    for number in range(10):
        world.start(f"r{number}", 5 + number)

    rows = world.read(replicas=4)

    found = starts(rows)
    assert {replica for replica in found if "init_done" in found[replica]} == {
        "r6", "r7", "r8", "r9",
    }  # fmt: skip
    assert [row.reason for row in of(NoLog, rows)] == [
        "too many new replicas: 6 logs were not read"
    ]
