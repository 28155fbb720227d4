"""Rules on what does not arrive, on what may be wanted, and on what the configuration costs."""

import msgspec
import pytest

from reports.analysis.diagnosis.cluster_rules import NETWORK, RESOURCES
from reports.analysis.diagnosis.replica_rules import (
    BOUNDS,
    CONFIGURED_DELAY,
    HEALTH_CHECK,
    shorter_delay,
)
from reports.analysis.diagnosis.rule import finding_of
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.timeline import ReplicaPoll, Timeline
from reports.analysis.load.concurrency import Concurrency
from reports.analysis.seen.requests_at import RequestsAt
from reports.model.steps import FloorReport, Phase
from scalelag.record.rows import ProxyChange
from scalelag.record.seen_rows import DeploymentGauges, SeenRow
from tests.support.built.open_at import open_at
from tests.support.built.step_facts import (
    BEGUN_S,
    FIRST,
    FLOOR,
    KEY,
    NODE,
    ON_TIME_S,
    ZERO_S,
    decision,
    event,
    facts,
    info,
    life,
    requests,
    snapshot,
    timeline,
)
from tests.unit.rule_cases import ALL_RULES, LATE, OURS, starting, texts


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


@pytest.mark.parametrize(
    ("sent_s", "age_s", "running", "network"),
    [
        (1018.0, 1.0, 50.0, False),  # all that was open
        (1018.0, 1.0, 5.0, True),
        (1018.0, 10.0, 50.0, False),  # so many were open in the silence alone
        (1016.0, 10.0, 5.0, True),  # as many as before it
        (1022.0, 10.0, 33.0, True),  # of 50; it may be of the time after it
        (1015.2, 1.0, 5.0, True),  # those that arrived before it
    ],
)
def test_a_silence_was_not_on_the_way_if_a_gauge_written_in_it_shows_what_was_open(
    sent_s, age_s, running, network
):
    gauges = {KEY: DeploymentGauges(queued=0.0, running=running)}

    given = silent(seen=(SeenRow(sent_s, sent_s, "ports", age_s, gauges),))

    assert (finding_of(NETWORK, given) is not None) == network


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


@pytest.mark.parametrize(("ongoing", "found"), [(8.0, False), (8.5, False), (9.0, True)])
def test_more_open_requests_than_all_replicas_are_meant_for_want_more_of_them(ongoing, found):
    given = facts(ongoing=ongoing, ongoing_earlier=ongoing, replicas_after=4)

    assert (finding_of(BOUNDS, given) is not None) == found


def test_the_number_in_a_decisions_line_is_told_with_its_moment():
    line = msgspec.structs.replace(event("upscaling", 1012.0), before=1, after=4, ongoing=40.0)
    given = facts(ongoing=None, replicas_after=4, events=(line,))

    (shown,) = finding_of(BOUNDS, given).evidence

    assert shown.at_s == pytest.approx(12.0)
    assert shown.text.startswith(
        "40.0 requests were open at its last decision (later it is not known"
    )


def test_replicas_that_are_missing_for_another_reason_are_no_matter_of_bounds():
    given = facts(ongoing=20.0, replicas_after=3, target_after=4)

    assert finding_of(BOUNDS, given) is None


def test_a_backlog_that_is_worked_off_wants_no_more_replicas():
    given = facts(ongoing=10.0, ongoing_earlier=13.0, replicas_after=4)

    # 13 were open before, 10 are: soon 7, for which 4 replicas are meant.
    assert finding_of(BOUNDS, given) is None


@pytest.mark.parametrize(
    ("many", "left", "found"), [(100, 53, False), (100, 55, True), (16, 5, True)]
)
def test_a_backlog_that_is_worked_off_since_all_replicas_ran_wants_no_more(many, left, found):
    # All ran 22 s after the step. So many were open until 28 s after it. Of 100 soon 6 or 10 are left,
    # and 8 is what 4 replicas are meant for; that 16 become 5 may be chance.
    rows = open_at(BEGUN_S, (0.0, 28.0, many - left), (0.0, 31.0, left))
    client = Concurrency(rows)
    at = RequestsAt(client, client, "client", client)
    given = facts(ongoing=many, ongoing_earlier=many, replicas_after=4, total_s=22.0, requests=rows)

    finding = finding_of(BOUNDS, msgspec.structs.replace(given, requests=at))

    assert (finding is not None) == found


def test_a_backlog_that_shrinks_to_more_than_there_may_be_replicas_for_is_a_bound():
    given = facts(ongoing=20.0, ongoing_earlier=22.0, replicas_after=4)

    # 22 were open before, 20 are: soon 18.
    assert finding_of(BOUNDS, given) is not None


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


def test_a_first_replicas_start_is_no_share_of_the_configuration():
    """From zero the delay is bypassed, and the second decision waits for the first replica."""
    given = {
        "total_s": 9.0,
        "floor": msgspec.structs.replace(FLOOR, replica_s=6.0, worst_s=10.0),
        "phases": (Phase("decide", 4.8, 4.8, 4.8),),
        "decisions": (decision(1010.5, 0, 1), decision(1014.8, 1, 3)),
    }

    assert finding_of(CONFIGURED_DELAY, facts(**given, replicas_before=0)) is None
    assert finding_of(CONFIGURED_DELAY, facts(**given, replicas_before=1)) is not None


def test_the_setting_that_took_most_is_advised_first():
    phases = (Phase("decide", 7.6, 7.6, 7.6), Phase("delay", 1.0, 1.0, 1.0, part_of="decide"))
    given = {"total_s": 10.0, "floor": msgspec.structs.replace(FLOOR, worst_s=11.0)}
    by_push = facts(**given, phases=phases)
    by_delay = facts(**given, phases=(phases[0], Phase("delay", 6.0, 6.0, 6.0, part_of="decide")))

    assert "lower look_back_period_s from" in finding_of(CONFIGURED_DELAY, by_push).advice
    assert set(shorter_delay(by_push)) == {"look_back_period_s", "metrics_interval_s"}
    assert "lower upscale_delay_s from" in finding_of(CONFIGURED_DELAY, by_delay).advice
