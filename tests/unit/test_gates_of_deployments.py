"""Gates on one deployment, on all of them, and gates that nobody asked for."""

import msgspec
import pytest

from reports.analysis.gate_checks import ExpectedParts, check_gates
from reports.analysis.gates import judge, parse_gate, parse_gates
from reports.model.intervals import longer_than
from reports.model.steps import DeploymentReport, StepReport
from scalelag.errors import UsageError
from tests.unit.gate_cases import LOAD, OF_RUN, deployment, result, span

# --- deployments -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["app/Slow", "Slow"])
def test_a_gate_may_name_one_deployment(name: str):
    found = result(
        f"{name}:scale_up.total_s.max <= 20",
        Fast=deployment(span(50, 51)),
        Slow=deployment(span(7, 9)),
    )

    assert (found.verdict, found.deployment) == ("pass", "app/Slow")


def test_a_name_without_application_means_every_deployment_of_that_name():
    deployments = {"a/Model": deployment(span(7, 9)), "b/Model": deployment(span(30, 31))}

    (found,) = judge([parse_gate("Model:scale_up.total_s.max <= 20")], deployments, OF_RUN)

    assert (found.verdict, found.deployment) == ("fail", "b/Model")


@pytest.mark.parametrize(
    ("expr", "expected", "decided_by"),
    [
        ("scale_up.total_s.max <= 20", "pass", "app/High"),
        ("scale_up.total_s.max <= 10", "inconclusive", "app/High"),
        ("scale_up.total_s.max <= 5", "fail", "app/High"),
        ("scale_up.total_s.max >= 1", "pass", "app/Low"),
        ("scale_up.total_s.max >= 4", "fail", "app/Low"),
        ("scale_up.total_s.max >= 2.5", "inconclusive", "app/Low"),
    ],
)
def test_the_worst_deployment_decides(expr: str, expected: str, decided_by: str):
    found = result(
        expr,
        Low=deployment(span(2, 3)),
        High=deployment(span(9, 11)),
        Middle=deployment(span(6, 7)),
    )

    assert (found.verdict, found.deployment) == (expected, decided_by)


def test_a_censored_deployment_is_worse_than_a_measured_one():
    found = result(
        "scale_up.total_s.max <= 100",
        Measured=deployment(span(70, 71)),
        Censored=deployment(longer_than(60)),
    )

    assert (found.verdict, found.deployment) == ("inconclusive", "app/Censored")


def test_a_failure_outweighs_what_is_inconclusive():
    found = result(
        "scale_up.total_s.max <= 20", A=deployment(span(10, 90)), B=deployment(span(21, 22))
    )

    assert (found.verdict, found.deployment) == ("fail", "app/B")


def test_what_was_not_measured_is_inconclusive_with_a_reason():
    found = result("scale_up.total_s.max <= 20", Model=deployment())

    assert (found.verdict, found.value, found.lo, found.hi) == ("inconclusive", None, None, None)
    assert found.reason == "scale_up.total_s.max was not measured in this run: no step goes up"


def test_a_figure_of_the_run_that_was_not_measured_is_inconclusive_with_a_reason():
    found = result("probe.clock_offset_s <= 1")

    assert found.verdict == "inconclusive"
    assert found.reason == "probe.clock_offset_s was not measured in this run"


@pytest.mark.parametrize(("limit", "expected"), [(20, "pass"), (5, "fail")])
def test_a_deployment_that_was_not_measured_does_not_count_beside_one_that_was(
    limit: int, expected: str
):
    found = result(
        f"scale_up.total_s.max <= {limit}", Idle=deployment(), Model=deployment(span(7, 9))
    )

    assert (found.verdict, found.deployment) == (expected, "app/Model")


NOBODY = ["Nobody", "app/Nobody", "other/Model", "app"]


@pytest.mark.parametrize("name", NOBODY)
def test_a_deployment_that_is_not_watched_is_a_usage_error_that_names_the_watched(name: str):
    gate = parse_gate(f"{name}:scale_up.total_s.max <= 20")

    with pytest.raises(UsageError, match="app/Model, app/Zed") as caught:
        check_gates([gate], ExpectedParts(["app/Zed", "app/Model"]))

    assert gate.expr in str(caught.value)


def test_a_deployment_that_is_watched_is_none():
    gates = [parse_gate(f"{name}:scale_up.total_s.max <= 20") for name in ("Model", "app/Model")]

    check_gates([*gates, parse_gate("requests.failed <= 1")], ExpectedParts(["app/Model"]))


@pytest.mark.parametrize("name", NOBODY)
def test_a_deployment_that_was_not_watched_after_all_is_inconclusive_and_loses_no_report(name: str):
    found = result(f"{name}:scale_up.total_s.max <= 20", Model=deployment())

    assert found.verdict == "inconclusive"
    assert "no watched deployment (watched: app/Model)" in str(found.reason)


