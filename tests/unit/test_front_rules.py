"""A full front and a blind autoscaler: what shows them, and what is just not enough."""

import msgspec
import numpy as np
import pytest

from reports.analysis.diagnosis.front import Front, around_of
from reports.analysis.diagnosis.front_rules import BLIND, FRONT
from reports.analysis.diagnosis.replayed import TargetChange
from reports.analysis.diagnosis.rule import finding_of
from reports.analysis.diagnosis.weigh import carried_on, diagnose, failure_report
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.timeline import ReplicaPoll, Timeline
from reports.analysis.load.concurrency import Concurrency
from reports.analysis.seen.requests_at import RequestsAt
from reports.analysis.seen.series import GaugeSeries, Reading
from reports.model.causes import FailureReport
from scalelag.plan.stages import LoadStep
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.run_info import DeploymentInfo
from scalelag.record.seen_rows import DeploymentGauges, Seen
from tests.support.built.step_facts import (
    BEGUN_S,
    ENDED_S,
    KEY,
    SETTINGS,
    decision,
    event,
    facts,
    info,
    requests,
)

FRONT_KEY = "app/Front"
BEHIND = msgspec.structs.replace(info(), is_ingress=False)


def front_of(key, described, timeline) -> Front:
    most = described.config.get("max_ongoing_requests", 5)
    return Front(key, timeline, most, policy_of(described, "2.60.0"))


def watched(running: int, target: int | None = None, decisions=()) -> Timeline:
    """A deployment with so many RUNNING, polled every 0.5 s from the step on."""
    polls = tuple(
        ReplicaPoll(at_s - 0.01, at_s, running, running, target or running)
        for at_s in np.arange(BEGUN_S - 1, ENDED_S + 1, 0.5).tolist()
    )
    return Timeline(polls, tuple(decisions), ())


def a_front(running=1, most=10, autoscaled=False) -> Front:
    config = {"max_ongoing_requests": most}
    described = DeploymentInfo(dict(SETTINGS) if autoscaled else None, config, is_ingress=True)
    return front_of(FRONT_KEY, described, watched(running))


def opened(number: float) -> Concurrency:
    """So many requests are open all through the hold."""
    return Concurrency(requests(rate_rps=number / 2.0, latency_s=2.0))


def behind(number=40.0, front=None, target=1, running=1, **changed):
    """A model behind a front; its target does not move, and `number` requests are open."""
    given = {
        "deployment": BEHIND,
        "policy": policy_of(BEHIND),
        "requests_at": opened(number),
        "fronts": (front or a_front(),),
        "polls": (),
        "total_s": None,
        "ongoing": None,
        "replicas_after": running,
    }
    given |= changed
    client = given.pop("requests_at")
    made = facts(**given)
    at = RequestsAt(client, client, "client", client)
    return msgspec.structs.replace(made, timeline=watched(running, target), requests=at)


def texts(finding):
    return [evidence.text for evidence in finding.evidence]


@pytest.mark.parametrize(("number", "found"), [(10.5, False), (11.5, True)])
def test_a_front_is_full_from_a_tenth_more_than_its_slots_on(number, found):
    assert (finding_of(FRONT, behind(number)) is not None) == found


def test_a_full_front_is_named_with_its_slots_and_settings():
    finding = finding_of(FRONT, behind(40.0))

    assert (finding.cause, finding.deployment, finding.named) == (
        "bounds",
        FRONT_KEY,
        "a full front",
    )
    assert texts(finding)[0] == (
        "app/Front takes 10 requests at once (1 RUNNING x max_ongoing_requests 10), and 40 were "
        "open at the client at the end"
    )
    assert finding.advice.startswith("Raise num_replicas of app/Front from 1")
    assert "more replicas of app/Model change nothing" in finding.advice


def test_its_line_that_it_rejects_requests_is_quoted_and_makes_up_for_a_queue():
    lines = tuple(
        msgspec.structs.replace(
            event("at_capacity", BEGUN_S + 20 + n, raw="Replica at capacity"), deployment=FRONT_KEY
        )
        for n in range(3)
    )

    finding = finding_of(FRONT, behind(10.0, events=lines))

    assert finding.evidence[0].raw or finding.evidence[1].raw == "Replica at capacity"
    assert finding_of(FRONT, behind(10.0, events=lines[:2])) is None


