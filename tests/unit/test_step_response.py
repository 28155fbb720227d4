"""Step responses and flapping, against docs/metrics.md's worked numbers and by hand."""

import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.elasticity.step_response import flapping, step_response
from reports.analysis.elasticity.supply import Change, Supply
from reports.analysis.lag.log_times import Decision
from reports.model.elasticity import ResponseReport
from reports.model.intervals import Instant, Span, Window, longer_than, point

ALWAYS = Window(-1e9, 1e9)
HOLD = Window(0.0, 90.0)
moves = st.dictionaries(st.integers(1, 89), st.integers(0, 9), max_size=12)


def running(before: int, *then: tuple[float, int], width_s: float = 0.0) -> Supply:
    """RUNNING `before`, then each level from its moment on, known to `width_s` around it."""
    changes: list[Change] = []
    level = before
    for at_s, after in sorted(then):
        if after != level:
            at = Instant(at_s - width_s / 2, at_s + width_s / 2)
            changes.append(Change(at, after - level))
        level = after
    return Supply(before, tuple(changes), ALWAYS)


def exact(value: float) -> Span:
    return Span(value, value, value)


WORKED = running(2, (12, 3), (14, 5), (20, 9), (50, 8))


# --- The worked numbers of docs/metrics.md ----------------------------------------------------


def test_the_worked_numbers():
    found = step_response(WORKED, HOLD, before=2, after=8)

    assert found == ResponseReport(
        demand_before=2,
        demand_after=8,
        dead_time_s=exact(12),
        rise_s=exact(8),
        overshoot_pct=pytest.approx(16.667, abs=5e-4),
        settling_s=exact(50),
        iae_replica_s=exact(130),
        under_replica_s=exact(100),
        over_replica_s=exact(30),
        mean_lag_per_replica_s=exact(pytest.approx(16.667, abs=5e-4)),
        excess_variation=2,
        direction_reversals=1,
        unwatched_s=0,
    )


def test_a_band_of_one_replica_settles_sooner():
    found = step_response(WORKED, HOLD, before=2, after=8, least_band_replicas=1)

    assert found.settling_s == exact(20)


def test_the_band_of_a_large_step_is_5_percent_of_it():
    # 5 % of 60 are 3 replicas: 58 is outside of it, 59 within.
    outside = step_response(running(2, (10, 58)), HOLD, before=2, after=62)
    within = step_response(running(2, (10, 58), (20, 59), (30, 63)), HOLD, before=2, after=62)

    assert outside.settling_s == longer_than(90)
    assert within.settling_s == exact(20)


# --- other steps -------------------------------------------------------------------------------


def test_a_step_down_mirrors_one_up():
    found = step_response(running(8, (30, 5), (40, 1), (60, 2)), HOLD, before=8, after=2)

    assert (found.dead_time_s, found.rise_s) == (exact(30), exact(10))
    assert found.settling_s == exact(60)
    assert found.over_replica_s == exact(6 * 30 + 3 * 10)
    assert found.under_replica_s == exact(1 * 20)
    assert found.mean_lag_per_replica_s == exact(210 / 6)
    assert found.overshoot_pct == pytest.approx(100 / 6)
    assert (found.excess_variation, found.direction_reversals) == (2, 1)


def test_a_demand_that_is_not_reached_within_the_hold_is_censored():
    found = step_response(running(2, (30, 5)), HOLD, before=2, after=8)

    assert found.dead_time_s == exact(30)
    assert found.rise_s == longer_than(60)
    assert found.settling_s == longer_than(90)
    assert found.overshoot_pct == 0
    assert (found.excess_variation, found.direction_reversals) == (0, 0)


def test_replicas_that_do_not_move_within_the_hold_have_a_dead_time_longer_than_it():
    found = step_response(running(2, (95, 8)), HOLD, before=2, after=8)

    assert (found.dead_time_s, found.rise_s) == (longer_than(90), None)
    assert found.reason == "no replica came or went in the hold"
    assert found.mean_lag_per_replica_s == exact(90)


