"""Requests of a run on several applications, failed ones of several kinds: whose they are, and why."""

import msgspec
import numpy as np
import pytest

from reports.analysis.analyse import analyse
from reports.model.causes import FailureReport
from reports.model.report import Report
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.error_kinds import TIMEOUT, http_status
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentPoll, Poll
from scalelag.record.run_info import DeploymentInfo, TargetInfo
from tests.unit.recorded_runs import KEY, REQUESTS, ZERO_S, info, recorded, requests

OTHER = "b/Other"
ODD = "ValueError: x"
SETTINGS = {
    "min_replicas": 1,
    "max_replicas": 3,
    "target_ongoing_requests": 1.0,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 1.0,
    "upscale_delay_s": 1.0,
    "downscale_delay_s": 5.0,
}
OF_MODEL, OF_OTHER = 0, 1


def target(*, several: bool = True, timeout_s: float = 20.0) -> TargetInfo:
    """`app/Model`, which runs at its max_replicas of 3 from 27 s on, and `b/Other`, which is not."""
    config = {"graceful_shutdown_timeout_s": timeout_s}
    more = SETTINGS | {"max_replicas": 9}
    deployments = {KEY: DeploymentInfo(SETTINGS, config), OTHER: DeploymentInfo(more, config)}
    keys = tuple(deployments) if several else (KEY,)
    return TargetInfo(
        host="http://h",
        dashboard="http://d",
        embedded=False,
        deployments={key: deployments[key] for key in keys},
        watched=keys,
        applications={
            key.partition("/")[0]: ApplicationInfo((key,), f"/{key.partition('/')[0]}", key)
            for key in keys
        },
    )


def slow_rows(failed_s: range, of: int | None, kinds: tuple[str, ...]) -> RequestColumns:
    """Every second request is for `b`. Those for `app` take 4 s from 20 s on: many are open.

    Of those due in `failed_s`, the ones for application `of` fail, the first of them in the first of
    `kinds`, all others in the last one.
    """
    rows = requests()
    due_s, name = rows.intended_s - ZERO_S, np.arange(REQUESTS, dtype=np.int32) % 2
    latency_s = np.where((name == OF_MODEL) & (due_s >= 20), 4.0, 0.05).astype(np.float32)
    failed = (due_s >= failed_s.start) & (due_s < failed_s.stop)
    if of is not None:
        failed &= name == of
    error = np.where(failed, len(kinds) - 1, -1).astype(np.int32)
    error[np.flatnonzero(failed)[0]] = 0
    return msgspec.structs.replace(
        rows, latency_s=latency_s, name=name, names=("/app/x", "/b/x"), error=error, errors=kinds
    )


def report_of(rows: RequestColumns, *, several: bool = True, timeout_s: float = 20.0) -> Report:
    run = recorded(info(target=target(several=several, timeout_s=timeout_s)), rows)
    polls = tuple(with_other(poll) for poll in run.polls) if several else run.polls
    return analyse(msgspec.structs.replace(run, polls=polls)).report


def failure_of(rows: RequestColumns, *, several: bool = True) -> FailureReport:
    (failure,) = report_of(rows, several=several).failures
    return failure


def with_other(poll: Poll) -> Poll:
    other = DeploymentPoll({"RUNNING": 1}, 1, "HEALTHY")
    return msgspec.structs.replace(poll, deployments={**poll.deployments, OTHER: other})


def causes(failure: FailureReport) -> set[str]:
    return {finding.cause for finding in failure.findings}


@pytest.mark.parametrize(("of", "limited"), [(OF_MODEL, True), (OF_OTHER, False)])
def test_a_limit_fails_requests_of_its_own_application_only(of, limited):
    rows = slow_rows(range(40, 44), of, (TIMEOUT,))

    failure = failure_of(rows)

    assert failure.count == 80
    assert ("bounds" in causes(failure)) == limited
    assert (failure.cause is not None) == limited


def test_all_failed_requests_of_a_step_are_counted_once_whoever_they_were_for():
    rows = slow_rows(range(40, 44), None, (TIMEOUT,))

    failure = failure_of(rows)

    assert failure.count == sum(failure.errors.values()) == 160
    assert "bounds" in causes(failure)
    assert failure.notes == ("80 others: no cause found",)


def test_a_limit_is_no_cause_of_errors_that_an_overload_does_not_make():
    """One request timed out, and 159 raised something else."""
    rows = slow_rows(range(40, 44), None, (TIMEOUT, ODD))

    failure = failure_of(rows, several=False)

    one, others = failure.notes
    assert (failure.cause, failure.findings, failure.count) == (None, (), 160)
    assert one.startswith(f"1 perhaps for this: {KEY}: ")
    assert others == "159 others: no cause found"


def test_what_its_kind_explains_is_no_other():
    rows = slow_rows(range(40, 44), None, (http_status(408), ODD))

    failure = failure_of(rows, several=False)

    told = [int(note.split()[0]) for note in failure.notes]
    assert told == [1, 1, 159]
    assert failure.notes[-1] == "159 others: no cause found"


def test_what_failed_while_replicas_stopped_is_of_their_own_application():
    """Replicas of `app/Model` are STOPPING from 71 to 75 s; what fails then is for `b`."""
    rows = slow_rows(range(71, 75), OF_OTHER, (TIMEOUT,))

    stopping = report_of(rows).deployments[KEY].stopping

    assert (stopping.failed, stopping.requests > 0) == (0, True)


def test_a_drain_is_held_against_the_slowest_request_of_its_own_application():
    """Those for `app` take 4 s at most, those for `b` 0.05 s."""
    lint = report_of(slow_rows(range(71, 75), OF_OTHER, (TIMEOUT,)), timeout_s=1.0).lint

    assert [one.deployment for one in lint if one.rule == "drain-shorter-than-requests"] == [KEY]
