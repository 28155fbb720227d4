"""Changes of the target of which the controller's log tells only a part."""

import pytest

from reports.analysis.lag.decisions import settled_decisions
from reports.analysis.lag.log_times import Decision
from reports.model.intervals import Instant
from tests.unit.logged_steps import LIFE, event, lag, life, log_of, polls, timeline

SEEN = Decision(Instant(14.0, 14.6), 1, 5)


def line(at_s, before, after):
    return Decision(Instant(at_s, at_s, "head", 0.003), before, after)


def parts(*lines, seen=(SEEN,)):
    """Decisions from and to so many replicas, and whether a line tells them."""
    found, _ = settled_decisions(seen, lines, frozenset())
    return [(one.before, one.after, bool(one.at.clock)) for one in found]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], [(1, 5, False)]),
        ([line(14.2, 1, 5)], [(1, 5, True)]),
        ([line(14.2, 1, 3), line(14.4, 3, 5)], [(1, 3, True), (3, 5, True)]),
        ([line(14.2, 1, 3)], [(1, 3, True), (3, 5, False)]),
        ([line(14.2, 3, 5)], [(1, 3, False), (3, 5, True)]),
        ([line(14.2, 2, 3)], [(1, 2, False), (2, 3, True), (3, 5, False)]),
    ],
)
def test_the_rest_of_a_change_is_a_decision_by_polls(lines, found):
    assert parts(*lines) == found


def test_the_rest_lies_between_the_lines_and_the_polls_around_it():
    (_, rest), _ = settled_decisions([SEEN], [line(14.2, 1, 3)], frozenset())

    assert (rest.at.lo_s, rest.at.hi_s, rest.at.clock) == (14.197, 14.6, "")
    assert rest.perhaps_several


def test_a_line_that_may_belong_to_either_of_two_changes_adds_none():
    two = (Decision(Instant(13.5, 14.1), 1, 3), Decision(Instant(14.0, 14.6), 3, 5))

    assert parts(line(14.05, 3, 5), seen=two) == [(3, 5, True)]


def test_a_step_ends_with_the_last_replica_of_a_change_whose_second_line_is_missing():
    seen = polls(
        (8.0, 1, {"RUNNING": 1}),
        (14.5, 3, {"RUNNING": 1, "STARTING": 2}),
        (18.0, 3, {"RUNNING": 2, "STARTING": 1}),
        (20.0, 3, {"RUNNING": 3}),
    )
    later = life("b", 14.4, 15.4, 19.8)
    told = [event("upscaling", 14.1, before=1, after=2), *log_of("a", 14.21, 15.3, 17.3, 17.84)]

    found = lag(timeline([*LIFE, *later], told, seen))

    assert found.level == 3
    assert found.total_s.lo <= 9.8 <= found.total_s.hi
