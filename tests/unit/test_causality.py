"""Decision, submission, start and RUNNING come in this order, whatever source tells each."""

import math

import msgspec
import numpy as np
import pytest

from reports.analysis.lag.stopping import stopping_report
from reports.analysis.lag.timeline import build_timeline
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentPoll, Poll, Transition
from tests.unit.logged_steps import (
    CLOCK,
    KEY,
    LIFE,
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
    transition,
    value,
)

DOWN = (40.0, 5.0)


def at_poll(replica: str, sent_s: float, state: str | None, **more: object) -> Transition:
    """First shown by the poll that was sent at a moment."""
    return Transition(KEY, replica, sent_s + 0.1, sent_s - 0.5, to_state=state, **more)


def test_a_replica_that_a_poll_has_counted_is_not_counted_again_by_its_log_time():
    seen = polls((8.0, 1, {"RUNNING": 1}), (14.5, 3, {"RUNNING": 1, "STARTING": 2}),
                 (18.0, 3, {"RUNNING": 2, "STARTING": 1}), (18.5, 3, {"RUNNING": 3}))  # fmt: skip
    rows = [
        *life("a", 14.2, 15.0, 17.9)[:2],
        at_poll("a", 18.0, "RUNNING", node=NODE),
        *life("b", 14.2, 15.0, 18.4),
    ]
    # `a` is logged within the errors of the poll that showed it, and `b` 0.38 s later.
    events = [
        event("upscaling", 14.1, before=1, after=3),
        *log_of("a", 14.21, 15.1, 16.1, 18.02),
        *log_of("b", 14.21, 15.1, 16.1, 18.4),
    ]

    report = lag(timeline(rows, events, seen))

    assert report.critical_replica == "b"
    assert report.total_s is not None
    assert report.total_s.value == pytest.approx(8.4)


def test_a_replica_that_a_poll_has_seen_gone_is_not_counted_again_by_its_log_time():
    seen = polls((8.0, 3, {"RUNNING": 3}), (15.0, 1, {"RUNNING": 1, "STOPPING": 2}),
                 (18.0, 1, {"RUNNING": 1, "STOPPING": 1}), (18.5, 1, {"RUNNING": 1}))  # fmt: skip
    rows = [
        transition("a", 14.9, "STOPPING"),
        transition("b", 14.9, "STOPPING"),
        at_poll("a", 18.0, None),
        at_poll("b", 18.5, None),
    ]
    events = [
        event("downscaling", 14.8, before=3, after=1),
        event("stopping", 14.9, "a"),
        event("stopping", 14.9, "b"),
        event("stopped", 18.02, "a"),
        event("stopped", 18.4, "b"),
    ]

    report = lag(timeline(rows, events, seen), levels=DOWN)

    assert report.critical_replica == "b"
    assert report.total_s is not None
    assert report.total_s.value == pytest.approx(8.4)


def test_a_decision_after_the_submission_is_not_the_one_that_made_the_replica():
    """Polling saw nothing from 14.5 to 23 s: what it first shows then tells no order."""
    shown = polls((8.0, 1, {"RUNNING": 1}), (23.0, 3, {"RUNNING": 2, "STARTING": 1}),
                  (26.0, 3, {"RUNNING": 3}))  # fmt: skip
    seen = [poll for poll in shown if not 14.4 < poll.sent_s < 22.9]
    rows = [
        Transition(KEY, "a", 23.1, 14.0, to_state="STARTING", start_time_s=115.1),
        at_poll("a", 26.0, "RUNNING", node=NODE),
        Transition(KEY, "b", 23.1, 14.0, to_state="RUNNING", start_time_s=122.1, node=NODE),
    ]
    events = [
        event("upscaling", 15.0, before=1, after=2),
        event("upscaling", 22.0, before=2, after=3),
    ]

    report = lag(timeline(rows, events, seen))

    assert report.critical_replica == "a"
    assert value(report, "decide") == pytest.approx(5.0)
    assert value(report, "create") == pytest.approx(0.1)


def test_a_polled_decision_comes_before_the_logged_stop_that_it_led_to():
    """Only the stop is logged, 0.07 s after a decision that the same poll shows."""
    seen = polls((8.0, 4, {"RUNNING": 3}), (9.0, 3, {"RUNNING": 3}),
                 (13.5, 1, {"RUNNING": 1, "STOPPING": 2}), (18.5, 1, {"RUNNING": 1}))  # fmt: skip
    rows = [
        at_poll("a", 13.5, "STOPPING"),
        at_poll("b", 13.5, "STOPPING"),
        at_poll("a", 18.5, None),
        at_poll("b", 18.5, None),
    ]
    events = [event("stopping", 13.12, "a"), event("stopping", 13.12, "b")]

    report = lag(timeline(rows, events, seen), levels=DOWN)

    decide, stop = phase(report, "decide"), phase(report, "stop")
    assert decide.lo is not None
    assert decide.hi is not None
    assert decide.lo <= 3.05 <= decide.hi
    assert decide.lo == pytest.approx(3.0, abs=SKEW_S)
    assert stop.lo is not None
    assert stop.hi is not None
    assert stop.lo <= 0.07 <= stop.hi <= 0.2


