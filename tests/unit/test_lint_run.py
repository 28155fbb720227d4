"""Rules on what a run has shown: drains and idle replicas, from rows with a known truth."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.timeline import ReplicaPoll, Timeline
from reports.analysis.lint.run import Usage, lint_run, slowest_service_s, usage_of
from reports.analysis.load.concurrency import Concurrency
from reports.model.intervals import Window
from scalelag.plan.stages import LoadStep, parse_plan
from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import (
    ClockInfo,
    DeploymentInfo,
    LintFinding,
    ProbeInfo,
    RunInfo,
    TargetInfo,
    Versions,
)

ZERO_S = 1_795_371_900.0
KEY = "app/Model"
# 2 requests open at a time until 20 s, 8 until 50 s, then 2 again until 80 s: at 2 a replica, a
# demand of 1, 4 and 1.
STEPS = (
    LoadStep(0, 0.0, 20.0, 0.0, 2.0),
    LoadStep(1, 20.0, 50.0, 2.0, 8.0),
    LoadStep(2, 50.0, 80.0, 8.0, 2.0),
    LoadStep(3, 80.0, 100.0, 2.0, 0.0),
)
SETTINGS = {
    "min_replicas": 1,
    "max_replicas": 4,
    "target_ongoing_requests": 2.0,
    "metrics_interval_s": 1.0,
    "look_back_period_s": 3.0,
    "upscale_delay_s": 3.0,
    "downscale_delay_s": 5.0,
}


def columns(
    intended_s: Sequence[float], latency_s: Sequence[float], send_lag_s: float = 0.0
) -> RequestColumns:
    """Requests that were answered well; one of NaN was not sent."""
    latency = np.array(latency_s, np.float32)
    n = latency.size
    return RequestColumns(
        intended_s=ZERO_S + np.array(intended_s, np.float64),
        send_lag_s=np.where(np.isnan(latency), np.nan, send_lag_s).astype(np.float32),
        latency_s=latency,
        status=np.full(n, 200, np.uint16),
        name=np.zeros(n, np.int32),
        error=np.where(np.isnan(latency), 0, -1).astype(np.int32),
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=(NOT_SENT,),
    )


def stream(levels: Sequence[tuple[int, int, int]]) -> RequestColumns:
    """`n` requests open at every moment from `from_s` to `to_s`, each of them 1 s long."""
    due = [float(t) for n, from_s, to_s in levels for t in range(from_s, to_s) for _ in range(n)]
    return columns(due, [1.0] * len(due))


LOAD = stream([(2, 0, 20), (8, 20, 50), (2, 50, 80)])


def watched(*changes: tuple[float, int], until_s: float = 100.0) -> Timeline:
    """A look every half second; `changes` are (from when on, RUNNING)."""
    looks: list[ReplicaPoll] = []
    for half in range(round(2 * until_s) + 1):
        t_s = half / 2
        running = next(n for from_s, n in reversed(changes) if from_s <= t_s)
        looks.append(ReplicaPoll(ZERO_S + t_s - 0.01, ZERO_S + t_s, running, running, None))
    return Timeline(polls=tuple(looks), decisions=(), replicas=())


def described(timeout_s: float | None = 20.0, **changed: object) -> DeploymentInfo:
    config = {} if timeout_s is None else {"graceful_shutdown_timeout_s": timeout_s}
    return DeploymentInfo(autoscaling=SETTINGS | changed, config=config)


def recorded(
    deployments: dict[str, DeploymentInfo],
    rows: RequestColumns = LOAD,
    findings: tuple[LintFinding, ...] = (),
    watched: tuple[str, ...] | None = None,
) -> RecordedRun:
    info = RunInfo(
        schema_version=1,
        name="demo",
        status="complete",
        reason=None,
        versions=Versions("0.1.0", "2.43", "3.11.2", "2.60.0"),
        options={},
        plan=parse_plan("2rps:20s,8rps:30s,2rps:30s"),
        arrivals="constant",
        seed=0,
        clock=ClockInfo(ZERO_S - 2, 100.0),
        target=TargetInfo(
            host="http://h",
            dashboard="http://d",
            embedded=False,
            deployments=deployments,
            watched=tuple(sorted(deployments)) if watched is None else watched,
        ),
        probe=ProbeInfo(rate_per_s=2.0, budget_ratio=0.02),
        workers=1,
        zero_s=ZERO_S,
        planned_requests=rows.count,
        findings=findings,
    )
    empty = {f.name: () for f in msgspec.structs.fields(RecordedRun) if f.name not in _GIVEN}
    return RecordedRun(info=info, requests=rows, **empty)


_GIVEN = ("info", "requests")


def found(run: RecordedRun, timelines: dict[str, Timeline] | None = None) -> dict[str, LintFinding]:
    findings = lint_run(run, timelines or {}, STEPS, Concurrency(run.requests))
    return {finding.rule: finding for finding in findings}


# --- drain-shorter-than-requests -------------------------------------------------------------


def test_a_drain_shorter_than_the_slowest_request_is_found_with_both_numbers():
    run = recorded({KEY: described(20.0)}, columns([1.0, 2.0], [0.2, 26.0], send_lag_s=0.5))

    finding = found(run)["drain-shorter-than-requests"]

    assert finding.deployment == KEY
    assert finding.text.startswith(
        "graceful_shutdown_timeout_s 20 is shorter than the slowest request, 25.5 s from send "
    )
    assert finding.text.endswith("Set graceful_shutdown_timeout_s to 31 or more.")  # 1.2 x 25.5


@pytest.mark.parametrize("slowest_s", [20.0, 0.1])
def test_a_drain_as_long_as_the_slowest_request_is_well(slowest_s):
    assert found(recorded({KEY: described(20.0)}, columns([1.0], [slowest_s]))) == {}


def test_requests_that_failed_or_were_not_sent_are_not_drained_for():
    rows = columns([1.0, 2.0, 3.0], [0.2, 60.0, np.nan])
    rows.error[1] = 0

    assert slowest_service_s(rows) == pytest.approx(0.2)
    assert slowest_service_s(columns([], [])) is None


def test_deployments_of_one_time_out_share_a_finding():
    deployments = {"app/B": described(5.0), "app/A": described(5.0), "app/C": described(60.0)}

    finding = found(recorded(deployments, columns([1.0], [30.0])))["drain-shorter-than-requests"]

    assert finding.deployment is None
    assert finding.text.startswith("graceful_shutdown_timeout_s 5 of app/A, app/B is shorter ")


@pytest.mark.parametrize(
    "info",
    [
        DeploymentInfo(config={"graceful_shutdown_timeout_s": 5.0}),
        described(5.0, min_replicas=4),
        described(None),
    ],
)
def test_what_never_scales_down_or_tells_no_time_out_has_no_drain(info):
    assert found(recorded({KEY: info}, columns([1.0], [30.0]))) == {}


# --- idle-longer-than-worked -----------------------------------------------------------------


def test_usage_counts_the_replicas_beyond_the_minimum():
    policy = policy_of(described())
    assert policy is not None

    # 3 more from 26 to 60 s: worked until 50 s, idle for 10 s; before, none was there.
    usage = usage_of(policy, watched((0, 1), (26, 4), (60, 1)), Concurrency(LOAD), ZERO_S, STEPS)

    assert usage == Usage(worked_s=3 * 24, idle_s=3 * 10, most=3, left=0, longest_s=10)


def test_what_idles_before_the_load_ever_fell_does_not_count():
    policy = policy_of(described())
    assert policy is not None

    usage = usage_of(policy, watched((0, 4), (55, 1)), Concurrency(LOAD), ZERO_S, STEPS)

    assert usage == Usage(worked_s=3 * 30, idle_s=3 * 5, most=3, left=0, longest_s=5)


def test_a_hold_at_the_same_load_goes_on_with_what_was_before():
    policy = policy_of(described())
    assert policy is not None
    same = LoadStep(3, 60.0, 80.0, 2.0, 2.0)

    usage = usage_of(
        policy,
        watched((0, 1), (26, 4), (70, 1)),
        Concurrency(LOAD),
        ZERO_S,
        [
            *STEPS[:2],
            LoadStep(2, 50.0, 60.0, 8.0, 2.0),
            same,
        ],
    )

    assert usage == Usage(worked_s=3 * 24, idle_s=3 * 20, most=3, left=0, longest_s=20)


def test_nothing_watched_is_nothing_known():
    policy = policy_of(described())
    assert policy is not None
    nothing = Timeline(polls=(), decisions=(), replicas=())

    assert usage_of(policy, nothing, Concurrency(LOAD), ZERO_S, STEPS) is None
    assert usage_of(policy, watched((0, 1)), Concurrency(LOAD), ZERO_S, ()) is None


def test_replicas_that_idle_for_longer_than_they_worked_are_found_with_both():
    run = recorded({KEY: described(downscale_delay_s=600.0)})

    finding = found(run, {KEY: watched((0, 1), (26, 4))})["idle-longer-than-worked"]

    assert finding.deployment == KEY
    assert finding.text.startswith(
        "up to 3 replicas beyond min_replicas 1 worked for 72 replica-seconds and were idle for 150 "
        "after the load fell (3 still when watching ended): downscale_delay_s 600 keeps them "
    )
    assert "Set downscale_delay_s to 24, unless" in finding.text  # 72 / 3


@pytest.mark.parametrize(("delay_s", "is_found"), [(40.0, True), (10.0, False)])
def test_replicas_that_stay_for_much_longer_than_the_delay_are_kept_by_something_else(
    delay_s, is_found
):
    """They are idle from 50 to 100 s, all three of them."""
    settings = {"downscale_delay_s": delay_s, "look_back_period_s": 1.0, "upscale_delay_s": 1.0}
    run = recorded({KEY: described(**settings)})

    findings = found(run, {KEY: watched((0, 1), (46, 4))})

    assert ("idle-longer-than-worked" in findings) == is_found


def test_one_replica_that_idles_is_told_of_in_the_singular():
    run = recorded({KEY: described(downscale_delay_s=600.0)})

    finding = found(run, {KEY: watched((0, 1), (40, 2))})["idle-longer-than-worked"]

    assert finding.text.startswith(
        "up to 1 replica beyond min_replicas 1 worked for 10 replica-seconds and was idle for 50 "
    )


def test_a_suggested_delay_never_goes_below_the_look_back():
    settings = {"downscale_delay_s": 60.0, "look_back_period_s": 30.0, "upscale_delay_s": 30.0}
    run = recorded({KEY: described(**settings)})

    finding = found(run, {KEY: watched((0, 1), (45, 4), (100, 1))})["idle-longer-than-worked"]

    assert "Set downscale_delay_s to 30, unless" in finding.text  # they worked for 5 s each


@pytest.mark.parametrize("gone_s", [60.0, 74.0])
def test_replicas_that_idle_no_longer_than_they_worked_are_well(gone_s):
    run = recorded({KEY: described(downscale_delay_s=20.0)})

    assert found(run, {KEY: watched((0, 1), (26, 4), (gone_s, 1))}) == {}


def test_the_shortest_sane_delay_is_well_however_long_they_idle():
    run = recorded({KEY: described(downscale_delay_s=3.0)})

    assert found(run, {KEY: watched((0, 1), (48, 4))}) == {}


def test_of_a_policy_of_the_users_own_no_demand_is_known():
    policy = {"policy_function": "mine:policy"}
    run = recorded({KEY: described(downscale_delay_s=600.0, policy=policy)})

    assert found(run, {KEY: watched((0, 1), (26, 4))}) == {}


# --- all together ----------------------------------------------------------------------------


def test_what_the_start_recorded_comes_first_and_nothing_comes_twice():
    ours = LintFinding(None, "variable-read-nowhere", "RAY_SERVE_NOPE ...")
    stale = LintFinding(KEY, "delay-within-look-back", "as an older version put it")
    run = recorded({KEY: described(upscale_delay_s=1.0)}, findings=(ours, stale))

    findings = lint_run(run, {}, STEPS, Concurrency(run.requests))

    assert findings[0] == ours
    assert [f.rule for f in findings] == ["variable-read-nowhere", "delay-within-look-back"]
    assert "upscale_delay_s 1 is shorter" in findings[1].text


def test_deployments_that_were_not_watched_are_left_out():
    bad = described(upscale_delay_s=1.0)
    run = recorded({KEY: bad, "app/Other": bad}, watched=(KEY,))

    assert [f.deployment for f in lint_run(run, {}, STEPS, Concurrency(run.requests))] == [KEY]


def test_replicas_that_an_update_hides_count_as_at_work_and_not_as_idle():
    policy = policy_of(described())
    assert policy is not None
    # The second came when the update was over, and stayed for 5 s after the load fell.
    seen = watched((0, 1), (49, 4), (55, 1))

    usage = usage_of(
        policy, seen, Concurrency(LOAD), ZERO_S, STEPS, [Window(ZERO_S + 20, ZERO_S + 49)]
    )

    shown = usage_of(policy, seen, Concurrency(LOAD), ZERO_S, STEPS)
    assert shown is not None
    assert shown.idle_s > shown.worked_s
    assert usage is not None
    assert usage.worked_s >= 3 * 29
    assert usage.idle_s == 3 * 5
