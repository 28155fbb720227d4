"""Verdicts of comparisons: main figures, censored steps, numbers of runs."""

import numpy as np
import pytest
from msgspec.structs import replace

from reports.analysis.comparing.compare import compare
from reports.model.changes import ChangeReport
from reports.model.intervals import Span
from reports.model.load import LoadStepReport
from reports.model.report import Report
from reports.model.steps import Phase, StepReport
from scalelag.errors import UsageError
from tests.support.built.made_report import report_of
from tests.support.built.scaled import deployment_of, step

A = [10.2, 9.8, 12.1, 11.0, 10.6, 9.9, 13.0, 10.4]
B = [12.5, 11.1, 14.0, 13.9, 12.2, 12.4, 14.8, 11.9]


# --- runs ------------------------------------------------------------------------------------


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


def run_of(up: list[float | None], down: list[float] = (), p99_ms: list[float] = ()) -> Report:
    load_steps = tuple(load_step(i, v) for i, v in enumerate(p99_ms))
    return report_of({"app/Model": deployment_of(up, down)}, load_steps)


def runs(side: str, reports: list[Report]) -> dict[str, Report]:
    return {f"{side}{i}": report for i, report in enumerate(reports)}


UP = "app/Model:scale_up.total_s"


def figure(found, name):
    return next(one for one in found.figures if one.figure == name)


# --- one run a side --------------------------------------------------------------------------


def test_two_runs_are_compared_step_by_step():
    found = compare({"a": run_of(A)}, {"b": run_of(B)}, within_run=True)

    one = figure(found, UP)
    assert (found.form, found.verdict, one.verdict) == ("steps of two runs",) + ("regression",) * 2
    assert one.effect is not None
    assert one.effect.value == pytest.approx(1.185897, abs=1e-6)
    assert "within-run evidence" in found.evidence


def test_one_run_a_side_has_no_verdict_unless_asked_for():
    found = compare({"a": run_of(A)}, {"b": run_of(B)})

    assert found.verdict == "cannot be told"
    assert found.reason is not None
    assert "one run a side cannot tell" in found.reason
    assert "4 a side can" in found.reason
    # The steps are shown all the same.
    one = figure(found, UP)
    assert (one.verdict, one.main) == ("slower", True)
    assert "within-run evidence" in found.evidence


def test_a_smaller_effect_than_counts_is_no_regression():
    found = compare({"a": run_of(A)}, {"b": run_of([1.05 * a for a in A])}, within_run=True)

    one = figure(found, UP)
    assert one.effect is not None
    assert one.effect.lo > 1
    assert found.verdict == "no difference shown"


def test_the_other_way_round_it_is_an_improvement():
    assert compare({"b": run_of(B)}, {"a": run_of(A)}, within_run=True).verdict == "improvement"


def test_steps_are_paired_by_number_and_too_few_tell_nothing():
    base, other = run_of(A[:5], p99_ms=A), run_of(B, p99_ms=B)

    found = compare({"a": base}, {"b": other}, within_run=True)

    lag, latency = figure(found, UP), figure(found, "load.latency_p99_ms")
    assert (lag.verdict, lag.reason) == (
        "cannot be told",
        "cannot be told with 5 steps; 6 steps can",
    )
    assert (lag.base, lag.candidate) == (10.6, 12.5)
    assert latency.verdict == "slower"
    assert found.verdict == "cannot be told"


# --- steps that were never over --------------------------------------------------------------


def test_a_build_of_which_most_scale_ups_never_come_is_a_regression():
    never = [*[None] * 7, 5.0]
    base, candidate = [run_of([5.0 + 0.1 * i] * 8) for i in range(5)], [run_of(never)] * 5

    found = compare(runs("a", base), runs("b", candidate))
    turned = compare(runs("a", candidate), runs("b", base))

    one = figure(found, UP)
    assert (found.verdict, one.verdict) == ("regression", "regression")
    # The medians of the candidate's runs are above 20, those of the base 5.0 to 5.4.
    assert one.effect is not None
    assert (one.effect.bound, one.effect.value) == ("at least", pytest.approx(20 / 5.2))
    assert (one.base, one.candidate, one.candidate_above) == (5.2, None, 20.0)
    assert (one.base_censored, one.candidate_censored) == (0, 35)
    assert turned.verdict == "improvement"


