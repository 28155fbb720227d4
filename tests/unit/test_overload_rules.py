"""Requests of an overload, whoever ends them: the client, Serve or a proxy."""

import msgspec
import numpy as np
import pytest

from reports.analysis.diagnosis.failed_steps import FailedStep, carried_on
from reports.analysis.diagnosis.weigh import diagnose, failure_report
from reports.model.causes import FailureReport
from reports.model.intervals import Instant, point
from scalelag.plan.stages import LoadStep
from scalelag.record.rows import Gap, Transition
from tests.support.built.behind_front import (
    behind,
)
from tests.support.built.step_facts import (
    event,
    facts,
    requests,
)
from tests.unit.rule_cases import notes_on


@pytest.mark.parametrize(
    "kind", ["timeout", "HTTP 408", "HTTP 429", "HTTP 502", "HTTP 503", "HTTP 504"]
)
def test_an_overload_has_one_cause_whoever_ends_its_requests(kind):
    rows = requests(rate_rps=20, latency_s=2.0)
    half = np.where(np.arange(rows.count) % 2, 0, -1).astype(np.int32)
    given = behind(40.0, requests=msgspec.structs.replace(rows, error=half, errors=(kind,)))

    assert failure_report(given).cause == "bounds"


def failed_while(at, *, own=True, gaps=(), times=None):
    """Notes on 502s from 1014 to 1016 s, in a run of which one replica went at `at`."""
    times = times or [1014.0 + n / 50 for n in range(100)]
    given = facts(requests=requests(failed={"HTTP 502": times}), gaps=gaps)
    life = msgspec.structs.replace(given.timeline.replicas[0], gone=at if own else None)
    timeline = msgspec.structs.replace(given.timeline, replicas=(life,))
    row = Transition("app/Front", "f1", at.hi_s, at.lo_s, "STOPPING", None)
    run = msgspec.structs.replace(given.run, transitions=() if own else (row,))
    return notes_on(msgspec.structs.replace(given, timeline=timeline, run=run))[0]


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (
            Instant(1015.0, 1015.2),
            "100 of them within 2 s of a change of replicas (replica r1 gone",
        ),
        (Instant(1030.0, 1030.0), "no replica came or went within 2 s of them (the nearest: "),
        (Instant(1030.0, 1030.0), "replica r1 gone, 14.0 s away)"),
        (Instant(1012.0, 1028.0), "gone between 12.0 and 28.0 s, perhaps within 2 s of them"),
        (Instant(1016.1, 1016.4), "80 of them within 2 s of a change"),
    ],
)
def test_a_proxys_answers_are_tied_to_a_replica_that_went(at, said):
    assert said in failed_while(at)


def test_a_replica_of_another_deployment_counts_as_well():
    assert "(replica f1 of app/Front gone at 15.0 s)" in failed_while(point(1015.0), own=False)


def test_a_replica_that_shows_in_a_row_after_the_hold_is_not_denied():
    """The hold ends at 1040 s; the replica that the requests were late for was listed 0.2 s later."""
    times = [1038.5 + n / 100 for n in range(100)]

    said = failed_while(Instant(1039.7, 1040.2), times=times)

    assert "100 of them within 2 s of a change of replicas (replica r1 gone at 40.0 s)" in said


def test_what_came_while_nothing_was_seen_is_not_denied():
    said = failed_while(point(1030.0), gaps=(Gap(1010.0, 1020.0, "timeout", 9),))

    assert "no replica came or went within 2 s of them, as far as the probe saw" in said


def test_a_status_does_not_tell_whose_an_answer_is():
    assert "100 x HTTP 502: a proxy's answer or the application's own" in failed_while(
        point(1015.0)
    )


@pytest.mark.parametrize(("at_s", "said"), [(1015.0, True), (1030.0, False)])
def test_a_proxys_answers_are_tied_to_a_reload_of_haproxy(at_s, said):
    times = [1014.0 + n / 50 for n in range(100)]
    reloads = (event("proxy_reloaded", at_s), event("proxy_reloaded", 1038.0))

    notes = notes_on(facts(requests=requests(failed={"HTTP 502": times}), events=reloads))

    assert any("100 of them within 2 s of a reload" in note for note in notes) is said


def test_serves_own_time_out_is_named():
    times = [1014.0 + n / 50 for n in range(100)]

    notes = notes_on(facts(requests=requests(failed={"HTTP 408": times})))

    assert "request_timeout_s" in notes[0]


def test_what_had_piled_up_keeps_its_cause_in_the_next_step():
    steps = (LoadStep(1, 10.0, 40.0, 5, 25), LoadStep(2, 40.0, 70.0, 25, 5))
    first = FailureReport(1, 12.0, 42.0, 9, {"timeout": 9}, "bounds", diagnose(behind()).findings)
    later = FailureReport(2, 40.2, 45.0, 3, {"timeout": 3})
    fresh = FailureReport(2, 55.0, 56.0, 3, {"timeout": 3})

    def cause_in_next(report, at_once):
        found = [FailedStep(1, 99, 9, 9, first), FailedStep(2, 99, 3, at_once, report)]
        return carried_on(found, steps)[1].cause

    assert cause_in_next(later, at_once=3) == "bounds"
    assert cause_in_next(later, at_once=1) is None  # most failed when all had been well again
    assert cause_in_next(fresh, at_once=3) is None
