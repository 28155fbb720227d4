"""Requests of an overload, whoever ends them: the client, Serve or a proxy."""

import msgspec
import numpy as np
import pytest

from reports.analysis.diagnosis.weigh import carried_on, diagnose, failure_report
from reports.model.causes import FailureReport
from scalelag.plan.stages import LoadStep
from tests.support.built.behind_front import (
    behind,
)
from tests.support.built.step_facts import (
    event,
    facts,
    requests,
)


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

    note = failure_report(given).notes[0]
    assert said in note
    assert "100 x HTTP 502: a proxy's answer or the application's own" in note


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
