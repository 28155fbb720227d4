"""Comparisons of sides that were not measured equally exactly: logs here, polls there."""

import pytest
from msgspec.structs import replace

from reports.analysis.comparing.compare import compare
from reports.model.causes import EvidenceReport
from reports.model.comparison import ComparedFigure, Comparison
from reports.model.intervals import Span
from reports.model.report import Report
from reports.model.steps import JOINED, DeploymentReport, Phase, Replicas, ScaleDown, ScaleUp
from tests.support.built.made_report import report_of
from tests.support.built.scaled import step

NOISE = [0.97, 1.0, 1.02, 0.99, 1.03]
TOTALS = [6.0 * factor for factor in NOISE]


def run_of(total: Span, phases: tuple[Phase, ...] = (), lines: int = 0) -> Report:
    """A run with one step up, and so many log lines."""
    only = DeploymentReport(
        None, (step(1, total, phases=phases),), ScaleUp(), ScaleDown(), Replicas()
    )
    return replace(report_of({"app/Model": only}), evidence=EvidenceReport(log_lines=lines))


def by_log(name: str, value: float) -> Phase:
    return Phase(name, value, value, value, "log")


def by_polls(name: str, value: float, half: float) -> Phase:
    return Phase(name, value, max(0.0, value - half), value + half, "poll")


def side(name: str, runs: list[Report]) -> dict[str, Report]:
    return {f"{name}{number}": run for number, run in enumerate(runs)}


def with_logs(factor: float = 1.0, mark_running_s: float = 0.43) -> dict[str, Report]:
    """Runs whose phases are known by logs; start-ups take `factor` times as long."""
    return side(
        "logs",
        [
            run_of(
                Span(total, total, total),
                (
                    by_log("create", 0.11 * noise),
                    by_log("allocate", 2.3 * noise * factor),
                    by_log("initialize", 0.01 * noise),
                    by_log("mark_running", mark_running_s * noise),
                ),
                lines=9,
            )
            for total, noise in zip(TOTALS, NOISE, strict=True)
        ],
    )


def with_polls(half: float = 0.16) -> dict[str, Report]:
    """The same runs, of which polls alone tell: middles are other than the truth."""
    return side(
        "polls",
        [
            run_of(
                Span(total + 0.02, total - 0.1, total + 0.14),
                (
                    by_polls("create", 0.155 * noise, half),
                    by_polls("allocate", 2.28 * noise, 0.1),
                    by_polls("initialize", 0.44 * noise, 0.2),
                    Phase("mark_running", reason=JOINED),
                ),
            )
            for total, noise in zip(TOTALS, NOISE, strict=True)
        ],
    )


def of(found: Comparison, name: str) -> ComparedFigure:
    return next(one for one in found.figures if one.figure == f"app/Model:scale_up.{name}")


def test_the_same_build_is_not_slower_because_one_side_has_no_logs():
    for sides in ((with_logs(), with_polls()), (with_polls(), with_logs())):
        found = compare(*sides)

        assert found.verdict == "no difference shown"
        assert found.reason is None
        assert {one.verdict for one in found.figures}.isdisjoint({"slower", "faster"})


def test_a_difference_within_what_one_side_was_measured_less_exactly_cannot_be_told():
    found = of(compare(with_logs(), with_polls()), "create_s")

    assert found.verdict == "cannot be told"
    assert found.reason == (
        "the base was measured to within 0.00 s and the candidate to within 0.16 s, "
        "and the difference is no larger than that"
    )


def test_start_ups_by_polls_are_other_phases_than_by_logs():
    found = compare(with_logs(), with_polls())

    for name in ("allocate_s", "initialize_s"):
        one = of(found, name)
        assert (one.verdict, one.effect) == ("not comparable", None)
        assert "polls see other moments of a start-up" in str(one.reason)


def test_start_ups_that_polls_saw_on_both_sides_are_compared():
    slower = {
        name: run_of(
            Span(9.0, 8.9, 9.1),
            (by_polls("initialize", 3.0, 0.2), Phase("mark_running", reason=JOINED)),
        )
        for name in ("a", "b", "c", "d", "e")
    }

    assert of(compare(with_polls(), slower), "initialize_s").verdict == "slower"


def test_one_run_without_logs_does_not_hide_the_phases_of_the_others():
    slower = with_logs(factor=1.5) | side("bare", list(with_polls().values())[:1])

    assert of(compare(with_logs(), slower), "allocate_s").verdict == "slower"


@pytest.mark.parametrize(
    ("total_s", "verdict"), [(6.5, "no difference shown"), (8.0, "regression")]
)
def test_a_difference_that_is_larger_than_the_errors_is_found_by_polls_too(total_s, verdict):
    slower = side(
        "slow", [run_of(Span(total_s * n, total_s * n - 0.1, total_s * n + 0.1)) for n in NOISE]
    )

    assert compare(with_logs(), slower).verdict == verdict


def test_a_main_figure_that_is_longer_by_less_than_the_error_cannot_be_told():
    blind = side("blind", [run_of(Span(7.5 * n, 7.5 * n - 2.5, 7.5 * n + 2.5)) for n in NOISE])

    found = compare(with_logs(), blind)

    assert found.verdict == "cannot be told"
    assert "the candidate to within 2.50 s" in str(found.reason)


def test_errors_of_one_size_on_both_sides_say_nothing_of_a_difference():
    base, slower = (
        side(name, [run_of(Span(s * n, s * n - 2.5, s * n + 2.5)) for n in NOISE])
        for name, s in (("base", 6.0), ("slow", 7.5))
    )

    assert compare(base, slower).verdict == "regression"


def test_a_side_without_logs_is_named():
    (said,) = compare(with_logs(), with_polls()).warnings

    assert said.startswith("5 of 5 runs of the candidate had no logs")
    assert compare(with_logs(), with_logs()).warnings == ()
    assert compare(with_polls(), with_polls()).warnings == ()


def test_logs_that_have_no_line_of_a_run_in_which_nothing_happened_are_logs():
    idle = {
        name: replace(one, evidence=EvidenceReport(node_error_s={"head": 0.003}))
        for name, one in with_polls().items()
    }

    assert compare(with_logs(), idle).warnings == ()
