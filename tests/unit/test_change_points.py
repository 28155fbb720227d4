"""Change points of a trace, against known segments."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scalelag.plan.change_points import Counts, change_points, repeated

Parts = list[tuple[float, float]]
"""(rate, seconds) of each stretch."""


def rows(counts: np.ndarray, widths_s: np.ndarray | None = None) -> Counts:
    """Counts of rows that follow one another, a second each unless said."""
    widths_s = np.ones(counts.size) if widths_s is None else widths_s
    return Counts(
        np.concatenate(([0.0], np.cumsum(widths_s))),
        np.concatenate(([0.0], np.cumsum(counts, dtype=float))),
    )


def found(cells: Counts, points: Counts | None = None, *, scattered: bool = True) -> Parts:
    edges = change_points(cells, (points or cells).within, scattered=scattered)
    widths_s = np.diff(edges.moments_s)
    rates = np.diff(edges.reached) / widths_s
    return list(zip(rates.tolist(), widths_s.tolist(), strict=True))


def exact(parts: Parts) -> np.ndarray:
    return np.concatenate([np.full(int(seconds), rate) for rate, seconds in parts])


def poisson(parts: Parts, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).poisson(exact(parts)).astype(float)


# --- constant rates --------------------------------------------------------------------------

STEPPED = st.lists(
    st.tuples(st.sampled_from([0, 1, 5, 12, 40, 100, 1000]), st.integers(12, 60)),
    min_size=1,
    max_size=6,
)


@given(STEPPED)
def test_a_stepped_trace_has_exactly_its_steps(drawn: list[tuple[int, int]]):
    parts = [part for i, part in enumerate(drawn) if i == 0 or part[0] != drawn[i - 1][0]]

    # Steps between 0 and 1 a second over 12 s are too few requests to be told from chance.
    assume(all(a[0] + b[0] >= 5 for a, b in pairwise(parts)))

    assert found(rows(exact(parts))) == [pytest.approx(part) for part in parts]


def test_a_step_may_be_5_s_long_and_not_shorter():
    assert [s for _, s in found(rows(exact([(10, 20), (100, 5), (10, 20)])))] == [20, 5, 20]
    assert min(s for _, s in found(rows(exact([(10, 20), (100, 2), (10, 20)])))) >= 5


@pytest.mark.parametrize("seconds", [1, 4, 5, 9])
def test_what_is_shorter_than_two_stretches_is_one(seconds: int):
    counts = np.arange(1.0, seconds + 1) ** 3

    assert found(rows(counts)) == [pytest.approx((counts.mean(), seconds))]


def test_a_change_below_a_tenth_is_none_and_one_above_is():
    assert len(found(rows(exact([(1000, 60), (920, 60)])))) == 1
    assert len(found(rows(exact([(1000, 60), (880, 60)])))) == 2


def test_a_slow_rise_is_cut_where_it_has_come_to_a_tenth():
    rates = [rate for rate, _ in found(rows(np.linspace(1000, 2000, 200)))]

    assert rates == sorted(rates)
    assert all(b >= a / 0.9 for a, b in pairwise(rates))
    assert 4 <= len(rates) <= 7  # ln 2 / ln(10 / 9) is 6.6


def test_long_rows_are_stretches_of_their_own():
    cells = rows(np.array([600.0, 3000, 600]), np.array([60.0, 60, 300]))

    assert found(cells, scattered=False) == [(10, 60), (50, 60), (2, 300)]


# --- noise -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.2, 1, 10, 100, 5000])
@pytest.mark.parametrize("seconds", [30, 300, 900])
def test_poisson_counts_of_one_rate_are_one_stretch(rate: float, seconds: int):
    assert [len(found(rows(poisson([(rate, seconds)], seed)))) for seed in range(25)] == [1] * 25


@pytest.mark.parametrize("seed", range(20))
def test_counts_that_scatter_more_than_poissons_are_one_stretch(seed: int):
    # Negative binomial: mean 200, standard deviation 40, where Poisson's would be 14.
    random = np.random.default_rng(seed)
    variance = 40.0**2
    counts = random.negative_binomial(200**2 / (variance - 200), 200 / variance, 600)

    assert len(found(rows(counts.astype(float)))) == 1


@pytest.mark.parametrize("seed", range(20))
def test_steps_in_noise_are_found_within_a_second(seed: int):
    parts: Parts = [(20, 40), (60, 30), (30, 50), (5, 40)]

    steps = found(rows(poisson(parts, seed)))

    edges = np.cumsum([seconds for _, seconds in steps])
    assert edges == pytest.approx([40, 70, 120, 160], abs=1)
    assert [rate for rate, _ in steps] == pytest.approx([20, 60, 30, 5], rel=0.25)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 200), st.integers(1, 200))
def test_stretches_have_all_requests_and_all_of_the_time(seed: int, seconds: int, most: int):
    counts = np.random.default_rng(seed).integers(0, most + 1, seconds).astype(float)

    steps = found(rows(counts))

    assert math.fsum(seconds for _, seconds in steps) == pytest.approx(seconds)
    assert math.fsum(r * s for r, s in steps) == pytest.approx(counts.sum())
    assert all(part[1] >= 5 for part in steps)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_time_that_is_scaled_scales_the_segments(seed: int):
    counts = poisson([(20, 40), (60, 30), (30, 50)], seed)

    once, twice = found(rows(counts)), found(rows(counts, np.full(counts.size, 2.0)))

    assert [(rate / 2, seconds * 2) for rate, seconds in once] == [pytest.approx(p) for p in twice]


@pytest.mark.parametrize("seed", range(3))
def test_no_other_way_to_cut_costs_less(seed: int):
    """Against all ways to cut 16 s, one by one; the changes are too large to be joined."""
    counts = poisson([(20, 5), (80, 6), (10, 5)], seed)
    penalty = 2 * math.log(counts.size + 1)

    def cost(ends: list[int]) -> float:
        sums = [counts[a:b].sum() for a, b in pairwise(ends)]
        return sum(
            penalty - n * math.log(n / (b - a))
            for n, (a, b) in zip(sums, pairwise(ends), strict=True)
        )

    ways = [[0, 16], *([0, a, 16] for a in range(5, 12))]
    ways += [[0, a, b, 16] for a in range(5, 12) for b in range(a + 5, 12)]

    edges = np.cumsum([0, *(seconds for _, seconds in found(rows(counts)))])
    assert edges.tolist() == min(ways, key=cost)


# --- the best point --------------------------------------------------------------------------


def test_edges_move_from_between_the_cells_to_the_best_point():
    tenths = rows(np.concatenate([np.full(123, 1.0), np.full(150, 6.0)]), np.full(273, 0.1))
    cells = Counts(tenths.moments_s[::10], tenths.reached[::10])
    cells = Counts(np.append(cells.moments_s, 27.3), np.append(cells.reached, 123 + 900.0))

    assert found(cells, tenths) == [pytest.approx((10, 12.3)), pytest.approx((60, 15.0))]


# --- repeats ---------------------------------------------------------------------------------


def test_stretches_repeat_and_are_joined_where_the_end_is_like_the_beginning():
    once = Counts(np.array([0.0, 10, 20, 40]), np.array([0.0, 100, 600, 800]))
    thrice = repeated(once, 3)

    assert thrice.moments_s.tolist() == [0, 10, 20, 50, 60, 90, 100, 120]
    assert thrice.reached.tolist() == [0, 100, 600, 900, 1400, 1700, 2200, 2400]


def test_a_constant_trace_that_repeats_is_one_stretch():
    once = Counts(np.array([0.0, 10]), np.array([0.0, 100]))

    assert repeated(once, 5).moments_s.tolist() == [0, 50]
