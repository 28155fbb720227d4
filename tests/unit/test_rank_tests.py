"""Rank tests: the numbers of docs/metrics.md, censored values, ties, and the smallest p."""

import itertools
import math

import pytest

from reports.analysis.comparing import rank_tests
from reports.analysis.comparing.rank_tests import least_grouped_p, least_paired_p
from reports.model.comparison import Effect
from tests.support.built.scaled import points

A = [10.2, 9.8, 12.1, 11.0, 10.6, 9.9, 13.0, 10.4]
B = [12.5, 11.1, 14.0, 13.9, 12.2, 12.4, 14.8, 11.9]


def paired_effect(base, candidate) -> Effect:
    return rank_tests.paired_effect(points(base), points(candidate)).effect


def grouped_effect(base, candidate) -> Effect:
    return rank_tests.grouped_effect(points(base), points(candidate)).effect


# --- effects ---------------------------------------------------------------------------------


def test_the_paired_effect_is_that_of_metrics_md():
    found = paired_effect(A, B)

    assert found.value == pytest.approx(1.185897, abs=1e-6)
    assert (found.lo, found.hi) == pytest.approx((1.138462, 1.244417), abs=1e-6)
    assert found.p == pytest.approx(0.0078125)
    assert found.n == 8


def test_the_grouped_p_is_that_of_metrics_md():
    assert grouped_effect(A, B).p == pytest.approx(0.006993, abs=1e-6)


def test_effects_of_exchanged_sides_are_each_others_inverse():
    for effect in (paired_effect, grouped_effect):
        one, other = effect(A, B), effect(B, A)
        assert one.value * other.value == pytest.approx(1)
        assert (one.lo * other.hi, one.hi * other.lo) == pytest.approx((1, 1))
        assert one.p == pytest.approx(other.p)


def test_the_grouped_interval_holds_the_shifts_that_the_test_does_not_reject():
    """By trying: shift the candidate until the U test says nothing any more."""
    found = grouped_effect(A, B)
    just_inside = [found.lo * 1.0001, found.hi / 1.0001]
    outside = [found.lo / 1.0001, found.hi * 1.0001]

    assert [grouped_effect(A, [b / by for b in B]).p > 0.05 for by in just_inside] == [True] * 2
    assert [grouped_effect(A, [b / by for b in B]).p > 0.05 for by in outside] == [False] * 2


def test_too_few_have_an_interval_without_ends():
    found = paired_effect([1.0, 2.0, 3.0], [1.1, 2.3, 3.7])

    assert (found.lo, found.hi) == (0.0, math.inf)


def test_equal_samples_differ_by_nothing():
    found = paired_effect(A, A)

    assert (found.value, found.p) == (1.0, 1.0)


# --- censored values -------------------------------------------------------------------------


def test_a_censored_value_ranks_above_every_measured_one():
    """By hand: all five of one side above all five of the other is 2 of the 252 draws."""
    found = rank_tests.grouped_effect(points([5, 6, 7, 8, 9]), points([None] * 5))

    assert found.effect.p == pytest.approx(2 / 252)
    assert found.ratio == math.inf
    # The middle of 25 bounds 20/5, 20/6, ... each five times: that of 7.
    assert (found.effect.bound, found.effect.value) == ("at least", pytest.approx(20 / 7))
    # U is at most 2 in 4 of 252 draws (1.6 %), at most 3 in 7: the third smallest bound, 20/9.
    assert (found.effect.lo, found.effect.hi) == (pytest.approx(20 / 9), math.inf)


def test_exchanged_sides_have_the_inverse_bound():
    found = rank_tests.grouped_effect(points([None] * 5), points([5, 6, 7, 8, 9]))

    assert (found.effect.bound, found.effect.value) == ("at most", pytest.approx(7 / 20))
    assert (found.effect.lo, found.effect.hi) == (0.0, pytest.approx(9 / 20))


def test_values_censored_on_both_sides_are_equal():
    found = rank_tests.grouped_effect(points([None] * 5), points([None] * 5))

    assert (found.ratio, found.effect.p) == (1.0, 1.0)
    assert (found.effect.value, found.effect.bound) == (None, None)


def test_pairs_of_which_most_never_come():
    """Seven of eight longer by any length, one equal: 2 of the 2^7 signs."""
    base = [5.0, 6, 7, 8, 9, 10, 11, 12]
    found = rank_tests.paired_effect(points(base), points([5.0, *[None] * 7]))

    assert found.effect.p == pytest.approx(2 / 128)
    assert found.ratio == math.inf
    assert found.effect.bound == "at least"


def test_nothing_is_also_ranked_and_has_no_ratio():
    found = rank_tests.grouped_effect(points([0.0] * 5), points([1, 2, 3, 4, 5]))

    assert found.effect.p == pytest.approx(2 / 252)
    assert (found.ratio, found.effect.value) == (math.inf, None)


def test_ties_are_counted_exactly():
    """By listing: of the C(6,3) draws of three from 1, 2, 2, 2, 3, 4 those as extreme."""
    ranks = [1.0, 3, 3, 3, 5, 6]
    sums = [sum(three) for three in itertools.combinations(ranks, 3)]
    expected = 2 * sum(one >= 14 for one in sums) / len(sums)

    assert grouped_effect([1, 2, 2], [2, 3, 4]).p == pytest.approx(expected)


# --- the smallest p --------------------------------------------------------------------------


def test_the_smallest_p_is_one_order_of_all():
    assert least_grouped_p(4, 4) == 1 / 70
    assert least_grouped_p(5, 5) == 1 / 252
    assert least_paired_p(6) == 1 / 64
    # With three of five base runs censored the candidate's five stand among eight equal ones.
    assert least_grouped_p(5, 5, 3) == math.comb(8, 5) / 252
