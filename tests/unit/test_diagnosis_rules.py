"""Each rule on hand-built facts: what makes it speak, and what is just not enough."""

import msgspec
import pytest

from reports.analysis.diagnosis.cluster_rules import NETWORK, RESOURCES, STATE_SYNC
from reports.analysis.diagnosis.replica_rules import (
    BOUNDS,
    CONFIGURED_DELAY,
    HEALTH_CHECK,
    SLOW_INIT,
)
from reports.analysis.diagnosis.rule import finding_of
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.timeline import ReplicaPoll, Timeline
from reports.model.intervals import longer_than
from reports.model.steps import DelayReport, FloorReport, Phase
from scalelag.record.rows import ControllerRestart, Gap, ProxyChange, StatusChange
from tests.support.built.step_facts import (
    BEGUN_S,
    ENDED_S,
    FIRST,
    KEY,
    NODE,
    ON_TIME_S,
    ZERO_S,
    decision,
    event,
    facts,
    info,
    life,
    polls,
    requests,
    snapshot,
    timeline,
)

ALL_RULES = (NETWORK, RESOURCES, STATE_SYNC, HEALTH_CHECK, SLOW_INIT, BOUNDS)
LATE = {"total_s": 12.0}
OURS = {"{'CPU': 1.0}": 1}


def starting(waited_s):
    """The third replica waits for its place that long."""
    placed_s = 1012.0 + waited_s
    third = life("r3", entered=placed_s, initialized=placed_s + 0.1, running=placed_s + 0.5)
    return (FIRST, life("r2"), third)


def texts(finding):
    return [evidence.text for evidence in finding.evidence]


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.cause)
def test_a_step_without_a_fault_has_no_sign_of_any(rule):
    assert finding_of(rule, facts()) is None


# resources


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


# state_sync


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

    finding = finding_of(STATE_SYNC, facts(gaps=(gap,), **LATE))

    assert texts(finding) == ["the controller gave no usable answer for 4.0 s (no answer in time)"]


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

    finding = finding_of(STATE_SYNC, facts(gaps=(gap,), events=(line,), **LATE))

    assert (finding is not None) == found


def test_a_restart_explains_the_time_until_the_next_decision():
    restart = ControllerRestart(1010.5, 1011.2, 1.0, 2.0)

    finding = finding_of(STATE_SYNC, facts(restarts=(restart,), **LATE))

    assert finding.seconds == pytest.approx(1.1)
    assert "why the controller ended" in finding.advice


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


# health_check


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


# slow_init


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


# network


@pytest.mark.parametrize(("count", "found"), [(2, False), (7, False), (8, True)])
def test_a_hundredth_of_the_requests_without_a_connection_is_enough(count, found):
    times = [1011.0 + i * 0.01 for i in range(count)]

    given = facts(requests=requests(failed={"connection refused": times}))

    # 25 requests a second for 30 s: a hundredth is 7.5.
    assert (finding_of(NETWORK, given) is not None) == found


def test_requests_that_do_not_arrive_hold_up_the_decision_and_no_more():
    times = [1010.5 + i * 0.1 for i in range(50)]

    lost = requests(failed={"connection reset": times})

    finding = finding_of(NETWORK, facts(requests=lost, **LATE))

    assert finding_of(NETWORK, facts(requests=lost)).seconds is None  # nothing was late
    assert finding.seconds == pytest.approx(1.1)  # the decision fell 1.6 s after the step
    assert finding.to_s == pytest.approx(15.4, abs=0.01)


def lost_node(*, proxy=False, replicas=False, count=False):
    gone = life("r1", submitted=900.0, entered=901.0, running=901.5, stopping=1016.0, node="far")
    return {
        "proxies": (ProxyChange("far", 1016.5, 1016.0, "HEALTHY", None),) if proxy else (),
        "replicas": (gone if replicas else FIRST, life("r3")),
        "snapshots": (snapshot(1009.0, nodes=2), snapshot(1017.0, nodes=1 if count else 2)),
    }


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ({"proxy": True}, False),
        ({"replicas": True}, False),
        ({"count": True}, False),
        ({"proxy": True, "replicas": True}, True),
        ({"proxy": True, "count": True}, True),
        ({"replicas": True, "count": True}, True),
    ],
)
def test_two_of_three_must_show_that_a_node_is_lost(shown, found):
    given = facts(**lost_node(**shown), **LATE)

    assert (finding_of(NETWORK, given) is not None) == found


def test_a_proxy_that_comes_back_belongs_to_no_lost_node():
    given = lost_node(proxy=True, count=True)
    given["proxies"] += (ProxyChange("far", 1018.0, 1017.0, None, "HEALTHY"),)

    assert finding_of(NETWORK, facts(**given, **LATE)) is None


def test_replicas_that_a_decision_took_away_belong_to_no_lost_node():
    given = lost_node(replicas=True, count=True)

    taken = facts(**given, decisions=(decision(1015.8, 3, 2),), **LATE)

    assert finding_of(NETWORK, taken) is None