def test_a_gate_on_every_deployment_of_a_run_that_watched_none_is_inconclusive():
    found = result("scale_up.total_s.max <= 20")

    assert found.verdict == "inconclusive"
    assert found.reason


def test_gates_are_judged_in_their_order():
    gates = [parse_gate("probe.gaps <= 1"), parse_gate("requests.error_ratio <= 0.5")]

    judged = judge(gates, {}, OF_RUN)

    assert [(one.expr, one.verdict) for one in judged] == [
        ("probe.gaps <= 1", "fail"),
        ("requests.error_ratio <= 0.5", "pass"),
    ]


def test_a_gate_on_all_steps_says_why_none_was_measured():
    analysis = without_a_lag()
    step = analysis.steps[0]

    found = result("scale_up.total_s.max <= 20", Model=analysis)

    assert found.verdict == "inconclusive"
    assert found.reason is not None
    assert found.reason.endswith(f"step {step.index}: the target did not rise")


def without_a_lag() -> DeploymentReport:
    """A deployment whose one step up has no lag."""
    step = StepReport(
        index=1,
        direction="up",
        at_s=10.0,
        hold_s=20.0,
        from_level=5,
        to_level=40,
        unit="rps",
        replicas_before=1,
        replicas_after=1,
        target_before=1,
        target_after=1,
        reason="the target did not rise",
    )
    return msgspec.structs.replace(deployment(), steps=(step,))


def test_a_figure_that_needs_a_floor_says_why_there_is_none():
    (step,) = without_a_lag().steps
    lagging = msgspec.structs.replace(step, total_s=span(7, 9), floor_reason="wanted before")
    report = msgspec.structs.replace(without_a_lag(), steps=(lagging,))

    of_all = result("scale_up.excess_s.max <= 1", Model=report)
    of_one = result("steps.1.excess_s <= 1", Model=report)

    assert (of_all.verdict, of_one.verdict) == ("inconclusive", "inconclusive")
    assert (of_all.reason or "").endswith(": step 1: wanted before")
    assert (of_one.reason or "").endswith(": wanted before")


# --- what is judged without being asked for ---------------------------------------------------


def exprs(*texts: str) -> list[str]:
    return [gate.expr for gate in parse_gates(texts)]


ERRORS, EXCEPTIONS = "requests.error_ratio <= 0.01", "load.task_exceptions <= 0"


@pytest.mark.parametrize(
    ("given", "defaults"),
    [
        ([], [ERRORS, EXCEPTIONS]),
        (["scale_up.total_s.max <= 20"], [ERRORS, EXCEPTIONS]),
        (["requests.error_ratio <= 0.5"], [EXCEPTIONS]),
        # What was not sent is not in `failed`, and a lower limit allows every error.
        (["load.failed <= 5"], [ERRORS, EXCEPTIONS]),
        (["requests.steps.*.failed <= 0"], [ERRORS, EXCEPTIONS]),
        (["requests.completed >= 1"], [ERRORS, EXCEPTIONS]),
        (["requests.error_ratio >= 0"], [ERRORS, EXCEPTIONS]),
        (["load.task_exceptions >= 0"], [ERRORS, EXCEPTIONS]),
        (["requests.steps.*.error_ratio <= 0.1"], [EXCEPTIONS]),
        # A part of the requests says nothing of the others.
        (["requests.steps.2.error_ratio <= 0.1"], [ERRORS, EXCEPTIONS]),
        (['requests.errors."HTTP 503" <= 0'], [ERRORS, EXCEPTIONS]),
        (['requests.names."/".failed <= 0'], [ERRORS, EXCEPTIONS]),
        (["stopping.failed <= 0"], [ERRORS, EXCEPTIONS]),
        (["requests.task_exceptions <= 10"], [ERRORS]),
        (["none"], []),
        (["scale_up.total_s.max <= 20", " none "], []),
    ],
)
def test_errors_are_judged_by_default_unless_a_gate_judges_all_of_them(
    given: list[str], defaults: list[str]
):
    wanted = [text for text in given if text.strip() != "none"]

    assert exprs(*given) == [*wanted, *defaults]


def test_a_default_gate_says_that_it_is_one():
    load = msgspec.structs.replace(LOAD, error_ratio=0.62, task_exceptions=0)

    judged = judge(parse_gates([]), {}, {"requests": load, "load": load})

    assert [(one.expr, one.verdict, one.default) for one in judged] == [
        (ERRORS, "fail", True),
        (EXCEPTIONS, "pass", True),
    ]


def test_a_default_gate_on_what_was_not_measured_is_left_out():
    load = msgspec.structs.replace(LOAD, error_ratio=None, task_exceptions=None)

    assert judge(parse_gates([]), {}, {"requests": load, "load": load}) == ()
