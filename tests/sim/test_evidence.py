"""Evidence read over HTTP from nodes whose clocks are wrong, against when things really happened."""

import time
from contextlib import closing

import pytest

from probes.dashboard import Dashboard
from scalelag.cluster.haproxy import has_haproxy
from scalelag.record.clock import ClockOffset
from scalelag.record.evidence_rows import LogEvent, NodeClock, NoLog
from scalelag.record.rows import Transition
from tests.sim.evidence_world import PAYLOAD, assert_true, of
from tests.support.servers.log_server import Node

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


def test_a_proxy_that_begins_anew_with_other_replicas(world):
    for at_s, text in (
        (20, "Successfully performed graceful HAProxy reload with process restart."),
        (21, "Starting HAProxy (spawn #2, pid=1, stdout=a, stderr=b); args=[]"),
    ):
        world.server.nodes["n1"].write(
            "serve/proxy_1.log", world.begun_s + at_s, "proxy 192.0.2.1", text
        )
    world.start("r0", 5)

    (event,) = [event for event in of(LogEvent, world.read()) if event.kind == "proxy_reloaded"]
    assert event.at_s == pytest.approx(world.begun_s + 20, abs=0.1)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("HAProxy starting on node n1 (HTTP port: 8000).", True),
        ("GET / 200 1.0ms", False),
        (None, None),
    ],
)
def test_a_proxys_log_tells_whether_it_is_haproxy(world, line, found):
    if line is None:
        del world.server.nodes["n1"]
    else:
        world.server.nodes["n1"].write("serve/proxy_1.log", time.time(), "proxy 192.0.2.1", line)

    with closing(Dashboard(world.server.url, time.time)) as dashboard:
        assert has_haproxy(dashboard, PAYLOAD, "2.60.0") is found


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