SILENT = [1015.0 + i * 0.04 for i in range(125)]


def silent(latency_s=0.2, **changed):
    return facts(requests=requests(latency_s=latency_s, failed={"timeout": SILENT}), **changed)


def test_a_sudden_silence_that_the_autoscaler_saw_nothing_of_was_on_the_way():
    finding = finding_of(NETWORK, silent())

    assert finding.tell_apart is None
    assert texts(finding)[0].startswith("no answer at all for 5.")
    assert "Serve saw none of them wait" in texts(finding)[1]


def test_a_silence_that_slow_answers_led_up_to_is_overload():
    assert finding_of(NETWORK, silent(latency_s=1.4)) is None


def test_a_silence_after_which_the_autoscaler_wanted_more_may_be_the_replicas():
    given = silent(decisions=(decision(1017.0, 3, 4),))

    assert finding_of(NETWORK, given).tell_apart


def test_a_silence_of_replicas_that_fail_their_checks_too_is_theirs():
    check = event("health_check_timed_out", 1017.0, "r1")

    assert finding_of(NETWORK, silent(events=(check,))) is None


def test_a_silence_with_all_replicas_that_there_may_be_is_not_proven():
    full = (ReplicaPoll(1009.0, 1009.01, 1, 1, 4), ReplicaPoll(1039.0, 1039.01, 4, 4, 4))

    assert finding_of(
        NETWORK, silent(timeline=msgspec.structs.replace(timeline(), polls=full))
    ).tell_apart


# bounds


@pytest.mark.parametrize(("ongoing", "found"), [(8.0, False), (8.5, False), (9.0, True)])
def test_more_open_requests_than_all_replicas_are_meant_for_want_more_of_them(ongoing, found):
    given = facts(ongoing=ongoing, ongoing_earlier=ongoing, replicas_after=4)

    assert (finding_of(BOUNDS, given) is not None) == found


def test_replicas_that_are_missing_for_another_reason_are_no_matter_of_bounds():
    given = facts(ongoing=20.0, replicas_after=3, target_after=4)

    assert finding_of(BOUNDS, given) is None


def test_a_backlog_that_is_worked_off_wants_no_more_replicas():
    given = facts(ongoing=10.0, ongoing_earlier=13.0, replicas_after=4)

    # 13 were open before, 10 are: soon 7, for which 4 replicas are meant.
    assert finding_of(BOUNDS, given) is None


def test_a_backlog_that_shrinks_to_more_than_there_may_be_replicas_for_is_a_bound():
    given = facts(ongoing=20.0, ongoing_earlier=22.0, replicas_after=4)

    # 22 were open before, 20 are: soon 18.
    assert finding_of(BOUNDS, given) is not None


# configured_delay


@pytest.mark.parametrize(("total_s", "found"), [(3.3, False), (3.1, True)])
def test_the_configuration_is_a_cause_where_half_of_the_lag_is_its(total_s, found):
    finding = finding_of(CONFIGURED_DELAY, facts(total_s=total_s))

    assert (finding is not None) == found
    if found:
        assert finding.seconds == pytest.approx(1.6)


def test_the_wait_for_a_push_is_the_configurations_where_the_step_was_on_time():
    slow = FloorReport(detect_s=0.3, delay_s=1.0, loop_s=0.3, replica_s=1.0, worst_s=12.0)
    decide = (Phase("decide", 8.0, 8.0, 8.0),)

    finding = finding_of(CONFIGURED_DELAY, facts(total_s=10.0, floor=slow, phases=decide))

    assert finding.seconds == pytest.approx(8.0)


def test_a_slow_loop_is_no_part_of_the_configuration():
    slow = FloorReport(detect_s=0.3, delay_s=1.0, loop_s=1.5, replica_s=1.0, worst_s=5.0)

    assert finding_of(CONFIGURED_DELAY, facts(total_s=4.0, floor=slow)) is None


@pytest.mark.parametrize(
    ("hold_s", "found"), [(0.9, False), (3.0, True), (9.0, True), (12.0, False)]
)
def test_a_delay_that_the_hold_left_no_time_is_named_where_more_was_wanted(hold_s, found):
    policy_s = {"upscale_delay_s": 10.0}
    given = facts(
        total_s=None, replicas_after=1, target_after=1, decisions=(), hold_s=hold_s, **policy_s
    )

    # 10 s, and up to 0.2 + 1 + 0.4 s until it is known that more are wanted.
    assert (finding_of(CONFIGURED_DELAY, given) is not None) == found


def in_effect(**around):
    """The deployment and its policy, with what is `around` its own configuration."""
    described = msgspec.structs.replace(info(), **around)
    return {"info": described, "policy": policy_of(described, "2.60.0")}