def test_two_runs_of_which_one_never_comes_up():
    base, never = run_of([5.0 + 0.1 * i for i in range(8)]), run_of([*[None] * 7, 5.75])

    assert compare({"a": base}, {"b": never}, within_run=True).verdict == "regression"
    assert compare({"a": never}, {"b": base}, within_run=True).verdict == "improvement"


def test_a_base_that_never_came_up_hides_what_is_slower():
    base = [run_of([None] * 3)] * 4 + [run_of([5.0] * 3)]

    found = compare(runs("a", base), runs("b", [run_of([None] * 3)] * 5))

    one = figure(found, UP)
    assert (found.verdict, one.verdict) == ("cannot be told", "cannot be told")
    assert one.reason is not None
    assert "12 steps of the base were not over when the hold ended" in one.reason


def test_a_figure_that_only_one_side_has_is_named():
    """As with a build whose replicas never follow: it has no lag to be slower."""
    both, never = run_of([5.0] * 6, p99_ms=[100.0] * 6), run_of([], p99_ms=[100.0] * 6)

    found = compare(runs("a", [both] * 5), runs("b", [never] * 5))
    turned = compare(runs("a", [never] * 5), runs("b", [both] * 5))

    one = figure(found, UP)
    assert (one.verdict, one.base, one.candidate) == ("not comparable", 5.0, None)
    assert one.reason == "not measured in the candidate"
    assert (found.verdict, found.reason) == ("not comparable", f"{UP}: {one.reason}")
    other = figure(turned, UP)
    assert (other.verdict, other.base, other.candidate) == ("not comparable", None, 5.0)
    assert other.reason == "not measured in the base"


# --- numbers of runs -------------------------------------------------------------------------


@pytest.mark.parametrize(("base", "candidate"), [(2, 1), (3, 3), (1, 5), (4, 3)])
def test_numbers_of_runs_that_tell_nothing_give_no_verdict(base, candidate):
    """Ten times slower, and too few to say so."""
    found = compare(runs("a", [run_of(A)] * base), runs("b", [run_of([150.0])] * candidate))

    few = min(base, candidate)
    assert (found.verdict, figure(found, UP).verdict) == ("cannot be told", "cannot be told")
    assert found.reason == f"{UP}: cannot be told with {few} runs a side; 4 runs a side can"


def of_deployments(ups: list[float]) -> Report:
    return report_of({f"app/{i}": deployment_of([up] * 3) for i, up in enumerate(ups)})


@pytest.mark.parametrize("deployments", [1, 2, 6, 50])
def test_ten_times_slower_is_found_with_four_runs_and_any_number_of_deployments(deployments):
    random = np.random.default_rng(deployments)
    noise = np.exp(random.normal(0, 0.1, (2, 4, deployments)))
    base = [of_deployments(list(5.0 * run)) for run in noise[0]]
    slow = [of_deployments([50.0 * run[0], *(5.0 * run[1:])]) for run in noise[1]]

    found = compare(runs("a", base), runs("b", slow))

    verdicts = [figure(found, f"app/{i}:scale_up.total_s").verdict for i in range(deployments)]
    assert verdicts == ["regression", *["no difference shown"] * (deployments - 1)]
    assert found.verdict == "regression"
    # 2 of 70.
    assert found.evidence == "4 runs against 4; the smallest p that they can give is 0.0286"


def test_a_restless_deployment_does_not_hide_a_quiet_one():
    random = np.random.default_rng(3)
    noise = random.normal(0, 1, (2, 5, 2)) * (0.05, 1.0)
    base = [of_deployments(list(5 * np.exp(run))) for run in noise[0]]
    slow = [of_deployments([1.3 * 5 * np.exp(run[0]), 5 * np.exp(run[1])]) for run in noise[1]]

    found = compare(runs("a", base), runs("b", slow))

    assert figure(found, "app/0:scale_up.total_s").verdict == "regression"


def test_several_improvements_are_found_as_regressions_are():
    base = [of_deployments([5.0 + 0.1 * i, 7.0 + 0.1 * i]) for i in range(4)]
    quick = [of_deployments([0.5 + 0.01 * i, 0.7 + 0.01 * i]) for i in range(4)]

    found = compare(runs("a", base), runs("b", quick))

    assert {one.verdict for one in found.figures if one.main} == {"improvement"}


