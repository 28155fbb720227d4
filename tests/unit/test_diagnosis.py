"""Findings weighed against one another: which is the cause, and when there is none to name."""

import msgspec
import pytest

from reports.analysis.diagnosis.weigh import diagnose, leading, step_findings
from reports.analysis.lag.timeline import ReplicaPoll
from reports.model.causes import Evidence, Finding
from reports.model.steps import NOT_OVER, Phase
from scalelag.record.rows import ProxyChange
from tests.support.built.step_facts import (
    FIRST,
    FLOOR,
    decision,
    event,
    facts,
    life,
    polls,
    requests,
    snapshot,
    timeline,
)
from tests.unit.rule_cases import LATE, OURS, causes, slow_third


def found(cause, seconds=None, from_s=None, to_s=None, tell_apart=None):
    return Finding(cause, (Evidence("seen"),), "do", seconds, from_s, to_s, tell_apart)


def test_the_cause_stands_first_with_its_evidence_in_the_step():
    step = diagnose(facts(replicas=slow_third(8.0), **LATE))

    assert step.cause == "slow_init"
    assert step.evidence == step.findings[0].evidence


def test_nothing_is_the_cause_of_a_step_that_did_not_change_the_load():
    given = facts(direction="none", total_s=None, polls=tuple(polls(late={1012.0: 9.0})))

    assert step_findings(given) == ()


@pytest.mark.parametrize(("init_s", "named"), [(2.3, []), (2.5, ["slow_init"])])
def test_what_explains_less_than_a_fifth_of_the_lag_is_no_cause(init_s, named):
    findings = step_findings(facts(replicas=slow_third(init_s), **LATE))

    assert causes(findings) == named


@pytest.mark.parametrize(
    ("worst_s", "named"),
    [
        (11.0, ["state_sync"]),  # 2.6 s late by 1.6 s of slow turns
        (10.1, []),  # 3.5 s late: less than half of it
        (11.7, []),  # 1.9 s late of 12 s: nobody asks why
    ],
)
def test_what_explains_half_of_what_is_notably_late_is_a_cause_beside_a_long_start(worst_s, named):
    floor = msgspec.structs.replace(FLOOR, worst_s=worst_s)

    assert causes(step_findings(facts(loop_s=0.5, floor=floor, **LATE))) == named


def test_a_controller_that_stood_still_made_no_step_late_that_was_on_time():
    still = tuple(polls(late={1010.5: 2.5}))

    assert causes(step_findings(facts(polls=still))) == []
    assert causes(step_findings(facts(polls=still, **LATE))) == ["state_sync"]


def test_parts_that_follow_one_another_are_both_named_and_the_longer_is_the_cause():
    given = facts(
        replicas=slow_third(4.0, waited_s=5.0), snapshots=(snapshot(1013.0, OURS),), **LATE
    )

    step = diagnose(given)

    assert causes(step.findings) == ["resources", "slow_init"]
    assert step.cause == "resources"
    assert [finding.tell_apart for finding in step.findings] == [None, None]


def waiting_while_the_controller_stands_still(still_s):
    return facts(
        replicas=slow_third(0.1, waited_s=6.0),
        snapshots=(snapshot(1013.0, OURS),),
        polls=tuple(polls(late={1012.0: still_s})),
        **LATE,
    )


def test_two_causes_of_the_same_time_are_both_named_with_what_tells_them_apart():
    step = diagnose(waiting_while_the_controller_stands_still(5.0))

    assert causes(step.findings) == ["resources", "state_sync"]
    assert step.cause is None
    assert step.evidence == ()
    assert [f.tell_apart.partition(":")[0] for f in step.findings] == ["resources", "state_sync"]


def test_a_sign_of_two_causes_is_given_to_both_and_neither_leads():
    given = facts(replicas=(FIRST, life("r3", running=1018.0)), total_s=8.0)

    step = diagnose(given)

    assert sorted(causes(step.findings)) == ["health_check", "slow_init"]
    assert step.cause is None
    assert all("check_health" in finding.tell_apart for finding in step.findings)


def test_one_that_explains_twice_as_much_prevails():
    step = diagnose(waiting_while_the_controller_stands_still(2.9))

    assert causes(step.findings) == ["resources", "state_sync"]
    assert step.cause == "resources"


def test_the_configured_delay_is_the_cause_where_it_takes_longer_than_the_fault():
    slow = msgspec.structs.replace(FLOOR, delay_s=8.0, worst_s=12.0)

    step = diagnose(facts(total_s=14.0, floor=slow, replicas=slow_third(3.0)))

    assert causes(step.findings) == ["configured_delay", "slow_init"]
    assert step.cause == "configured_delay"


def test_a_bound_stands_before_the_delay_that_led_up_to_it():
    step = diagnose(
        facts(total_s=2.0, ongoing=20.0, replicas_after=4, requests=requests(latency_s=0.8))
    )

    assert causes(step.findings) == ["bounds", "configured_delay"]
    assert step.cause == "bounds"


def test_replicas_that_fail_with_their_node_are_no_cause_of_their_own():
    gone = life("r2", submitted=901.0, entered=902.0, running=903.0, stopping=1016.0, node="far")
    given = facts(
        replicas=(FIRST, gone, life("r3", entered=1020.0, initialized=1020.1, running=1020.4)),
        proxies=(ProxyChange("far", 1016.5, 1016.0, "HEALTHY", None),),
        events=(
            event("health_check_timed_out", 1012.5, "r2"),
            event("unhealthy_stopped", 1016.0, "r2"),
        ),
        snapshots=(snapshot(1013.0, OURS),),
        **LATE,
    )

    step = diagnose(given)

    assert causes(step.findings) == ["network"]
    assert step.findings[0].from_s == pytest.approx(12.5)  # its first check that was not answered


