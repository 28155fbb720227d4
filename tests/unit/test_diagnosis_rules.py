"""Each rule on hand-built facts: what makes it speak, and what is just not enough."""

import msgspec
import pytest

from reports.analysis.diagnosis.cluster_rules import RESOURCES, STATE_SYNC
from reports.analysis.diagnosis.replica_rules import DIED, HEALTH_CHECK, SLOW_INIT
from reports.analysis.diagnosis.rule import finding_of
from reports.analysis.lag.timeline import Timeline
from reports.model.intervals import longer_than
from reports.model.steps import DelayReport
from scalelag.record.rows import ControllerRestart, Gap, Poll, StatusChange
from tests.support.built.step_facts import (
    BEGUN_S,
    ENDED_S,
    FIRST,
    KEY,
    event,
    facts,
    info,
    life,
    polls,
    snapshot,
)
from tests.unit.rule_cases import ALL_RULES, LATE, OURS, starting, texts


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.cause)
def test_a_step_without_a_fault_has_no_sign_of_any(rule):
    assert finding_of(rule, facts()) is None


@pytest.mark.parametrize(("waited_s", "found"), [(1.4, False), (1.6, True)])
def test_a_wait_counts_from_a_second_and_a_half_on_and_with_an_unmet_demand(waited_s, found):
    given = facts(replicas=starting(waited_s), snapshots=(snapshot(1012.5, OURS),))

    finding = finding_of(RESOURCES, given)

    assert (finding is not None) == found


def test_a_wait_alone_says_nothing_of_resources():
    assert finding_of(RESOURCES, facts(replicas=starting(9.0), **LATE)) is None


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (snapshot(1013.0, {"{'GPU': 1.0}": 1}), False),  # somebody else's
        (snapshot(1013.0, {"{'CPU': 4.0}": 1}), False),  # somebody else's
        (snapshot(1013.0, OURS, free_cpus=0.9), True),
        (snapshot(1013.0, OURS, free_cpus=1.0), False),  # enough, and it was pending for 7.9 s
        (snapshot(1012.8, OURS, free_cpus=1.0), True),  # enough in sum, and pending for 8.1 s
        (snapshot(1009.0, OURS), False),  # gone when the wait began
    ],
)
def test_only_our_own_demand_counts_and_only_what_was_short_or_lasted(seen, found):
    after = snapshot(1011.0) if seen.received_s < BEGUN_S else snapshot(1030.0)
    given = facts(replicas=starting(8.9), snapshots=(seen, after), **LATE)

    assert (finding_of(RESOURCES, given) is not None) == found


@pytest.mark.parametrize(("read_s", "found"), [(1019.9, True), (1020.1, False)])
def test_a_status_that_is_read_up_to_five_seconds_later_is_still_of_the_wait(read_s, found):
    given = facts(
        replicas=starting(3.0), snapshots=(snapshot(1009.0), snapshot(read_s, OURS)), **LATE
    )

    assert (finding_of(RESOURCES, given) is not None) == found


def test_a_started_node_is_named_with_its_setting_and_the_wait_explains_the_time():
    seen = (
        snapshot(1009.0),
        snapshot(1013.0, OURS, pending=("worker, 1 launching",)),
        snapshot(1022.0, nodes=2),
    )

    finding = finding_of(RESOURCES, facts(replicas=starting(8.0), snapshots=seen, **LATE))

    assert texts(finding) == [
        "replica r3 waited 8.0 s until it got its place",
        "a node was being started: worker, 1 launching",
        "a node was started: worker went from 1 to 2",
    ]
    assert finding.seconds == pytest.approx(8.0)
    assert (finding.from_s, finding.to_s) == pytest.approx((12.0, 20.0))
    assert "min_workers" in finding.advice


def test_a_limit_for_each_node_is_told_from_a_lack_of_room():
    demand = "{'CPU': 1.0, 'node:__internal_implicit_resource_app:Model': 1.0}"
    given = facts(
        replicas=starting(8.0),
        snapshots=(snapshot(1013.0, {demand: 1}, free_cpus=8.0),),
        deployment=info(max_replicas_per_node=1),
        **LATE,
    )

    assert finding_of(RESOURCES, given).advice.startswith("Raise max_replicas_per_node from 1")


