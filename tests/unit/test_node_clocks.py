"""Clocks of nodes. A made-up world says when things happened, and what each node's clock showed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.logs.log_lines import LogLine, Record
from probes.logs.node_clocks import (
    Bound,
    Ping,
    agree,
    clock_bound,
    node_clock,
    own_zone_s,
    poll_bounds,
    start_bound,
    zone_s,
)
from scalelag.record.clock import ClockOffset
from scalelag.record.evidence_rows import NodeClock
from scalelag.record.rows import Transition

T0 = 1_795_376_000.0
ZONES = st.integers(-48, 56).map(lambda quarters: quarters * 900.0)
SKEWS = st.floats(-400, 400)


def shown(at_s, theta_s):
    """Time in a log for a time of ours, truncated to milliseconds."""
    return math.floor((at_s + theta_s) * 1000) / 1000


def line(kind, at_s, theta_s, replica="r1", unix_s=None):
    record = Record(shown(at_s, theta_s), kind, kind, unix_s)
    return LogLine(kind=kind, record=record, deployment="a/D", replica=replica)


def change(from_state, to_state, lo_s, hi_s, replica="r1", **more):
    return Transition("a/D", replica, hi_s, lo_s, from_state, to_state, **more)


def within(clock, theta_s):
    return abs(clock.offset_s - theta_s) <= clock.error_s


# --- bounds into one -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "agreed", "votes"),
    [
        ([(0, 10)], (0, 10), 1),
        ([(0, 10), (5, 15), (7, 8)], (7, 8), 3),
        ([(0, 10), (5, 15), (100, 101)], (5, 10), 2),
        ([(8, 12), (11, 13), (10, 12)], (11, 12), 3),
        # Two places as good as each other: all between them.
        ([(0, 1), (10, 11)], (0, 11), 1),
        ([(0, 5), (5, 9)], (5, 5), 2),
        # A bound that contradicts itself is none.
        ([(3, 2), (0, 1)], (0, 1), 1),
    ],
)
def test_most_bounds_win(bounds, agreed, votes):
    found = agree(Bound(lo, hi) for lo, hi in bounds)

    assert (found.bound.lo_s, found.bound.hi_s, found.votes) == (*agreed, votes)


def test_without_a_bound_there_is_no_clock():
    assert agree([]) is None
    assert node_clock("n", []) is None


@given(
    st.floats(-1e5, 1e5),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=3, max_size=30),
    st.lists(st.floats(20, 1e4), max_size=1),
)
def test_the_truth_is_within_what_honest_bounds_agree_on(theta_s, widths, liars):
    bounds = [Bound(theta_s - below, theta_s + above) for below, above in widths]
    bounds += [Bound(theta_s + far, theta_s + far + 1) for far in liars]

    assert within(node_clock("n", bounds), theta_s)


# --- what a node noted ---------------------------------------------------------------------------


@given(ZONES, SKEWS, st.floats(0, 5), st.floats(0, 1))
def test_a_request_that_was_noted_bounds_the_clock_by_its_round_trip(zone, skew, took_s, share):
    theta_s = zone + skew
    ping = Ping(T0, T0 + took_s, shown(T0 + share * took_s, theta_s))

    clock = node_clock("n", [ping.bound])

    assert within(clock, theta_s)
    assert clock.error_s <= took_s / 2 + 0.002


# --- the controller's node -----------------------------------------------------------------------


@given(ZONES, SKEWS, st.lists(st.floats(0, 600), min_size=1, max_size=10))
def test_the_controllers_zone_is_told_by_the_starts_of_replicas(zone, skew, starts):
    # The controller stamps `start_time_s`, in Unix time, and then writes its line.
    lines = [
        line("starting", T0 + at + 0.001, zone + skew, f"r{number}")
        for number, at in enumerate(starts)
    ]
    starts_s = {f"r{number}": [T0 + at + skew] for number, at in enumerate(starts)}

    assert zone_s(lines, starts_s) == zone


def test_a_start_that_a_restarted_controller_reset_tells_no_zone():
    lines = [line("starting", T0, 3600.0), line("starting", T0 + 5, 3600.0, "r2")]

    assert zone_s(lines, {"r1": [T0 + 400.0], "r2": [T0 + 5.0, T0 + 300.0]}) == 3600.0
    assert zone_s(lines, {"r1": [T0 + 400.0]}) is None


def test_lines_with_unix_time_tell_the_zone_without_a_replica():
    lines = [line("controller_started", T0, -12600.0, None, T0)]

    assert zone_s(lines, {}) == -12600.0


@given(ZONES, SKEWS, st.floats(0, 0.5), st.floats(-1, 1))
def test_the_controllers_word_and_its_zone_give_its_clock(zone, skew, error_s, share):
    said = ClockOffset(skew + share * error_s, error_s)

    assert within(node_clock("n", [clock_bound(zone, said)]), zone + skew)


@given(
    ZONES,
    SKEWS,
    st.lists(st.tuples(st.floats(0, 600), st.floats(0, 0.9)), min_size=1, max_size=20),
    st.floats(0.05, 5),
)
def test_without_its_word_polls_bound_the_controllers_clock(zone, skew, starts, period_s):
    theta_s = zone + skew
    lines, changes = [], []
    for number, (at, phase) in enumerate(starts):
        at_s, replica = T0 + at, f"r{number}"
        lo_s = at_s - phase * period_s
        lines.append(line("starting", at_s, theta_s, replica))
        changes.append(change(None, "STARTING", lo_s, lo_s + period_s, replica))

    clock = node_clock("n", poll_bounds(lines, changes))

    assert within(clock, theta_s)
    assert clock.error_s <= period_s / 2 + 0.002
    assert clock.lines == len(starts)


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("starting", (None, "STARTING")),
        ("started", ("STARTING", "RUNNING")),
        ("stopping", ("RUNNING", "STOPPING")),
        ("stopped", ("STOPPING", None)),
    ],
)
def test_each_change_that_has_a_line_bounds_the_clock(kind, seen):
    bounds = poll_bounds([line(kind, T0, 7.0)], [change(*seen, T0 - 0.1, T0 + 0.3)])

    assert [(b.lo_s, b.hi_s) for b in bounds] == [(pytest.approx(6.7), pytest.approx(7.101))]


def test_what_was_there_already_or_repeats_bounds_nothing():
    found_there = change(None, "STARTING", None, T0)
    twice = [line("started", T0, 0.0, "r2"), line("started", T0 + 60, 0.0, "r2")]
    seen = change("STARTING", "RUNNING", T0 - 0.1, T0 + 0.1, "r2")
    recovered = change("RECOVERING", "RUNNING", T0 - 0.1, T0 + 0.1, "r3")
    deleted = change("RUNNING", None, T0 - 9, T0 - 8, "r4")

    lines = [line("starting", T0, 0.0), *twice, line("started", T0, 0.0, "r3")]
    lines += [line("stopped", T0, 0.0, "r4")]
    assert poll_bounds(lines, [found_there, seen, recovered, deleted]) == []


def test_some_lines_that_contradict_the_others_do_not_move_the_clock():
    honest = [(f"r{n}", 3600.0) for n in range(5)]
    moved = [("m1", 3590.0), ("m2", 50.0)]
    lines = [line("starting", T0 + 10, theta_s, replica) for replica, theta_s in honest + moved]
    changes = [change(None, "STARTING", T0 + 9.9, T0 + 10.1, name) for name, _ in honest + moved]

    clock = node_clock("n", poll_bounds(lines, changes))

    assert within(clock, 3600.0)
    assert (clock.error_s < 0.11, clock.lines) == (True, 5)


# --- other nodes ---------------------------------------------------------------------------------


HOME = 7200.3


def start(theta_s, begun_s, allocate_s, initialize_s, mark_s, replica="r1"):
    """The lines of one start: the replica's own on its node, and the controller's on its."""
    entered_s = begun_s + allocate_s
    done_s = entered_s + initialize_s
    own = [line("init_entered", entered_s, theta_s), line("init_done", done_s, theta_s)]
    told = [
        line("starting", begun_s, HOME, replica),
        line("started", done_s + mark_s, HOME, replica),
    ]
    return own, told


@given(
    ZONES,
    SKEWS,
    st.lists(
        st.tuples(st.floats(0, 300), st.floats(0.5, 20), st.floats(0, 30), st.floats(0.001, 2)),
        min_size=1,
        max_size=8,
    ),
    st.floats(0, 0.05),
    st.floats(-1, 1),
)
def test_a_skewed_node_is_aligned_by_what_comes_before_what(zone, skew, starts, error_s, share):
    theta_s = zone + skew
    home = NodeClock("home", HOME + share * error_s, error_s + 0.001, 9)

    bounds = [start_bound(*start(theta_s, T0 + at, *times), home, ()) for at, *times in starts]

    clock = node_clock("n", bounds)
    assert within(clock, theta_s)
    allocate_s = min(times[1] for times in starts)
    mark_s = min(times[3] for times in starts)
    assert clock.error_s <= (allocate_s + mark_s) / 2 + error_s + 0.004


def test_without_the_controllers_log_polls_bound_a_start():
    own, _ = start(50.0, T0, 2.0, 1.0, 0.1)
    changes = [
        change(None, "STARTING", T0 - 0.1, T0 + 0.1),
        change("STARTING", "RUNNING", T0 + 3.0, T0 + 3.2),
    ]

    bound = start_bound(own, (), None, changes)

    assert (bound.lo_s, bound.hi_s) == (pytest.approx(49.8), pytest.approx(52.101))


def test_a_start_that_nothing_bounds_on_one_side_tells_nothing():
    own, told = start(50.0, T0, 2.0, 1.0, 0.1)
    home = NodeClock("home", HOME, 0.001, 9)

    assert start_bound(own, told[:1], home, ()) is None
    assert start_bound(own[:1], told, home, ()) is None
    assert start_bound(own, told, None, ()) is None


def test_the_first_of_two_started_lines_counts():
    own, told = start(50.0, T0, 2.0, 1.0, 0.1)
    home = NodeClock("home", HOME, 0.0, 9)
    again = line("started", T0 + 900, HOME)

    assert start_bound(own, [*told, again], home, ()) == start_bound(own, told, home, ())


@given(ZONES.filter(bool), SKEWS)
def test_a_replica_with_a_zone_of_its_own_is_moved_by_it(zone, skew):
    clock = NodeClock("n", skew, 0.005, 9)
    home = NodeClock("home", HOME, 0.005, 9)
    bound = start_bound(*start(zone + skew, T0, 2.0, 1.0, 0.1), home, ())

    assert own_zone_s(bound, clock) == zone


def test_a_contradiction_that_no_zone_mends_stays():
    clock = NodeClock("n", 0.0, 0.005, 9)

    assert own_zone_s(Bound(100.0, 102.0), clock) == 0.0
    assert own_zone_s(None, clock) == 0.0
    assert own_zone_s(Bound(-1.0, 0.0), clock) == 0.0
