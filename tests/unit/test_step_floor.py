"""Floor, delay and the split of `decide` for one step, by the kind of policy and the way it goes."""

from typing import Any

import pytest

from reports.analysis.lag.floor import StartUp
from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.movements import Movement
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.step_floor import ScalingSetup, StepFloor, step_floor
from reports.analysis.lag.step_lag import StepLag
from reports.analysis.lag.timeline import ReplicaLife, Timeline
from reports.analysis.load.concurrency import Concurrency
from reports.analysis.load.open_requests import OpenRequests
from reports.model.intervals import Instant, Span, point
from reports.model.steps import Phase, PhaseName
from scalelag.plan.stages import LoadStep
from scalelag.record.run_info import DeploymentInfo
from tests.support.built.open_at import open_at

BEGUN_S = 100.0
QUICK = {
    "min_replicas": 0,
    "metrics_interval_s": 1.0,
    "look_back_period_s": 2.0,
    "upscale_delay_s": 3.0,
    "downscale_delay_s": 5.0,
    "downscale_to_zero_delay_s": 8.0,
}
DOWN = LoadStep(1, 40.0, 100.0, 8.0, 0.0)
UP = LoadStep(1, 40.0, 100.0, 0.0, 8.0)

START = StartUp(Span(0.5, 0.5, 0.5), Span(0.5, 0.5, 0.5))


def measured(name: PhaseName, seconds: float) -> Phase:
    return Phase(name, seconds, seconds, seconds, "log")


def lag_of(answer: Movement, before: int, after: int, total_s: float, *phases: Phase) -> StepLag:
    return StepLag(
        direction=answer.direction,
        replicas_before=before,
        replicas_after=after,
        target_before=before,
        target_after=after,
        total_s=Span(total_s, total_s, total_s),
        phases=phases,
        answer=answer,
    )


def found(
    step: LoadStep,
    before: int,
    after: int,
    decisions: list[tuple[float, int, int]],
    total_s: float,
    *,
    ray: str = "2.60.0",
    running: float | None = None,
    drain_s: float = 2.0,
    may_hide_drain: bool = False,
    without: str | None = None,
    open_requests: OpenRequests | None = None,
    start: StartUp | None = START,
    blind_s: float = 0.0,
    **info: Any,
) -> StepFloor:
    """Floor of a step with decisions at these seconds after it."""
    made = tuple(
        Decision(
            Instant(BEGUN_S + at_s - blind_s, BEGUN_S + at_s), a, b, perhaps_several=blind_s > 0
        )
        for at_s, a, b in decisions
    )
    phases = [measured("decide", decisions[-1][0])]
    if step is DOWN:
        phases.append(measured("drain", drain_s))
    lag = lag_of(Movement(step.direction, made), before, after, total_s, *phases)
    lives = ()
    if running is not None:
        ran = point(BEGUN_S + running)
        lives = (ReplicaLife(replica="a", listed=point(BEGUN_S), running=ran),)
    settings = {name: value for name, value in QUICK.items() if name != without}
    described = DeploymentInfo(autoscaling=settings, **info)
    setup = ScalingSetup(
        timeline=Timeline(polls=(), decisions=made, replicas=lives),
        policy=policy_of(described, ray),
        open_requests=open_requests,
        start=start,
        loop_s=0.1,
        may_hide_drain=may_hide_drain,
    )
    return step_floor(setup, step, lag, BEGUN_S)


def parts(floor: StepFloor) -> dict[str, float | None]:
    return {p.name: p.value for p in floor.phases if p.part_of == "decide"}


def test_three_to_none_has_two_delays_and_the_first_decision_shows_the_first():
    floor = found(DOWN, 3, 0, [(7.0, 3, 1), (15.5, 1, 0)], total_s=18.0)

    assert floor.floor is not None
    # 5 s and 8 s of delays, two turns of 0.1 s, and a drain of 2 s.
    assert floor.floor.total_s == pytest.approx(5 + 8 + 0.2 + 2)
    excess = floor.excess(Span(18.0, 17.5, 18.5))
    assert excess is not None
    assert (excess.value, excess.lo, excess.hi) == pytest.approx((2.8, 2.3, 3.3))
    assert parts(floor) == {"detect": 2.5, "delay": 13.0}
    assert floor.delay is not None
    assert floor.delay.configured_s == 5.0
    assert floor.delay.effective_s.hi == 7.0


@pytest.mark.parametrize(("blind_s", "delay_s"), [(2.9, 3.0), (3.1, None)])
def test_what_polling_saw_as_one_decision_may_have_waited_for_several_delays(
    blind_s: float, delay_s: float | None
):
    floor = found(UP, 1, 3, [(7.0, 1, 3)], total_s=9.0, blind_s=blind_s)

    assert parts(floor)["delay"] == delay_s