def test_a_front_that_may_still_grow_is_no_limit():
    growing = a_front(running=2, autoscaled=True)
    grown = a_front(running=4, autoscaled=True)

    assert finding_of(FRONT, behind(100.0, growing)) is None
    assert "max_replicas of app/Front from 4" in finding_of(FRONT, behind(100.0, grown)).advice


def test_a_model_that_has_all_it_may_have_is_not_behind_the_limit():
    assert finding_of(FRONT, behind(40.0, target=4, running=4)) is None


def test_a_model_that_has_just_asked_for_more_is_not_behind_the_limit():
    late = behind(40.0)
    moved = watched(2, 2, [decision(ENDED_S - 2, 1, 2)])

    assert finding_of(FRONT, msgspec.structs.replace(late, timeline=moved)) is None


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (DeploymentInfo(dict(SETTINGS), {}), True),  # it has the 1 replica that it wants
        (DeploymentInfo(dict(SETTINGS) | {"max_replicas": 1}, {}), False),  # it may want more
        (DeploymentInfo(None, {}), False),  # what it wants is not known
    ],
)
def test_requests_may_wait_for_another_deployment_behind_the_same_front(other, found):
    beside = front_of("app/Other", other, watched(1))

    assert (finding_of(FRONT, behind(40.0, beside=(beside,))) is not None) == found


def test_the_limit_of_the_front_takes_the_place_of_the_models_bound():
    with_bound = behind(40.0, ongoing=40.0, replicas_after=4)

    step = diagnose(with_bound)

    assert [(f.cause, f.deployment) for f in step.findings] == [("bounds", FRONT_KEY)]


def test_a_fixed_deployment_alone_that_is_full_is_named_itself():
    described = DeploymentInfo(None, {"max_ongoing_requests": 5})
    own = front_of(KEY, described, watched(1))
    alone = behind(40.0, policy=None, own=own, fronts=(), deployment=described)

    finding = finding_of(FRONT, alone)

    assert finding.deployment is None
    assert finding.advice.startswith("Raise num_replicas of app/Model from 1")


def test_a_full_deployment_of_an_external_scaler_is_not_told_to_raise_num_replicas():
    described = DeploymentInfo(None, {"max_ongoing_requests": 5}, external_scaler=True)
    own = msgspec.structs.replace(front_of(KEY, described, watched(1)), is_external=True)
    alone = behind(40.0, policy=None, own=own, fronts=(), deployment=described)

    finding = finding_of(FRONT, alone)

    assert finding.advice.startswith(
        "Raise the target (by the external scaler) of app/Model from 1"
    )


# A blind autoscaler


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
    given = alone(40.0, replay=lambda _run, _key: (changes, changes))

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


def late_requests():
    """Requests that were quick before the step, and take 2 s after it."""
    quick = requests(rate_rps=5, latency_s=0.1)
    slow = requests(rate_rps=20, latency_s=2.0)
    return msgspec.structs.replace(
        slow,
        **{
            name: np.concatenate([getattr(quick, name), getattr(slow, name)])
            for name in ("send_lag_s", "latency_s", "status", "name", "error", "worker")
        },
        intended_s=np.concatenate([quick.intended_s - 30.0, slow.intended_s]),
    )


def test_a_front_that_is_held_up_is_told_by_late_requests():
    roomy = a_front(most=1000)

    finding = finding_of(BLIND, behind(40.0, roomy, requests=late_requests()))

    assert finding.advice.startswith("Look at app/Front: its event loop is held up")


# Time-outs of the client, of Serve and of a proxy


@pytest.mark.parametrize(
    "kind", ["timeout", "HTTP 408", "HTTP 429", "HTTP 502", "HTTP 503", "HTTP 504"]
)
def test_an_overload_has_one_cause_whoever_ends_its_requests(kind):
    rows = requests(rate_rps=20, latency_s=2.0)
    half = np.where(np.arange(rows.count) % 2, 0, -1).astype(np.int32)
    given = behind(40.0, requests=msgspec.structs.replace(rows, error=half, errors=(kind,)))

    assert failure_report(given).cause == "bounds"