def test_a_deployment_that_some_runs_did_not_measure_is_judged_by_the_others():
    base = [of_deployments([5.0 + 0.1 * i, 7.0 + 0.1 * i]) for i in range(5)]
    slow = [of_deployments([50.0 + 0.1 * i, 7.0 + 0.1 * i][: 2 - (i == 0)]) for i in range(5)]

    found = compare(runs("a", base), runs("b", slow))

    verdicts = [figure(found, f"app/{i}:scale_up.total_s").verdict for i in (0, 1)]
    assert verdicts == ["regression", "no difference shown"]


# --- doubts ----------------------------------------------------------------------------------


def failing(report: Report, ratio: float) -> Report:
    return replace(report, load=replace(report.load, error_ratio=ratio))


def test_a_candidate_that_fails_quickly_is_no_improvement():
    """An answer 404 comes at once, and needs no replicas."""
    slow = [report_of({}, (load_step(0, 400.0 + i),)) for i in range(5)]
    quick = [failing(report_of({}, (load_step(0, 2.0 + i),)), 0.98) for i in range(5)]

    found = compare(runs("a", slow), runs("b", quick))

    assert found.verdict == "cannot be told"
    assert found.reason is not None
    assert "98.0 % of the candidate's requests failed, 0.0 % of the base's" in found.reason


@pytest.mark.parametrize(("base", "candidate"), [(0.3, 0.305), (0.98, 0.0)])
def test_requests_that_fail_on_both_sides_or_on_the_base_hinder_nothing(base, candidate):
    slow = [failing(report_of({}, (load_step(0, 400.0 + i),)), base) for i in range(5)]
    quick = [failing(report_of({}, (load_step(0, 2.0 + i),)), candidate) for i in range(5)]

    assert compare(runs("a", slow), runs("b", quick)).verdict == "improvement"


def test_a_candidate_that_fails_and_is_slower_is_a_regression():
    base = [run_of([5.0 + 0.1 * i]) for i in range(5)]
    slow = [failing(run_of([10.0 + 0.1 * i]), 0.5) for i in range(5)]

    assert compare(runs("a", base), runs("b", slow)).verdict == "regression"


def test_runs_that_somebody_changed_are_named():
    change = ChangeReport(44.8, 44.5, 45.0, "config", "app/Model", "max_replicas 4 -> 5")
    base = [run_of([5.0 + 0.1 * i]) for i in range(4)]
    changed = [*base[:3], replace(base[3], changes=(change,))]

    found = compare(runs("a", base), runs("b", changed))

    assert found.warnings == ("b3: what was deployed changed during the run (config at 44.8 s)",)
    assert compare(runs("a", base), runs("b", base)).warnings == ()


def test_steps_of_the_warm_up_are_not_compared():
    """The first step, at 0 s, is ten times slower in the candidate."""
    base = [run_of([1.0, 5.0 + 0.1 * i, 5.0]) for i in range(5)]
    cold = [run_of([90.0, 5.0 + 0.1 * i, 5.0], p99_ms=[900.0, 10.0]) for i in range(5)]
    warm = [replace(one, run=replace(one.run, warmup_s=20.0)) for one in (*base, *cold)]

    found = compare(runs("a", warm[:5]), runs("b", warm[5:]))

    assert found.verdict == "no difference shown"
    one = figure(found, UP)
    assert (one.base, one.candidate) == (5.1, 5.1)


# --- main figures and those that explain -----------------------------------------------------


def test_a_figure_that_explains_makes_no_verdict_and_is_named():
    base = [run_of([10.0 + 0.1 * i], [20.0 + i], [300.0]) for i in range(5)]
    slow = [run_of([10.0 + 0.1 * i], [60.0 + i], [300.0]) for i in range(5)]

    found = compare(runs("a", base), runs("b", slow))

    down = figure(found, "app/Model:scale_down.total_s")
    assert (down.verdict, down.main) == ("slower", False)
    assert found.verdict == "no difference shown"
    assert found.reason == (
        "the main figures show no difference; app/Model:scale_down.total_s is slower"
    )
    assert [one.figure for one in found.figures if one.main] == [UP]
    assert found.figures[0].main