def test_what_was_watched_until_bounds_a_censored_time():
    short = msgspec.structs.replace(running(2, (30, 5)), seen=Window(-5, 70))

    found = step_response(short, HOLD, before=2, after=8)

    assert (found.rise_s, found.settling_s) == (longer_than(40), longer_than(70))
    assert found.unwatched_s == 20
    assert found.under_replica_s == longer_than(6 * 30 + 3 * 40)


def test_a_response_that_was_over_when_last_seen_is_known():
    short = msgspec.structs.replace(running(2, (30, 8)), seen=Window(-5, 70))

    found = step_response(short, HOLD, before=2, after=8)

    assert (found.under_replica_s, found.over_replica_s) == (exact(6 * 30), exact(0))


def test_a_demand_that_did_not_change_leaves_areas_and_says_so():
    found = step_response(running(3, (10, 4)), HOLD, before=4, after=4)

    assert found.reason == "the demand stayed at 4"
    assert (found.dead_time_s, found.mean_lag_per_replica_s, found.settling_s) == (None,) * 3
    assert (found.under_replica_s, found.iae_replica_s) == (exact(10), exact(10))


def test_replicas_that_were_there_already_have_nothing_to_follow():
    found = step_response(running(8), HOLD, before=2, after=8)

    assert found.reason == "8 RUNNING at the step, demand 8: nothing to follow"
    assert (found.dead_time_s, found.rise_s, found.overshoot_pct) == (None,) * 3
    assert (found.settling_s, found.mean_lag_per_replica_s) == (exact(0), exact(0))


def test_a_first_change_the_other_way_is_not_the_end_of_the_dead_time():
    found = step_response(running(2, (5, 1), (20, 8)), HOLD, before=2, after=8)

    assert found.dead_time_s == exact(20)
    assert found.direction_reversals == 1


def test_what_changed_before_the_step_belongs_to_what_was_there():
    found = step_response(running(1, (-30, 2), (20, 8)), HOLD, before=2, after=8)

    assert found.dead_time_s == exact(20)
    assert found.excess_variation == 0


def test_a_hold_that_nobody_watched_has_no_response():
    blind = msgspec.structs.replace(WORKED, unseen=(Window(-5, 95),))

    found = step_response(blind, HOLD, before=2, after=8)

    assert found.reason == "the probe saw nothing of this deployment during the step"
    assert (found.settling_s, found.iae_replica_s) == (None, None)


def test_what_polling_leaves_open_bounds_every_figure():
    polled = running(2, (12, 3), (14, 5), (20, 9), (50, 8), width_s=1.0)

    found = step_response(polled, HOLD, before=2, after=8)

    assert found.dead_time_s == Span(12.0, 11.5, 12.5)
    assert found.rise_s == Span(8.0, 7.0, 9.0)
    assert found.settling_s == Span(50.0, 49.5, 50.5)
    # Half a second more or less of each replica on its way: 6 of them up, and one beyond.
    assert found.under_replica_s == Span(100.0, 97.0, 103.0)
    assert found.over_replica_s == Span(30.0, 29.0, 31.0)
    assert found.iae_replica_s == Span(130.0, 126.0, 134.0)


def test_a_change_that_may_have_come_before_the_step_counts_as_at_it():
    found = step_response(running(2, (0.2, 8), width_s=1.0), HOLD, before=2, after=8)

    assert found.dead_time_s == Span(pytest.approx(0.35), 0.0, pytest.approx(0.7))


@given(
    moves, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.sampled_from([0.25, 2, 8])
)
def test_scaled_time_scales_what_is_measured_in_seconds(
    then: dict[int, int], at_first: int, before: int, after: int, scale: float
):
    slow_hold = Window(HOLD.from_s * scale, HOLD.to_s * scale)
    plain = step_response(running(at_first, *then.items()), HOLD, before, after)

    slow = step_response(
        running(at_first, *((at_s * scale, level) for at_s, level in then.items())),
        slow_hold,
        before,
        after,
    )

    for name in plain.__struct_fields__:
        figure, scaled = getattr(plain, name), getattr(slow, name)
        if isinstance(figure, Span):
            pairs = zip(
                msgspec.structs.astuple(figure), msgspec.structs.astuple(scaled), strict=True
            )
            for one, other in pairs:
                assert other == (None if one is None else pytest.approx(one * scale))
        else:
            assert scaled == figure


