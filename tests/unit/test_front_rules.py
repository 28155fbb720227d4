"""A full front: what shows it, and what is just not enough."""

import msgspec
import pytest

from reports.analysis.diagnosis.front import around_of
from reports.analysis.diagnosis.front_rules import FRONT
from reports.analysis.diagnosis.rule import finding_of
from reports.analysis.diagnosis.weigh import diagnose
from reports.analysis.seen.requests_at import RequestsAt
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.run_info import DeploymentInfo
from tests.support.built.behind_front import (
    FRONT_KEY,
    a_front,
    behind,
    front_of,
    gauged,
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

    around = around_of(run, "app/Model", timelines, requests_at)

    assert [front.key for front in around.fronts] == ["app/Middle", "app/Front"]
    assert [front.key for front in around.beside] == ["app/Other"]
    assert around.own is None
