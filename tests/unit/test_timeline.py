"""Rows become the lives of replicas and the decisions of the autoscaler."""

import math

import pytest

from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.timeline import ReplicaLife, Timeline, build_timeline
from reports.model.intervals import Instant
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import DeploymentPoll, Poll, Transition

KEY = "app/Model"


def poll(sent_s: float, target: int | None = None, key: str = KEY, **counts: int) -> Poll:
    """A poll that took 0.1 s."""
    return Poll(
        sent_s=sent_s,
        received_s=sent_s + 0.1,
        http_status=200,
        deployments={key: DeploymentPoll(counts=counts, target=target)},
    )


def change(
    lo_s: float | None,
    hi_s: float,
    before: str | None,
    after: str | None,
    node: str | None = None,
    replica: str = "r1",
) -> Transition:
    return Transition(
        deployment=KEY,
        replica=replica,
        lo_s=lo_s,
        hi_s=hi_s,
        from_state=before,
        to_state=after,
        node=node,
    )


def life(*changes: Transition) -> ReplicaLife:
    (found,) = build_timeline(KEY, [], changes).replicas
    return found


def timeline(*polls: Poll) -> Timeline:
    return build_timeline(KEY, polls, [])


# --- lives -----------------------------------------------------------------------------------


def test_a_replica_passes_through_its_states():
    found = life(
        change(1.0, 2.1, None, "STARTING"),
        change(3.0, 4.1, "STARTING", "STARTING", node="n1"),
        change(5.0, 6.1, "STARTING", "RUNNING", node="n1"),
        change(7.0, 8.1, "RUNNING", "STOPPING", node="n1"),
        change(9.0, 9.6, "STOPPING", None, node="n1"),
    )

    assert found == ReplicaLife(
        replica="r1",
        listed=Instant(1.0, 2.1),
        node="n1",
        allocated=Instant(3.0, 4.1),
        running=Instant(5.0, 6.1),
        stopping=Instant(7.0, 8.1),
        gone=Instant(9.0, 9.6),
        shown_running_s=6.1,
        shown_stopping_s=8.1,
        shown_gone_s=9.6,
    )


def test_a_replica_first_seen_running_was_listed_and_allocated_in_the_same_interval():
    found = life(change(1.0, 2.1, None, "RUNNING", node="n1"))

    assert found.listed == found.allocated == found.running == Instant(1.0, 2.1)
    assert (found.stopping, found.gone) == (None, None)


def test_a_replica_that_was_already_there_came_at_any_time_before():
    found = life(change(None, 2.1, None, "RUNNING", node="n1"))

    assert found.running == Instant(-math.inf, 2.1)


def test_a_replica_never_seen_stopping_stopped_when_it_went():
    found = life(change(1.0, 2.1, None, "RUNNING", node="n1"), change(5.0, 6.1, "RUNNING", None))

    assert found.stopping == found.gone == Instant(5.0, 6.1)


def test_a_replica_that_recovers_reaches_running_only_once():
    found = life(
        change(1.0, 2.1, None, "RUNNING", node="n1"),
        change(5.0, 6.1, "RUNNING", "RECOVERING"),
        change(7.0, 8.1, "RECOVERING", "RUNNING", node="n1"),
    )

    assert found.running == Instant(1.0, 2.1)
    assert found.allocated == Instant(1.0, 2.1)


def test_an_update_in_place_is_no_new_start():
    found = life(
        change(1.0, 2.1, None, "RUNNING", node="n1"),
        change(5.0, 6.1, "RUNNING", "UPDATING", node="n1"),
        change(7.0, 8.1, "UPDATING", "RUNNING", node="n1"),
    )

    assert found.running == Instant(1.0, 2.1)


def test_lives_are_told_apart_by_replica_and_deployment():
    other = Transition(deployment="app/Other", replica="r1", hi_s=9.0, lo_s=8.0, to_state="RUNNING")

    found = build_timeline(
        KEY,
        [],
        [
            change(1.0, 2.1, None, "STARTING", replica="r1"),
            change(1.0, 2.1, None, "STARTING", replica="r2"),
            other,
            change(3.0, 4.1, "STARTING", "RUNNING", node="n1", replica="r2"),
        ],
    )

    assert [(r.replica, r.running) for r in found.replicas] == [
        ("r1", None),
        ("r2", Instant(3.0, 4.1)),
    ]


