"""Figures of the controller, of nodes, and of RUNNING over target."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.controller import controller_report, nodes_report, over_target
from reports.analysis.lag.timeline import build_timeline
from reports.model.intervals import Window
from scalelag.record.evidence_rows import CLUSTER_STATUS, ClusterSnapshot, NoLog
from scalelag.record.rows import ControllerHealth, DeploymentPoll, Gap, Poll
from tests.unit.recorded_runs import KEY, ZERO_S, recorded

PARTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=2, max_size=12)


def polled(at_s, running=1, target=1, **health):
    controller = ControllerHealth(**health) if health else None
    seen = {KEY: DeploymentPoll({"RUNNING": running}, target)}
    return Poll(ZERO_S + at_s, ZERO_S + at_s, 200, seen, controller)


def run_with(*polls, **changed):
    return msgspec.structs.replace(recorded(), polls=polls, **changed)


def test_quantiles_are_over_the_polls_and_delays_are_the_most_of_both_kinds():
    polls = [
        polled(n, loop_mean_s=n / 100, loop_max_s=0.5, handle_metrics_delay_ms=n, asyncio_tasks=n)
        for n in range(21)
    ]
    late = polled(21, loop_mean_s=0.1, loop_max_s=0.7, replica_metrics_delay_ms=80.0)

    found = controller_report(run_with(*polls, late))

    assert found.loop_p50_s == pytest.approx(0.1)
    assert found.loop_p95_s == pytest.approx(0.1895)
    assert found.loop_max_s == 0.7
    assert found.metrics_delay_max_s == pytest.approx(0.08)
    assert found.asyncio_tasks_max == 20
    assert found.reason is None


def test_memory_grows_within_one_controller_and_a_restart_begins_anew():
    values = [(0, 1.0, 100.0), (1, 1.0, 130.0), (2, 9.0, 60.0), (3, 9.0, 65.0)]
    polls = [polled(at_s, start_time_s=since, memory_mb=mb) for at_s, since, mb in values]

    found = controller_report(run_with(*polls))

    assert found.memory_growth_mb == pytest.approx(35.0)
    assert found.memory_max_mb == 130.0


def test_rates_are_of_counters_that_one_controller_told():
    values = [(0, 1.0, 100, 10), (2, 1.0, 120, 14), (3, 9.0, 5, 0), (5, 9.0, 25, 6)]
    polls = [
        polled(at_s, start_time_s=since, loops=loops, handle_reports=reports)
        for at_s, since, loops, reports in values
    ]

    found = controller_report(run_with(*polls))

    assert found.loops_per_s == pytest.approx(10.0)
    assert found.reports_per_s == pytest.approx(2.5)


def test_what_was_before_the_plan_does_not_count():
    found = controller_report(run_with(polled(-2, loop_mean_s=9.0), polled(1, loop_mean_s=0.01)))

    assert found.loop_p95_s == pytest.approx(0.01)


def test_a_version_that_does_not_tell_is_the_reason():
    found = controller_report(run_with(polled(0), polled(1)))

    assert found.loop_p50_s is None
    assert "does not tell the health of its controller" in found.reason
    assert controller_report(run_with()).reason == "no poll was answered"


def test_nodes_are_those_of_the_cluster_status():
    snapshots = (
        ClusterSnapshot(0, 0, active={"head": 1}),
        ClusterSnapshot(1, 1, active={"head": 1}, pending=("a", "b"), failed=("c",)),
        ClusterSnapshot(2, 2, active={"head": 1, "worker": 2}, failed=("c",)),
    )

    found = nodes_report(run_with(snapshots=snapshots))

    assert (found.min, found.max, found.final) == (1, 3, 3)
    assert (found.pending_max, found.failed) == (2, 1)
    unread = (NoLog("no such page", file=CLUSTER_STATUS),)
    assert nodes_report(run_with(snapshots=(), unread=unread)).reason == "no such page"


def ratio_of(polls, gaps=(), window=(0.0, 100.0)):
    own = Window(ZERO_S + window[0], ZERO_S + window[1])
    unseen = [Window(gap.from_s, gap.to_s) for gap in gaps]
    return over_target(build_timeline(KEY, polls, ()).polls, unseen, own)


def test_running_over_target_is_weighed_by_time_and_is_at_most_1():
    polls = [polled(0, 1, 1), polled(6, 1, 4), polled(8, 4, 4), polled(9, 4, 1), polled(10, 1, 1)]

    found = ratio_of(polls)

    assert found.mean == pytest.approx((6 * 1 + 2 * 0.25 + 1 + 1) / 10)
    assert found.min == 0.25


def test_gaps_and_times_without_a_target_are_left_out():
    polls = [polled(0, 1, 2), polled(4, 0, 0), polled(8, 2, 2), polled(12, 2, 2)]
    gap = Gap(ZERO_S + 1, ZERO_S + 4, "no answer", 1)

    assert ratio_of(polls, [gap]).mean == pytest.approx((1 * 0.5 + 4 * 1) / 5)
    assert ratio_of(polls, window=(8.0, 12.0)).min == 1.0
    assert ratio_of(polls[1:2]).reason == "no target above 0 was seen"


@given(PARTS)
def test_the_mean_lies_between_the_least_and_1(parts):
    polls = [polled(n, running, target) for n, (running, target) in enumerate(parts)]

    found = ratio_of(polls)

    if found.mean is None:
        assert all(target == 0 for _, target in parts[:-1])
    else:
        assert 0 <= found.min <= found.mean + 1e-9 <= 1 + 2e-9