def test_another_main_figure_can_be_chosen():
    base = [run_of([10.0 + 0.1 * i], [20.0 + i]) for i in range(5)]
    slow = [run_of([10.0 + 0.1 * i], [60.0 + i]) for i in range(5)]

    found = compare(runs("a", base), runs("b", slow), mains=("scale_down.total_s",))

    assert found.verdict == "regression"
    assert [one.figure for one in found.figures if one.main] == ["app/Model:scale_down.total_s"]
    with pytest.raises(UsageError, match=r"--main scale_up\.totl_s: neither side has it"):
        compare(runs("a", base), runs("b", slow), mains=("scale_up.totl_s",))


def test_where_nothing_scales_up_another_figure_is_the_main_one():
    down = compare(runs("a", [run_of([], [9.0])] * 5), runs("b", [run_of([], [9.0])] * 5))
    none = report_of({}, (load_step(0, 100.0),))
    latency = compare(runs("a", [none] * 5), runs("b", [none] * 5))

    assert [one.figure for one in down.figures if one.main] == ["app/Model:scale_down.total_s"]
    assert [one.figure for one in latency.figures if one.main] == ["load.latency_p99_ms"]


def test_latency_is_that_of_the_whole_run_where_one_step_alone_is_slow():
    base = [
        report_of({}, tuple(map(load_step, range(3), (390.0, 3000.0 + i, 238.0)))) for i in range(5)
    ]
    slow = [
        report_of({}, tuple(map(load_step, range(3), (390.0, 9000.0 + i, 238.0)))) for i in range(5)
    ]

    found = compare(runs("a", base), runs("b", slow))

    one = figure(found, "load.latency_p99_ms")
    assert (found.verdict, one.base, one.candidate) == ("regression", 3002.0, 9002.0)


def with_start_up(total_s: float, start_up_s: float) -> StepReport:
    phases = (
        Phase("decide", total_s - start_up_s, source="log"),
        Phase("initialize", start_up_s, source="log"),
        Phase("allocate", reason="not seen"),
    )
    return step(0, Span(total_s, total_s, total_s), "up", phases)


def test_a_slower_start_up_is_seen_though_totals_have_two_humps():
    """One decision or two: 10 s or 40 s, with a start-up of 1.0 to 1.6 or 1.9 to 2.8 s."""
    sides = []
    for start_ups in ((1.0, 1.1, 1.3, 1.5, 1.6), (1.9, 2.1, 2.3, 2.6, 2.8)):
        humps = (10.0, 40.0, 10.0, 40.0, 10.0)
        steps = [with_start_up(hump + s, s) for hump, s in zip(humps, start_ups, strict=True)]
        nothing = deployment_of([])
        sides.append([report_of({"app/Model": replace(nothing, steps=(one,))}) for one in steps])

    found = compare(runs("a", sides[0]), runs("b", sides[1]))

    start_up = figure(found, "app/Model:scale_up.initialize_s")
    assert (start_up.base, start_up.candidate, start_up.verdict) == (1.3, 2.3, "slower")
    assert figure(found, UP).verdict == "no difference shown"
    assert found.reason is not None
    assert "app/Model:scale_up.initialize_s is slower" in found.reason
    assert "app/Model:scale_up.allocate_s" not in {one.figure for one in found.figures}


def test_reversals_and_settling_explain():
    """docs/metrics.md#movements: total 8.8 in both, and the candidate swings until 31.0."""
    steady = replace(step(0, Span(8.8, 8.8, 8.8)), settled_s=Span(8.8, 8.8, 8.8))
    swings = replace(step(0, Span(8.8, 8.8, 8.8)), settled_s=Span(31.0, 31.0, 31.0), reversals=2)
    sides = [
        [report_of({"app/Model": replace(deployment_of([]), steps=(one,))})] * 5
        for one in (steady, swings)
    ]

    found = compare(runs("a", sides[0]), runs("b", sides[1]))

    settled = figure(found, "app/Model:scale_up.settled_s")
    assert (settled.base, settled.candidate, settled.verdict) == (8.8, 31.0, "slower")
    reversals = figure(found, "app/Model:scale_up.reversals")
    assert (reversals.base, reversals.candidate, reversals.verdict) == (0.0, 2.0, "slower")
    assert (settled.main, reversals.main, found.verdict) == (False, False, "no difference shown")
