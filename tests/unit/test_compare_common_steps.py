"""Comparisons of sides that were measured in other steps."""

from collections.abc import Mapping

from msgspec.structs import replace

from reports.analysis.comparing.compare import compare
from reports.model.report import Report
from tests.support.built.made_report import report_of
from tests.support.built.scaled import deployment_of

UP = "app/Model:scale_up.total_s"
QUICK_S, SLOW_S = 4.0, 12.0


def run_of(missing: int | None, slower: float = 1.0) -> Report:
    """A run of a quick and a slow step up; the one `missing` needed no replica."""
    made = deployment_of([QUICK_S * slower, SLOW_S * slower])
    steps = tuple(
        replace(one, total_s=None, phases=(), reason="the target did not rise")
        if one.index == missing
        else one
        for one in made.steps
    )
    return report_of({"app/Model": replace(made, steps=steps)})


def runs(side: str, *missing: int | None, slower: float = 1.0) -> Mapping[str, Report]:
    noise = (1.0, 1.01, 1.02, 1.03, 1.04)
    return {f"{side}{i}": run_of(one, slower * noise[i]) for i, one in enumerate(missing)}


ALL = runs("base", None, None, None, None, None)


def test_a_step_that_one_side_did_not_need_counts_on_neither():
    found = compare(ALL, runs("candidate", 0, 0, 0, 0, 0))

    (figure,) = [one for one in found.figures if one.figure == UP]
    assert found.verdict == "no difference shown"
    assert (figure.base, figure.candidate) == (SLOW_S * 1.02, SLOW_S * 1.02)
    assert found.warnings[-1] == (
        f"{UP}: step 0 up was measured in 5 of 5 runs of the base and in 0 of 5 of the candidate: "
        "it counts on neither side"
    )


def test_what_is_slower_is_found_in_the_steps_that_are_left():
    found = compare(ALL, runs("candidate", 1, 1, 1, 1, 1, slower=1.5))

    assert found.verdict == "regression"


def test_a_step_that_some_runs_of_either_side_lack_counts():
    found = compare(runs("base", 0, 0, None, None, None), runs("candidate", 0, None, None, None, 0))

    assert not [one for one in found.warnings if "counts on neither" in one]


def test_sides_that_share_no_step_are_not_compared():
    found = compare(runs("base", 0, 0, 0, 0, 0), runs("candidate", 1, 1, 1, 1, 1))

    assert (found.verdict, found.reason) == (
        "not comparable",
        f"{UP}: the two sides were measured in other steps",
    )


def test_a_side_that_measured_a_figure_in_few_runs_has_too_few_of_it():
    """The other steps of the candidate are all missing, so there is nothing else to compare."""
    found = compare(
        {name: one_step(run) for name, run in ALL.items()},
        {name: one_step(run) for name, run in runs("candidate", None, 0, 0, 0, 0).items()},
    )

    assert found.verdict == "cannot be told"


def one_step(run: Report) -> Report:
    (key, deployment), *_ = run.deployments.items()
    return replace(run, deployments={key: replace(deployment, steps=deployment.steps[:1])})