def test_one_to_none_waits_for_the_last_delay_alone():
    floor = found(DOWN, 1, 0, [(9.0, 1, 0)], total_s=11.5)

    assert floor.floor is not None
    assert floor.floor.delay_s == 8.0
    assert floor.delay is not None
    assert floor.delay.configured_s == 8.0


def test_before_2_50_none_is_one_decision():
    floor = found(DOWN, 3, 0, [(6.0, 3, 0)], total_s=8.3, without="downscale_to_zero_delay_s")

    assert floor.floor is not None
    assert floor.floor.delay_s == 5.0
    assert parts(floor) == {"detect": 1.0, "delay": 5.0}


def test_a_run_without_a_start_up_gives_no_floor_on_the_way_up():
    floor = found(UP, 1, 2, [(3.5, 1, 2)], total_s=9.0, start=None)

    assert (floor.floor, floor.excess(Span(9.0, 9.0, 9.0))) == (None, None)
    assert "no start-up of a replica was measured" in floor.reason
    assert found(DOWN, 1, 0, [(9.0, 1, 0)], total_s=11.5, start=None).floor is not None


def test_none_to_one_waits_for_no_delay():
    floor = found(UP, 0, 1, [(1.2, 0, 1)], total_s=2.5, running=2.5)

    assert floor.floor is not None
    assert floor.floor.total_s == pytest.approx(0.3 + 1.0)
    assert parts(floor) == {"detect": 1.2, "delay": 0.0}
    assert floor.delay is None


def test_none_to_four_waits_for_the_first_to_run_and_then_for_the_delay():
    floor = found(UP, 0, 4, [(1.0, 0, 1), (6.0, 1, 4)], total_s=7.5, running=2.5)

    assert floor.floor is not None
    assert floor.floor.delay_s == 3.0
    assert floor.floor.total_s == pytest.approx(3.0 + 2 * 1.0 + 0.6)
    assert parts(floor) == {"detect": 3.0, "delay": 3.0}
    assert floor.delay is not None
    # Wanted since the first one ran, 2.5 s; known 0.4 + 1 s later at most.
    assert floor.delay.effective_s.hi == pytest.approx(3.5)
    assert floor.delay.effective_s.lo == pytest.approx(3.5 - 1.4)


def test_a_policy_of_the_application_has_a_floor_since_2_55():
    floor = found(DOWN, 3, 1, [(6.0, 3, 1)], total_s=8.5, app_policy="mine:for_all")

    assert floor.floor is not None
    assert floor.floor.delay_s == 5.0
    assert floor.floor.detect_s == 0.0


def test_before_2_55_it_has_none_and_says_why():
    floor = found(DOWN, 3, 1, [(6.0, 3, 1)], 8.5, ray="2.54.1", app_policy="mine:for_all")

    assert floor.floor is None
    assert floor.reason == (
        "its application has an autoscaling policy of its own, mine:for_all: what that wants is not "
        "known; its delays apply to such a policy since Ray 2.55 only"
    )


def test_an_external_scaler_has_no_floor():
    floor = found(DOWN, 3, 1, [(6.0, 3, 1)], 8.5, external_scaler=True)

    assert floor.floor is None
    assert "external scaler" in (floor.reason or "")


def test_a_drain_of_30_s_may_be_that_of_a_proxy_that_cannot_be_seen():
    floor = found(DOWN, 3, 1, [(6.0, 3, 1)], 37.0, drain_s=30.4, may_hide_drain=True)

    assert floor.floor is not None
    assert "RAY_SERVE_ENABLE_HA_PROXY" in (floor.reason or "")


def test_a_drain_of_30_s_that_is_known_is_in_the_floor():
    floor = found(DOWN, 3, 1, [(6.0, 3, 1)], 37.0, drain_s=30.4, least_drain_s=30.0)

    assert floor.floor is not None
    assert floor.floor.total_s == pytest.approx(5 + 0.2 + 30)
    assert floor.reason is None


def holding(*levels: tuple[float, float, int]) -> OpenRequests:
    """So many open requests from and until seconds after the step."""
    return Concurrency(open_at(BEGUN_S, *levels))


def test_a_decision_that_came_late_has_a_floor_though_more_was_wanted_before():
    # 1 replica for 2 open requests, 5 open since long before the step.
    more = holding((-20.0, 0.0, 5), (0.0, 30.0, 9))

    late = found(UP, 1, 4, [(16.8, 1, 4)], total_s=18.0, open_requests=more)
    sooner = found(UP, 1, 4, [(2.0, 1, 4)], total_s=3.2, open_requests=more)
    as_soon = found(UP, 1, 4, [(3.1, 1, 4)], total_s=4.3, open_requests=more)

    assert late.floor is not None
    # The delay of 3 s, three turns of 0.1 s, a start of 1 s: all of it after the step.
    assert late.floor.total_s == pytest.approx(4.3)
    assert late.delay is None
    assert not late.wanted_before
    assert sooner.wanted_before
    assert as_soon.wanted_before


