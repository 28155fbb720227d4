"""Gates on single elements of lists and objects, and on figures that have no value of their own."""

import msgspec
import pytest

from reports.analysis.gates import judge, parse_gate
from reports.model.causes import Evidence
from reports.model.intervals import longer_than
from reports.model.load import NO_BREACH, LoadStepReport, NameReport, WindowReport
from reports.model.report import GateResult
from reports.model.steps import (
    NOT_OVER,
    Phase,
    StepReport,
)
from tests.support.built.samples import run
from tests.unit.gate_cases import LOAD, OF_RUN, deployment, result, span, verdict

# --- elements of lists and objects -----------------------------------------------------------


def load_step(index: int, **figures: float) -> LoadStepReport:
    return LoadStepReport(
        index=index,
        at_s=0.0,
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
        **figures,
    )


def step(index: int, **parts: object) -> StepReport:
    return msgspec.structs.replace(
        StepReport(
            index=index,
            direction="up",
            at_s=15.0,
            hold_s=30.0,
            from_level=5.0,
            to_level=40.0,
            unit="rps",
            replicas_before=1,
            replicas_after=4,
            target_before=1,
            target_after=4,
        ),
        **parts,
    )


STEPPED = msgspec.structs.replace(
    LOAD,
    errors={"timeout": 3, "HTTP 503": 7},
    steps=(load_step(1, latency_p99_ms=120.0), load_step(2, latency_p99_ms=900.0), load_step(3)),
    names={"POST /ask m1": NameReport(planned=5, sent=5, failed=1, not_sent=0)},
)


def of_load(expr: str) -> GateResult:
    (judged,) = judge([parse_gate(expr)], {}, {"requests": STEPPED, "load": STEPPED})
    return judged


@pytest.mark.parametrize(
    ("expr", "expected", "value"),
    [
        ("load.steps.1.latency_p99_ms <= 500", "pass", 120.0),
        ("load.steps.2.latency_p99_ms <= 500", "fail", 900.0),
        ("load.steps.3.latency_p99_ms <= 500", "inconclusive", None),
        ("load.steps.4.latency_p99_ms <= 500", "inconclusive", None),
        ('load.names."POST /ask m1".failed < 1', "fail", 1.0),
        ('requests.errors."HTTP 503" <= 7', "pass", 7.0),
        ("requests.errors.timeout <= 2", "fail", 3.0),
    ],
)
def test_an_element_is_named_by_its_number_or_its_name(
    expr: str, expected: str, value: float | None
):
    found = of_load(expr)

    assert (found.verdict, found.value, found.figure) == (expected, value, None)


def test_errors_that_did_not_occur_occurred_0_times():
    assert of_load("load.errors.refused <= 0").value == 0.0


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        ("wrong answer: no", "wrong answer: no HTTP"),
        ("wrong answer: No HTPT", "wrong answer: no HTTP"),
        ("ValueError", "ValueError: no such label"),
    ],
)
def test_a_kind_that_is_nearly_one_that_occurred_does_not_count_as_0(kind: str, meant: str):
    errors = {"wrong answer: no HTTP": 32, "ValueError: no such label": 3, "HTTP 503": 1}
    load = msgspec.structs.replace(LOAD, errors=errors)

    (found,) = judge([parse_gate(f'load.errors."{kind}" <= 0')], {}, {"load": load})

    assert found.verdict == "inconclusive"
    assert f'no error is of this kind; there is "{meant}"' in str(found.reason)


@pytest.mark.parametrize("kind", ["HTTP 502", "wrong answer: no label", "KeyError", "timeout"])
def test_another_kind_than_those_that_occurred_counts_as_0(kind: str):
    load = msgspec.structs.replace(
        LOAD, errors={"HTTP 503": 1, "wrong answer: no HTTP": 32, "ValueError: x": 3}
    )

    (found,) = judge([parse_gate(f'load.errors."{kind}" <= 0')], {}, {"load": load})

    assert (found.verdict, found.value) == ("pass", 0.0)


def test_an_element_that_is_not_there_names_those_that_are():
    found = of_load("load.steps.4.latency_p99_ms <= 500")

    assert found.reason == (
        "load.steps.4.latency_p99_ms was not measured in this run: there is no 4, but 1, 2, 3"
    )


def test_the_worst_of_all_elements_decides_and_is_named():
    found = of_load("load.steps.*.latency_p99_ms <= 500")

    assert (found.verdict, found.value) == ("fail", 900.0)
    assert found.figure == "load.steps.2.latency_p99_ms"


def test_all_elements_of_none_are_not_measured():
    found = result("steps.*.total_s <= 20", Model=deployment())

    assert found.verdict == "inconclusive"
    assert found.reason == "steps.*.total_s was not measured in this run: there is none at all"


@pytest.mark.parametrize(
    ("warmup_s", "expected", "value"),
    [(0.0, "fail", 30.0), (20.0, "pass", 8.0), (90.0, "inconclusive", None)],
)
def test_all_elements_leave_out_the_warm_up(warmup_s: float, expected: str, value: float | None):
    early, later = step(1, at_s=5.0, total_s=span(29, 31)), step(2, at_s=40.0, total_s=span(7, 9))
    report = msgspec.structs.replace(deployment(), steps=(early, later))
    of_run = OF_RUN | {"run": run(warmup_s=warmup_s)}

    (of_all,) = judge([parse_gate("Model:steps.*.total_s <= 20")], {"app/Model": report}, of_run)
    (of_one,) = judge([parse_gate("Model:steps.1.total_s <= 20")], {"app/Model": report}, of_run)

    assert (of_all.verdict, of_all.value) == (expected, value)
    assert of_one.verdict == "fail"
    if expected == "inconclusive":
        assert "all of them lie in the warm-up" in str(of_all.reason)