@given(moves, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_response_adds_up(then: dict[int, int], at_first: int, before: int, after: int):
    levels = [at_first] * 90
    for at_s, level in sorted(then.items()):
        levels[at_s:] = [level] * (90 - at_s)

    found = step_response(running(at_first, *then.items()), HOLD, before, after)

    assert found.iae_replica_s == exact(sum(abs(after - level) for level in levels))
    assert found.under_replica_s == exact(sum(max(after - level, 0) for level in levels))
    changes = [b - a for a, b in pairwise(levels) if b != a]
    assert found.excess_variation == sum(map(abs, changes)) - abs(levels[-1] - levels[0])
    assert found.direction_reversals == sum(a * b < 0 for a, b in pairwise(changes))
    if found.settling_s is not None:
        off = [t for t, level in enumerate(levels) if abs(level - after) > 0.5]
        settled = off[-1] + 1 if off else 0
        assert found.settling_s == (longer_than(90) if settled == 90 else exact(settled))


# --- flapping ----------------------------------------------------------------------------------


def wave(period_s: float, size: int, until_s: float, low: int = 2) -> Supply:
    """RUNNING between `low` and `low + size`, each for half a period."""
    halves = range(1, math.ceil(2 * until_s / period_s))
    return running(low, *((i * period_s / 2, low + size * (i % 2)) for i in halves))


def test_an_oscillation_has_a_period_and_a_size():
    found = flapping(wave(20.0, 3, until_s=120), [Window(0, 120)])

    # Up at 10, 30, ... 110 s, down in between: each of the 11 changes but the first turns back.
    assert found.direction_reversals == 10
    assert found.most_in_one_step == 10
    assert found.reversals_per_min == pytest.approx(5)
    assert (found.period_s, found.size_replicas) == (pytest.approx(20), 3)
    assert found.excess_variation == 11 * 3 - 3


def test_stairs_within_a_swing_are_one_swing():
    stairs = [(10, 3), (12, 5), (30, 4), (33, 2), (50, 5), (70, 2), (90, 5)]

    found = flapping(running(2, *stairs), [Window(0, 120)])

    # It turned at 30, 50, 70 and 90 s, from 5, 2, 5 and 2.
    assert found.direction_reversals == 4
    assert (found.period_s, found.size_replicas) == (40, 3)


def test_an_overshoot_that_is_taken_back_is_no_oscillation():
    found = flapping(WORKED, [HOLD])

    assert (found.direction_reversals, found.most_in_one_step) == (1, 1)
    assert found.excess_variation == 2
    assert (found.period_s, found.size_replicas) == (None, None)


def test_turning_back_at_a_load_step_is_no_flapping():
    up_and_down = running(1, (10, 4), (50, 1), (90, 4), (130, 1))
    holds = [Window(t, t + 40) for t in (0, 40, 80, 120)]

    found = flapping(up_and_down, holds)

    assert (found.direction_reversals, found.most_in_one_step) == (0, 0)
    assert (found.reversals_per_min, found.excess_variation) == (0, 0)


def test_each_step_is_looked_at_by_itself():
    twice = running(1, (10, 4), (20, 3), (50, 1), (60, 2))

    found = flapping(twice, [Window(0, 40), Window(40, 80)])

    assert (found.direction_reversals, found.most_in_one_step) == (2, 1)


def test_a_minute_is_one_that_was_watched():
    seen = msgspec.structs.replace(wave(20.0, 3, until_s=120), unseen=(Window(60, 120),))

    assert flapping(seen, [Window(0, 120)]).reversals_per_min == pytest.approx(10)


def test_flapping_that_nobody_watched_has_a_reason():
    blind = Supply(1, (), Window(500, 600))

    found = flapping(blind, [Window(0, 120)])

    assert (found.direction_reversals, found.reversals_per_min) == (None, None)
    assert found.reason == "the probe saw nothing of it during the load"


def test_a_replica_that_is_replaced_turns_back():
    crash = Supply(3, (Change(point(10), -1), Change(point(12), 1)), ALWAYS)

    assert flapping(crash, [Window(0, 60)]).direction_reversals == 1


def decided(*levels: tuple[float, int, int]) -> list[Decision]:
    return [Decision(point(at_s), before, after) for at_s, before, after in levels]


THRASHING = decided((5, 1, 6), (8, 6, 2), (11, 2, 7), (14, 7, 1))


def test_a_target_that_thrashes_while_no_replica_starts_is_flapping():
    found = flapping(running(1), [Window(0, 60)], THRASHING)

    assert (found.direction_reversals, found.running_reversals) == (3, 0)
    assert (found.most_in_one_step, found.reversals_per_min) == (3, pytest.approx(3))
    assert (found.excess_variation, found.period_s, found.size_replicas) == (20, 6, 4.5)


def test_replicas_that_follow_the_target_are_counted_once():
    both = running(1, (6, 6), (9, 2), (12, 7), (15, 1))

    found = flapping(both, [Window(0, 60)], THRASHING)

    assert (found.direction_reversals, found.running_reversals) == (3, 3)


def test_a_decision_within_an_update_turns_nothing_back():
    updated = msgspec.structs.replace(running(1), foreign=(Window(7, 9),))

    found = flapping(updated, [Window(0, 60)], THRASHING)

    # Of the decisions at 5, 8, 11 and 14 s that at 8 s is the update's.
    assert found.direction_reversals == 1


def test_a_target_that_turns_back_at_a_load_step_is_no_flapping():
    found = flapping(running(1), [Window(0, 7), Window(7, 10), Window(10, 60)], THRASHING)

    assert (found.direction_reversals, found.most_in_one_step) == (1, 1)


def test_a_response_is_not_known_longer_than_somebody_watched():
    blind = msgspec.structs.replace(WORKED, changes=(), unseen=(Window(5, 60),))

    found = step_response(blind, HOLD, before=2, after=8)

    # Until 5 s nothing came; whatever came and went after that, nobody saw.
    assert found.dead_time_s == longer_than(5)
    assert found.rise_s is None
    assert "for 55.0 s of the hold nobody saw" in (found.reason or "")


def test_what_nobody_saw_comes_on_top_of_what_a_response_was_out_by():
    blind = msgspec.structs.replace(WORKED, unseen=(Window(15, 30),))

    found = step_response(blind, HOLD, before=2, after=8)

    # 6 short for 12 s, 5 for 2 s, 3 for the second before nobody saw it; 9 RUNNING from 30 to 50 s.
    assert found.under_replica_s == longer_than(72 + 10 + 3)
    assert found.over_replica_s == longer_than(20)
    assert found.iae_replica_s == longer_than(105)
    assert found.mean_lag_per_replica_s == longer_than(85 / 6)
    assert found.overshoot_pct is None


def test_a_short_time_without_a_look_is_no_longer_than_the_intervals_of_its_changes():
    polled = running(2, (20, 8), width_s=1.5)
    blind = msgspec.structs.replace(polled, unseen=(Window(19.25, 20.75),))

    found = step_response(blind, HOLD, before=2, after=8)

    assert found.under_replica_s == Span(6 * 20, 6 * 19.25, 6 * 20.75)


def test_where_nobody_saw_the_step_itself_no_response_is_told():
    blind = msgspec.structs.replace(running(8), unseen=(Window(-5, 60),))

    found = step_response(blind, HOLD, before=2, after=8)

    assert (found.dead_time_s, found.settling_s) == (None, None)
    assert "nobody saw" in (found.reason or "")
