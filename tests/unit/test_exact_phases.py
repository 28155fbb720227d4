"""Steps whose moments logs tell, beside what polling saw: phases, contradictions, critical replica."""

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reports.analysis.lag.phases import split_decide
from reports.model.steps import Phase
from scalelag.record.rows import Transition
from tests.unit.logged_steps import (
    KEY,
    LIFE,
    LOG,
    NODE,
    SKEW_S,
    STEP_S,
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


def test_each_phase_is_a_point_where_the_logs_tell():
    report = lag(timeline())

    assert {p.name: value(report, p.name) for p in report.phases} == {
        "decide": 4.1,
        "create": 0.1,
        "allocate": 1.1,
        "initialize": 2.0,
        "mark_running": 0.54,
        "route": 0.16,
    }
    assert {p.source for p in report.phases} == {"log"}
    assert report.total_s is not None
    assert report.total_s.value == pytest.approx(7.84)
    assert report.unattributed_s == pytest.approx(0.0, abs=1e-9)


def test_the_clocks_error_counts_once_against_the_load_step_and_not_between_two_lines_of_a_node():
    report = lag(timeline())

    decide, initialize = phase(report, "decide"), phase(report, "initialize")
    assert (decide.lo, decide.hi) == pytest.approx((4.1 - SKEW_S, 4.1 + SKEW_S))
    assert (initialize.lo, initialize.hi) == pytest.approx((2.0, 2.0))


def test_between_two_nodes_the_errors_of_both_clocks_count():
    events = [UP, *log_of("a", 14.21, 15.3, 17.3, 17.84, node="far")]
    far = [msgspec.structs.replace(e, skew_s=0.2) if e.node == "far" else e for e in events]

    report = lag(timeline(events=far))

    allocate, initialize = phase(report, "allocate"), phase(report, "initialize")
    assert (allocate.lo, allocate.hi) == pytest.approx((1.1 - 0.203, 1.1 + 0.203))
    assert (initialize.lo, initialize.hi) == pytest.approx((2.0, 2.0))


def test_without_a_replicas_log_initialize_is_seen_by_polling_and_holds_mark_running():
    report = lag(timeline(events=[UP, event("starting", 14.21, "a"), event("started", 17.84, "a")]))

    assert phase(report, "mark_running").value is None
    assert phase(report, "route").value is None
    assert phase(report, "initialize").source == "poll"
    assert report.unattributed_s == pytest.approx(0.0, abs=1e-9)


def test_the_submission_is_exact_without_any_log():
    report = lag(timeline(events=[]))

    create = phase(report, "create")
    decided = (14.0, 14.6)
    assert create.lo == pytest.approx(0.0)
    assert create.hi == pytest.approx(14.2 - decided[0] + SKEW_S)


def test_of_several_replicas_within_one_poll_the_one_that_completes_the_number_is_critical():
    seen = polls((8.0, 1, {"RUNNING": 1}), (14.5, 3, {"RUNNING": 1, "STARTING": 3}),
                 (18.0, 3, {"RUNNING": 4}))  # fmt: skip
    rows = [*life("a", 14.2, 15, 17.7), *life("b", 14.2, 15, 17.8), *life("c", 14.2, 15, 17.9)]
    events = [
        event("upscaling", 14.1, before=1, after=3),
        *log_of("c", 14.21, 15.1, 16.1, 17.9),
        *log_of("a", 14.22, 15.2, 16.2, 17.7),
        *log_of("b", 14.23, 15.3, 16.3, 17.8),
    ]

    report = lag(timeline(rows, events, seen))

    # Two were needed for the target of 3; a third was RUNNING in the same poll.
    assert report.critical_replica == "b"
    assert report.total_s is not None
    assert report.total_s.value == pytest.approx(7.8)


def test_a_logged_decision_stands_for_the_one_that_polling_saw():
    assert [(d.at.mid_s, d.before, d.after) for d in timeline().decisions] == [(14.1, 1, 2)]


def test_a_target_that_dips_while_every_replica_stays_settles_when_they_came():
    dips = polls((8.0, 1, {"RUNNING": 1}), (14.5, 2, {"RUNNING": 1, "STARTING": 1}),
                 (18.0, 2, {"RUNNING": 2}), (22.0, 1, {"RUNNING": 2}),
                 (23.0, 2, {"RUNNING": 2}))  # fmt: skip
    events = [*LOG, event("downscaling", 21.8, before=2, after=1),
              event("upscaling", 22.8, before=1, after=2)]  # fmt: skip

    report = lag(timeline(events=events, seen=dips))

    assert (report.reversals, report.total_s) == (2, report.settled_s)
    assert report.settled_s is not None
    assert report.settled_s.value == pytest.approx(7.84)


@pytest.mark.parametrize(("unseen_until_s", "least_s"), [(25.0, 10.0), (20.5, 14.0)])
def test_a_level_that_may_have_been_reached_unseen_is_missing_only_until_the_last_look(
    unseen_until_s: float, least_s: float
):
    # Given up at 24 s by the log; between 20 s and the next look both may have come, and gone.
    looks = polls((8.0, 1, {"RUNNING": 1}), (14.5, 3, {"RUNNING": 1, "STARTING": 2}),
                  (24.0, 1, {"RUNNING": 1}))  # fmt: skip
    seen = [poll for poll in looks if not 20.0 < poll.sent_s < unseen_until_s]
    rows = [Transition(KEY, name, hi_s, lo_s, to_state=state)
            for name in ("a", "b")
            for hi_s, lo_s, state in ((14.6, 14.0, "STARTING"), (25.1, 20.0, None))]  # fmt: skip
    events = [event("upscaling", 14.1, before=1, after=3),
              event("downscaling", 24.0, before=3, after=1)]  # fmt: skip

    total = lag(timeline(rows, events, seen)).total_s

    assert total is not None
    assert (total.hi, total.lo) == (None, pytest.approx(least_s))


def test_a_decision_that_no_line_tells_of_is_known_from_polling():
    (decision,) = timeline(events=[]).decisions

    # The replica that it led to began at 14.2, by its own state.
    assert decision.at.lo_s == 14.0
    assert 14.2 < decision.at.hi_s < 14.22


@pytest.mark.parametrize(("second_s", "several"), [(14.2, False), (16.9, True)])
def test_a_change_that_polling_saw_as_one_may_be_several_decisions(second_s: float, several: bool):
    # Nothing was seen between 14.0 and 18.0 s: the second replica began at once, or by itself.
    looks = ((8.0, 1, {"RUNNING": 1}), (18.0, 3, {"RUNNING": 1, "STARTING": 2}),
             (20.0, 3, {"RUNNING": 3}))  # fmt: skip
    seen = [poll for poll in polls(*looks) if not 14.0 < poll.sent_s < 18.0]
    rows = [
        Transition(KEY, name, 18.1, 14.0, to_state="STARTING", start_time_s=begun_s + 100.0)
        for name, begun_s in (("a", 14.2), ("b", second_s))
    ]
    rows += [transition("a", 19.6, "RUNNING"), transition("b", 19.8, "RUNNING")]

    known = timeline(rows, [], seen)

    (decision,) = known.decisions
    assert decision.perhaps_several is several
    end = phase(lag(known), "decide")
    assert (end.lo, end.hi) == pytest.approx((4.0, second_s - STEP_S), abs=0.02)


def test_of_several_decisions_the_one_before_the_critical_replicas_start_counts():
    seen = polls((8.0, 1, {"RUNNING": 1}), (12.5, 2, {"RUNNING": 1, "STARTING": 1}),
                 (15.0, 3, {"RUNNING": 2, "STARTING": 1}), (18.0, 3, {"RUNNING": 3}))  # fmt: skip
    rows = [*life("a", 12.2, 13, 14.9), *life("b", 14.7, 15.2, 17.9)]
    events = [
        event("upscaling", 12.1, before=1, after=2),
        event("upscaling", 14.6, before=2, after=3),
        *log_of("a", 12.2, 13.1, 14.1, 14.9),
        *log_of("b", 14.7, 15.3, 17.3, 17.9),
    ]

    report = lag(timeline(rows, events, seen))

    assert report.critical_replica == "b"
    assert value(report, "decide") == 4.6
    assert value(report, "create") == 0.1


def test_replicas_that_failed_to_start_are_a_phase_of_their_own():
    rows = [
        transition("bad", 14.2, "STARTING", start_time_s=114.2),
        transition("bad", 15.2, None),
        *life("a", 15.4, 16.1, 17.84),
    ]
    events = [UP, event("starting", 14.2, "bad"), *log_of("a", 15.4, 16.2, 17.2, 17.84)]

    report = lag(timeline(rows, events))

    assert [p.name for p in report.phases if p.part_of == "total"] == [
        "decide", "create", "restart", "allocate", "initialize", "mark_running",
    ]  # fmt: skip
    assert (value(report, "create"), value(report, "restart")) == (0.1, 1.2)
    assert report.unattributed_s == pytest.approx(0.0, abs=1e-9)


def test_a_step_up_during_an_unfinished_scale_down_counts_from_its_own_decision():
    seen = polls((8.0, 1, {"RUNNING": 1, "STOPPING": 2}), (12.0, 1, {"RUNNING": 1}),
                 (14.5, 2, {"RUNNING": 1, "STARTING": 1}), (18.0, 2, {"RUNNING": 2}))  # fmt: skip
    events = [event("downscaling", 7.9, before=3, after=1), *LOG]

    report = lag(timeline(LIFE, events, seen))

    assert (report.replicas_before, report.critical_replica) == (1, "a")
    assert value(report, "decide") == 4.1


def test_a_scale_down_is_told_to_the_line_that_says_stopped():
    seen = polls((8.0, 2, {"RUNNING": 2}), (15.0, 1, {"RUNNING": 1, "STOPPING": 1}),
                 (18.0, 1, {"RUNNING": 1}))  # fmt: skip
    rows = [transition("a", 14.9, "STOPPING"), transition("a", 17.7, None)]
    events = [
        event("downscaling", 14.8, before=2, after=1),
        event("stopping", 14.9, "a"),
        event("stopped", 17.7, "a"),
    ]

    report = lag(timeline(rows, events, seen), levels=(40, 5))

    assert [(p.name, round(p.value or 0, 6), p.source) for p in report.phases] == [
        ("decide", 4.8, "log"), ("stop", 0.1, "log"), ("drain", 2.8, "log"),
    ]  # fmt: skip


def test_a_recovered_replica_that_is_said_to_have_started_again_has_not():
    events = [event("started", 17.84, "old")]
    rows = [Transition(KEY, "old", 8.1, None, to_state="RUNNING", node=NODE)]

    (old,) = timeline(rows, events).replicas

    assert old.running is not None
    assert old.running.hi_s == 8.1


def test_no_request_by_the_end_of_the_hold_leaves_route_null_with_its_reason():
    report = lag(timeline(events=LOG[:-1]))

    assert phase(report, "route").reason == "no request reached it during the hold"


@settings(deadline=None)
@given(
    steps=st.lists(st.floats(0.0, 3.0), min_size=5, max_size=5),
    told=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_phases_and_the_rest_add_up_to_the_total(steps: list[float], told: list[bool]):
    decided, submitted, entered, done, running = (
        round(11.0 + sum(steps[: i + 1]), 3) for i in range(5)
    )
    events = [event("upscaling", decided, before=1, after=2)] if told[0] else []
    logged = log_of("a", submitted, entered, done, running)
    events += [e for e in logged if told[1] or e.kind not in ("init_entered", "init_done")]
    events = [e for e in events if told[2] or e.kind != "started"]
    first_seen = 8.0 + (int((decided - 8.0) / 0.5) + 1) * 0.5
    # The poll that shows it first shows it STARTING.
    assume(running >= first_seen)
    last_seen = 8.0 + (int((running - 8.0) / 0.5) + 1) * 0.5
    seen = polls(
        (8.0, 1, {"RUNNING": 1}),
        (first_seen, 2, {"RUNNING": 1, "STARTING": 1}),
        (max(last_seen, first_seen + 0.5), 2, {"RUNNING": 2}),
    )

    report = lag(timeline(life("a", submitted, entered, running), events, seen))

    parts = [p.value for p in report.phases if p.part_of == "total" and p.value is not None]
    assert report.total_s is not None
    assert report.total_s.value is not None
    assert report.unattributed_s is not None
    assert sum(parts) + report.unattributed_s == pytest.approx(report.total_s.value, abs=1e-6)
    assert all(part >= 0 for part in parts)
    assert report.unattributed_s >= -1e-9
    assert report.total_s.hi is not None
    slack_s = SKEW_S + 1e-6
    assert report.total_s.lo - slack_s <= running - STEP_S <= report.total_s.hi + slack_s


def decide(seconds: float) -> tuple[Phase, ...]:
    return (Phase("decide", seconds, seconds - 0.1, seconds + 0.1, "poll"), Phase("create", 0.1))


def test_decide_is_the_delay_and_what_it_took_to_notice():
    parts = split_decide(decide(5.0), 2.0, "")

    assert [(p.name, p.value, p.part_of) for p in parts] == [
        ("decide", 5.0, "total"), ("detect", 3.0, "decide"), ("delay", 2.0, "decide"),
        ("create", 0.1, "total"),
    ]  # fmt: skip


def test_a_policy_of_ones_own_has_no_delay_that_could_be_told():
    parts = split_decide(decide(5.0), None, "it has an autoscaling policy of its own")

    assert [(p.name, p.value, p.reason) for p in parts[1:3]] == [
        ("detect", None, "it has an autoscaling policy of its own"),
        ("delay", None, "it has an autoscaling policy of its own"),
    ]


def test_a_replica_that_never_ran_is_no_scale_down_and_answers_no_step():
    seen = polls((8.0, 1, {"RUNNING": 1}), (16.0, 2, {"RUNNING": 1, "STARTING": 1}),
                 (20.5, 1, {"RUNNING": 1, "STOPPING": 1}), (22.0, 1, {"RUNNING": 1}))  # fmt: skip
    rows = [transition("b", 15.9, "STARTING"), transition("b", 20.4, "STOPPING"),
            transition("b", 21.9, None)]  # fmt: skip

    report = lag(timeline(rows, [], seen), levels=(40, 5))

    assert report.total_s is None
    assert "fell back to 1 before more were RUNNING" in (report.reason or "")
    assert [(m.before, m.after) for m in report.movements] == [(1, 2), (2, 1)]


def test_a_replica_that_came_to_run_before_it_fell_back_is_a_scale_down():
    seen = polls((8.0, 1, {"RUNNING": 1}), (16.0, 2, {"RUNNING": 1, "STARTING": 1}),
                 (18.0, 2, {"RUNNING": 2}), (20.5, 1, {"RUNNING": 1, "STOPPING": 1}),
                 (22.0, 1, {"RUNNING": 1}))  # fmt: skip
    rows = [transition("b", 15.9, "STARTING"), transition("b", 17.9, "RUNNING"),
            transition("b", 20.4, "STOPPING"), transition("b", 21.9, None)]  # fmt: skip

    report = lag(timeline(rows, [], seen), levels=(40, 5))

    assert report.total_s is not None