def test_all_steps_and_windows_of_the_load_leave_out_the_warm_up():
    load = msgspec.structs.replace(
        LOAD,
        steps=tuple(
            msgspec.structs.replace(load_step(n), at_s=at_s, hold_s=20.0, completed=n)
            for n, at_s in ((1, 0.0), (2, 20.0))
        ),
        windows=tuple(WindowReport(n, 10.0 * n, 10.0, n, 0, 0) for n in range(4)),
    )
    of_run = {"load": load, "run": run(warmup_s=20.0)}
    gates = [parse_gate(f"load.{name} >= 2") for name in ("steps.*.completed", "windows.*.planned")]

    assert [one.verdict for one in judge(gates, {}, of_run)] == ["pass", "pass"]


def test_a_step_of_a_deployment_has_figures_with_their_intervals():
    report = msgspec.structs.replace(
        deployment(),
        steps=(
            step(1, total_s=span(7, 9), phases=(Phase("decide", 5.0, 4.0, 6.0, "poll"),)),
            step(2, total_s=longer_than(30), reason="it never came"),
        ),
    )

    assert verdict("steps.1.total_s <= 8", Model=report) == "inconclusive"
    assert verdict("steps.2.total_s <= 20", Model=report) == "fail"
    found = result("Model:steps.1.phases.decide <= 5", Model=report)
    assert (found.value, found.lo, found.hi) == (5.0, 4.0, 6.0)
    assert "it never came" in str(result("steps.2.floor_s <= 1", Model=report).reason)


# --- what has no value of its own --------------------------------------------------------------


def of_steps(expr: str, *steps: StepReport) -> GateResult:
    return result(expr, Model=msgspec.structs.replace(deployment(), steps=steps))


CENSORED = {"total_s": longer_than(59.8), "censored": True}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [("<= 10", "fail"), ("<= 60", "inconclusive"), (">= 10", "pass"), (">= 60", "inconclusive")],
)
def test_the_excess_of_a_step_that_was_never_answered_is_its_bound_beyond_the_floor(
    condition: str, expected: str
):
    never = step(1, **CENSORED, floor_s=4.2, excess=longer_than(55.6))

    found = of_steps(f"steps.1.excess_s {condition}", never)

    assert (found.verdict, found.value, found.hi) == (expected, None, None)
    assert found.lo == pytest.approx(55.6)


def test_the_phase_in_which_the_hold_ended_lasted_at_least_what_the_others_left():
    phases = (
        Phase("decide", 4.0, 3.9, 4.1, "poll"),
        Phase("detect", 3.0, 3.0, 3.0, "poll", part_of="decide"),
        Phase("create", 0.5, 0.4, 0.7, "poll"),
        Phase("allocate", reason=NOT_OVER),
        Phase("initialize", reason=NOT_OVER),
    )
    stuck = step(1, **CENSORED, phases=phases)

    assert of_steps("steps.1.phases.allocate <= 50", stuck).verdict == "fail"
    assert of_steps("steps.1.phases.allocate <= 50", stuck).lo == pytest.approx(59.8 - 4.1 - 0.7)
    assert of_steps("steps.1.phases.allocate <= 60", stuck).verdict == "inconclusive"
    assert of_steps("steps.1.phases.initialize <= 50", stuck).lo is None


def test_a_phase_after_one_that_was_not_seen_has_no_bound():
    phases = (Phase("decide", reason="its end was not seen"), Phase("create", reason=NOT_OVER))

    assert of_steps("steps.1.phases.create <= 1", step(1, **CENSORED, phases=phases)).lo is None


@pytest.mark.parametrize(
    ("reason", "condition", "expected"),
    [
        (NO_BREACH, "<= 10", "pass"),
        (NO_BREACH, ">= 10", "inconclusive"),
        ("the hold is shorter than 20 s", "<= 10", "inconclusive"),
    ],
)
def test_a_gate_on_recovery_passes_where_nothing_was_breached(
    reason: str, condition: str, expected: str
):
    calm = step(1, recovered_reason=reason, reason="the target did not rise")

    found = of_steps(f"steps.*.recovered_s {condition}", calm)

    assert found.verdict == expected
    assert reason in str(found.reason)


def test_a_breach_that_was_measured_decides_beside_steps_without_any():
    calm = step(1, recovered_reason=NO_BREACH)
    late = step(2, recovered_s=span(20, 22))

    assert of_steps("steps.*.recovered_s <= 10", calm, late).verdict == "fail"


def test_evidence_is_named_by_its_place():
    at_last = step(1, evidence=(Evidence("first", at_s=3.0), Evidence("second", at_s=9.0)))

    assert of_steps("steps.*.evidence.*.at_s <= 5", at_last).verdict == "fail"
    assert of_steps("steps.1.evidence.0.at_s <= 5", at_last).verdict == "pass"
