"""Replicas over time, from rows written by hand."""

import pytest

from reports.analysis.charts.replica_curves import (
    decision_marks,
    replica_bars,
    replica_curve,
    some_bars,
)
from reports.analysis.lag.timeline import build_timeline
from reports.model.charts import DecisionMark, ReplicaBar, Stretch
from scalelag.record.rows import DeploymentPoll, Poll, Transition

KEY = "default/Sleeper"
ZERO_S = 1000.0


def poll(at_s, target=1, **counts):
    return Poll(
        sent_s=ZERO_S + at_s - 0.1,
        received_s=ZERO_S + at_s,
        http_status=200,
        deployments={KEY: DeploymentPoll(counts=counts, target=target)},
    )


def seen(replica, at_s, was, now, node=None):
    return Transition(
        deployment=KEY,
        replica=replica,
        hi_s=ZERO_S + at_s,
        lo_s=None if at_s < 0 else ZERO_S + at_s - 0.2,
        from_state=was,
        to_state=now,
        node=node,
    )


def bars_of(*transitions, critical=None, end_s=30.0):
    timeline = build_timeline(KEY, [], transitions)
    return replica_bars(timeline, critical or {}, {}, ZERO_S, end_s)


def test_a_curve_has_the_first_look_each_change_and_the_last_look():
    polls = [
        poll(-0.5, RUNNING=1),
        poll(1, RUNNING=1),
        poll(2, target=3, RUNNING=1),
        poll(3, target=3, RUNNING=1, STARTING=2),
        poll(4, target=3, RUNNING=2, UPDATING=1),
        poll(5, target=None, RUNNING=2, STOPPING=1),
        poll(6, target=None, RUNNING=2, STOPPING=1),
    ]

    curve, is_thinned = replica_curve(KEY, polls, ZERO_S, 100)

    assert curve.times_s == (0.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert curve.running == (1, 1, 1, 2, 2, 2)
    assert curve.starting == (0, 0, 2, 1, 0, 0)
    assert curve.stopping == (0, 0, 0, 0, 1, 1)
    assert curve.target == (1, 3, 3, 3, None, None)
    assert not is_thinned


def test_a_deployment_that_was_never_seen_has_no_curve():
    curve, is_thinned = replica_curve("other/One", [poll(1, RUNNING=1)], ZERO_S, 100)

    assert curve.times_s == ()
    assert not is_thinned


def test_a_curve_with_too_many_changes_keeps_its_ends_and_its_extremes():
    polls = [poll(i, RUNNING=i % 7) for i in range(3000)]
    polls[1234] = poll(1234, RUNNING=50)

    curve, is_thinned = replica_curve(KEY, polls, ZERO_S, 100)

    assert is_thinned
    assert len(curve.times_s) <= 100
    assert list(curve.times_s) == sorted(set(curve.times_s))
    assert (curve.times_s[0], curve.times_s[-1]) == (0.0, 2999.0)
    assert max(curve.running) == 50
    assert min(curve.running) == 0


def test_a_life_is_cut_where_each_state_was_seen_to_begin():
    (bar,) = bars_of(
        seen("abc", 5.2, None, "STARTING"),
        seen("abc", 7.2, "STARTING", "STARTING", node="4be1"),
        seen("abc", 8.2, "STARTING", "RUNNING", node="4be1"),
        seen("abc", 20.2, "RUNNING", "STOPPING", node="4be1"),
        seen("abc", 22.2, "STOPPING", None),
    )

    assert (bar.replica, bar.node) == ("abc", "4be1")
    assert [s.state for s in bar.stretches] == ["allocate", "initialize", "RUNNING", "STOPPING"]
    assert [s.from_s for s in bar.stretches] == pytest.approx([5.1, 7.1, 8.1, 20.1])
    assert [s.to_s for s in bar.stretches] == pytest.approx([7.1, 8.1, 20.1, 22.1])


def test_what_the_first_look_found_was_there_before_the_run_and_what_stays_lasts_to_its_end():
    (bar,) = bars_of(seen("old", -1.0, None, "RUNNING", node="4be1"))

    assert bar.stretches == (Stretch("RUNNING", 0.0, 30.0),)


def test_a_replica_that_was_given_up_was_never_running():
    (bar,) = bars_of(
        seen("bad", 5.2, None, "STARTING"),
        seen("bad", 9.2, "STARTING", "STOPPING"),
        seen("bad", 10.2, "STOPPING", None),
    )

    assert [s.state for s in bar.stretches] == ["allocate", "STOPPING"]


def test_bars_are_in_the_order_of_their_beginnings_and_know_their_steps():
    bars = bars_of(
        seen("late", 9.2, None, "STARTING"),
        seen("early", 3.2, None, "STARTING"),
        critical={"late": [1, 4]},
    )

    assert [bar.replica for bar in bars] == ["early", "late"]
    assert [bar.critical_in for bar in bars] == [(), (1, 4)]


def test_of_too_many_bars_the_critical_ones_stay_and_others_from_all_of_the_run():
    bars = [
        ReplicaBar(str(i), None, (Stretch("RUNNING", float(i), 100.0),), (1,) if i == 77 else ())
        for i in range(100)
    ]

    kept = some_bars(bars, 10)

    froms = [bar.stretches[0].from_s for bar in kept]
    assert len(kept) == 10
    assert 77.0 in froms
    assert froms == sorted(froms)
    assert froms[0] == 0.0
    assert froms[-1] > 80.0
    assert some_bars(bars, 100) == bars


def test_a_decision_before_the_run_is_no_mark_of_it():
    timeline = build_timeline(
        KEY,
        [
            poll(-3, target=1, RUNNING=1),
            poll(-2, target=2, RUNNING=1),
            poll(4, target=2, RUNNING=2),
            poll(5, target=4, RUNNING=2),
        ],
        [],
    )

    (mark,) = decision_marks(timeline, ZERO_S)

    assert mark == DecisionMark(
        pytest.approx(4.45), pytest.approx(3.9), pytest.approx(5.0), before=2, after=4
    )