def test_a_censored_step_has_a_cause_too():
    waiting = life("r3", entered=None, initialized=None, running=None, node=None)
    given = facts(censored=True, replicas=(FIRST, waiting), snapshots=(snapshot(1013.0, OURS),))

    step = diagnose(given)

    assert step.cause == "resources"
    assert step.findings[0].seconds == pytest.approx(28.0)


def test_a_step_whose_decision_never_came_has_a_cause_where_more_was_wanted():
    still = tuple(polls(late={1010.0: 20.0}))
    none = {"total_s": None, "replicas_after": 1, "target_after": 1, "decisions": ()}

    assert diagnose(facts(polls=still, ongoing=5.0, **none)).cause == "state_sync"
    assert diagnose(facts(polls=still, ongoing=0.8, **none)).cause is None


def lost_again(for_s):
    """All 3 replicas run by 1014 s, and 2 of them from 1020 s on, for so long."""
    seen = [
        ReplicaPoll(at_s, at_s + 0.01, 2 if 1020 <= at_s <= 1020 + for_s else 3, 3, 3)
        for at_s in (1014.0 + i * 0.5 for i in range(50))
    ]
    return facts(
        timeline=msgspec.structs.replace(
            timeline(), polls=(ReplicaPoll(1009.0, 1009.01, 1, 1, 1), *seen)
        ),
        events=(
            event("health_check_timed_out", 1017.0, "r1"),
            event("unhealthy_stopped", 1020.0, "r1"),
        ),
    )


def test_a_step_that_loses_its_replicas_again_is_answered_once_they_are_back():
    assert diagnose(lost_again(0.5)).cause is None

    step = diagnose(lost_again(4.0))

    assert step.cause == "health_check"
    assert step.findings[0].seconds == pytest.approx(7.0, abs=0.02)  # from its first failed check


def test_a_late_step_that_no_rule_explains_says_where_its_time_went():
    given = facts(
        phases=(Phase("decide", 9.0, 9.0, 9.0), Phase("create", 0.1, 0.1, 0.1)),
        decisions=(decision(1012.0, 1, 2), decision(1019.0, 2, 3)),
        **LATE,
    )

    step = diagnose(given)

    assert (step.cause, step.findings) == (None, ())
    assert [evidence.text for evidence in step.evidence] == [
        (
            "7.0 s more than the configuration explains at its worst; 9.0 s of all went to decide, "
            "in 2 decisions"
        )
    ]


@pytest.mark.parametrize(
    ("floor", "late"),
    [(FLOOR, "26.0 s more than the configuration explains at its worst; "), (None, "")],
)
def test_a_missed_step_names_the_phase_that_was_not_over_with_or_without_a_floor(floor, late):
    phases = (
        Phase("decide", 3.3, 3.3, 3.3),
        Phase("create", 0.2, 0.2, 0.2),
        Phase("allocate", reason=NOT_OVER),
        Phase("initialize", reason=NOT_OVER),
    )

    step = diagnose(facts(censored=True, floor=floor, phases=phases, critical_replica=None))

    assert (step.cause, step.findings) == (None, ())
    assert [evidence.text for evidence in step.evidence] == [
        f"{late}at least 26.5 s of all went to allocate"
    ]


def test_a_start_that_is_longer_than_the_hold_is_not_the_configurations():
    # Its settings take 1.6 s; without them the start alone is longer than the hold.
    slow = msgspec.structs.replace(FLOOR, replica_s=60.0, worst_s=70.0)

    step = diagnose(facts(censored=True, floor=slow, critical_replica=None))

    assert (step.cause, step.findings) == (None, ())
    assert "the fastest start-up, 60.0 s, is longer than the" in step.evidence[0].text


def test_replicas_that_are_lost_long_after_the_answer_do_not_hide_that_it_was_late():
    seen = (
        ReplicaPoll(at_s, at_s + 0.01, 2 if 1028 <= at_s <= 1033 else 3, 3, 3)
        for at_s in (1016.0 + i * 0.5 for i in range(46))
    )
    lost = msgspec.structs.replace(timeline(), polls=(ReplicaPoll(1009.0, 1009.01, 1, 1, 1), *seen))

    # 4 s is the worst; the replica that is lost from 1028 to 1033 s is no part of the answer.
    step = diagnose(facts(total_s=6.0, timeline=lost))

    assert step.cause is None
    assert [evidence.text for evidence in step.evidence] == [
        "2.0 s more than the configuration explains at its worst; 1.6 s of all went to decide"
    ]


def test_a_mean_that_rises_in_two_decisions_has_a_look_back_more():
    two = (decision(1011.6, 1, 2), decision(1013.0, 2, 3))

    # 4 s is the worst with one decision, and the look-back is 1 s.
    assert facts(total_s=4.9).is_late
    assert not facts(total_s=4.9, decisions=two).is_late
    assert facts(total_s=5.1, decisions=two).is_late


@pytest.mark.parametrize("total_s", [4.9, 3.5])
def test_a_step_that_was_hardly_late_has_nothing_to_explain(total_s):
    assert diagnose(facts(total_s=total_s)).evidence == ()


def test_a_single_finding_that_is_not_proven_is_no_cause():
    assert leading([found("network", 4.0, tell_apart="look at the access logs")]) is None
    assert leading([found("network", 4.0)]) == "network"
    assert leading([]) is None


# Failed requests


def test_a_censored_step_within_its_configuration_is_the_configurations():
    slow = msgspec.structs.replace(FLOOR, delay_s=60.0, worst_s=70.0)
    given = facts(censored=True, floor=slow, critical_replica=None)

    assert diagnose(given).cause == "configured_delay"


# What some kinds of failure mean by themselves
