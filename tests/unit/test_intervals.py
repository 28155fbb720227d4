"""Facts known only to lie between two moments, and figures of several of them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reports.model.intervals import (
    Instant,
    Span,
    Stat,
    between,
    longer_than,
    point,
    stat,
)


def span(lo: float, hi: float) -> Span:
    return Span((lo + hi) / 2, lo, hi)


def numbers(found: Span) -> tuple[float | None, float, float | None]:
    return (found.value, found.lo, found.hi)


# The second worked example of docs/metrics.md#time.
LO = [7.4, 6.9, 8.1, 7.7, 7.0]
WIDTH = [0.3, 0.2, 0.2, 0.4, 0.2]
ORACLE = [span(lo, lo + width) for lo, width in zip(LO, WIDTH, strict=True)]


# --- durations -------------------------------------------------------------------------------


def test_the_lag_between_two_polled_facts():
    # The first worked example of docs/metrics.md#time.
    lag = between(Instant(12.3, 12.4), Instant(19.8, 20.0))

    assert lag.lo == pytest.approx(7.4)
    assert lag.hi == pytest.approx(7.7)
    assert lag.value == pytest.approx(7.55)


def test_the_lag_between_two_points_is_exact():
    assert numbers(between(point(10.0), point(12.5))) == (2.5, 2.5, 2.5)


def test_facts_of_one_poll_lie_between_nothing_and_its_width_apart():
    assert numbers(between(Instant(12.0, 12.5), Instant(12.0, 12.5))) == (0.0, 0.0, 0.5)


def test_a_lag_is_never_negative_where_the_order_is_known():
    lag = between(Instant(12.0, 13.0), Instant(12.5, 14.0))

    assert numbers(lag) == (0.75, 0.0, 2.0)


def test_a_moment_before_the_floor_counts_as_the_floor():
    assert Instant(1.0, 2.0).not_before(1.5) == Instant(1.5, 2.0)
    assert Instant(1.0, 2.0).not_before(3.0) == Instant(3.0, 3.0)
    assert Instant(-math.inf, 2.0).not_before(0.0) == Instant(0.0, 2.0)
    assert Instant(1.0, 2.0).not_before(0.0) == Instant(1.0, 2.0)


TIMES = st.floats(0, 1e4)
SHARES = st.floats(0, 1)


@given(TIMES, TIMES, TIMES, TIMES, SHARES, SHARES)
def test_a_lag_contains_the_truth(
    a: float, b: float, wide_a: float, wide_b: float, share_a: float, share_b: float
):
    first, then = Instant(a, a + wide_a), Instant(b, b + wide_b)
    true_first, true_then = a + share_a * wide_a, b + share_b * wide_b
    assume(true_first <= true_then)

    lag = between(first, then)

    assert lag.hi is not None
    assert lag.lo - 1e-9 <= true_then - true_first <= lag.hi + 1e-9


@given(st.lists(TIMES, min_size=4, max_size=4), TIMES)
def test_phases_that_share_breakpoints_add_up_to_their_total(edges: list[float], width: float):
    points = [Instant(edge, edge + width) for edge in sorted(edges)]

    phases = [between(a, b).value or 0.0 for a, b in itertools.pairwise(points)]
    total = between(points[0], points[-1])

    assert sum(phases) == pytest.approx(total.value, abs=1e-8)


# --- statistics ------------------------------------------------------------------------------


def test_the_median_applies_to_all_lo_and_to_all_hi_separately():
    found = stat(ORACLE)

    assert found is not None
    assert (found.p50.lo, found.p50.hi) == (pytest.approx(7.4), pytest.approx(7.7))


def test_the_maximum_applies_to_all_lo_and_to_all_hi_separately():
    found = stat(ORACLE)

    assert found is not None
    assert (found.max.lo, found.max.hi) == (pytest.approx(8.1), pytest.approx(8.3))


def test_nothing_has_no_statistics():
    assert stat([]) is None


def test_one_span_is_all_of_its_statistics():
    only = span(3.0, 4.0)

    assert stat([only]) == Stat(only, only, only)


def test_a_right_censored_span_has_a_lower_bound_only():
    assert numbers(longer_than(60.0)) == (None, 60.0, None)
    assert longer_than(60.0).upper == math.inf


def test_a_censored_span_makes_the_maximum_censored_and_leaves_the_median():
    found = stat([span(1.0, 2.0), span(3.0, 4.0), longer_than(60.0)])

    assert found is not None
    assert numbers(found.p50) == (3.5, 3.0, 4.0)
    assert numbers(found.max) == (None, 60.0, None)
    assert numbers(found.p95) == (None, pytest.approx(3 + 0.9 * 57), None)


def test_censored_spans_alone_have_censored_statistics():
    found = stat([longer_than(30.0), longer_than(60.0)])

    assert found is not None
    assert numbers(found.p50) == (None, 45.0, None)
    assert numbers(found.max) == (None, 60.0, None)


def test_a_measured_span_longer_than_a_censored_one_is_the_lower_bound_of_the_maximum():
    found = stat([longer_than(10.0), span(50.0, 51.0)])

    assert found is not None
    assert numbers(found.max) == (None, 50.0, None)


WIDTHS = st.floats(0, 100)
MEASURED = st.builds(lambda lo, width: span(lo, lo + width), TIMES, WIDTHS)
ANY = st.one_of(MEASURED, MEASURED, st.builds(longer_than, TIMES))


def close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-7)


def all_close(a: Stat, b: Stat) -> bool:
    pairs = [(a.p50, b.p50), (a.p95, b.p95), (a.max, b.max)]
    return all(
        close(x, y) for one, two in pairs for x, y in zip(numbers(one), numbers(two), strict=True)
    )


def or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


@given(st.lists(MEASURED, min_size=1, max_size=12))
def test_statistics_agree_with_numpy(spans: list[Span]):
    found = stat(spans)

    assert found is not None
    for name, q in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
        figure = getattr(found, name)
        assert close(figure.lo, float(np.quantile([s.lo for s in spans], q)))
        assert close(figure.value, float(np.quantile([s.value for s in spans], q)))
        assert close(figure.hi, float(np.quantile([s.hi for s in spans], q)))


@given(st.lists(ANY, min_size=1, max_size=12))
def test_median_p95_and_maximum_ascend(spans: list[Span]):
    found = stat(spans)

    assert found is not None
    for read in (
        lambda figure: figure.lo,
        lambda figure: or_infinite(figure.value),
        lambda figure: or_infinite(figure.hi),
    ):
        ascending = [read(figure) for figure in (found.p50, found.p95, found.max)]
        assert all(a <= b + 1e-9 for a, b in itertools.pairwise(ascending))


@given(st.lists(ANY, min_size=1, max_size=12))
def test_the_value_of_a_statistic_lies_between_its_bounds(spans: list[Span]):
    found = stat(spans)

    assert found is not None
    for figure in (found.p50, found.p95, found.max):
        assert figure.lo <= or_infinite(figure.value) + 1e-9
        assert or_infinite(figure.value) <= or_infinite(figure.hi) + 1e-9


@given(st.lists(ANY, min_size=1, max_size=12), st.floats(0, 1000))
def test_shifting_all_spans_shifts_their_statistics(spans: list[Span], by: float):
    def shifted(one: Span) -> Span:
        return Span(
            None if one.value is None else one.value + by,
            one.lo + by,
            None if one.hi is None else one.hi + by,
        )

    found, moved = stat(spans), stat([shifted(one) for one in spans])

    assert found is not None
    assert moved is not None
    expected = Stat(shifted(found.p50), shifted(found.p95), shifted(found.max))
    assert all_close(moved, expected)


@given(st.lists(ANY, min_size=1, max_size=12), st.floats(0.001, 1000))
def test_scaling_all_spans_scales_their_statistics(spans: list[Span], by: float):
    def scaled(one: Span) -> Span:
        return Span(
            None if one.value is None else one.value * by,
            one.lo * by,
            None if one.hi is None else one.hi * by,
        )

    found, grown = stat(spans), stat([scaled(one) for one in spans])

    assert found is not None
    assert grown is not None
    expected = Stat(scaled(found.p50), scaled(found.p95), scaled(found.max))
    assert all_close(grown, expected)


@given(st.lists(ANY, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_spans_does_not_matter(spans: list[Span], random):
    shuffled = list(spans)
    random.shuffle(shuffled)

    assert stat(shuffled) == stat(spans)
