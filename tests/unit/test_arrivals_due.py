"""Due times of the requests of an open-loop plan."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.plan import arrivals as plan_module
from scalelag.plan.arrivals import arrival_blocks
from scalelag.plan.schedule import Schedule
from scalelag.plan.stages import Arrivals, parse_plan


def due(text: str, arrivals: Arrivals = "constant", seed: int = 0) -> np.ndarray:
    """All due times in one array."""
    blocks = list(arrival_blocks(parse_plan(text), arrivals, seed))
    return np.concatenate(blocks) if blocks else np.empty(0)


def within(times: np.ndarray, from_s: float, to_s: float) -> np.ndarray:
    return times[(times >= from_s) & (times < to_s)]


def integral(text: str, stage: int, at_s: np.ndarray) -> np.ndarray:
    """Integral of the rate of a stage from its edge to each of `at_s`, added up numerically.

    By the midpoint rule, which is exact for a line but for rounding.
    """
    found = parse_plan(text).stages[stage]
    cells = 64
    edges = found.at_s + np.outer(at_s - found.at_s, np.arange(cells + 1) / cells)
    middles = (edges[:, 1:] + edges[:, :-1]) / 2
    share = (middles - found.at_s) / found.duration_s
    rate = found.start_level * (1 - share) + found.end_level * share
    return np.sum(rate * np.diff(edges, axis=1), axis=1)


# --- constant arrivals -----------------------------------------------------------------------


def test_arrivals_at_a_constant_rate_are_one_period_apart_from_the_stages_edge():
    times = due("10rps:2s,40rps:3s,7rps:2s")

    expected = (
        [k / 10 for k in range(20)]
        + [2 + k / 40 for k in range(120)]
        + [5 + k / 7 for k in range(14)]
    )
    assert times == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("80rps:60s", Fraction(80 * 60)),
        ("0.1rps:30s", Fraction(3)),
        ("0.3rps:10s", Fraction(3)),
        ("33.3rps:10s", Fraction(333)),
        ("7rps:1h", Fraction(25_200)),
        ("3rps:333ms", Fraction(999, 1000)),
        ("3rps:334ms", Fraction(1002, 1000)),
        ("0.7rps:3s", Fraction(21, 10)),
    ],
)
def test_a_stage_has_as_many_arrivals_as_rate_times_duration_rounded_up(text: str, exact: Fraction):
    assert due(text).size == math.ceil(exact)


@given(st.integers(1, 997), st.integers(1, 60), st.integers(1, 5))
def test_whole_products_of_rate_and_duration_are_exact(rate: int, duration: int, repeat: int):
    text = ",".join([f"{rate}rps:{duration}s"] * repeat)

    assert Schedule(parse_plan(text)).count() == rate * duration * repeat


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 300))
def test_whole_products_are_exact_for_decimal_rates_and_durations(
    tenths: int, more: int, duration: int
):
    # (tenths / 10) rps for 10 * duration s, behind a stage of an odd length.
    text = f"{more / 10}rps:{more / 10}s,{tenths / 10}rps:{10 * duration}s"

    first = math.ceil(more * more / 100)
    assert Schedule(parse_plan(text)).count() == first + tenths * duration


@pytest.mark.parametrize(
    "text", ["10rps:2s,3..9rps:4s,9..1rps:3s,0.5rps:3s", "0..5rps:3s,5..0rps:3s,2rps:1s"]
)
def test_the_first_arrival_of_each_stage_is_at_its_edge(text: str):
    times = due(text)

    for stage in parse_plan(text).stages:
        assert within(times, stage.at_s, stage.end_s)[0] == stage.at_s


def test_a_stage_at_rate_0_has_no_arrivals():
    times = due("0rps:5s,4rps:1s,0rps:5s,2rps:1s,0rps:9s")

    assert times.tolist() == [5.0, 5.25, 5.5, 5.75, 11.0, 11.5]


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("10..80rps:60s", 0),
        ("80..10rps:60s", 0),
        ("0..50rps:20s", 0),
        ("50..0rps:20s", 0),
        ("5rps:7s,1..300rps:9s", 1),
        ("5rps:7s,300..1rps:9s", 1),
    ],
)
def test_the_number_due_on_a_ramp_equals_the_integral_of_its_rate(text: str, stage: int):
    ramp = parse_plan(text).stages[stage]
    times = within(due(text), ramp.at_s, ramp.end_s)

    area = integral(text, stage, np.array([ramp.end_s]))[0]
    assert times.size == math.ceil(area - 1e-6)
    assert integral(text, stage, times) == pytest.approx(np.arange(times.size), abs=1e-6)


def test_a_known_ramp():
    # 0 to 8 rps in 4 s: t^2 arrivals by t, so that number k is due at sqrt(k).
    times = due("0..8rps:4s")

    assert times == pytest.approx([math.sqrt(k) for k in range(16)], abs=1e-12)


RAMPS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 80)), min_size=1, max_size=5
)


@given(RAMPS)
def test_arrivals_of_any_plan_ascend_and_fit_the_integral_of_the_rate(
    parts: list[tuple[int, int, int]],
):
    parts = [*parts, (1, 2, 3)]
    text = ",".join(f"{a}..{b}rps:{d / 8}s" for a, b, d in parts)

    times = due(text)

    assert np.all(np.diff(times) >= 0)
    counted = 0
    for number, (a, b, d) in enumerate(parts):
        count = math.ceil((a + b) * d / 16)  # exact: eighths and halves
        own = times[counted : counted + count]
        marks = integral(text, number, own)
        assert marks == pytest.approx(np.arange(count), abs=1e-6)
        counted += count
    assert counted == times.size


# --- blocks ----------------------------------------------------------------------------------


def test_blocks_hold_at_most_65536_arrivals_and_ascend():
    blocks = list(arrival_blocks(parse_plan("5000rps:30s,5000..9000rps:10s")))

    sizes = [block.size for block in blocks]
    assert max(sizes) == 65_536
    assert sum(sizes) == 150_000 + 70_000
    assert np.all(np.diff(np.concatenate(blocks)) > 0)


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
@pytest.mark.parametrize("text", ["40rps:3s,10..90rps:4s,0rps:1s,64rps:1s", "90..0rps:3s"])
def test_constant_arrivals_do_not_depend_on_the_size_of_blocks(
    monkeypatch: pytest.MonkeyPatch, text: str, block: int
):
    whole = due(text)
    monkeypatch.setattr(plan_module, "_BLOCK", block)

    blocks = list(arrival_blocks(parse_plan(text)))

    assert max(b.size for b in blocks) <= block
    assert np.array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_poisson_arrivals_do_not_depend_on_the_size_of_blocks(
    monkeypatch: pytest.MonkeyPatch, block: int
):
    text = "40rps:3s,10..90rps:4s,0rps:1s,64rps:1s"
    whole = due(text, "poisson", seed=3)
    monkeypatch.setattr(plan_module, "_BLOCK", block)

    blocks = list(arrival_blocks(parse_plan(text), "poisson", 3))

    assert max(b.size for b in blocks) <= block
    assert np.concatenate(blocks) == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_counting_agrees_with_the_blocks(arrivals: Arrivals):
    text = "40rps:3s,10..90rps:4s,0rps:1s"

    assert Schedule(parse_plan(text), arrivals, 5).count() == due(text, arrivals, 5).size


# --- Poisson arrivals ------------------------------------------------------------------------

STAGES = "200rps:60s,0rps:10s,0..400rps:50s,400..20rps:40s"
MEANS = [(0.0, 60.0, 12_000.0), (70.0, 120.0, 10_000.0), (120.0, 160.0, 8_400.0)]


def test_the_same_seed_gives_the_same_poisson_arrivals():
    assert np.array_equal(due(STAGES, "poisson", seed=7), due(STAGES, "poisson", seed=7))


def test_other_seeds_give_other_poisson_arrivals():
    firsts = {due("50rps:10s", "poisson", seed=seed)[0] for seed in range(50)}

    assert len(firsts) == 50


def test_the_seed_does_not_matter_to_constant_arrivals():
    assert np.array_equal(due(STAGES, seed=1), due(STAGES, seed=2))


def test_the_poisson_arrivals_of_a_stage_do_not_depend_on_the_length_of_those_before():
    early = within(due("9rps:2s,50rps:10s", "poisson", seed=4), 2.0, 12.0)
    late = within(due("70rps:32s,50rps:10s", "poisson", seed=4), 32.0, 42.0)

    assert early - 2.0 == pytest.approx(late - 32.0, abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("from_s", "to_s", "mean"), MEANS)
def test_a_stage_has_about_as_many_poisson_arrivals_as_its_mean(
    seed: int, from_s: float, to_s: float, mean: float
):
    count = within(due(STAGES, "poisson", seed), from_s, to_s).size

    assert abs(count - mean) < 5 * math.sqrt(mean)


def test_counts_of_poisson_arrivals_vary_as_much_as_their_mean():
    # 400 counts of mean 50: variance 50, its own standard error 50 * sqrt(2 / 399) = 3.5.
    counts = [due("50rps:1s", "poisson", seed).size for seed in range(400)]

    assert np.var(counts, ddof=1) == pytest.approx(50, abs=5 * 3.5)
    assert np.mean(counts) == pytest.approx(50, abs=5 * math.sqrt(50 / 400))


def kolmogorov(unit_gaps: np.ndarray) -> float:
    """sqrt(n) times the largest distance between the sample and the unit exponential."""
    ordered = np.sort(unit_gaps)
    n = ordered.size
    expected = 1 - np.exp(-ordered)
    above = np.arange(1, n + 1) / n - expected
    below = expected - np.arange(n) / n
    return math.sqrt(n) * max(above.max(), below.max())


def test_gaps_of_poisson_arrivals_are_exponential():
    times = due("200rps:100s", "poisson", seed=11)

    gaps = np.diff(times, prepend=0.0) * 200

    assert kolmogorov(gaps) < 1.95  # the 0.1 % point of Kolmogorov's distribution


def test_gaps_of_poisson_arrivals_on_a_ramp_are_exponential_in_the_integral_of_the_rate():
    text = "20..400rps:100s"
    times = due(text, "poisson", seed=12)

    gaps = np.diff(integral(text, 0, times), prepend=0.0)

    assert kolmogorov(gaps) < 1.95


def test_neighbouring_gaps_of_poisson_arrivals_are_not_correlated():
    gaps = np.diff(due("200rps:100s", "poisson", seed=13))

    correlation = np.corrcoef(gaps[1:], gaps[:-1])[0, 1]

    assert abs(correlation) < 5 / math.sqrt(gaps.size)


def test_poisson_arrivals_of_different_stages_are_different():
    times = due("50rps:10s,50rps:10s", "poisson", seed=1)
    first, second = within(times, 0, 10), within(times, 10, 20) - 10
    shared = min(first.size, second.size)

    assert np.abs(first[:shared] - second[:shared]).max() > 0.01
