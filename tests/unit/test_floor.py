"""The floor that a configuration implies, against docs/metrics.md's worked numbers and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis.lag.floor import (
    Ongoing,
    StartUp,
    crossing,
    delay_report,
    fastest_start,
    floor_down,
    floor_up,
    ongoing_around,
    wanted_before,
)
from reports.analysis.lag.policy import Policy, policy_of
from reports.analysis.lag.step_floor import StepFloor
from reports.analysis.lag.timeline import ReplicaLife
from reports.analysis.load.concurrency import Concurrency
from reports.model.intervals import Instant, Span, longer_than, point
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_info import DeploymentInfo
from tests.support.built.open_at import open_at

DEFAULTS = policy_of(DeploymentInfo(autoscaling={}))
START = StartUp(Span(1.5, 1.5, 1.5), Span(0.5, 0.5, 0.5))


def policy(**settings: object) -> Policy:
    found = policy_of(DeploymentInfo(autoscaling=settings))
    assert found is not None
    return found


def test_without_settings_those_of_ray_hold():
    assert DEFAULTS is not None
    assert (
        DEFAULTS.metrics_interval_s,
        DEFAULTS.look_back_period_s,
        DEFAULTS.upscale_delay_s,
        DEFAULTS.downscale_delay_s,
        DEFAULTS.downscale_to_zero_delay_s,
        DEFAULTS.sample_s,
    ) == (10.0, 30.0, 30.0, 600.0, 600.0, 6.0)


def test_a_fixed_number_of_replicas_has_no_policy():
    assert policy_of(DeploymentInfo(config={"num_replicas": 3})) is None


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("ray.serve.autoscaling_policy:default_autoscaling_policy", True),
        ("mine.policies:by_queue", False),
        ("my.module:my_default_autoscaling_policy", False),
    ],
)
def test_a_policy_of_ones_own_is_told_from_rays(name: str, default: bool):
    assert policy(policy={"policy_function": name}).default is default


@pytest.mark.parametrize(
    ("ray", "timed"), [("2.54.1", False), ("2.55.0", True), ("3.0.0.dev0", True), (None, False)]
)
def test_delays_of_a_policy_of_ones_own_are_rays_since_2_55(ray: str | None, timed: bool):
    info = DeploymentInfo(autoscaling={}, app_policy="mine.policies:for_all")
    found = policy_of(info, ray)

    assert found is not None
    assert (found.default, found.timed) == (False, timed)
    assert "its application has an autoscaling policy of its own" in (found.whose or "")


def test_a_target_of_0_which_ray_refuses_is_its_default():
    found = policy_of(DeploymentInfo(autoscaling={"target_ongoing_requests": 0}))

    assert found is not None
    assert found.target_ongoing_requests == 2.0


def test_an_external_scaler_has_no_delay_at_all():
    found = policy_of(DeploymentInfo(autoscaling={}, external_scaler=True), "2.60.0")

    assert found is not None
    assert not found.timed
    assert "external scaler" in (found.whose or "")


def test_metrics_md_defaults_cross_after_3_75_s_at_most():
    found = crossing(policy(), 2.0, Ongoing(1, 10))

    assert found is not None
    assert found.most_s == pytest.approx(3.75)
    assert found.least_s == pytest.approx(30 / 9)


def test_at_the_beginning_of_the_load_a_mean_over_what_there_is_may_cross_at_once():
    found = crossing(policy(look_back_period_s=1.0), 1.4, Ongoing(0, 2, young=True))
    later = crossing(policy(look_back_period_s=1.0), 1.4, Ongoing(0, 2))

    assert (found.least_s, later.least_s) == (0.0, pytest.approx(0.7))
    assert found.most_s == later.most_s


@pytest.mark.parametrize(("earlier", "young"), [((), True), (((-60.0, -59.0, 1),), False)])
def test_a_step_is_the_beginning_of_the_load_if_no_request_came_before(earlier, young):
    rows = open_at(1000.0, *earlier, (0.0, 10.0, 2))

    assert ongoing_around(Concurrency(rows), 1000.0, 10.0, None, policy()).young == young


def test_metrics_md_defaults_move_the_target_between_34_and_46_s_after_the_step():
    floor = floor_up(policy(), 1, Ongoing(1, 10), None)

    assert 33.5 <= floor.total_s <= 34.5
    assert 46 <= floor.worst_s <= 47


@settings(deadline=None)
@given(
    before=st.floats(0, 2), after=st.floats(2.1, 100), look_back=st.floats(0.5, 60),
)  # fmt: skip
def test_a_sliding_mean_crosses_exactly_when_its_integral_says(
    before: float, after: float, look_back: float
):
    found = crossing(policy(look_back_period_s=look_back), 2.0, Ongoing(before, after))

    assert found is not None
    u = found.least_s
    mean = ((look_back - u) * before + u * after) / look_back
    assert mean == pytest.approx(2.0) or u == 0.0
    assert found.most_s >= found.least_s - 1e-9


def test_to_none_at_all_the_mean_falls_for_the_whole_look_back():
    found = crossing(policy(look_back_period_s=3), 0.0, Ongoing(2, 0))

    assert found is not None
    assert (found.least_s, found.most_s) == (3.0, 3.0)


def test_no_more_than_enough_never_crosses():
    assert crossing(policy(), 4.0, Ongoing(1, 4)) is None


def test_maximum_and_minimum_cross_at_once_or_after_the_whole_look_back():
    found = {
        (kind, way): crossing(policy(aggregation_function=kind), 2.0, ongoing)
        for kind in ("max", "min")
        for way, ongoing in (("up", Ongoing(1, 10)), ("down", Ongoing(10, 1)))
    }

    seconds = {at: c.least_s for at, c in found.items() if c is not None}
    assert seconds == {
        ("max", "up"): 0.0,
        ("max", "down"): 30.0,
        ("min", "up"): 30.0,
        ("min", "down"): 0.0,
    }


def test_a_scale_up_waits_for_detection_delay_three_turns_and_the_fastest_start():
    floor = floor_up(
        policy(metrics_interval_s=1, look_back_period_s=3, upscale_delay_s=2),
        1, Ongoing(1, 7), START, loop_s=0.1,
    )  # fmt: skip

    assert floor.detect_s == pytest.approx(0.5)
    assert floor.total_s == pytest.approx(0.5 + 2 + 0.3 + 2.0)
    assert floor.configured_s == pytest.approx(2.8)
    # r + max(p, u) + U + 4 c + start, with r = min(0.2 L, p) and u = L (n T - Q0) / (Q1 - n T).
    assert floor.worst_s == pytest.approx(0.6 + 1 + 2 + 0.4 + 2.0)


def started(submitted: float, allocated: Instant, running: Instant, **more: Instant) -> ReplicaLife:
    at = Instant(submitted, submitted, "state")
    return ReplicaLife("r", at, submitted=at, allocated=allocated, running=running, **more)


def test_the_fastest_start_up_holds_what_each_may_have_taken():
    watched = started(0.0, Instant(2.8, 3.2), Instant(2.9, 3.4))
    unseen = started(0.0, Instant(0.0, 5.0), Instant(0.0, 5.0))

    found = fastest_start([watched, unseen])

    assert found is not None
    assert found.is_joined
    # The one that nobody watched may have come at once; how long it took, only the other tells.
    assert (found.allocate.lo, found.allocate.hi) == (0.0, 3.2)
    assert found.allocate.value == pytest.approx(3.0)
    assert found.initialize.lo == 0.0
    assert found.initialize.hi == pytest.approx(0.6)


def test_initialize_by_polls_may_have_taken_no_time_and_by_logs_is_a_point():
    logged = started(0.0, Instant(2.8, 3.2), Instant(4.9, 5.4),
                     entered=point(3.0), initialized=point(4.0))  # fmt: skip
    polled = started(0.0, Instant(2.8, 3.2), Instant(4.9, 5.4))

    exact, by_polls = fastest_start([logged]), fastest_start([polled])

    assert exact == StartUp(Span(3.0, 3.0, 3.0), Span(1.0, 1.0, 1.0))
    assert by_polls is not None
    assert (by_polls.initialize.lo, by_polls.initialize.hi) == pytest.approx((0.0, 2.6))


def test_excess_is_as_uncertain_as_the_fastest_start_up():
    start = StartUp(Span(1.5, 1.0, 2.0), Span(0.5, 0.0, 0.6), is_joined=True)

    settings = policy(metrics_interval_s=1, look_back_period_s=3, upscale_delay_s=2)
    floor = floor_up(settings, 1, Ongoing(1, 7), start)

    assert (floor.least_s, floor.total_s, floor.most_s) == pytest.approx((3.8, 4.8, 5.4))
    assert StepFloor((), floor).excess(Span(9.0, 8.9, 9.1)) == Span(
        pytest.approx(4.2), pytest.approx(3.5), pytest.approx(5.3)
    )
    assert StepFloor((), floor).excess(Span(None, 8.0, None)) == longer_than(pytest.approx(2.6))


def test_from_zero_the_delay_is_bypassed():
    floor = floor_up(policy(), 0, Ongoing(0, 5), START)

    assert (floor.detect_s, floor.delay_s) == (0.0, 0.0)


def test_from_zero_to_several_goes_by_way_of_one_and_the_delay_counts_for_the_rest():
    """0 -> 1 at once; that replica runs; U; the others start: two starts of 2.0 s, six turns."""
    floor = floor_up(policy(upscale_delay_s=4), 0, Ongoing(0, 5), START, 0.1, settled=3)

    assert floor.delay_s == 4.0
    assert floor.total_s == pytest.approx(2.0 + 4.0 + 2.0 + 0.6)
    assert floor.replica_words("up") == "2 start-ups, one after another"


def test_a_floor_with_one_start_up_names_the_fastest():
    floor = floor_up(policy(upscale_delay_s=4), 1, Ongoing(1, 5), START, 0.1, settled=3)

    assert floor.replica_words("up") == "the fastest start-up"
    assert floor.replica_words("down") == "the shortest drain"


@pytest.mark.parametrize(
    ("settled", "factor", "delays"),
    [(1, None, ()), (2, None, (30.0,)), (2, 1.5, ()), (3, 1.5, (30.0,))],
)  # fmt: skip
def test_the_upscaling_factor_says_how_many_come_first_from_zero(settled, factor, delays):
    assert policy(upscaling_factor=factor).delays(0, settled) == delays


@pytest.mark.parametrize(
    ("settings_", "way", "seen", "delays"),
    [
        # ceil(n + 0.3 (4 - n)): 1 -> 2 -> 3 -> 4
        ({"upscaling_factor": 0.3, "upscale_delay_s": 5}, (1, 4), None, 3 * (5.0,)),
        # ceil(n + 0.5 (1 - n)): 8 -> 5 -> 3 -> 2, which would stay and is one less: 1
        ({"downscaling_factor": 0.5, "downscale_delay_s": 60}, (8, 1), None, 4 * (60.0,)),
        ({"downscaling_factor": 0.5, "downscale_delay_s": 60}, (8, 1), 2, 2 * (60.0,)),
        ({"upscaling_factor": 3, "upscale_delay_s": 5}, (1, 4), None, (5.0,)),
        ({"upscaling_factor": 0.5, "upscale_delay_s": 5}, (0, 3), None, 2 * (5.0,)),  # 1 -> 2 -> 3
        ({"upscaling_factor": 0.5, "upscale_delay_s": 5}, (0, 3), 2, (5.0,)),
    ],
)
def test_a_factor_below_1_makes_several_decisions_each_with_its_delay(settings_, way, seen, delays):
    assert policy(**settings_).delays(*way, seen) == delays


def test_between_the_decisions_of_a_factor_up_replicas_have_to_start():
    """Ray goes on from those that are RUNNING."""
    found = floor_up(policy(upscaling_factor=0.3, upscale_delay_s=5), 1, None, START, None, 4)

    assert (found.delay_s, found.replica_s) == (15.0, 3 * 2.0)
    assert found.loop_s == pytest.approx(3 * 3 * 0.1)


def test_before_2_50_all_replicas_go_to_zero_in_one_decision():
    """The payload of such a Ray has no downscale_to_zero_delay_s, not even a null one."""
    old, new = (
        policy(downscale_delay_s=5),
        policy(downscale_delay_s=5, downscale_to_zero_delay_s=None),
    )

    assert floor_down(old, 3, 0, None).delay_s == 5.0
    assert floor_down(new, 3, 0, None).delay_s == 10.0


def test_the_last_gang_goes_as_one():
    gangs = DeploymentInfo(
        autoscaling={"downscale_delay_s": 5, "downscale_to_zero_delay_s": 10},
        config={"gang_scheduling_config": {"gang_size": 2}},
    )
    found = policy_of(gangs)

    assert found is not None
    assert found.delays(4, 0) == (5.0, 10.0)
    assert found.delays(2, 0) == (10.0,)


def test_a_replica_that_stays_reachable_for_balancers_drains_for_that_long():
    info = DeploymentInfo(autoscaling={}, least_drain_s=30.0)
    found = policy_of(info)

    assert found is not None
    assert floor_down(found, 2, 1, None).replica_s == 30.0


def test_a_scale_down_waits_for_its_delay_and_the_shortest_drain():
    settings = policy(look_back_period_s=3, downscale_delay_s=5, metrics_interval_s=1)

    floor = floor_down(settings, 4, 1, Ongoing(8, 1))

    # The delay begins when 3 replicas would do: the mean falls below 6 after 3 * 2/7 s.
    assert floor.detect_s == pytest.approx(6 / 7)
    assert floor.total_s == pytest.approx(6 / 7 + 5 + 0.2 + 2)


@pytest.mark.parametrize(("replicas", "delay_s"), [(3, 15.0), (1, 10.0)])
def test_to_zero_goes_by_way_of_one(replicas: int, delay_s: float):
    settings = policy(downscale_delay_s=5, downscale_to_zero_delay_s=10)

    assert floor_down(settings, replicas, 0, None).delay_s == delay_s


@pytest.mark.parametrize(
    ("up", "before", "expected"), [(True, 5.0, True), (True, 4.0, False),
                                   (False, 1.9, True), (False, 2.0, False)],
)  # fmt: skip
def test_what_was_wanted_before_the_step_is_known(up: bool, before: float, expected: bool):
    assert wanted_before(policy(), 2, Ongoing(before, 20), up=up) is expected


def test_the_delay_in_effect_is_bounded_by_when_it_could_have_begun():
    settings = policy(metrics_interval_s=0.2, look_back_period_s=1, upscale_delay_s=2)
    floor = floor_up(settings, 1, Ongoing(2, 8), None)

    found = delay_report(Span(2.9, 2.9, 2.9), settings, floor, loop_s=0.5)

    assert found is not None
    # Sampled every 0.2 s, pushed every 0.2 s.
    assert (found.effective_s.lo, found.effective_s.hi) == pytest.approx((2.5, 2.9))
    assert (found.configured_s, found.loop_s) == (2.0, 0.5)


def rows(*spans: tuple[float, float]) -> RequestColumns:
    """Requests open from the first to the second moment of each; sent 0.5 s after they were due."""
    begun = np.array([a for a, _ in spans], np.float64)
    n = len(spans)
    return RequestColumns(
        intended_s=begun - 0.5,
        send_lag_s=np.full(n, 0.5, np.float32),
        latency_s=np.array([b - a + 0.5 for a, b in spans], np.float32),
        status=np.full(n, 200, np.uint16),
        name=np.zeros(n, np.int32),
        error=np.full(n, -1, np.int32),
        worker=np.zeros(n, np.uint16),
        names=("GET /",),
        errors=(),
    )


def test_open_requests_are_averaged_over_the_window_from_send_to_answer():
    open_ = Concurrency(rows((0.0, 4.0), (2.0, 3.0), (3.5, 9.0)))

    assert open_.mean(0.0, 4.0) == pytest.approx((4 + 1 + 0.5) / 4, abs=1e-5)
    assert open_.mean(5.0, 5.0) is None
