"""A full front: what shows it, and what is just not enough."""

import msgspec
import numpy as np
import pytest

from reports.analysis.diagnosis.front import around_of
from reports.analysis.diagnosis.front_rules import FRONT
from reports.analysis.diagnosis.rule import finding_of
from reports.analysis.diagnosis.weigh import diagnose, failure_report
from reports.analysis.lag.changes import Changes
from reports.analysis.lag.timeline import Timeline
from reports.analysis.seen.requests_at import RequestsAt
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.rows import ConfigChange
from scalelag.record.run_info import DeploymentInfo
from tests.support.built.behind_front import (
    FRONT_KEY,
    a_front,
    behind,
    front_of,
    gauged,
    open_there,
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
    facts,
    requests,
)


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


@pytest.mark.parametrize(("total", "found"), [(1.0, True), (2.5, False)])
def test_the_gauge_tells_if_a_model_behind_a_full_front_wants_more(total, found):
    assert (finding_of(FRONT, gauged(total, total)) is not None) == found


def test_the_gauge_tells_it_also_where_the_model_has_all_it_may_have():
    assert finding_of(FRONT, gauged(3.0, 3.0, target=4, running=4, replicas_after=4)) is not None


def test_who_calls_whom_tells_what_is_before_a_deployment():
    keys = ("app/Front", "app/Middle", "app/Model", "app/Other")
    calls = {"app/Front": ("app/Middle", "app/Other"), "app/Middle": ("app/Model",)}
    app = ApplicationInfo(keys, "/", "app/Front", calls)
    run = facts().run
    target = msgspec.structs.replace(run.info.target, watched=keys, applications={"app": app})
    run = msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, target=target))
    timelines = {key: watched(1) for key in keys if key != "app/Other"}
    requests_at = {key: RequestsAt() for key in timelines}

    around = around_of(run, "app/Model", timelines, requests_at, {}, None, ENDED_S)

    assert [front.key for front in around.fronts] == ["app/Middle", "app/Front"]
    assert around.unwatched == ()
    assert [front.key for front in around.beside] == ["app/Other"]
    assert around.own is None


@pytest.mark.parametrize(("opened", "found"), [(10.5, False), (11.5, True), (None, False)])
def test_a_front_in_the_middle_is_full_by_what_is_open_at_it(opened, found):
    """The client has 40 open: most of them are held by what stands before it."""
    middle = msgspec.structs.replace(
        a_front(), is_ingress=False, requests=open_there(opened) if opened else RequestsAt()
    )

    finding = finding_of(FRONT, behind(40.0, middle))

    assert (finding is not None) == found
    if finding:
        assert "12 were open at it, by Serve's gauges, at the end" in texts(finding)[0]


def test_a_front_in_the_middle_is_full_without_gauges_if_it_rejects():
    middle = msgspec.structs.replace(a_front(), is_ingress=False)
    lines = tuple(
        msgspec.structs.replace(event("at_capacity", BEGUN_S + 20 + n), deployment=FRONT_KEY)
        for n in range(3)
    )

    finding = finding_of(FRONT, behind(40.0, middle, events=lines))

    shown = "app/Front takes 10 requests at once (1 RUNNING x max_ongoing_requests 10)"
    assert shown in texts(finding)
    assert finding_of(FRONT, behind(40.0, middle, events=lines[:2])) is None


def test_requests_that_fail_long_after_a_full_front_was_seen_have_it_as_their_cause():
    """They wait for 30 s, and a minute later the front has room again."""
    rows = requests(rate_rps=20, latency_s=2.0)
    late = np.where(np.arange(rows.count) % 2, 60.0, 2.0)
    failed = np.where(np.arange(rows.count) % 2, 0, -1).astype(np.int32)
    rows = msgspec.structs.replace(rows, latency_s=late, error=failed, errors=("timeout",))

    report = failure_report(behind(40.0, requests=rows))

    assert (report.cause, report.findings[0].deployment) == ("bounds", FRONT_KEY)


@pytest.mark.parametrize(("at_s", "slots"), [(BEGUN_S, 10), (ENDED_S, 1000)])
def test_a_front_has_the_slots_that_are_in_force(at_s, slots):
    first = DeploymentInfo(None, {"max_ongoing_requests": 10}, is_ingress=True)
    second = DeploymentInfo(None, {"max_ongoing_requests": 1000}, is_ingress=True)
    row = ConfigChange(FRONT_KEY, BEGUN_S + 5, BEGUN_S + 6, second, {})
    changes = {FRONT_KEY: Changes(0.0, deployed=first, configs=(row,))}

    (front,) = front_at(at_s, changes).fronts

    assert front.most_ongoing == slots


@pytest.mark.parametrize(("ray", "slots"), [("2.10.0", 100), ("2.31.0", 100), ("2.32.0", 5)])
def test_a_front_without_the_setting_has_the_slots_of_its_version(ray, slots):
    (front,) = front_at(BEGUN_S, {}, ray).fronts

    assert front.most_ongoing == slots


def test_a_front_that_was_left_out_is_named_where_requests_fail_without_a_cause():
    rows = requests(rate_rps=20, latency_s=2.0)
    failed = np.where(np.arange(rows.count) % 2, 0, -1).astype(np.int32)
    rows = msgspec.structs.replace(rows, error=failed, errors=("timeout",))
    alone = msgspec.structs.replace(
        behind(40.0, requests=rows), fronts=(), ongoing=None, unwatched=(FRONT_KEY,)
    )

    report = failure_report(alone)

    assert report.findings == ()
    assert report.notes[-1].endswith(f"may be full: add --deployment {FRONT_KEY}")


def front_at(at_s, changes, ray="2.60.0"):
    """The front before a model, as it is at a moment."""
    keys = (FRONT_KEY, KEY)
    app = ApplicationInfo(keys, "/", FRONT_KEY, {FRONT_KEY: (KEY,)})
    run = facts().run
    target = msgspec.structs.replace(
        run.info.target, watched=keys, applications={"app": app}, deployments={}
    )
    versions = msgspec.structs.replace(run.info.versions, ray=ray)
    info = msgspec.structs.replace(run.info, target=target, versions=versions)
    timelines = {key: watched(1) for key in keys}
    given = {key: RequestsAt() for key in keys}
    run = msgspec.structs.replace(run, info=info)
    return around_of(run, KEY, timelines, given, changes, None, at_s)


@pytest.mark.parametrize(("counted", "found"), [(2.9, True), (3.1, False), (None, False)])
def test_one_decision_on_noise_does_not_hide_a_full_front(counted, found):
    up = decision(ENDED_S - 2, 1, 2)
    said = msgspec.structs.replace(event("upscaling", ENDED_S - 2), ongoing=counted)
    late = behind(40.0, events=(said,))
    polls = [
        msgspec.structs.replace(poll, target=2 if poll.sent_s > ENDED_S - 2 else 1)
        for poll in watched(1).polls
    ]
    moved = msgspec.structs.replace(late, timeline=Timeline(tuple(polls), (up,), ()))

    # The target is 2 open requests: below 3 it is less than half a replica more.
    assert (finding_of(FRONT, moved) is not None) is found
