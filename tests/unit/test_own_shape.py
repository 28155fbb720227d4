"""The plan of a shape class of the user's own, and edges at which users were really gone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.plan.own_shape import Tick, shape_plan
from scalelag.plan.stages import parse_plan
from scalelag.plugin.leader.stages.edges import StageEdges


def levels(plan):
    return [(stage.at_s, stage.start_level, stage.end_level) for stage in plan.stages]


def test_levels_that_hold_are_the_stages():
    plan = shape_plan("Wave", [Tick(0, 2, 100), Tick(3.01, 5, 100), Tick(6.02, 1, 100)], 9.0)

    assert levels(plan) == [(0, 2, 2), (3.01, 5, 5), (6.02, 1, 1)]
    assert (plan.text, plan.unit, plan.duration_s) == ("shape Wave", "users", 9.0)


def test_users_that_are_spawned_slowly_are_a_ramp():
    plan = shape_plan("Slow", [Tick(0, 10, 2), Tick(20, 20, 1)], 25.0)

    assert levels(plan) == [(0, 0, 10), (5, 10, 10), (20, 10, 15)]


def test_a_shape_that_moves_each_second_is_cut_into_stairs_as_a_trace_is():
    ticks = [Tick(s, 10 if s < 30 else 40 if s < 60 else 10, 100) for s in range(90)]
    noisy = [Tick(t.at_s, t.users + (int(t.at_s) % 2), 100) for t in ticks]

    plan = shape_plan("Noisy", noisy, 90.0)

    steps = [step for step in plan.steps(90.0) if step.direction != "none"]
    assert [(step.at_s, step.direction) for step in steps[1:-1]] == [(30, "up"), (60, "down")]


def test_a_sine_has_steps_of_at_least_five_seconds_up_and_then_down():
    ticks = [Tick(s, round(50 + 40 * math.sin(2 * math.pi * s / 120)), 100) for s in range(120)]

    plan = shape_plan("Sine", ticks, 120.0)

    assert plan.duration_s == pytest.approx(120.0)
    assert all(stage.duration_s >= 5 for stage in plan.stages)
    assert max(stage.end_level for stage in plan.stages) > 80


@given(
    st.lists(
        st.tuples(st.floats(0.5, 30), st.integers(0, 1000), st.floats(0.1, 200)),
        min_size=1,
        max_size=30,
    )
)
def test_any_ticks_make_a_plan_without_gaps(drawn):
    at_s, ticks = 0.0, []
    for gap_s, users, rate in drawn:
        ticks.append(Tick(at_s, users, rate))
        at_s += gap_s

    plan = shape_plan("Any", ticks, at_s)

    assert plan.stages[0].at_s == 0
    for one, after in zip(plan.stages, plan.stages[1:], strict=False):
        assert after.at_s == pytest.approx(one.end_s)
    assert plan.duration_s == pytest.approx(max(at_s, ticks[-1].at_s + 1))


ZERO_S = 1000.0


def edges_of(text, counts, ticks_s, until_s):
    edges = StageEdges(parse_plan(text))
    for number, (stage, at_s) in enumerate(zip(edges.plan.stages, ticks_s, strict=False)):
        edges.begin(number, stage.at_s, at_s)
    edges.end(edges.plan.duration_s)
    for worker, changes in counts.items():
        edges.add_users(worker, [(ZERO_S + at_s, users) for at_s, users in changes])
    return [
        (edge.planned_s, edge.actual_s, edge.waited_s)
        for edge in edges.settled(ZERO_S, ZERO_S + until_s)
    ]


def test_a_step_down_begins_when_the_users_in_long_tasks_have_ended():
    one = [(0.0, 3), (12.0, 2), (31.0, 1), (62.5, 0)]
    other = [(0.0, 3), (20.0, 1), (25.0, 0)]

    edges = edges_of("6users:10s,1users:50s", {0: one, 1: other}, [0.0, 10.0], 63.0)

    assert edges == [(0, 0, 0), (10, 31, 21), (60, 62.5, 2.5)]


def test_a_step_up_stays_where_it_is():
    counts = {0: [(0.0, 1), (10.3, 5), (20.0, 0)]}

    assert edges_of("1users:10s,5users:10s", counts, [0.0, 10.001], 20.0) == [
        (0, 0, 0),
        (10, 10.001, 0),
        (20, 20, 0),
    ]


def test_users_who_outlast_the_next_edge_leave_it_in_place_and_say_so():
    counts = {0: [(0.0, 6), (40.0, 0)]}

    edges = edges_of("6users:10s,1users:5s,6users:5s", counts, [0.0, 10.0, 15.0], 40.0)

    assert edges == [(0, 0, 0), (10, 10, 5), (15, 15, 0), (20, 40, 20)]


def test_users_who_ended_themselves_move_no_edge():
    counts = {0: [(0.0, 10), (2.0, 0)]}

    assert edges_of("10users:5s,2users:5s", counts, [0.0, 5.0], 10.0) == [
        (0, 0, 0),
        (5, 5, 0),
        (10, 10, 0),
    ]
