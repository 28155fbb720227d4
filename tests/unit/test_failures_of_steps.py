"""Requests that failed during a step: their cause, and the notes on them."""

import msgspec
import numpy as np
import pytest

from reports.analysis.diagnosis.failed_requests import is_slowed
from reports.analysis.diagnosis.weigh import diagnose, failure_report
from reports.model.intervals import Window
from reports.render.tables.causes import named
from scalelag.record.blocks import BLOCK
from scalelag.record.rows import StatusChange
from scalelag.record.run_info import TargetInfo
from tests.support.built.step_facts import (
    BEGUN_S,
    ENDED_S,
    FIRST,
    KEY,
    event,
    facts,
    info,
    life,
    requests,
)
from tests.unit.rule_cases import LATE, causes, notes_on, slow_third

REFUSED = [1011.0 + i * 0.1 for i in range(30)]


def failure(given):
    return failure_report(given)


def test_a_step_on_time_may_have_failed_requests_with_a_cause_of_their_own():
    given = facts(requests=requests(failed={"connection refused": REFUSED}))

    report = failure(given)

    assert (report.cause, report.count) == ("network", 30)
    assert report.errors == {"connection refused": 30}
    assert (report.first_s, report.last_s) == pytest.approx((11.0, 13.9), abs=0.01)


def test_a_request_under_way_when_the_next_steps_fault_begins_has_its_cause():
    given = facts(
        ended_s=1012.0, requests=requests(failed={"connection reset": [1011.99, 1012.1, 1012.2]})
    )

    report = failure(given)

    assert (report.cause, report.count) == ("network", 1)


def test_without_failed_requests_there_is_no_report():
    assert failure(facts()) is None


def test_refused_work_is_a_matter_of_bounds():
    given = facts(
        ongoing=20.0,
        replicas_after=4,
        requests=requests(latency_s=0.8, failed={"HTTP 503": REFUSED}),
    )

    assert failure(given).cause == "bounds"


def test_time_outs_have_the_cause_of_the_step_that_was_late():
    given = facts(
        replicas=slow_third(8.0),
        requests=requests(latency_s=1.5, failed={"timeout": REFUSED}),
        **LATE,
    )

    assert failure(given).cause == "slow_init"


@pytest.mark.parametrize(("ready_s", "found"), [(1.7, set()), (8.0, {"health_check", "slow_init"})])
def test_a_first_check_that_took_a_moment_is_not_why_requests_waited_for_long(ready_s, found):
    # The replica waited 15 s for its place, and RUNNING comes so long after its constructor.
    waited = life("r3", entered=1027.0, initialized=1027.1, running=1027.1 + ready_s)
    given = facts(
        replicas=(FIRST, life("r2"), waited),
        requests=requests(latency_s=1.5, failed={"timeout": REFUSED}),
        total_s=17.1 + ready_s,
    )

    assert {finding.cause for finding in failure(given).findings} == found


def test_requests_that_the_application_fails_have_no_cause_here():
    given = facts(replicas=slow_third(8.0), requests=requests(failed={"HTTP 500": REFUSED}), **LATE)

    report = failure(given)

    assert (report.cause, report.findings) == (None, ())


def test_requests_fail_with_replicas_that_died_long_after_the_step():
    died = StatusChange(KEY, 1030.0, "UNHEALTHY", trigger="HEALTH_CHECK_FAILED", message="m")
    given = facts(statuses=(died,), requests=requests(failed={"HTTP 500": [1031.0]}))

    assert diagnose(given).cause is None
    assert failure(given).cause == "health_check"


@pytest.mark.parametrize("kind", ["HTTP 502", "HTTP 503", "HTTP 504"])
def test_what_may_be_the_applications_own_answer_is_perhaps_of_the_replicas_that_died(kind):
    died = StatusChange(KEY, 1030.0, "UNHEALTHY", trigger="HEALTH_CHECK_FAILED", message="m")
    alone = failure(facts(statuses=(died,), requests=requests(failed={kind: [1031.0]})))
    lost = {kind: [1031.0], "connection reset": [1031.2, 1031.4]}
    mostly_lost = failure(facts(statuses=(died,), requests=requests(failed=lost)))

    assert (alone.cause, causes(alone.findings)) == (None, ["health_check"])
    assert f"{kind}: the proxy's or the application's own" in alone.findings[0].tell_apart
    assert named(alone.findings, alone.cause) == ["perhaps failed health checks"]
    assert mostly_lost.cause == "health_check"


