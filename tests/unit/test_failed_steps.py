"""Failed requests of one step, seen beside those of the other steps and the time of its answer."""

import msgspec
import numpy as np
import pytest

from reports.analysis.diagnosis.failed_requests import before_calm
from reports.analysis.diagnosis.failed_steps import FailedStep, doubted
from reports.analysis.diagnosis.weigh import failure_report
from reports.model.causes import FailureReport, Finding
from scalelag.record.error_kinds import IN_FLIGHT_LIMIT
from tests.support.built.step_facts import BEGUN_S, ENDED_S, facts, requests
from tests.unit.rule_cases import causes, slow_third

ANSWERED_S = BEGUN_S + 12.0
SLOW = Finding("slow_init", (), "Make __init__ quicker.")


def every_second(*spans, error="timeout"):
    """Requests of which every second one that is due in one of `spans` failed."""
    given = requests()
    odd = np.arange(given.count) % 2 == 1
    chosen = [(given.intended_s >= a) & (given.intended_s < b) & odd for a, b in spans]
    has_failed = np.logical_or.reduce(chosen)
    return msgspec.structs.replace(
        given,
        error=np.where(has_failed, 0, -1).astype(np.int32),
        latency_s=np.where(has_failed, 2.0, 0.2).astype(np.float32),
        errors=(error,),
    )


@pytest.mark.parametrize(
    ("from_s", "to_s", "found"),
    [
        (BEGUN_S + 1, ANSWERED_S, ["slow_init"]),
        (BEGUN_S + 1, ANSWERED_S + 9, ["slow_init"]),  # what had piled up goes on to fail
        (ANSWERED_S + 5, ENDED_S - 1, []),  # all was well for five seconds
    ],
)
def test_what_made_a_step_late_fails_no_requests_that_came_when_it_was_over(from_s, to_s, found):
    step = facts(
        total_s=12.0,
        replicas=slow_third(8.0),
        critical_replica="r3",
        requests=every_second((from_s, to_s)),
    )

    report = failure_report(step)

    assert causes(report.findings) == found


@pytest.mark.parametrize(("not_sent", "before"), [(False, 25), (True, 50)])
def test_requests_that_were_not_sent_are_no_calm(not_sent, before):
    given = every_second((BEGUN_S + 2, BEGUN_S + 4), (BEGUN_S + 10, BEGUN_S + 12))
    in_between = (given.intended_s >= BEGUN_S + 4) & (given.intended_s < BEGUN_S + 10)
    if not_sent:
        error = np.where(in_between, 1, given.error).astype(np.int32)
        given = msgspec.structs.replace(given, error=error, errors=("timeout", IN_FLIGHT_LIMIT))

    found = before_calm(facts(requests=given), BEGUN_S + 1.5)

    assert found == (before, 50)


def failed(index, sent, number, *findings):
    report = FailureReport(index, 0.0, 9.0, number, {"timeout": number}, "slow_init", findings)
    return FailedStep(index, sent, number, number, report if number else None)


@pytest.mark.parametrize(
    ("others", "in_doubt"),
    [
        ([failed(0, 100, 2)], True),
        ([failed(0, 100, 2), failed(2, 100, 0)], False),  # another step is without any
        ([failed(0, 10, 2)], False),  # too few to tell
        ([failed(0, 200, 1)], False),
        ([failed(0, 100, 2, SLOW)], False),  # it has a cause of its own
        ([], False),
    ],
)
def test_a_cause_is_in_doubt_if_as_many_failed_where_nothing_of_it_was(others, in_doubt):
    found = doubted([*others, failed(3, 1000, 30, SLOW)])

    report = found[-1].report
    assert (report.cause is None) is in_doubt
    assert ("2.0 % of the requests of step 0" in (report.findings[0].tell_apart or "")) is in_doubt
