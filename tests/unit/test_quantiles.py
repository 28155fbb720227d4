"""Quantiles of many values, against NumPy's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.load.quantiles import quantile_ms, quantiles, quantiles_ms

QS = (0.0, 0.25, 0.5, 0.95, 0.99, 0.999, 1.0)
MANY = 70_000
KINDS = {
    "log-normal": lambda random: random.lognormal(-3, 0.5, MANY),
    "exponential": lambda random: random.exponential(0.0005, MANY),
    "few values": lambda random: random.integers(0, 5, MANY) / 10,
    "one value": lambda _random: np.full(MANY, 0.25),
    "with zeros": lambda random: random.lognormal(-3, 3, MANY) * (random.random(MANY) < 0.9),
    "with negative ones": lambda random: random.normal(0, 1, MANY),
    "with infinity": lambda random: np.append(random.random(MANY), np.inf),
}


def numpys(values) -> list[float]:
    return [float(np.quantile(values, q)) for q in QS]


@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_of_many_values_are_those_of_numpy(kind):
    values = KINDS[kind](np.random.default_rng(1)).astype(np.float32)

    with np.errstate(invalid="ignore"):
        found, expected = quantiles(values, QS).tolist(), numpys(values)

    assert repr(found) == repr(expected)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60))
def test_quantiles_of_few_values_are_those_of_numpy(values):
    array = np.array(values, np.float32)

    assert quantiles(array, QS).tolist() == numpys(array)


@pytest.mark.parametrize("size", [3, MANY])
def test_a_value_that_is_not_known_makes_all_quantiles_unknown(size):
    values = np.ones(size, np.float32)
    values[1] = np.nan

    assert np.isnan(quantiles(values, QS)).all()


def test_without_values_there_is_no_quantile():
    nothing = np.empty(0, np.float32)

    assert quantile_ms(nothing, 0.5) is None
    assert quantiles_ms(nothing, (0.5, 0.9)) == [None, None]


def test_quantiles_are_told_in_milliseconds():
    assert quantile_ms(np.array([0.5, 1.0, 1.5], np.float32), 0.5) == 1000.0