def notes_of(failed, **limits):
    """Notes on requests that failed so; `limits` are the deployments' max_queued_requests."""
    given = facts(requests=requests(failed=failed))
    described = {f"app/{name}": info(max_queued_requests=n) for name, n in limits.items()}
    target = TargetInfo("http://serve", "http://dashboard", False, described, (KEY,))
    run = msgspec.structs.replace(
        given.run, info=msgspec.structs.replace(given.run.info, target=target)
    )
    given = msgspec.structs.replace(given, run=run)
    assert failure(given).findings == ()
    return notes_on(given)


def test_back_pressure_is_not_the_networks_and_names_the_queue_that_was_full():
    (note,) = notes_of({"back-pressure": REFUSED}, Model=5, Router=-1, Guard=0)

    assert note.startswith("30 turned away: a queue in Serve was full (")
    assert "(app/Model has max_queued_requests 5, app/Guard has max_queued_requests 0)" in note
    assert "min_replicas" in note
    assert "max_ongoing_requests" in note


def test_back_pressure_without_a_limit_in_serve_came_from_elsewhere():
    (note,) = notes_of({"back-pressure": REFUSED}, Model=-1)

    assert "no deployment has max_queued_requests set" in note


def test_files_that_the_load_process_may_not_open_are_not_the_targets():
    (note,) = notes_of({"too many open files": REFUSED})

    assert note.startswith("30 had no connection, since the load process had as many files open")
    assert "ulimit -n" in note


def test_back_pressure_has_the_cause_of_the_step_that_was_late():
    given = facts(
        replicas=slow_third(8.0), requests=requests(failed={"back-pressure": REFUSED}), **LATE
    )

    report = failure(given)

    assert report.cause == "slow_init"
    assert len(notes_on(given)) == 1


def test_wrong_answers_are_not_the_networks_even_where_they_speak_of_it():
    (note,) = notes_of(
        {
            "wrong answer: no HTTP": REFUSED[:10],
            "wrong answer: without the connection's number": REFUSED[10:],
        }
    )

    assert note.startswith("30 answered wrongly: they arrived")


def test_other_failures_need_no_note():
    assert notes_of({"HTTP 500": REFUSED}) == []


@pytest.mark.parametrize(("status", "cause"), [(0, "network"), (200, None)])
def test_a_connection_closed_in_the_middle_of_an_answer_was_not_missing(status, cause):
    rows = requests(failed={"connection closed": REFUSED})
    rows = msgspec.structs.replace(rows, status=np.full(rows.count, status, np.uint16))

    assert failure(facts(requests=rows)).cause == cause


def died_at(at_s):
    words = "Actor for r1 crashed, marking it unhealthy immediately."
    return event("unhealthy_stopped", at_s, "r1", raw=words)


@pytest.mark.parametrize(
    ("failed_s", "noticed_s", "cause"),
    [
        # Asked every 10 s: a replica that died at 1032 is found dead at 1041.9, in the next step.
        ([1032.0, 1032.6], 1041.9, "health_check"),
        ([1032.0, 1032.6], 1046.0, None),
        ([1032.0, 1036.0], 1041.9, None),
    ],
)
def test_a_death_that_is_noticed_later_is_why_what_was_open_at_it_failed(
    failed_s, noticed_s, cause
):
    given = facts(events=(died_at(noticed_s),), requests=requests(failed={"HTTP 500": failed_s}))

    report = failure(given)

    assert report.cause == cause
    assert [f.named for f in report.findings] == (["a replica that died"] if cause else [])


def test_a_death_that_is_noticed_later_has_no_part_in_an_overload():
    given = facts(events=(died_at(1041.9),), requests=requests(failed={"timeout": [1036.0]}))

    assert failure(given).findings == ()


@pytest.mark.parametrize(
    ("before_s", "during_s", "slowed"),
    [((0.1, 0.1, 9.0), (0.21, 0.21, 0.0), True), ((0.1, 0.1, 9.0), (0.19, 0.19, 9.0), False)],
)
def test_requests_are_slowed_if_the_middle_one_takes_twice_as_long(before_s, during_s, slowed):
    """Over several blocks of rows."""
    times = BLOCK + 7
    latency_s = np.concatenate([np.tile(before_s, times), np.tile(during_s, times)])
    rows = msgspec.structs.replace(
        requests(),
        intended_s=np.linspace(BEGUN_S - 10, ENDED_S, latency_s.size),
        latency_s=latency_s.astype(np.float32),
        send_lag_s=np.zeros(latency_s.size, np.float32),
        error=np.where(latency_s == 9.0, 0, -1).astype(np.int32),
        errors=("http_500",),
    )
    given = facts(requests=rows)
    edge_s = float(rows.intended_s[3 * times])

    moved = msgspec.structs.replace(given, begun_s=edge_s)

    assert is_slowed(moved, Window(edge_s, ENDED_S + 1)) == slowed