# --- looks and decisions ---------------------------------------------------------------------


def test_a_look_counts_running_and_listed_replicas():
    (look,) = timeline(poll(1.0, 3, RUNNING=2, STARTING=1, STOPPING=4)).polls

    assert (look.sent_s, look.received_s) == (1.0, 1.1)
    assert (look.running, look.listed, look.target) == (2, 7, 3)


def test_polls_that_do_not_show_the_deployment_are_no_looks():
    found = timeline(poll(1.0, 3, RUNNING=2), poll(2.0, 3, key="app/Other", RUNNING=9))

    assert [look.sent_s for look in found.polls] == [1.0]


def test_a_changed_target_is_a_decision_between_two_polls():
    found = timeline(poll(1.0, 1), poll(2.0, 1), poll(3.0, 4), poll(4.0, 4), poll(5.0, 2))

    assert found.decisions == (
        Decision(Instant(2.0, 3.1), before=1, after=4, perhaps_several=True),
        Decision(Instant(4.0, 5.1), before=4, after=2, perhaps_several=True),
    )


def test_a_decision_came_before_what_the_log_says_of_its_effects():
    rows = [
        change(None, 0.5, None, "RUNNING", replica="r1"),
        change(None, 0.5, None, "RUNNING", replica="r2"),
        change(2.0, 3.1, "RUNNING", "STOPPING", replica="r1"),
        change(2.0, 3.1, "RUNNING", "STOPPING", replica="r2"),
    ]
    stopping = [
        LogEvent("stopping", at_s, 0.02, "n1", "raw", deployment=KEY, replica=replica)
        for at_s, replica in ((2.4, "r1"), (2.5, "r2"))
    ]
    down = [poll(1.0, 3, RUNNING=2), poll(2.0, 3, RUNNING=2), poll(3.0, 1, STOPPING=2)]
    further = [*down[:2], poll(3.0, 0, STOPPING=2)]

    bounded = build_timeline(KEY, down, rows, stopping).decisions
    another = build_timeline(KEY, further, rows, stopping).decisions

    assert bounded[0].at.lo_s == 2.0
    # Two decisions, a replica each, would look the same: the last was before the last of its effects.
    assert bounded[0].at.hi_s == pytest.approx(2.5 + 0.02 + 0.01)
    # Two stops for a decision on three: they need not be its effects.
    assert [decision.at for decision in another] == [Instant(2.0, 3.1)]


def test_the_first_target_seen_is_no_decision():
    assert timeline(poll(1.0, 4), poll(2.0, 4)).decisions == ()


def test_targets_that_are_not_told_are_no_decisions():
    assert timeline(poll(1.0, None), poll(2.0, 4), poll(3.0, None)).decisions == ()


def test_a_gap_widens_the_interval_of_a_decision():
    found = timeline(poll(1.0, 1), poll(9.0, 4))

    assert [decision.at for decision in found.decisions] == [Instant(1.0, 9.1)]


@pytest.mark.parametrize(
    ("at_s", "sent_s"), [(0.0, 1.0), (1.05, 1.0), (2.05, 1.0), (2.1, 2.0), (99.0, 3.0)]
)
def test_the_poll_before_a_moment_is_the_last_that_was_over(at_s: float, sent_s: float):
    look = timeline(poll(1.0), poll(2.0), poll(3.0)).poll_before(at_s)

    assert look is not None
    assert look.sent_s == sent_s


def test_there_is_no_poll_before_a_moment_where_there_is_none():
    assert timeline().poll_before(5.0) is None


def test_polls_within_a_hold_were_over_in_it():
    found = timeline(poll(1.0), poll(2.0), poll(3.0), poll(4.0)).polls_within(1.1, 3.1)

    assert [look.sent_s for look in found] == [2.0, 3.0]
