"""Gates: how they are written, and how intervals decide them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.gates import Gate, check_gates, judge, parse_gate, parse_gates
from reports.analysis.metrics import MetricName, metric_names
from reports.model.causes import Evidence, EvidenceReport
from reports.model.elasticity import ElasticityReport, FlappingReport
from reports.model.intervals import Span, Stat, longer_than
from reports.model.load import NO_BREACH, LoadReport, LoadStepReport, NameReport, StreamReport
from reports.model.report import GateResult, ProbeReport, RunSummary
from reports.model.steps import (
    NOT_OVER,
    DeploymentReport,
    Phase,
    Replicas,
    ScaleDown,
    ScaleUp,
    StepReport,
)
from scalelag.errors import UsageError
from scalelag.record.run_info import Versions

LOAD = LoadReport(
    planned=1000,
    sent=990,
    completed=980,
    failed=10,
    not_sent=10,
    error_ratio=0.02,
    errors={"x": 10},
    latency_p99_ms=480.0,
    stream=StreamReport(answers=400, tokens=9000, first_token_p99_ms=310.0),
)
PROBE = ProbeReport(polls=500, gaps=2, gap_s=1.5, restarts=0, observer_share=0.009)

RUN = RunSummary(
    name="demo",
    status="complete",
    reason=None,
    versions=Versions("0.1", "2.60", "2.47", "3.11"),
    started_s=0.0,
    load_s=75.0,
    duration_s=90.0,
    steps="5rps:15s",
    repeat=1,
    unit="rps",
    arrivals="constant",
    seed=1,
    host="",
    dashboard="",
    embedded=True,
    workers=1,
)
EVIDENCE = EvidenceReport(log_lines=3, reason="one node's logs were gone")
OF_RUN = {"requests": LOAD, "load": LOAD, "probe": PROBE}


def span(lo: float, hi: float) -> Span:
    return Span((lo + hi) / 2, lo, hi)


def same(figure: Span) -> Stat:
    return Stat(p50=figure, p95=figure, max=figure)


def deployment(
    total: Span | None = None, replicas: Replicas | None = None, down: Span | None = None
) -> DeploymentReport:
    """A deployment in which every statistic of the lag upwards is `total`, downwards `down`."""
    return DeploymentReport(
        autoscaling=None,
        steps=(),
        scale_up=ScaleUp(steps=1, total_s=same(total)) if total else ScaleUp(),
        scale_down=ScaleDown(steps=1, total_s=same(down)) if down else ScaleDown(),
        replicas=replicas or Replicas(1, 4, 2),
    )


def result(expr: str, **deployments: DeploymentReport) -> GateResult:
    """The gate, judged over `deployments` of application "app"."""
    found = {f"app/{name}": report for name, report in deployments.items()}
    (judged,) = judge([parse_gate(expr)], found, OF_RUN)
    return judged


def verdict(expr: str, **deployments: DeploymentReport) -> str:
    return result(expr, **deployments).verdict


# --- how they are written --------------------------------------------------------------------


@pytest.mark.parametrize("op", ["<=", "<", ">=", ">"])
def test_a_gate_reads_metric_operator_number(op: str):
    expr = f"scale_up.total_s.max {op} 20"

    assert parse_gate(expr) == Gate(
        expr, MetricName(None, ("scale_up", "total_s", "max")), op, 20.0
    )


@pytest.mark.parametrize(
    ("text", "deployment_name", "metric", "limit"),
    [
        ("requests.error_ratio<=0.001", None, "requests.error_ratio", 0.001),
        ("  requests.latency_p99_ms  <=  500  ", None, "requests.latency_p99_ms", 500.0),
        ("Model:scale_up.decide_s.p95 <= 8", "Model", "scale_up.decide_s.p95", 8.0),
        ("app/Model : scale_down.drain_s.p50 <= 8", "app/Model", "scale_down.drain_s.p50", 8.0),
        ("probe.clock_offset_s >= -0.5", None, "probe.clock_offset_s", -0.5),
        ("replicas.max <= +4", None, "replicas.max", 4.0),
    ],
)
def test_gates_as_people_write_them(
    text: str, deployment_name: str | None, metric: str, limit: float
):
    gate = parse_gate(text)

    assert (gate.wanted.deployment, ".".join(gate.wanted.path)) == (deployment_name, metric)
    assert gate.limit == limit
    assert gate.expr == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "scale_up.total_s.max",
        "scale_up.total_s.max <= ",
        "<= 20",
        "scale_up.total_s.max == 20",
        "scale_up.total_s.max <= fast",
        "scale_up.total_s.max <= 20s",
        "scale_up.total_s.max <= 20 or more",
        "scale_up.total_s.max => 20",
        "20 >= scale_up.total_s.max",
        ":scale_up.total_s.max <= 20",
        "scale_up.total_s.max <= nan",
    ],
)
def test_what_is_no_gate_is_a_usage_error_with_an_example(text: str):
    with pytest.raises(UsageError, match=r"is not of the form METRIC OP NUMBER.*such as") as caught:
        parse_gate(text)

    assert f'"{text}"' in str(caught.value)


@pytest.mark.parametrize(
    ("metric", "near"),
    [
        ("scale_up.total_s.p99", "scale_up.total_s.p95"),
        ("scaleup.total_s.max", "scale_up.total_s.max"),
        ("requests.latency_p99", "requests.latency_p99_ms"),
        ("requests.first_token_p99_ms", "requests.stream.first_token_p99_ms"),
        ("request.error_ratio", "requests.error_ratio"),
        ("scale_up.total_s", "scale_up.total_s.max"),
    ],
)
def test_an_unknown_metric_names_those_that_are_near(metric: str, near: str):
    with pytest.raises(UsageError, match=f'unknown metric "{metric}".*did you mean') as caught:
        parse_gate(f"{metric} <= 20")

    assert near in str(caught.value)


def test_an_unknown_metric_like_no_other_points_to_the_list():
    with pytest.raises(UsageError, match=r'unknown metric "zzz"; see docs/gates\.md'):
        parse_gate("zzz <= 20")


@pytest.mark.parametrize("metric", ["requests.error_ratio", "load.planned", "probe.gaps"])
def test_a_figure_of_the_run_is_none_of_a_deployment(metric: str):
    with pytest.raises(UsageError, match="a metric of the run"):
        parse_gate(f"Model:{metric} <= 20")


def test_the_metrics_of_the_design_can_be_named():
    assert {
        "scale_up.total_s.max",
        "scale_up.decide_s.p95",
        "scale_down.drain_s.p50",
        "requests.error_ratio",
        "requests.latency_p99_ms",
        "load.not_sent",
        "requests.stream.first_token_p99_ms",
        "probe.observer_share",
        "replicas.max",
    } <= set(metric_names())


def test_every_metric_can_be_named_in_a_gate_and_judged():
    of_run = {"requests": LOAD, "load": LOAD, "probe": PROBE, "run": RUN, "evidence": EVIDENCE}
    for name in metric_names():
        gate = parse_gate(f"{name.replace('.N', '.1')} <= 1")
        (judged,) = judge([gate], {"app/Model": deployment()}, of_run)
        assert judged.verdict in ("pass", "fail", "inconclusive")


@given(st.text(alphabet="scale_up.total_ms<>= 0123:/aX", max_size=40))
def test_any_text_is_a_gate_or_a_usage_error(text: str):
    try:
        gate = parse_gate(text)
    except UsageError as error:
        assert str(error)  # noqa: PT017  both outcomes are right; the error must say something
    else:
        assert ".".join(gate.wanted.path) in metric_names()


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("requests.stream.first_token_p99_ms <= 500", "pass"),
        ("requests.stream.first_token_p99_ms <= 300", "fail"),
        ("load.stream.answers >= 400", "pass"),
        ("requests.stream.token_gap_max_ms <= 300", "inconclusive"),  # not measured
    ],
)
def test_a_figure_of_streamed_answers_is_judged(expr: str, expected: str):
    assert verdict(expr) == expected


def test_a_gate_on_streams_is_inconclusive_in_a_run_without_any():
    load = msgspec.structs.replace(LOAD, stream=None)

    (judged,) = judge([parse_gate("requests.stream.tokens_per_s >= 5")], {}, {"requests": load})

    assert judged.verdict == "inconclusive"
    assert judged.reason == "requests.stream.tokens_per_s was not measured in this run"


# --- how intervals decide them ---------------------------------------------------------------

# The figure lies in [7, 9].
INTERVAL_VERDICTS = [
    ("<= 10", "pass"),
    ("<= 9", "pass"),
    ("<= 8", "inconclusive"),
    ("<= 7", "inconclusive"),
    ("<= 6", "fail"),
    ("< 10", "pass"),
    ("< 9", "inconclusive"),
    ("< 8", "inconclusive"),
    ("< 7", "fail"),
    ("< 6", "fail"),
    (">= 6", "pass"),
    (">= 7", "pass"),
    (">= 8", "inconclusive"),
    (">= 9", "inconclusive"),
    (">= 10", "fail"),
    ("> 6", "pass"),
    ("> 7", "inconclusive"),
    ("> 8", "inconclusive"),
    ("> 9", "fail"),
    ("> 10", "fail"),
]


@pytest.mark.parametrize(("condition", "expected"), INTERVAL_VERDICTS)
def test_an_interval_passes_or_fails_where_all_of_it_does(condition: str, expected: str):
    assert verdict(f"scale_up.total_s.max {condition}", Model=deployment(span(7, 9))) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("<= 480", "pass"),
        ("<= 479.9", "fail"),
        ("< 480", "fail"),
        ("< 480.1", "pass"),
        (">= 480", "pass"),
        (">= 480.1", "fail"),
        ("> 480", "fail"),
        ("> 479.9", "pass"),
    ],
)
def test_an_exact_figure_is_never_inconclusive(condition: str, expected: str):
    assert verdict(f"requests.latency_p99_ms {condition}") == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("<= 20", "fail"),
        ("< 20", "fail"),
        ("<= 90", "inconclusive"),
        ("< 90", "inconclusive"),
        (">= 20", "pass"),
        ("> 20", "pass"),
        (">= 90", "inconclusive"),
        ("> 90", "inconclusive"),
    ],
)
def test_a_censored_figure_is_longer_than_its_bound_by_an_unknown_time(
    condition: str, expected: str
):
    # Longer than 60 s.
    report = deployment(longer_than(60))

    assert verdict(f"scale_up.total_s.max {condition}", Model=report) == expected


@given(
    st.floats(0, 100),
    st.floats(0, 100),
    st.integers(0, 200),
    st.sampled_from(["<=", "<", ">=", ">"]),
    st.floats(0, 1),
)
def test_a_verdict_holds_for_every_value_that_the_interval_allows(
    lo: float, width: float, limit: int, op: str, share: float
):
    truth = min(lo + share * width, lo + width)
    holds = {"<=": truth <= limit, "<": truth < limit, ">=": truth >= limit, ">": truth > limit}

    found = verdict(f"scale_up.total_s.max {op} {limit}", Model=deployment(span(lo, lo + width)))

    assert found in ("inconclusive", "pass" if holds[op] else "fail")
    if found == "inconclusive":
        assert lo <= limit <= lo + width


def test_a_result_tells_the_figure_and_its_interval():
    found = result("scale_up.total_s.p95 <= 20", Model=deployment(span(7, 9)))

    assert found == GateResult(
        expr="scale_up.total_s.p95 <= 20",
        verdict="pass",
        value=8.0,
        lo=7.0,
        hi=9.0,
        deployment="app/Model",
        reason=None,
    )


def test_the_result_of_a_figure_of_the_run_names_no_deployment():
    found = result("requests.error_ratio <= 0.01", Model=deployment(span(7, 9)))

    assert (found.verdict, found.value, found.deployment) == ("fail", 0.02, None)


def test_figures_of_the_probe_and_of_replicas_can_be_gated():
    report = deployment(replicas=Replicas(1, 4, 2))

    assert verdict("probe.observer_share <= 0.02", Model=report) == "pass"
    assert verdict("probe.gaps <= 1", Model=report) == "fail"
    assert verdict("replicas.max <= 4", Model=report) == "pass"
    assert verdict("replicas.final <= 1", Model=report) == "fail"


@pytest.mark.parametrize(("limit", "expected"), [(15, "pass"), (10, "inconclusive"), (8, "fail")])
def test_elasticity_is_judged_by_its_interval(limit: int, expected: str):
    elastic = ElasticityReport(demand="policy", theta_u_pct=span(9, 11))
    report = msgspec.structs.replace(deployment(), elasticity=elastic)

    assert verdict(f"elasticity.theta_u_pct <= {limit}", Model=report) == expected


def test_flapping_can_be_gated():
    flaps = FlappingReport(direction_reversals=6, reversals_per_min=2.5)
    report = msgspec.structs.replace(deployment(), flapping=flaps)

    assert verdict("flapping.reversals_per_min <= 1", Model=report) == "fail"
    assert verdict("Model:flapping.direction_reversals <= 6", Model=report) == "pass"


def test_an_elasticity_that_is_not_known_says_why():
    elastic = ElasticityReport(demand_reason="its number of replicas is fixed")
    report = msgspec.structs.replace(deployment(), elasticity=elastic)

    found = result("elasticity.theta_u_pct <= 15", Model=report)

    assert found.verdict == "inconclusive"
    assert found.reason == (
        "elasticity.theta_u_pct was not measured in this run: its number of replicas is fixed"
    )


def test_load_and_requests_name_the_same_figures():
    assert result("load.latency_p99_ms <= 1").value == 480.0
    assert result("requests.latency_p99_ms <= 1").value == 480.0


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
    assert found.reason == "steps.*.total_s was not measured in this run: there is no *, but none"


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
    assert found.reason == "scale_up.total_s.max was not measured in this run"


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
        check_gates([gate], ["app/Zed", "app/Model"])

    assert gate.expr in str(caught.value)


def test_a_deployment_that_is_watched_is_none():
    gates = [parse_gate(f"{name}:scale_up.total_s.max <= 20") for name in ("Model", "app/Model")]

    check_gates([*gates, parse_gate("requests.failed <= 1")], ["app/Model"])


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
        (["load.failed <= 5"], [EXCEPTIONS]),
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
    never = step(1, **CENSORED, floor_s=4.2)

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
    calm = step(1, recovered_reason=reason, reason="no new replica was needed")

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