def test_serves_own_message_of_replicas_that_cannot_be_scheduled_is_quoted():
    message = "2 replicas that have taken more than 30s to be scheduled"
    row = StatusChange(KEY, 1030.0, "UPDATING", message=message)

    finding = finding_of(RESOURCES, facts(replicas=starting(25.0), statuses=(row,), **LATE))

    assert finding.evidence[-1].raw == message


@pytest.mark.parametrize(("late_s", "found"), [(1.9, False), (2.1, True)])
def test_an_answer_that_took_two_seconds_shows_a_controller_that_stood_still(late_s, found):
    given = facts(polls=tuple(polls(late={1012.0: late_s})), **LATE)

    finding = finding_of(STATE_SYNC, given)

    assert (finding is not None) == found
    if found:
        assert finding.seconds == pytest.approx(late_s)


@pytest.mark.parametrize(("pace_s", "found"), [(0.35, False), (0.45, True)])
def test_a_loop_with_under_a_quarter_of_its_turns_stood_still(pace_s, found):
    finding = finding_of(STATE_SYNC, facts(polls=tuple(polls(pace_s=pace_s)), **LATE))

    assert (finding is not None) == found


@pytest.mark.parametrize(("from_s", "found"), [(1010.5, False), (1011.0, True)])
def test_a_step_on_time_was_held_up_where_a_replica_was_starting_meanwhile(from_s, found):
    # r3 is submitted at 1012 s and RUNNING at 1013.5 s, sooner than any other in the run.
    given = facts(polls=tuple(polls(late={from_s: 3.0 if found else 2.5})))

    assert (finding_of(STATE_SYNC, given) is not None) == found


def test_slow_turns_are_one_stretch_with_its_own_count():
    finding = finding_of(STATE_SYNC, facts(polls=tuple(polls(pace_s=1.0)), **LATE))

    assert texts(finding) == ["the controller turned its loop 10 times in 10.0 s"]


def test_a_gap_of_the_probe_is_a_controller_that_did_not_answer():
    gap = Gap(1011.0, 1015.0, "no answer in time", 3)
    seen = around(gap, stood_s=4.0)

    finding = finding_of(STATE_SYNC, facts(gaps=(gap,), polls=seen, **LATE))

    assert texts(finding) == ["the controller gave no usable answer for 4.0 s (no answer in time)"]


def test_a_controller_that_wrote_within_a_gap_that_it_starts_was_gone_until_then():
    gap = Gap(BEGUN_S - 5, ENDED_S + 5, "no answer in time", 3)
    lines = tuple(
        event(kind, at_s)
        for kind, at_s in (
            ("starting", BEGUN_S + 2),
            ("slow_queue_length", BEGUN_S + 12),
            ("controller_started", BEGUN_S + 20),
            ("started", BEGUN_S + 21),
        )
    )
    given = facts(gaps=(gap,), events=lines, polls=(), total_s=None)
    given = msgspec.structs.replace(given, timeline=Timeline((), (), ()))

    finding = finding_of(STATE_SYNC, given)

    assert texts(finding) == [
        "the controller ended and came back: it wrote nothing for 18.0 s, then that it starts"
    ]
    assert finding.advice.startswith("Find out why the controller ended")
    assert finding.seconds == pytest.approx(18.0)


def around(gap: Gap, stood_s: float) -> tuple[Poll, ...]:
    """Polls outside of the gap; in it the controller stood still for so long."""
    return tuple(
        msgspec.structs.replace(
            poll,
            controller=msgspec.structs.replace(
                poll.controller, loops=poll.controller.loops - round(10 * stood_s)
            ),
        )
        if poll.sent_s >= gap.to_s
        else poll
        for poll in polls()
        if not gap.from_s < poll.sent_s < gap.to_s
    )


@pytest.mark.parametrize(("stood_s", "found"), [(0.0, False), (0.5, False), (3.0, True)])
def test_a_gap_through_which_the_loop_went_on_turning_is_the_dashboards(stood_s, found):
    gap = Gap(1011.0, 1015.0, "connection refused", 3)

    finding = finding_of(STATE_SYNC, facts(gaps=(gap,), polls=around(gap, stood_s=stood_s), **LATE))

    assert (finding is not None) == found


