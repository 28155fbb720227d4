"""Logs that were rotated, are large, or cannot be read."""

import time

import pytest

from scalelag.record.evidence_rows import LogEvent, NoLog
from tests.sim.evidence_world import CONTROLLER, STARTS, assert_true, of, starts
from tests.support.servers.log_server import Fault, Node

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
        (
            "too many new replicas: 6 logs were not read; read first were those of replicas that "
            "ended a rise, then of the newest of each deployment"
        )
    ]
