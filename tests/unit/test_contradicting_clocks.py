"""Logs that polling contradicts: by the clock of a node, of one replica, or by one line."""

import msgspec
import pytest

from reports.analysis.lag.off_clocks import ComparedMoment, off_clocks
from reports.model.intervals import Instant
from tests.unit.logged_steps import (
    LIFE,
    LOG,
    NODE,
    SKEW_S,
    UP,
    event,
    lag,
    life,
    log_of,
    phase,
    polls,
    timeline,
)


def test_a_contradiction_is_told_and_polling_is_believed():
    late = [UP, *log_of("a", 14.21, 15.3, 17.3, 18.9)]

    known = timeline(events=late)

    assert len(known.contradictions) == 1
    assert "replica a running" in known.contradictions[0]
    report = lag(known)
    assert report.total_s is not None
    assert (report.total_s.lo, report.total_s.hi) == pytest.approx((7.5, 8.1))


@pytest.mark.parametrize("off_s", [3.0, -3.0, 7.0, 3600.0])
def test_nothing_is_taken_from_a_clock_that_polling_contradicts(off_s: float):
    moved = [msgspec.structs.replace(e, at_s=e.at_s + off_s) for e in LOG]

    known = timeline(events=moved)

    report, by_polls = lag(known), lag(timeline(events=[]))
    assert [(p.lo, p.hi) for p in report.phases] == [(p.lo, p.hi) for p in by_polls.phases]
    assert phase(report, "route").value is None
    assert "the clock of its log contradicts" in (phase(report, "route").reason or "")
    assert [(d.before, d.after) for d in known.decisions] == [(1, 2)]


@pytest.mark.parametrize("off_s", [0.7, -0.7])
def test_a_clock_that_agrees_with_more_once_it_is_moved_is_off(off_s: float):
    moved = [msgspec.structs.replace(e, at_s=e.at_s + off_s) for e in LOG]

    known = timeline(events=moved)

    report, by_polls = lag(known), lag(timeline(events=[]))
    assert [(p.name, p.lo, p.hi) for p in report.phases] == [
        (p.name, p.lo, p.hi) for p in by_polls.phases
    ]
    assert 0 < len(known.contradictions) < len(LOG)


def test_nothing_is_taken_from_a_replicas_log_of_which_one_moment_contradicts_polling():
    # By its own log it was ready after it served by the polls; the controller's log is right.
    moved = [e if e.node == NODE else msgspec.structs.replace(e, at_s=e.at_s + 1.0)
             for e in [UP, *log_of("a", 14.21, 15.3, 17.3, 17.84, node="far")]]  # fmt: skip

    (life_of_a,) = timeline(events=moved).replicas

    assert (life_of_a.entered, life_of_a.initialized) == (None, None)
    assert life_of_a.running is not None
    assert life_of_a.running.clock == NODE


def test_a_first_request_before_polling_could_see_its_replica_run_is_no_moment():
    early = [*LOG[:-1], event("first_request", 17.2, "a")]

    assert phase(lag(timeline(events=early)), "route").value is None


def test_a_replica_whose_own_clock_is_off_takes_no_other_with_it():
    rows = [*LIFE, *life("b", 14.2, 15.1, 17.9)]
    seen = polls((8.0, 1, {"RUNNING": 1}), (14.5, 3, {"RUNNING": 1, "STARTING": 2}),
                 (18.0, 3, {"RUNNING": 3}))  # fmt: skip
    moved = [event("init_entered", 55.0, "b"), event("init_done", 57.0, "b"),
             event("first_request", 58.0, "b")]  # fmt: skip

    lives = timeline(rows, [*LOG, *moved], seen).replicas

    assert [r.replica for r in lives if r.first_request is not None] == ["a"]


def test_a_line_within_its_clocks_error_of_what_polling_saw_is_no_contradiction():
    known = timeline(events=[UP, *log_of("a", 14.21, 15.3, 17.3, 18.1 + SKEW_S)])

    assert known.contradictions == ()


@pytest.mark.parametrize(("others", "is_off"), [(3, True), (30, False)])
def test_one_line_that_a_busy_process_noted_late_takes_no_clock_with_it(others: int, is_off: bool):
    # Only the late one says more if the clock is moved: the others have room for it.
    seen = Instant(9.6, 10.0)
    moments = [ComparedMoment(f"line {n}", seen, Instant(9.8, 9.8, "n")) for n in range(others)]
    late = ComparedMoment("the late line", seen, Instant(10.18, 10.18, "n"))

    assert (off_clocks([*moments, late]) == {"n"}) is is_off