@pytest.mark.parametrize(
    ("kind", "at_s", "found"),
    [
        ("started", 1013.0, False),
        ("first_request", 1013.0, True),
        ("started", 1011.5, True),
        ("started", 1014.5, True),
    ],
)
def test_a_gap_in_which_the_controllers_log_goes_on_is_the_dashboards(kind, at_s, found):
    gap = Gap(1011.0, 1015.0, "connection refused", 3)
    line = event(kind, at_s, "r3")

    seen = around(gap, stood_s=2.0)
    finding = finding_of(STATE_SYNC, facts(gaps=(gap,), polls=seen, events=(line,), **LATE))

    assert (finding is not None) == found


def test_a_restart_explains_the_time_until_the_next_decision():
    restart = ControllerRestart(1010.5, 1011.2, 1.0, 2.0)

    finding = finding_of(STATE_SYNC, facts(restarts=(restart,), **LATE))

    assert finding.seconds == pytest.approx(1.1)
    assert "why the controller ended" in finding.advice


def test_a_restart_is_told_by_the_moment_of_its_log():
    restart = ControllerRestart(1010.5, 1011.4, 1.0, 2.0)
    line = msgspec.structs.replace(event("controller_started", 1011.0), deployment=None)

    told = finding_of(STATE_SYNC, facts(restarts=(restart,), events=(line,), **LATE))
    polled = finding_of(STATE_SYNC, facts(restarts=(restart,), **LATE))

    def row(finding):
        return next(
            (round(one.at_s, 3), one.text) for one in finding.evidence if "restarted" in one.text
        )

    assert row(told) == (11.0, "the controller restarted: autoscaling started over (by its log)")
    assert row(polled) == (11.4, "the controller restarted: autoscaling started over (by polls)")


@pytest.mark.parametrize(("loop_s", "found"), [(0.29, False), (0.3, True)])
def test_a_loop_that_is_slow_all_along_costs_a_step_four_turns(loop_s, found):
    finding = finding_of(STATE_SYNC, facts(loop_s=loop_s, **LATE))

    assert (finding is not None) == found
    if found:
        assert finding.seconds == pytest.approx(0.8)
        assert "RAY_SERVE_CONTROL_LOOP_INTERVAL_S" in finding.advice


def test_a_slow_loop_that_stretched_the_delay_costs_what_it_stretched_it_by():
    delay = DelayReport(2.0, longer_than(9.0), 0.5)

    assert finding_of(STATE_SYNC, facts(loop_s=0.5, delay=delay, **LATE)).seconds == 7.0


def test_a_replica_that_was_ready_waits_for_a_controller_that_stands_still():
    replicas = (FIRST, life("r3", running=1018.0))
    still = facts(replicas=replicas, polls=tuple(polls(late={1013.5: 4.5})), **LATE)
    turning = facts(replicas=replicas, **LATE)

    assert "replica r3 was initialised 4.9 s before it was marked" in texts(
        finding_of(STATE_SYNC, still)
    )
    assert finding_of(HEALTH_CHECK, still) is None
    assert finding_of(SLOW_INIT, still) is None
    assert finding_of(STATE_SYNC, turning) is None


def test_a_replica_that_was_ready_may_wait_for_reconfigure_or_for_its_first_health_check():
    replicas = (FIRST, life("r3", running=1018.0))
    failing = event("health_check_timed_out", 1015.0, "r1")

    for rule in (HEALTH_CHECK, SLOW_INIT):
        finding = finding_of(rule, facts(replicas=replicas, **LATE))
        assert texts(finding) == ["replica r3 had its constructor done 4.9 s before RUNNING"]
        assert "check_health" in finding.tell_apart
    assert finding_of(SLOW_INIT, facts(replicas=replicas, events=(failing,), **LATE)) is None