def test_a_backlog_after_a_step_down_is_in_the_floor_and_no_delay_in_effect():
    backlog = holding((-20.0, 5.0, 12), (5.0, 40.0, 1))
    gone = holding((-20.0, 0.0, 12), (0.0, 40.0, 1))

    slow = found(DOWN, 3, 1, [(11.0, 3, 1)], total_s=13.5, open_requests=backlog)
    quick = found(DOWN, 3, 1, [(6.0, 3, 1)], total_s=8.5, open_requests=gone)

    assert slow.floor is not None
    assert quick.floor is not None
    assert slow.floor.backlog_s == pytest.approx(5.0, abs=0.26)
    assert quick.floor.backlog_s == 0.0
    assert slow.floor.total_s - quick.floor.total_s == pytest.approx(5.0, abs=0.3)
    assert slow.floor.configured_s == pytest.approx(quick.floor.configured_s, abs=0.3)
    assert slow.delay is not None
    assert slow.delay.effective_s.lo <= 5.0 <= slow.delay.effective_s.hi
    assert slow.delay.effective_s.hi < 6.5
    assert slow.reason is not None
    assert "requests from before it still asked for every replica" in slow.reason


def test_a_backlog_that_the_autoscaler_did_not_see_is_cut_at_its_decision():
    unseen = holding((-20.0, 20.0, 12), (20.0, 40.0, 1))

    floor = found(DOWN, 3, 1, [(7.0, 3, 1)], total_s=9.2, open_requests=unseen)

    excess = floor.excess(Span(9.2, 9.2, 9.2))
    assert excess is None or excess.lo >= -0.01


@pytest.mark.parametrize(
    ("levels", "is_told"),
    [
        ([(-20.0, 0.0, 1), (0.0, 40.0, 9)], True),
        # It fell back, so that the delay began anew.
        ([(-20.0, 0.0, 1), (0.0, 10.0, 9), (10.0, 14.0, 1), (14.0, 40.0, 9)], False),
        (None, False),
    ],
)
def test_a_delay_in_effect_is_told_only_if_more_was_wanted_all_the_time(levels, is_told):
    requests = holding(*levels) if levels else None

    floor = found(UP, 1, 4, [(20.0, 1, 4)], total_s=22.0, open_requests=requests)

    assert (floor.delay is not None) is is_told
    assert ("when the delay began is not known" in (floor.reason or "")) is not is_told


def test_a_delay_in_effect_begins_when_the_load_came_and_not_with_its_ramp():
    # 1 replica for 2 open requests: the ramp brings a third 8 s after it began.
    ramp = holding((-20.0, 40.0, 1), (4.0, 40.0, 1), (8.0, 40.0, 3))
    at_once = holding((-20.0, 0.0, 1), (0.0, 40.0, 9))

    slowly = found(UP, 1, 4, [(12.0, 1, 4)], total_s=14.0, open_requests=ramp).delay
    quickly = found(UP, 1, 4, [(12.0, 1, 4)], total_s=14.0, open_requests=at_once).delay

    assert slowly is not None
    assert quickly is not None
    assert (slowly.effective_s.lo <= 3.0, slowly.effective_s.hi) == (True, 12.0)
    assert quickly.effective_s.lo > 8.0


def test_a_delay_as_configured_is_told_without_the_open_requests():
    assert found(UP, 1, 4, [(3.5, 1, 4)], total_s=5.0).delay is not None


def test_replicas_that_an_earlier_decision_takes_away_are_not_what_fewer_were_wanted_than():
    # 6 are RUNNING still, but the target is 3: for 5 open requests at 2 each nothing less will do.
    few = holding((-20.0, 0.0, 5), (0.0, 30.0, 0))
    fewer = holding((-20.0, 0.0, 3), (0.0, 30.0, 0))

    floor = found(DOWN, 6, 0, [(5.2, 3, 1), (13.4, 1, 0)], total_s=15.5, open_requests=few)
    before = found(DOWN, 6, 0, [(5.1, 3, 1), (13.4, 1, 0)], total_s=15.5, open_requests=fewer)

    assert not floor.wanted_before
    assert floor.floor is not None
    assert floor.floor.delay_s == 13.0
    assert before.wanted_before


def test_replicas_that_an_earlier_decision_brings_count_for_what_more_is_wanted_than():
    # 2 are RUNNING, and 2 on their way: 7 open requests ask for no more than those.
    some = holding((-20.0, 0.0, 7), (0.0, 30.0, 20))

    floor = found(UP, 2, 8, [(3.1, 4, 8)], total_s=4.3, open_requests=some)

    assert not floor.wanted_before
    assert floor.floor is not None
