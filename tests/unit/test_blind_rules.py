"""A blind autoscaler: what shows it, and what is just not enough."""

import msgspec
import pytest

from reports.analysis.diagnosis.front_rules import BLIND
from reports.analysis.diagnosis.replayed import TargetChange
from reports.analysis.diagnosis.rule import finding_of
from reports.analysis.lag.policy import policy_of
from reports.analysis.load.concurrency import Concurrency
from scalelag.record.run_info import DeploymentInfo
from scalelag.record.seen_rows import DeploymentGauges, SeenRow
from tests.support.built.behind_front import (
    a_front,
    behind,
    gauged,
    late_requests,
    texts,
    watched,
)
from tests.support.built.step_facts import (
    BEGUN_S,
    ENDED_S,
    KEY,
    SETTINGS,
    decision,
    event,
    info,
    requests,
)


def alone(number=40.0, **changed):
    return behind(number, fronts=(), deployment=info(), **changed)


def test_a_target_that_stays_though_many_are_open_was_decided_blindly():
    finding = finding_of(BLIND, alone(40.0))

    assert (finding.cause, finding.named) == ("state_sync", "a blind autoscaler")
    assert (
        "it counted no more than 2 open requests, while at least 40 had been open"
        in (texts(finding)[0])
    )


@pytest.mark.parametrize(("number", "found"), [(5.5, False), (8.0, True)])
def test_it_is_blind_below_half_of_what_is_open(number, found):
    assert (finding_of(BLIND, alone(number)) is not None) == found


def test_a_decision_for_fewer_says_what_was_counted():
    line = msgspec.structs.replace(
        event("downscaling", BEGUN_S + 20, raw="Current ongoing requests: 0.40"), ongoing=0.4
    )
    brisk = policy_of(DeploymentInfo(dict(SETTINGS) | {"downscale_delay_s": 6.0}))
    given = alone(40.0, policy=brisk, events=(line,))
    moved = watched(4, 4, [decision(BEGUN_S + 20, 4, 1), decision(ENDED_S - 1, 1, 4)])

    finding = finding_of(BLIND, msgspec.structs.replace(given, timeline=moved))

    assert texts(finding)[0].startswith(
        "the autoscaler counted 0.4 open requests and went from 4 to"
    )
    assert texts(finding)[0].endswith("while at least 40 had been open at the client for 7.0 s")


def test_a_decision_for_fewer_after_the_load_fell_is_none():
    brisk = policy_of(DeploymentInfo(dict(SETTINGS) | {"downscale_delay_s": 6.0}))
    rows = requests(rate_rps=20, latency_s=2.0)
    kept = rows.intended_s < BEGUN_S + 10
    early = msgspec.structs.replace(
        rows,
        **{
            name: getattr(rows, name)[kept]
            for name in (
                "intended_s",
                "send_lag_s",
                "latency_s",
                "status",
                "name",
                "error",
                "worker",
            )
        },
    )
    given = alone(40.0, policy=brisk, requests_at=Concurrency(early))
    moved = watched(4, 4, [decision(BEGUN_S + 20, 4, 1)])

    assert finding_of(BLIND, msgspec.structs.replace(given, timeline=moved)) is None


def test_what_rays_own_policy_would_have_had_is_told():
    changes = (TargetChange(BEGUN_S + 3, 1, 4),)
    given = alone(40.0, replay=lambda *_: (changes, changes))

    assert texts(finding_of(BLIND, given))[1] == (
        "Ray's own policy, replayed on the requests that were open, had 4 replicas then"
    )


def test_of_a_policy_of_the_users_own_nothing_is_known():
    own = msgspec.structs.replace(policy_of(info()), default=False)

    assert finding_of(BLIND, alone(40.0, policy=own)) is None


def test_the_least_of_a_look_back_says_nothing():
    least = policy_of(DeploymentInfo(dict(SETTINGS) | {"aggregation_function": "min"}))

    assert finding_of(BLIND, alone(40.0, policy=least)) is None


def test_a_front_that_waits_by_itself_hides_nothing():
    roomy = a_front(most=1000)

    assert finding_of(BLIND, behind(40.0, roomy)) is None


def test_a_front_that_is_held_up_is_told_by_late_requests():
    roomy = a_front(most=1000)

    finding = finding_of(BLIND, behind(40.0, roomy, requests=late_requests()))

    assert finding.advice.startswith("Look at app/Front: its event loop is held up")


def test_a_gauge_under_half_of_what_is_at_the_model_is_blind():
    roomy = a_front(most=1000)

    finding = finding_of(BLIND, gauged(1.0, 9.0, front=roomy, requests=late_requests()))

    by_gauge = [text for text in texts(finding) if "(Serve's gauge)" in text]
    assert by_gauge[0].startswith("the autoscaler counted 1.0 open requests on average")


def test_where_no_more_replicas_may_be_nothing_is_replayed():
    asked = []
    given = alone(40.0, replay=lambda *_: asked.append(1) or ())
    full = msgspec.structs.replace(given.policy, max_replicas=1)

    for policy in (given.policy, full):
        finding_of(BLIND, msgspec.structs.replace(given, policy=policy))
        asked.append(policy.max_replicas)

    assert asked == [1, given.policy.max_replicas, 1]


def test_while_no_replica_runs_the_target_says_nothing():
    assert finding_of(BLIND, msgspec.structs.replace(alone(40.0), timeline=watched(0, 1))) is None


def test_a_target_that_nobody_saw_was_not_kept():
    given = alone(40.0)
    polls = tuple(one for one in given.timeline.polls if one.received_s <= BEGUN_S)
    unseen = msgspec.structs.replace(given.timeline, polls=polls)

    assert finding_of(BLIND, msgspec.structs.replace(given, timeline=unseen)) is None


def test_a_gauge_that_counted_more_than_the_target_is_for_says_otherwise():
    rows = tuple(
        SeenRow(at_s, at_s, "ports", 1.0, {KEY: DeploymentGauges(total=38.0)})
        for at_s in (ENDED_S - 2, ENDED_S - 1)
    )

    assert finding_of(BLIND, alone(40.0, seen=rows)) is None


@pytest.mark.parametrize(("most", "found"), [(3, False), (30, True)])
def test_a_front_that_lets_few_through_holds_the_rest_back(most, found):
    # A front in the middle, of which no gauge tells how full it is.
    middle = msgspec.structs.replace(a_front(most=most), is_ingress=False)

    finding = finding_of(BLIND, behind(40.0, middle, requests=late_requests()))

    assert (finding is not None) == found