def given_with(around, **changed):
    """Facts of a step under these settings in effect."""
    return msgspec.structs.replace(facts(**changed), **in_effect(**around))


def test_a_bound_that_a_capacity_scales_is_named_with_it():
    at_half = {"target_capacity": 50.0}
    given = given_with(at_half, ongoing=9.0, ongoing_earlier=9.0, replicas_after=2)

    finding = finding_of(BOUNDS, given)

    assert texts(finding)[0].endswith(
        "that is 5 replicas, and max_replicas at target_capacity 50 is 2"
    )
    assert finding.advice.startswith(
        "Raise target_capacity from 50, which leaves 2 of max_replicas"
    )


def test_without_the_capacity_two_of_four_would_be_no_bound():
    given = facts(ongoing=9.0, ongoing_earlier=9.0, replicas_after=2)

    assert finding_of(BOUNDS, given) is None


@pytest.mark.parametrize("around", [{"app_policy": "mine:for_all"}, {"external_scaler": True}])
def test_what_another_policy_wants_is_not_known(around):
    given = given_with(around, ongoing=20.0, ongoing_earlier=20.0, replicas_after=4)

    assert (given.wanted, given.demand, given.wants_more) == (None, None, False)
    assert finding_of(BOUNDS, given) is None


def test_replicas_that_initial_replicas_keep_are_no_matter_of_the_delay():
    """3 stay, although 1 would do: that is the minimum in effect."""
    settings = info().autoscaling | {"initial_replicas": 3}
    kept = {"autoscaling": settings, "target_capacity": 100.0, "target_replicas": 3}
    step = {
        "total_s": None,
        "direction": "down",
        "replicas_after": 3,
        "decisions": (),
        "ongoing": 0.8,
    }

    assert finding_of(CONFIGURED_DELAY, given_with(kept, **step)) is None
    assert finding_of(CONFIGURED_DELAY, facts(**step)) is not None


def test_a_pending_gang_and_a_pending_placement_group_are_ours():
    group = {"placement_bundles": ({"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0})}
    gang = {"config": {"gang_scheduling_config": {"gang_size": 4}}}

    assert given_with(group).is_ours("{'CPU': 1.0, 'GPU': 1.0} * 1, {'CPU': 1.0} * 1 (PACK)")
    assert not given_with(group).is_ours("{'CPU': 1.0}")
    assert given_with(gang).is_ours("{'CPU': 1.0} * 4 (PACK)")


def test_advice_on_room_names_the_bundles():
    group = {"placement_bundles": ({"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0})}
    demand = {"{'CPU': 1.0, 'GPU': 1.0} * 1, {'CPU': 1.0} * 1 (PACK)": 1}
    seen = (snapshot(1009.0), snapshot(1013.0, demand))

    finding = finding_of(
        RESOURCES, given_with(group, replicas=starting(8.0), snapshots=seen, **LATE)
    )

    assert "replicas of a placement group of {1 CPU, 1 GPU} + {1 CPU}" in finding.advice


def test_to_none_at_all_the_longest_of_both_delays_is_named():
    settings = info().autoscaling | {"min_replicas": 0, "downscale_to_zero_delay_s": 5.0}
    around = {"autoscaling": settings}
    down = {"direction": "down", "replicas_before": 3, "target_after": 0, "total_s": 640.0}
    floor = FloorReport(detect_s=0.3, delay_s=605.0, loop_s=0.3, replica_s=1.0, worst_s=620.0)

    finding = finding_of(CONFIGURED_DELAY, given_with(around, floor=floor, **down))

    assert "downscale_delay_s 600" in texts(finding)[0]


def test_replicas_that_stay_only_because_of_the_delay_are_its_doing():
    given = facts(total_s=None, direction="down", replicas_after=3, decisions=(), ongoing=0.8)

    finding = finding_of(CONFIGURED_DELAY, given)

    assert "downscale_delay_s 600" in texts(finding)[0]
    assert "lower downscale_delay_s from 600" in finding.advice


def test_what_came_after_the_step_was_answered_is_not_looked_at():
    late = event("start_failed", BEGUN_S + ON_TIME_S + 1, "x1")
    given = facts(events=(late,))

    before = msgspec.structs.replace(given, until_s=given.answered_s)

    assert finding_of(HEALTH_CHECK, given) is not None
    assert finding_of(HEALTH_CHECK, before) is None


def test_times_count_from_the_start_of_the_plan():
    given = facts(replicas=starting(8.0), snapshots=(snapshot(1013.0, OURS),), **LATE)

    first, second = finding_of(RESOURCES, given).evidence

    assert (first.at_s, second.at_s) == (1012.0 - ZERO_S, 1013.0 - ZERO_S)
    assert first.node == NODE


def test_an_empty_timeline_is_no_error():
    nothing = facts(total_s=None, polls=(), timeline=Timeline((), (), ()))

    assert [finding_of(rule, nothing) for rule in ALL_RULES] == [None] * len(ALL_RULES)