def test_create_between_a_log_line_and_a_field_of_the_state_is_as_unsure_as_both_clocks():
    """They are read through two estimates of the controller's clock, here 0.12 s apart."""
    unsure = build_timeline(
        KEY,
        polls((8.0, 1, {"RUNNING": 1}), (14.5, 2, {"RUNNING": 1, "STARTING": 1}),
              (18.0, 2, {"RUNNING": 2})),
        life("a", 14.27, 15.1, 17.84),
        [UP, event("starting", 14.27, "a")],
        CLOCK.__class__(0.0, 0.0, offset_s=100.0, error_s=0.15),
    )  # fmt: skip

    create = phase(lag(unsure), "create")

    assert create.value == pytest.approx(0.17)
    assert create.lo == pytest.approx(0.17 - 0.15 - SKEW_S)
    assert create.hi == pytest.approx(0.17 + 0.15 + SKEW_S)


@pytest.mark.parametrize("started_s", [0.0, 29.0])
def test_a_start_time_that_polling_contradicts_is_not_believed(started_s: float):
    """A clock that was set, or a field that a controller wrote anew."""
    rows = [msgspec.structs.replace(LIFE[0], start_time_s=100.0 + started_s), *LIFE[1:]]
    known = timeline(rows, [])

    report = lag(known)

    assert report.total_s is not None
    # RUNNING in (17.5, 18.1], whatever its own field says.
    assert (report.total_s.lo, report.total_s.hi) == pytest.approx((7.5, 8.1))
    assert report.unattributed_s is not None
    assert report.unattributed_s >= -1e-9
    (said,) = known.contradictions
    assert "replica a submitted: its own state has it" in said


def test_a_log_that_says_initialised_after_polling_showed_it_running_is_not_believed():
    events = [UP, event("init_entered", 25.0, "a"), event("init_done", 27.0, "a")]
    known = timeline(events=events)

    report = lag(known)

    assert report.total_s is not None
    assert (report.total_s.lo, report.total_s.hi) == pytest.approx((7.5, 8.1))
    assert [text.partition(":")[0].rpartition(" ")[2] for text in known.contradictions] == [
        "entered",
        "initialized",
    ]


def test_a_level_that_the_log_tells_of_one_replica_only_is_as_unsure_as_the_other():
    seen = polls((8.0, 1, {"RUNNING": 1}), (14.5, 3, {"RUNNING": 1, "STARTING": 2}),
                 (18.0, 3, {"RUNNING": 3}))  # fmt: skip
    rows = [*life("a", 14.2, 15.0, 17.9), *life("b", 14.2, 15.0, 17.9)]
    events = [event("upscaling", 14.1, before=1, after=3), *log_of("a", 14.21, 15.1, 16.1, 17.9)]

    report = lag(timeline(rows, events, seen))

    # `b` ran in (17.5, 18.1], and `a` at 17.9: both ran from then on, or up to 18.1 s.
    assert report.total_s is not None
    assert (report.total_s.lo, report.total_s.hi) == pytest.approx((7.9 - SKEW_S, 8.1))


def test_the_total_is_never_below_its_phases():
    """The log has `init_done` inside of the polled interval of RUNNING, in its second half."""
    logged = [e for e in log_of("a", 14.21, 15.3, 17.95, 0.0) if e.kind != "started"]

    report = lag(timeline(LIFE, [UP, *logged]))

    total = report.total_s
    assert total is not None
    assert total.value is not None
    assert total.hi is not None
    parts = sum(p.value for p in report.phases if p.part_of == "total" and p.value is not None)
    assert parts == pytest.approx(total.value)
    assert report.unattributed_s == pytest.approx(0.0, abs=1e-9)
    assert total.lo <= total.value <= total.hi


def test_a_replica_that_stops_when_watching_begins_counts_from_the_first_poll():
    seen = [
        Poll(t, t + 0.1, 200, {KEY: DeploymentPoll({"RUNNING": 1, "STOPPING": int(t < 12)}, 1)})
        for t in (8.0, 10.0, 12.0, 14.0)
    ]
    rows = [
        Transition(KEY, "a", 8.1, None, to_state="STOPPING"),
        Transition(KEY, "a", 12.1, 10.0, to_state=None),
    ]
    nothing = np.array([])
    columns = RequestColumns(
        *(nothing.astype(kind) for kind in ("f8", "f4", "f4", "u2", "i4", "i4", "u2")),
        names=(),
        errors=(),
    )

    report = stopping_report(columns, build_timeline(KEY, seen, rows), 20.0)

    assert math.isfinite(report.stopping_s)
    assert report.stopping_s == pytest.approx(12.1 - 8.1)


def test_a_polled_decision_comes_before_replicas_were_gone_that_it_stopped():
    """Of one the log has the stop, of the other only that it is gone: both before the step at 10 s."""
    shown = polls((8.0, 3, {"RUNNING": 3}), (14.0, 1, {"RUNNING": 1}))
    seen = [poll for poll in shown if not 8.2 < poll.sent_s < 13.9]
    rows = [Transition(KEY, name, 14.1, 8.0, to_state=None) for name in ("a", "b")]
    events = [
        event("stopping", 8.2, "a"),
        event("stopped", 9.1, "a"),
        event("stopped", 9.2, "b"),
    ]

    made = timeline(rows, events, seen)

    (decision,) = made.decisions
    assert decision.at.hi_s == pytest.approx(9.2 + SKEW_S, abs=0.02)
    assert decision.perhaps_several
    assert lag(made, levels=DOWN).total_s is None