def test_replicas_that_fail_to_start_are_counted_and_the_exception_quoted():
    failed = [
        life(name, submitted=at_s, entered=None, initialized=None, running=None,
             stopping=at_s + 1, node=None)
        for name, at_s in (("x1", 1012.0), ("x2", 1013.2))
    ]  # fmt: skip
    third = life("r3", submitted=1015.0, entered=1016.0, initialized=1016.1, running=1016.5)
    events = (event("start_failed", 1013.0, "x1", "no model"),)

    finding = finding_of(HEALTH_CHECK, facts(replicas=(*failed, third), events=events, total_s=6.5))

    assert texts(finding) == ["2 replicas were given up before RUNNING"]
    assert finding.evidence[0].raw == "no model"
    assert finding.seconds == pytest.approx(3.0)


def test_without_logs_the_message_of_a_failed_start_is_enough():
    message = "A replica failed to start with exception. Retrying. Error: no model"
    row = StatusChange(KEY, 1014.0, "UPSCALING", message=message)

    assert finding_of(HEALTH_CHECK, facts(statuses=(row,), **LATE)).evidence[0].raw == message


def test_a_failed_check_counts_once_a_replica_is_given_up_for_it():
    check = event("health_check_timed_out", 1011.0, "r1")
    given_up = event("unhealthy_stopped", 1013.0, "r1")

    assert finding_of(HEALTH_CHECK, facts(events=(check,), **LATE)) is None
    finding = finding_of(HEALTH_CHECK, facts(events=(check, given_up), **LATE))
    assert finding.from_s == pytest.approx(11.0)
    assert "health_check_timeout_s from 30" in finding.advice
    assert texts(finding) == ["health checks failed, and Serve gave up 1 replica 2.0 s later"]


def test_a_replica_whose_process_ended_failed_no_check():
    died = event(
        "unhealthy_stopped", 1013.0, "r1", raw="Actor for r1 crashed, marking it unhealthy"
    )
    given_up = event("unhealthy_stopped", 1013.0, "r1", raw="Replica r1 failed health check")
    status = StatusChange(KEY, 1013.6, "UNHEALTHY", 1013.0, trigger="HEALTH_CHECK_FAILED")
    given = facts(events=(died, given_up), statuses=(status,), **LATE)

    assert finding_of(HEALTH_CHECK, given) is None
    finding = finding_of(DIED, given)
    assert (finding.cause, finding.named) == ("health_check", "a replica that died")
    assert texts(finding) == ["the process of replica r1 ended"]
    assert "timeout_s changes nothing" in finding.advice


def test_another_replica_that_fails_its_check_is_told_beside_one_that_died():
    died = event(
        "unhealthy_stopped", 1013.0, "r1", raw="Actor for r1 crashed, marking it unhealthy"
    )
    given_up = event("unhealthy_stopped", 1019.0, "r2", raw="Replica r2 failed health check")
    given = facts(events=(died, given_up), **LATE)

    assert finding_of(DIED, given) is not None
    assert "gave up 1 replica" in texts(finding_of(HEALTH_CHECK, given))[0]


@pytest.mark.parametrize(("init_s", "found"), [(1.4, False), (1.6, True)])
def test_a_constructor_counts_from_a_second_and_a_half_on(init_s, found):
    third = life("r3", initialized=1013.0 + init_s, running=1013.2 + init_s)

    finding = finding_of(SLOW_INIT, facts(replicas=(third,), **LATE))

    assert (finding is not None) == found
    if found:
        assert finding.seconds == pytest.approx(init_s)
        assert "min_replicas from 1 to 3" in finding.advice


def test_a_constructor_that_is_not_done_by_the_end_of_the_hold_explains_the_rest_of_it():
    third = life("r3", initialized=None, running=None)

    finding = finding_of(SLOW_INIT, facts(replicas=(third,), censored=True))

    assert finding.seconds == pytest.approx(ENDED_S - 1013.0)
    assert texts(finding) == ["replica r3 initialised for 27.0 s and was not done at the end"]


def test_without_its_log_a_replica_may_have_waited_for_a_controller_that_stood_still():
    third = life("r3", entered=None, allocated=1013.0, initialized=None, running=1018.0)
    still = tuple(polls(late={1014.0: 3.0}))

    assert finding_of(SLOW_INIT, facts(replicas=(third,), **LATE)).tell_apart is None
    assert finding_of(SLOW_INIT, facts(replicas=(third,), polls=still, **LATE)).tell_apart
