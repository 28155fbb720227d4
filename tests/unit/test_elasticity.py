"""Elasticity against docs/metrics.md's worked numbers, an independent integration, and by its rules."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.comparing.elastic_speedup import elastic_figures, elastic_speedup
from reports.analysis.elasticity.demand import Demand
from reports.analysis.elasticity.metrics import Integrals, elasticity, integrals
from reports.analysis.elasticity.staircase import Staircase, stairs
from reports.analysis.elasticity.supply import Change, Supply
from reports.model.comparison import ElasticFigures
from reports.model.elasticity import ElasticityReport
from reports.model.intervals import Instant, Span, Window, around, point, without

Curve = list[int]
"""One value a second."""

WORKED_D, WORKED_S = [2, 4, 4, 6, 2], [2, 2, 5, 5, 4]
ALWAYS = Window(-1e9, 1e9)
curves = st.lists(st.integers(0, 9), min_size=1, max_size=30)
pairs = st.integers(1, 30).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 9), min_size=n, max_size=n)] * 2)
)


def staircase(values: Sequence[int], each_s: float = 1.0) -> Staircase:
    """`values` one after another, each for `each_s`, from 0 on; a change only where there is one."""
    moved = [i for i in range(1, len(values)) if values[i] != values[i - 1]]
    deltas = [values[i] - values[i - 1] for i in moved]
    return stairs(values[0], [i * each_s for i in moved], deltas)


def supply(values: Sequence[int], each_s: float = 1.0, width_s: float = 0.0) -> Supply:
    """RUNNING as `values`, every change known to `width_s` around its moment."""
    changes = [
        Change(Instant(i * each_s - width_s / 2, i * each_s + width_s / 2), new - old)
        for i, (old, new) in enumerate(pairwise(values), start=1)
        if new != old
    ]
    return Supply(values[0], tuple(changes), ALWAYS)


def whole(values: Sequence[int], each_s: float = 1.0) -> Window:
    return Window(0.0, len(values) * each_s)


def policy_demand(values: Sequence[int], each_s: float = 1.0) -> Demand:
    return Demand("policy", staircase(values, each_s), at_rest=0)


def worked(values: Sequence[int] = WORKED_S, width_s: float = 0.0) -> ElasticityReport:
    return elasticity(
        policy_demand(WORKED_D, 10.0), supply(values, 10.0, width_s), whole(WORKED_D, 10.0)
    )


def value(figure: Span | None) -> float:
    assert figure is not None
    assert figure.value is not None
    return figure.value


# --- The worked numbers of docs/metrics.md ----------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ("under_replicas", 0.6),
        ("over_replicas", 0.6),
        ("theta_u_pct", 13.3333),
        ("theta_o_pct", 25.0),
        ("tau_u_pct", 40.0),
        ("tau_o_pct", 40.0),
        ("under_replica_s", 0.6 * 50),
        ("over_replica_s", 0.6 * 50),
        ("replica_hours", (20 + 20 + 50 + 50 + 40) / 3600),
        ("replica_hours_over", 30 / 3600),
    ],
)
def test_the_worked_numbers(figure: str, expected: float):
    found = getattr(worked(), figure)

    assert (found.value, found.lo, found.hi) == (pytest.approx(expected, abs=5e-5),) * 3


def test_the_worked_jitter():
    found = integrals(staircase(WORKED_D, 10), staircase(WORKED_S, 10), [whole(WORKED_D, 10)])

    assert (found.demand_changes, found.supply_changes) == (8, 4)
    assert worked().jitter_per_min == pytest.approx(-4.8)


def figures(report: ElasticityReport) -> ElasticFigures:
    found = elastic_figures([report])
    assert isinstance(found, ElasticFigures)
    return found


def test_the_worked_speedup_over_a_static_four():
    static = worked([4] * 5)

    assert value(static.theta_u_pct) == pytest.approx(6.6667, abs=5e-5)
    assert value(static.theta_o_pct) == pytest.approx(40)
    assert value(static.tau_u_pct) == pytest.approx(20)
    assert value(static.tau_o_pct) == pytest.approx(40)
    speedup = elastic_speedup(figures(worked()), figures(static))
    assert speedup == pytest.approx(0.795271, abs=5e-7)


# --- rules -------------------------------------------------------------------------------------


def test_without_demand_every_replica_is_one_too_many():
    found = elasticity(policy_demand([0]), supply([3]), Window(0, 10))

    # Divided by max(d, 1): 300 %.
    assert value(found.theta_o_pct) == 300
    assert value(found.tau_o_pct) == 100
    assert value(found.over_replicas) == 3


def test_a_demand_that_is_not_known_leaves_replica_hours_and_says_why():
    found = elasticity("nobody can tell", supply([2, 4]), Window(0, 2))

    assert (found.demand, found.demand_reason) == (None, "nobody can tell")
    assert value(found.replica_hours) == pytest.approx(6 / 3600)
    assert (found.theta_u_pct, found.jitter_per_min, found.replica_hours_over) == (None,) * 3
    assert found.watched_s == 2


def test_a_gap_is_left_out_of_the_time_and_told():
    blind = msgspec.structs.replace(supply(WORKED_S, 10), unseen=(Window(10, 20), Window(15, 30)))

    found = elasticity(policy_demand(WORKED_D, 10), blind, whole(WORKED_D, 10))

    # Left are the first, fourth and fifth interval: d = [2, 6, 2], s = [2, 5, 4].
    assert (found.watched_s, found.unwatched_s) == (30, 20)
    assert value(found.under_replicas) == pytest.approx(1 / 3)
    assert value(found.over_replicas) == pytest.approx(2 / 3)
    assert value(found.tau_u_pct) == pytest.approx(100 / 3)
    assert value(found.theta_u_pct) == pytest.approx(100 / 3 / 6)


def test_what_was_not_seen_at_either_end_is_left_out():
    late = msgspec.structs.replace(supply(WORKED_S, 10), seen=Window(30, 40))

    found = elasticity(policy_demand(WORKED_D, 10), late, whole(WORKED_D, 10))

    assert (found.watched_s, found.unwatched_s) == (10, 40)
    assert value(found.under_replicas) == 1


def test_a_window_of_which_nothing_was_seen_has_a_reason():
    never = msgspec.structs.replace(supply(WORKED_S, 10), seen=Window(60, 70))

    found = elasticity(policy_demand(WORKED_D, 10), never, whole(WORKED_D, 10))

    assert found.reason == "the probe saw nothing of it during the load"
    assert (found.theta_u_pct, found.replica_hours, found.watched_s) == (None, None, 0)


@pytest.mark.parametrize(
    ("window", "holes", "left"),
    [
        ((0, 10), [], [(0, 10)]),
        ((0, 10), [(2, 4)], [(0, 2), (4, 10)]),
        ((0, 10), [(5, 8), (-3, 1), (7, 9)], [(1, 5), (9, 10)]),
        ((0, 10), [(-5, 20)], []),
        ((0, 10), [(0, 4), (4, 10)], []),
        ((0, 10), [(12, 20), (-9, -1), (10, 11)], [(0, 10)]),
    ],
)
def test_holes_are_cut_out_of_a_window(window, holes, left):
    assert list(without(Window(*window), [Window(*hole) for hole in holes])) == left


# --- what polling leaves open ------------------------------------------------------------------


def test_a_change_between_two_polls_bounds_every_figure():
    # Demand 4 from 10 s on; RUNNING rises from 2 to 4 somewhere in (18, 22] of 30 s.
    running = Supply(2, (Change(Instant(18.0, 22.0), 2),), ALWAYS)
    demand = Demand("policy", stairs(2, [10], [2]), at_rest=0)

    found = elasticity(demand, running, Window(0, 30))

    assert found.under_replica_s == Span(20.0, 16.0, 24.0)
    assert found.tau_u_pct == Span(*(pytest.approx(100 * t / 30) for t in (10, 8, 12)))
    assert found.over_replica_s == Span(0.0, 0.0, 0.0)
    assert found.replica_hours == Span(*(pytest.approx(n / 3600) for n in (80, 76, 84)))


@given(pairs, st.lists(st.floats(-0.5, 0.5), min_size=30, max_size=30), st.floats(0, 1))
def test_the_bounds_hold_for_every_truth_within_them(both: tuple[Curve, Curve], off, width_s):
    """Each change is moved by up to half its width: any such curve may be the true one."""
    wanted, running = both
    window = whole(wanted)
    seen = supply(running, width_s=width_s)
    truth = Supply(
        seen.before,
        tuple(
            Change(point(change.at.mid_s + move * width_s), change.delta)
            for change, move in zip(seen.changes, off, strict=False)
        ),
        ALWAYS,
    )

    found = elasticity(policy_demand(wanted), seen, window)
    true = elasticity(policy_demand(wanted), truth, window)

    for name in msgspec.structs.asdict(found):
        bounds = getattr(found, name)
        if isinstance(bounds, Span):
            assert bounds.lo - 1e-9 <= value(getattr(true, name)) <= bounds.upper + 1e-9
            assert bounds.lo - 1e-9 <= value(bounds) <= bounds.upper + 1e-9


# --- properties --------------------------------------------------------------------------------


def by_hand(wanted: Curve, running: Curve, ticks: int = 4) -> dict[str, float]:
    """The same integrals, summed up over a fine grid of points, with nothing of ours."""
    found = dict.fromkeys(msgspec.structs.asdict(NOTHING), 0.0)
    for tick in range(len(wanted) * ticks):
        d, s = wanted[tick // ticks], running[tick // ticks]
        found["time_s"] += 1 / ticks
        found["under_s"] += (1 if d > s else 0) / ticks
        found["over_s"] += (1 if s > d else 0) / ticks
        found["under_replica_s"] += max(d - s, 0) / ticks
        found["over_replica_s"] += max(s - d, 0) / ticks
        found["relative_under_s"] += max(d - s, 0) / max(d, 1) / ticks
        found["relative_over_s"] += max(s - d, 0) / max(d, 1) / ticks
        found["replica_s"] += s / ticks
    for i in range(1, len(wanted)):
        found["demand_changes"] += abs(wanted[i] - wanted[i - 1])
        found["supply_changes"] += abs(running[i] - running[i - 1])
    return found


NOTHING = Integrals(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def of(wanted: Curve, running: Curve, *windows: Window, each_s: float = 1.0) -> dict[str, float]:
    whole_run = (whole(wanted, each_s),)
    found = integrals(staircase(wanted, each_s), staircase(running, each_s), windows or whole_run)
    return msgspec.structs.asdict(found)


@given(pairs)
def test_the_integrals_are_those_of_a_fine_grid(both: tuple[Curve, Curve]):
    assert of(*both) == pytest.approx(by_hand(*both))


@given(pairs, st.floats(0, 1))
def test_a_run_split_at_any_moment_adds_up(both: tuple[Curve, Curve], share: float):
    end_s = float(len(both[0]))
    at_s = share * end_s

    first, then = of(*both, Window(0, at_s)), of(*both, Window(at_s, end_s))

    assert {name: first[name] + then[name] for name in first} == pytest.approx(of(*both))


ADDITIVE = (
    "watched_s",
    "unwatched_s",
    "under_replica_s",
    "over_replica_s",
    "replica_hours",
    "replica_hours_over",
)
holes = st.lists(st.tuples(st.floats(0, 30), st.floats(0.1, 5)), max_size=3)


def bounds(figure: Span | float | None) -> tuple[float, float, float]:
    """Value, lower and upper bound; where nothing was watched there is nothing to add."""
    if isinstance(figure, Span):
        return value(figure), figure.lo, figure.upper
    return (figure or 0.0,) * 3


@given(pairs, st.floats(0, 1), holes, st.floats(0, 1))
def test_what_was_watched_of_a_run_split_at_any_moment_adds_up(
    both: tuple[Curve, Curve], share: float, holes: list[tuple[float, float]], width_s: float
):
    wanted, running = both
    end_s = float(len(wanted))
    unseen = tuple(Window(from_s, from_s + long_s) for from_s, long_s in holes)
    seen = msgspec.structs.replace(supply(running, width_s=width_s), unseen=unseen)

    first, then, together = (
        elasticity(policy_demand(wanted), seen, window)
        for window in (Window(0, share * end_s), Window(share * end_s, end_s), Window(0, end_s))
    )

    for name in ADDITIVE:
        parts = zip(bounds(getattr(first, name)), bounds(getattr(then, name)), strict=True)
        assert [sum(part) for part in parts] == pytest.approx(bounds(getattr(together, name)))


@given(pairs, st.floats(0, 1))
def test_no_bound_of_a_share_of_time_is_above_100_percent(both: tuple[Curve, Curve], width_s):
    wanted, running = both

    found = elasticity(policy_demand(wanted), supply(running, width_s=width_s), whole(wanted))

    for share in (found.tau_u_pct, found.tau_o_pct, found.theta_u_pct):
        assert share is not None
        assert 0 <= share.lo <= share.upper <= 100 + 1e-9


def test_bounds_hold_the_value_also_where_sums_are_rounded_apart():
    rounded = around(13.333333333333332, 13.333333333333336, 13.333333333333330)

    assert rounded.lo <= rounded.value <= rounded.upper


@given(pairs, st.floats(0.1, 100))
def test_scaled_time_scales_what_is_measured_in_seconds(both: tuple[Curve, Curve], scale: float):
    scaled = of(*both, each_s=scale)

    for name, plain in of(*both).items():
        factor = 1 if name.endswith("changes") else scale
        assert scaled[name] == pytest.approx(plain * factor)


@given(pairs)
def test_shares_of_time_are_at_most_100_percent(both: tuple[Curve, Curve]):
    found = integrals(staircase(both[0]), staircase(both[1]), [whole(both[0])])

    assert 0 <= found.tau_u_pct <= 100
    assert 0 <= found.tau_o_pct <= 100
    assert found.tau_u_pct + found.tau_o_pct <= 100 + 1e-9
    assert 0 <= found.theta_u_pct <= 100


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_in_which_changes_are_given_changes_nothing(both: tuple[Curve, Curve], shuffle):
    wanted, running = both
    moves = [(i, running[i] - running[i - 1]) for i in range(1, len(running))]
    shuffle.shuffle(moves)
    mixed = stairs(running[0], [t for t, _ in moves], [n for _, n in moves])

    found = integrals(staircase(wanted), mixed, [whole(wanted)])

    assert msgspec.structs.asdict(found) == pytest.approx(of(wanted, running))


@given(curves)
def test_replicas_that_are_the_demand_are_perfect(values: Curve):
    found = elasticity(policy_demand(values), supply(values), whole(values))

    figures = (found.theta_u_pct, found.theta_o_pct, found.tau_u_pct, found.tau_o_pct)
    assert [value(figure) for figure in figures] == [0] * 4
    assert found.jitter_per_min == 0


@given(curves)
def test_a_median_is_what_the_curve_does_not_exceed_for_half_of_the_time(values: Curve):
    median = staircase(values).median(whole(values))

    assert median == sorted(values)[(len(values) - 1) // 2]


def test_a_median_over_no_time_is_none():
    assert staircase([1, 2]).median(Window(1, 1)) is None


def test_a_curve_changes_at_its_moment():
    curve = staircase([1, 5])

    assert list(curve.at(np.array([0.5, 1.0, 1.5]))) == [1, 5, 5]
