"""Counts of moments between edges, and the median, against NumPy's own."""

import math
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.load import moments
from reports.analysis.load.moments import counted_between
from reports.analysis.load.quantiles import median

MOMENTS = st.one_of(st.integers(-2, 12).map(float), st.floats(-3, 13), st.just(math.inf))


@given(
    st.lists(MOMENTS),
    st.lists(st.integers(0, 10).map(float), min_size=1, unique=True).map(sorted),
    st.booleans(),
    st.sampled_from([0, 16]),
)
def test_each_moment_is_counted_between_its_edges(found_s, edges_s, at_edge_after, few):
    side = "right" if at_edge_after else "left"
    places = np.searchsorted(edges_s, np.array(found_s, np.float64), side=side)
    expected = [int(np.count_nonzero(places == place)) for place in range(len(edges_s) + 1)]

    with patch.object(moments, "_FEW", few):
        counts = counted_between(
            np.array(found_s, np.float64), np.array(edges_s), at_edge_after=at_edge_after
        )

    assert counts.tolist() == expected


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan)), min_size=1))
def test_the_median_is_that_of_the_values_that_are_known(values):
    known = [value for value in values if not math.isnan(value)]
    expected = float(np.median(known)) if known else math.nan

    assert median(np.array(values)) == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