@pytest.mark.parametrize(
    ("gone_s", "said"), [(1015.0, "100 of them within 2 s"), (1030.0, "no rep")]
)
def test_a_proxys_answers_are_tied_to_a_replica_that_went(gone_s, said):
    times = [1014.0 + n / 50 for n in range(100)]
    given = facts(requests=requests(failed={"HTTP 502": times}))
    replicas = given.timeline.replicas
    gone = msgspec.structs.replace(
        replicas[0],
        stopping=msgspec.structs.replace(replicas[0].running, lo_s=gone_s, hi_s=gone_s),
    )
    given = msgspec.structs.replace(
        given, timeline=msgspec.structs.replace(given.timeline, replicas=(gone,))
    )

    assert said in failure_report(given).notes[0]


@pytest.mark.parametrize(("at_s", "said"), [(1015.0, True), (1030.0, False)])
def test_a_proxys_answers_are_tied_to_a_reload_of_haproxy(at_s, said):
    times = [1014.0 + n / 50 for n in range(100)]
    reloads = (event("proxy_reloaded", at_s), event("proxy_reloaded", 1038.0))

    report = failure_report(facts(requests=requests(failed={"HTTP 502": times}), events=reloads))

    assert any("100 of them within 2 s of a reload" in note for note in report.notes) is said


def test_serves_own_time_out_is_named():
    times = [1014.0 + n / 50 for n in range(100)]

    report = failure_report(facts(requests=requests(failed={"HTTP 408": times})))

    assert "request_timeout_s" in report.notes[0]


def test_what_had_piled_up_keeps_its_cause_in_the_next_step():
    steps = (LoadStep(1, 10.0, 40.0, 5, 25), LoadStep(2, 40.0, 70.0, 25, 5))
    first = FailureReport(1, 12.0, 42.0, 9, {"timeout": 9}, "bounds", diagnose(behind()).findings)
    later = FailureReport(2, 40.2, 45.0, 3, {"timeout": 3})
    fresh = FailureReport(2, 55.0, 56.0, 3, {"timeout": 3})

    assert carried_on([first, later], steps)[1].cause == "bounds"
    assert carried_on([first, fresh], steps)[1].cause is None


# Which deployments are around


def test_who_calls_whom_tells_what_is_before_a_deployment():
    keys = ("app/Front", "app/Middle", "app/Model", "app/Other")
    calls = {"app/Front": ("app/Middle", "app/Other"), "app/Middle": ("app/Model",)}
    app = ApplicationInfo(keys, "/", "app/Front", calls)
    run = facts().run
    target = msgspec.structs.replace(run.info.target, watched=keys, applications={"app": app})
    run = msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, target=target))
    timelines = {key: watched(1) for key in keys if key != "app/Other"}
    requests_at = {key: RequestsAt() for key in timelines}

    around = around_of(run, "app/Model", timelines, requests_at)

    assert [front.key for front in around.fronts] == ["app/Middle", "app/Front"]
    assert [front.key for front in around.beside] == ["app/Other"]
    assert around.own is None


# With Serve's gauges


def gauged(total: float, opened_there: float, **changed):
    """Readings of the gauges of the model, one a second all through the hold."""
    rows = tuple(
        Seen(at_s, at_s, "ports", 1.0, {KEY: DeploymentGauges(total=total)})
        for at_s in np.arange(BEGUN_S - 2, ENDED_S + 1, 1.0).tolist()
    )
    made = behind(40.0, seen=rows, **changed)
    there = Reading(BEGUN_S - 2, ENDED_S + 1, opened_there)
    at = msgspec.structs.replace(made.requests, open=GaugeSeries([there], 0.0), whose="seen")
    return msgspec.structs.replace(made, requests=at)


@pytest.mark.parametrize(("total", "found"), [(1.0, True), (2.5, False)])
def test_the_gauge_tells_if_a_model_behind_a_full_front_wants_more(total, found):
    assert (finding_of(FRONT, gauged(total, total)) is not None) == found


def test_the_gauge_tells_it_also_where_the_model_has_all_it_may_have():
    assert finding_of(FRONT, gauged(3.0, 3.0, target=4, running=4, replicas_after=4)) is not None


def test_a_gauge_under_half_of_what_is_at_the_model_is_blind():
    roomy = a_front(most=1000)

    finding = finding_of(BLIND, gauged(1.0, 9.0, front=roomy, requests=late_requests()))

    by_gauge = [text for text in texts(finding) if "(Serve's gauge)" in text]
    assert by_gauge[0].startswith("the autoscaler counted 1.0 open requests on average")
