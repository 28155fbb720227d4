"""Quantiles of the times of many groups, against those of each group alone."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis.load.group_times import GroupTimes, buckets_of
from reports.analysis.load.groups import in_slices
from reports.analysis.load.quantiles import quantiles_ms

QS = (0.0, 0.5, 0.95, 0.99, 1.0)
ODD = [0.0, -1.0, -1e-9, 1e-9, 1e-6, 0.25, 0.2500001, 1e6, float("inf"), float("nan")]
TIMES = st.one_of(st.sampled_from(ODD), st.floats(2**-23, 1e6, width=32))


def numbers_of(groups):
    """As `Numbers` gives them: one number alone where all are of one group."""
    one = np.unique(groups)
    return int(one[0]) if one.size == 1 else groups.astype(np.int32)


def found_of(groups, times_s, size: int, pieces: int) -> list[list[float | None]]:
    """Quantiles of each group, of times that come in pieces."""
    of_groups = GroupTimes(size, QS)
    parts = [
        (numbers_of(one), buckets_of(some), some)
        for one, some in zip(
            np.array_split(groups, pieces), np.array_split(times_s, pieces), strict=True
        )
    ]
    for one, buckets, _ in parts:
        of_groups.count(one, buckets)
    near = of_groups.choose()
    for one, buckets, some in parts:
        chosen = near[buckets]
        own = one if isinstance(one, int) else one[chosen]
        of_groups.take(own, buckets[chosen], some[chosen])
    return [*of_groups.quantiles_ms()]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), TIMES), max_size=60), st.integers(1, 4))
def test_each_group_has_its_own_quantiles_and_the_last_number_is_no_group(rows, pieces):
    groups = np.array([group for group, _ in rows], np.int32)
    times_s = np.array([time_s for _, time_s in rows], np.float32)

    with np.errstate(invalid="ignore"):
        found = found_of(groups, times_s, 3, pieces)
        expected = [quantiles_ms(times_s[groups == group], QS) for group in range(3)]

    assert [list(map(str, one)) for one in found] == [list(map(str, one)) for one in expected]


def test_quantiles_of_many_groups_of_many_times_are_those_of_each_alone():
    random = np.random.default_rng(7)
    groups = random.integers(0, 1001, 200_000)
    times_s = random.lognormal(-3, 1, groups.size).astype(np.float32)

    found = found_of(groups, times_s, 1000, 3)

    assert found == [quantiles_ms(times_s[groups == group], QS) for group in range(1000)]


@given(
    st.lists(st.integers(0, 30), min_size=2, max_size=9).map(sorted),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_rows_are_numbered_by_the_slice_that_they_are_in(cuts, first, size):
    edges = list(zip(cuts[::2], cuts[1::2], strict=False))
    expected = [
        next((n for n, (low, high) in enumerate(edges) if low <= row < high), len(edges))
        for row in range(first, first + size)
    ]

    numbers = in_slices(edges)(slice(first, first + size))
    assert np.broadcast_to(numbers, size).tolist() == expected
