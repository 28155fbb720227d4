"""A recorded run in, how well its replicas followed the demand out."""

import msgspec
import pytest

from scalelag.record.run_info import (
    DeploymentInfo,
    RunInfo,
)
from tests.unit.recorded_runs import KEY, NO_REQUESTS, info, recorded, report_of, watch

# --- elasticity --------------------------------------------------------------------------------


def scaling(*watched: str, **options: object) -> RunInfo:
    """A deployment that wants 1 replica for 5 rps of 50 ms, and 3 for 40 rps."""
    config = {"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 0.7}
    target = msgspec.structs.replace(
        info().target,
        deployments={KEY: DeploymentInfo(autoscaling=config)},
        watched=(KEY, *watched),
    )
    return info(target=target, options=dict(options))


def test_a_report_tells_how_well_the_replicas_followed():
    found = report_of(recorded(scaling())).deployments[KEY]

    # Of 80 s of load, 2 replicas too few from 20 to 27 s and 2 too many from 60 to 71 s.
    elastic = found.elasticity
    assert (elastic.demand, elastic.demand_reason, elastic.reason) == ("policy", None, None)
    assert (elastic.watched_s, elastic.unwatched_s) == (80.0, 0.0)
    for figure, truth in [
        (elastic.under_replica_s, 14),
        (elastic.over_replica_s, 22),
        (elastic.under_replicas, 14 / 80),
        (elastic.over_replicas, 22 / 80),
        (elastic.tau_u_pct, 100 * 7 / 80),
        (elastic.tau_o_pct, 100 * 11 / 80),
        (elastic.theta_u_pct, 100 * 7 * 2 / 3 / 80),
        (elastic.theta_o_pct, 100 * 11 * 2 / 80),
        (elastic.replica_hours, (80 + 2 * 44) / 3600),
        (elastic.replica_hours_over, 22 / 3600),
    ]:
        assert figure is not None
        assert figure.lo <= truth <= figure.upper
        assert figure.upper - figure.lo < 0.09 * truth
    assert elastic.jitter_per_min == 0
    assert found.flapping.direction_reversals == 0


def test_each_step_has_its_response():
    start, up, down, end = report_of(recorded(scaling())).deployments[KEY].steps

    assert [
        (s.response.demand_before, s.response.demand_after) for s in (start, up, down, end)
    ] == [
        (1, 1),
        (1, 3),
        (3, 1),
        (1, 1),
    ]
    assert start.response.reason == "the demand stayed at 1"
    for step, truth in ((up, 7), (down, 11)):
        for figure in (step.response.dead_time_s, step.response.settling_s):
            assert figure is not None
            assert figure.lo <= truth <= figure.upper
        assert step.response.overshoot_pct == 0


def test_a_gap_is_left_out_of_elasticity():
    found = report_of(recorded(scaling(), rows=watch(blind=[range(22, 32)]))).deployments[KEY]

    # 2 too few are left from 20 to 22 s.
    assert (found.elasticity.watched_s, found.elasticity.unwatched_s) == (70.0, 10.0)
    assert found.elasticity.under_replica_s is not None
    assert found.elasticity.under_replica_s.value == pytest.approx(4)


def test_the_demand_among_several_deployments_is_null_with_a_reason():
    found = report_of(recorded(scaling("app/Other"))).deployments

    model, other = found[KEY].elasticity, found["app/Other"].elasticity
    assert (model.demand, model.theta_u_pct) == (None, None)
    assert model.demand_reason is not None
    assert "this deployment of several cannot be told" in model.demand_reason
    assert model.replica_hours is not None
    assert other.reason == "the probe never saw this deployment"
    assert found[KEY].steps[1].response.reason == model.demand_reason


def test_the_capacity_of_a_replica_is_taken_from_the_runs_options():
    found = report_of(recorded(scaling(capacity_rps=10.0))).deployments[KEY]

    # 40 rps want 4 of 10 rps: 3 too few until 27 s, 1 from then until 60 s.
    assert (found.elasticity.demand, found.elasticity.capacity_rps) == ("capacity", 10.0)
    assert found.steps[1].response.demand_after == 4
    assert found.elasticity.under_replica_s is not None
    assert (
        found.elasticity.under_replica_s.lo <= 3 * 7 + 33 <= found.elasticity.under_replica_s.upper
    )


def test_a_run_killed_before_anything_was_recorded_has_no_elasticity():
    killed = info(status="interrupted", reason="killed", load_ended_s=None, watched_until_s=None)

    found = report_of(recorded(killed, NO_REQUESTS, [])).deployments[KEY]

    assert found.elasticity.reason == "the probe never saw this deployment"
    assert found.flapping.reason == "the probe never saw this deployment"


def test_gates_reach_elasticity_and_flapping():
    report = report_of(
        recorded(scaling()),
        "elasticity.theta_u_pct <= 15",
        "Model:elasticity.over_replicas <= 0.1",
        "flapping.reversals_per_min <= 1",
    )

    assert [gate.verdict for gate in report.gates] == ["pass", "fail", "pass"]
