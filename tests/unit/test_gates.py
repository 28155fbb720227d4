"""Gates: how they are written, and how intervals decide them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.gates import Gate, judge, parse_gate, parse_gate_option, parse_gates
from reports.analysis.metrics import MetricName, metric_names
from reports.model.causes import EvidenceReport
from reports.model.controller import ControllerReport, NodesReport
from reports.model.elasticity import ElasticityReport, FlappingReport
from reports.model.intervals import longer_than
from reports.model.report import GateResult, RunSummary
from reports.model.steps import (
    Replicas,
)
from scalelag.errors import UsageError
from scalelag.record.run_info import Versions
from tests.unit.gate_cases import LOAD, PROBE, deployment, result, span, verdict

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


# --- how they are written --------------------------------------------------------------------


@pytest.mark.parametrize("op", ["<=", "<", ">=", ">"])
def test_a_gate_reads_metric_operator_number(op: str):
    expr = f"scale_up.total_s.max {op} 20"

    assert parse_gate(expr) == Gate(
        expr, MetricName(None, ("scale_up", "total_s", "max")), op, 20.0
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("scale_up.total_s.max <= 1e999", "its limit is not finite"),
        ("requests.error_ratio <= 5", "share from 0 to 1.*Write 0.05 for 5 %"),
        ("load.steps.*.goodput.ratio >= 99", "share from 0 to 1.*Write 0.99 for 99 %"),
    ],
)
def test_a_limit_that_would_never_or_always_be_kept_is_refused(text: str, why: str):
    with pytest.raises(UsageError, match=why):
        parse_gate_option(text)


def test_a_record_with_such_a_gate_can_still_be_read():
    assert parse_gates(["requests.error_ratio <= 5"])[0].limit == 5


def test_shares_of_all_and_figures_that_are_no_shares_may_have_their_limits():
    for text in ("requests.on_time_ratio >= 1", "running_over_target.mean <= 1.2"):
        assert parse_gate_option(text) == parse_gate(text)


@pytest.mark.parametrize(
    ("text", "deployment_name", "metric", "limit"),
    [
        ("requests.error_ratio<=0.001", None, "requests.error_ratio", 0.001),
        ("  requests.latency_p99_ms  <=  500  ", None, "requests.latency_p99_ms", 500.0),
        ("Model:scale_up.decide_s.p95 <= 8", "Model", "scale_up.decide_s.p95", 8.0),
        ("app/Model : scale_down.drain_s.p50 <= 8", "app/Model", "scale_down.drain_s.p50", 8.0),
        ("probe.clock_offset_s >= -0.5", None, "probe.clock_offset_s", -0.5),
        ("replicas.max <= +4", None, "replicas.max", 4.0),
        ("requests.error_ratio <= 1e-2", None, "requests.error_ratio", 0.01),
        ("requests.error_ratio <= .01", None, "requests.error_ratio", 0.01),
        ("replicas.max <= 4.", None, "replicas.max", 4.0),
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


@pytest.mark.parametrize("limit", ["1%", "20s", "fast", "1e", "1,000"])
def test_a_limit_that_is_no_number_is_named(limit: str):
    with pytest.raises(UsageError, match=f'"{limit}" is not a number'):
        parse_gate(f"requests.error_ratio <= {limit}")


@pytest.mark.parametrize(
    ("phase", "said"), [("initialise", 'did you mean "initialize"'), ("foo", "phases are decide,")]
)
def test_a_phase_that_no_step_has_is_refused(phase: str, said: str):
    with pytest.raises(UsageError, match=said):
        parse_gate(f"steps.2.phases.{phase} <= 1")


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


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("not_sent: in_flight_limit", r"counted by load\.not_sent_by\.in_flight_limit"),
        ("time-out", 'did you mean "timeout"'),
        ("503", 'did you mean "HTTP 503"'),
        ("HTTP503", 'did you mean "HTTP 503"'),
        ("http 503", 'did you mean "HTTP 503"'),
        ("HTTP 5O3", 'did you mean "HTTP 503"'),
        ("HTTP 503 Service Unavailable", 'did you mean "HTTP 503"'),
        ("HTTP 5033", 'did you mean "HTTP 500" or "HTTP 503"'),
        ("gRPC unavailable", 'did you mean "gRPC UNAVAILABLE"'),
        ("DEADLINE_EXCEEDED", 'did you mean "gRPC DEADLINE_EXCEEDED"'),
        ("Wrong answr: no label", 'did you mean "wrong answer: no label"'),
        ("Connection refused", 'did you mean "connection refused"'),
    ],
)
def test_a_kind_of_error_that_would_never_be_counted_is_refused(kind: str, message: str):
    with pytest.raises(UsageError, match=message):
        parse_gate(f'requests.errors."{kind}" <= 0')


@pytest.mark.parametrize(
    "kind", ["timeout", "HTTP 503", "not_sent", "MyOwnError", "gRPC NOT_FOUND"]
)
def test_every_other_kind_of_error_may_be_named(kind: str):
    assert parse_gate(f'requests.errors."{kind}" <= 0').wanted.path[-1] == kind


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
    of_run |= {"controller": ControllerReport(), "nodes": NodesReport(), "event": ()}
    for name in metric_names():
        one = name.replace(".phases.NAME", ".phases.decide").replace(".N", ".1")
        gate = parse_gate(f"{one} <= 1")
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
        ("<= 60", "fail"),
        ("< 60", "fail"),
        (">= 60", "pass"),
        ("> 60", "pass"),
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
