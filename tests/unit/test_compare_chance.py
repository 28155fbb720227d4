"""False alarms and power of `compare`: 20,000 simulated pairs of sides, judged by a rule of our own.

A thousand pairs are too few to tell 4 % from 5 %. So `compare` is held against the rule pair by pair
on some, and the rule is counted on many. docs/decisions/0007-main-figures.md has the figures.
"""

from itertools import combinations, islice, permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from reports.analysis.comparing.compare import compare
from reports.model.report import Report
from tests.support.built.made_report import report_of
from tests.support.built.scaled import deployment_of

Floats = NDArray[np.float64]
PAIRS = 20_000
NOISE = 0.1


def drawn(random: np.random.Generator, pairs: int, n: int, factors: list[float]) -> Floats:
    """Logarithms of totals by pair, deployment and run: 10 % noise from run to run."""
    return np.log(factors)[:, None] + random.normal(0, NOISE, (pairs, len(factors), n))


def both(n: int, deployments: int, slow: int, pairs: int) -> tuple[Floats, Floats]:
    """Sides of which the candidate's first `slow` deployments take 1.3 times as long."""
    random = np.random.default_rng([n, deployments, slow])
    factors = [1.3] * slow + [1.0] * (deployments - slow)
    return drawn(random, pairs, n, [1.0] * deployments), drawn(random, pairs, n, factors)


def chances(n: int) -> Floats:
    """Probability that U is at most 0, 1, 2, ..., by listing all orders of two groups of n."""
    orders = combinations(range(2 * n), n)
    counts = np.bincount([sum(order) - n * (n - 1) // 2 for order in orders])
    return np.cumsum(counts) / counts.sum()


def adjusted(base: Floats, candidate: Floats) -> Floats:
    """p by pair and deployment: Westfall and Young's step-down, with t of every assignment of runs.

    Here Student's t, by the analysis of variance; the product takes a correlation, which has the
    same order.
    """
    n = base.shape[2]
    logs = np.concatenate([base, candidate], 2)
    logs -= logs.mean(2, keepdims=True)
    assignments = np.array([np.isin(range(2 * n), c) for c in combinations(range(2 * n), n)])
    means = logs @ assignments.T / n
    within = (logs**2).sum(2, keepdims=True) - 2 * n * means**2
    ts = 2 * means / np.sqrt(within / (n * (n - 1)))
    ts = np.round(ts, 9)
    own = ts[..., np.flatnonzero(assignments[:, n:].all(1))[0]]

    order = np.argsort(-own, 1)
    left = np.take_along_axis(ts, order[..., None], 1)[:, ::-1]
    largest = np.maximum.accumulate(left, 1)[:, ::-1]
    ps = (largest >= np.take_along_axis(own, order, 1)[..., None]).mean(2)
    found = np.empty_like(own)
    np.put_along_axis(found, order, np.maximum.accumulate(ps, 1), 1)
    return found


def regressions(base: Floats, candidate: Floats) -> NDArray[np.bool_]:
    """Of each pair and deployment whether it is a regression, by the definition."""
    shifts = candidate[..., :, None] - base[..., None, :]
    slower = chances(base.shape[2])[(shifts < 0).sum((-1, -2))]
    effects = np.exp(np.median(shifts.reshape(*shifts.shape[:2], -1), -1))
    parts = [
        adjusted(*of)
        for of in zip(*(np.split(side, 10) for side in (base, candidate)), strict=True)
    ]
    ps = np.maximum(2 * slower, np.concatenate(parts))
    return (ps < 0.05) & (effects >= 1.1)


def side(name: str, logs: Floats) -> dict[str, Report]:
    return {
        f"{name}{run}": report_of(
            {f"app/{i}": deployment_of([up]) for i, up in enumerate(np.exp(of_run).tolist())}
        )
        for run, of_run in enumerate(logs.T)
    }


@pytest.mark.parametrize(("n", "deployments"), [(4, 1), (4, 2), (4, 6), (5, 1), (5, 2), (5, 6)])
@pytest.mark.parametrize("slow", [0, 1])
def test_compare_is_the_rule(n, deployments, slow):
    base, candidate = both(n, deployments, slow, 60)

    found = [
        compare(side("a", one), side("b", other)).verdict == "regression"
        for one, other in zip(base, candidate, strict=True)
    ]

    assert found == regressions(base, candidate).any(1).tolist()


@pytest.mark.parametrize(
    ("n", "deployments"),
    [(4, 1), (4, 2), (4, 6), (5, 1), (5, 2), pytest.param(5, 6, marks=pytest.mark.long)],
)
def test_false_alarms_of_equal_builds_are_at_most_one_in_twenty(n, deployments):
    assert regressions(*both(n, deployments, 0, PAIRS)).any(1).mean() <= 0.05


@pytest.mark.parametrize(
    ("n", "deployments", "slow", "least"),
    [
        (5, 1, 1, 0.8),
        (5, 2, 1, 0.8),
        (5, 2, 2, 0.8),
        pytest.param(5, 6, 1, 0.8, marks=pytest.mark.long),
        pytest.param(5, 6, 6, 0.8, marks=pytest.mark.long),
        (4, 2, 2, 0.8),
        (4, 6, 6, 0.8),
    ],
)
def test_thirty_percent_more_is_found(n, deployments, slow, least):
    """Of those that are slower, one at least."""
    found = regressions(*both(n, deployments, slow, PAIRS))

    assert found[:, :slow].any(1).mean() >= least


def test_the_order_of_runs_changes_nothing():
    (base,), (candidate,) = both(5, 2, 1, 1)
    sides = side("a", base), side("b", candidate)

    one = compare(*sides)
    for names in islice(permutations(sides[0]), 0, 100, 17):
        assert compare({name: sides[0][name] for name in names}, sides[1]).figures == one.figures
