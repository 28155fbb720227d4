"""Comparing runs: docs/metrics.md's numbers, false alarms, power, refusals."""

import itertools
import math

import msgspec
import numpy as np
import pytest

from reports.analysis.comparing.compare import compare
from reports.analysis.comparing.rank_tests import grouped_effect, holm, paired_effect
from reports.model.intervals import Span, longer_than
from reports.model.load import LoadStepReport
from reports.model.report import Report
from reports.model.steps import DeploymentReport, Replicas, ScaleDown, ScaleUp, StepReport
from scalelag.errors import UsageError
from tests.support.built.made_report import report_of

A = [10.2, 9.8, 12.1, 11.0, 10.6, 9.9, 13.0, 10.4]
B = [12.5, 11.1, 14.0, 13.9, 12.2, 12.4, 14.8, 11.9]


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


def test_holm_adjusts_as_written():
    # Holm (1979): the smallest times their number, the next times one less, never falling.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


# --- runs ------------------------------------------------------------------------------------


def step(index: int, total: Span | None, direction: str = "up") -> StepReport:
    return StepReport(
        index=index,
        direction=direction,
        at_s=30.0 * index,
        hold_s=30.0,
        from_level=5.0,
        to_level=40.0,
        unit="rps",
        replicas_before=1,
        replicas_after=4,
        target_before=1,
        target_after=4,
        total_s=total,
    )


def load_step(index: int, p99_ms: float) -> LoadStepReport:
    return LoadStepReport(
        index=index,
        at_s=30.0 * index,
        hold_s=30.0,
        from_level=5.0,
        to_level=40.0,
        unit="rps",
        planned=100,
        sent=100,
        completed=100,
        failed=0,
        not_sent=0,
        offered_rps=40.0,
        completed_rps=40.0,
        latency_p99_ms=p99_ms,
    )


def run_of(up: list[float], down: list[float] = (), p99_ms: list[float] = ()) -> Report:
    steps = [step(i, Span(v, v, v)) for i, v in enumerate(up)]
    steps += [step(100 + i, Span(v, v, v), "down") for i, v in enumerate(down)]
    nothing = DeploymentReport(None, tuple(steps), ScaleUp(), ScaleDown(), Replicas())
    load_steps = tuple(load_step(i, v) for i, v in enumerate(p99_ms))
    return report_of({"app/Model": nothing}, load_steps)


def figure(found, name):
    return next(one for one in found.figures if one.figure == name)


def test_two_runs_are_compared_step_by_step():
    found = compare({"a": run_of(A)}, {"b": run_of(B)})

    one = figure(found, "app/Model:scale_up.total_s")
    assert (found.form, found.verdict, one.verdict) == ("steps of two runs",) + ("regression",) * 2
    assert one.effect is not None
    assert one.effect.value == pytest.approx(1.185897, abs=1e-6)
    assert "within-run evidence" in found.evidence


def test_a_smaller_effect_than_counts_is_no_regression():
    found = compare({"a": run_of(A)}, {"b": run_of([1.05 * a for a in A])})

    one = figure(found, "app/Model:scale_up.total_s")
    assert one.effect is not None
    assert one.effect.lo > 1
    assert found.verdict == "no difference shown"


def test_the_other_way_round_it_is_an_improvement():
    assert compare({"b": run_of(B)}, {"a": run_of(A)}).verdict == "improvement"


def test_steps_are_paired_by_number_and_too_few_are_not_compared():
    found = compare({"a": run_of(A[:5], p99_ms=A)}, {"b": run_of(B, p99_ms=B)})

    lag, latency = figure(found, "app/Model:scale_up.total_s"), figure(found, "load.latency_p99_ms")
    assert (lag.verdict, lag.reason) == ("not comparable", "too few steps: 5 of 6")
    assert latency.verdict == "regression"


def test_a_step_that_was_not_over_is_left_out():
    base, other = run_of(A[:6]), run_of(B[:6])
    key = "app/Model"
    steps = (*base.deployments[key].steps[:5], step(5, longer_than(30.0)))
    cut = msgspec.structs.replace(base.deployments[key], steps=steps)
    base = msgspec.structs.replace(base, deployments={key: cut})

    found = compare({"a": base}, {"b": other})

    assert figure(found, "app/Model:scale_up.total_s").reason == "too few steps: 5 of 6"


def test_a_figure_that_only_one_side_has_is_named():
    """As with a build whose replicas never follow: it has no lag to be slower."""
    both, never = run_of([5.0] * 6, p99_ms=[100.0] * 6), run_of([], p99_ms=[100.0] * 6)

    found = compare({"base": both}, {"candidate": never})
    turned = compare({"base": never}, {"candidate": both})

    one = figure(found, "app/Model:scale_up.total_s")
    assert (one.verdict, one.base, one.candidate) == ("not comparable", 5.0, None)
    assert one.reason == "not measured in the candidate"
    other = figure(turned, "app/Model:scale_up.total_s")
    assert (other.verdict, other.base, other.candidate) == ("not comparable", None, 5.0)
    assert other.reason == "not measured in the base"


@pytest.mark.parametrize(("base", "candidate"), [(2, 1), (3, 3), (1, 5), (4, 3)])
def test_numbers_of_runs_that_tell_nothing_are_refused(base, candidate):
    sides = [
        {f"{side}{i}": run_of(A) for i in range(n)} for side, n in (("a", base), ("b", candidate))
    ]

    with pytest.raises(UsageError, match="compare one with one, or at least 4 with 4"):
        compare(*sides)


def test_runs_count_not_their_steps():
    """Many steps in each of four runs are four values: a shift of one run cannot make a regression."""
    usual = [run_of([10.0 + 0.01 * i] * 50) for i in range(4)]
    slow = [run_of([10.0 + 0.01 * i] * 50) for i in range(3)] + [run_of([20.0] * 50)]

    found = compare(dict(zip("abcd", usual, strict=True)), dict(zip("efgh", slow, strict=True)))

    one = figure(found, "app/Model:scale_up.total_s")
    assert one.effect is not None
    assert one.effect.n == 4
    assert found.verdict == "no difference shown"


def simulated(random: np.random.Generator, factor: float = 1.0) -> dict[str, Report]:
    """Five runs with 10 % noise from run to run, in which scale-up takes `factor` times as long."""
    runs = {}
    for number in range(5):
        up, down, p99 = random.normal(0, 0.1, 3)
        runs[f"{factor}-{number}"] = run_of(
            [10 * factor * math.exp(up)] * 3, [20 * math.exp(down)] * 3, [300 * math.exp(p99)] * 3
        )
    return runs


def test_false_alarms_and_power_of_five_runs_a_side():
    """docs/metrics.md: at most 5 % false alarms in 500 A/A pairs; +30 % is found in at least 80 %."""
    random = np.random.default_rng(11)
    alarms = [
        compare(simulated(random), {f"b{k}": v for k, v in simulated(random).items()}).verdict
        for _ in range(500)
    ]
    found = [compare(simulated(random), simulated(random, 1.3)).verdict for _ in range(200)]

    assert alarms.count("regression") <= 25
    assert found.count("regression") >= 160


def test_the_order_of_runs_and_steps_changes_nothing():
    random = np.random.default_rng(5)
    base, other = simulated(random), simulated(random, 1.2)

    one = compare(base, other)
    for names in itertools.islice(itertools.permutations(base), 0, 100, 17):
        again = compare({name: base[name] for name in names}, other)
        assert again.figures == one.figures
