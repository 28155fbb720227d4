"""Which movements a hold has, and which step each answers (docs/metrics.md, 2a)."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.movements import (
    decided_before,
    first_in,
    movements_within,
)
from reports.model.intervals import Instant


def logged(at_s: float, before: int, after: int) -> Decision:
    return Decision(Instant(at_s, at_s, "controller"), before, after)


def polled(lo_s: float, hi_s: float, before: int, after: int) -> Decision:
    return Decision(Instant(lo_s, hi_s), before, after)


SWINGING = [logged(23.8, 1, 4), logged(39.1, 4, 1), logged(44.2, 1, 4)]


def test_the_swinging_autoscaler_of_the_definition_has_three_movements():
    found = movements_within(SWINGING, 20.0, 60.0)

    assert [(m.first.mid_s, m.before, m.after) for m in found] == [
        (23.8, 1, 4),
        (39.1, 4, 1),
        (44.2, 1, 4),
    ]
    assert [m.turned and m.turned.mid_s for m in found] == [39.1, 44.2, None]


def test_changes_in_one_direction_are_one_movement():
    (found,) = movements_within([logged(3, 1, 2), logged(5, 2, 3), logged(9, 3, 6)], 0.0, 30.0)

    assert (found.before, found.after, found.first.mid_s, found.last.mid_s) == (1, 6, 3, 9)


def test_a_decision_just_before_the_step_is_the_earlier_steps():
    down = [logged(59.7, 4, 1)]

    assert movements_within(down, 60.0, 90.0) == ()
    assert [m.direction for m in movements_within(down, 20.0, 60.0)] == ["down"]
    assert decided_before(down, 60.0, "down") == down[0]
    assert decided_before(down, 60.0, "up") is None


def test_a_poll_that_spans_the_step_is_at_its_edge():
    (found,) = movements_within([polled(59.9, 60.2, 1, 3)], 60.0, 90.0)

    assert found.at_edge
    assert movements_within([polled(59.9, 60.2, 1, 3)], 20.0, 60.0) == ()


def test_a_logged_decision_right_after_the_step_is_at_no_edge():
    (found,) = movements_within([logged(60.3, 1, 3)], 60.0, 90.0)

    assert not found.at_edge


def test_a_movement_over_the_end_of_a_hold_is_cut_there():
    decisions = [logged(58, 1, 2), logged(61, 2, 4)]

    (before,) = movements_within(decisions, 20.0, 60.0)
    (after,) = movements_within(decisions, 60.0, 90.0)

    assert (before.before, before.after) == (1, 2)
    assert (after.before, after.after) == (2, 4)


def test_the_first_movement_in_the_steps_direction_answers_it():
    found = movements_within([logged(21, 4, 2), logged(25, 2, 5)], 20.0, 60.0)

    up, down = first_in(found, "up"), first_in(found, "down")
    assert up is not None
    assert (up.before, up.after) == (2, 5)
    assert down is not None
    assert down.first.mid_s == 21
    assert first_in(found[:1], "up") is None


@st.composite
def timelines(draw):
    """Decisions over three holds of 30 s each, as the log or as polling shows them."""
    target, at_s, found = 3, 0.0, []
    for _ in range(draw(st.integers(0, 18))):
        at_s += draw(st.floats(0.2, 12.0))
        after = draw(st.integers(0, 9).filter(lambda n, now=target: n != now))
        width_s = draw(st.sampled_from([0.0, 0.1]))
        found.append(Decision(Instant(at_s - width_s, at_s), target, after))
        target = after
    return found


@given(timelines())
def test_each_decision_belongs_to_one_movement_of_one_hold(decisions):
    holds = [(0.0, 30.0), (30.0, 60.0), (60.0, 90.0)]

    found = [m for begun_s, ended_s in holds for m in movements_within(decisions, begun_s, ended_s)]

    told = [d for m in found for d in m.decisions]
    assert told == [d for d in decisions if 0.0 < d.at.hi_s <= 90.0]
    for one in found:
        assert all((d.after > d.before) == (one.direction == "up") for d in one.decisions)
        assert all(first.after == then.before for first, then in pairwise(one.decisions))
    for begun_s, ended_s in holds:
        inside = movements_within(decisions, begun_s, ended_s)
        assert all(a.direction != b.direction for a, b in pairwise(inside))
