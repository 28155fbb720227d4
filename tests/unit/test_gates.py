"""Gates: how they are written."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.gates import Gate, judge, parse_gate, parse_gate_option, parse_gates
from reports.analysis.metrics import MetricName, metric_names
from reports.model.causes import EvidenceReport
from reports.model.controller import ControllerReport, NodesReport
from reports.model.report import RunSummary
from scalelag.errors import UsageError
from scalelag.record.run_info import Versions
from tests.unit.gate_cases import LOAD, PROBE, deployment, verdict

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
        ("requests.error_ratio <= 1", "would pass always.*Write 0.01 for 1 %"),
        ("requests.steps.*.error_ratio <= 1", "would pass always.*Write 0.01 for 1 %"),
        ("requests.on_time_ratio >= 0", "would pass always: on_time_ratio is a share from 0 to 1$"),
        ("requests.error_ratio < 0", "would fail always"),
    ],
)
def test_a_limit_that_would_never_or_always_be_kept_is_refused(text: str, why: str):
    with pytest.raises(UsageError, match=why):
        parse_gate_option(text)


def test_a_record_with_such_a_gate_can_still_be_read():
    assert parse_gates(["requests.error_ratio <= 5"])[0].limit == 5


def test_shares_of_all_and_figures_that_are_no_shares_may_have_their_limits():
    for text in (
        "requests.on_time_ratio >= 1",
        "requests.error_ratio <= 0",
        "requests.error_ratio < 1",
        "running_over_target.mean <= 1.2",
    ):
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
        ("HTP 503", 'did you mean "HTTP 503"'),
        ("HTTPS 503", 'did you mean "HTTP 503"'),
        ("HTTP 999", 'did you mean "HTTP 500" or "HTTP 503"'),
        ("not sent", 'did you mean "not_sent"'),
        ("wrong answer", 'did you mean "wrong answer: REASON"'),
        ("connection timed out", 'did you mean "timeout"'),
        # No record has words that are neither a kind of ours nor begin with the name of a class.
        ("some other words", "no kind of error is called"),
    ],
)
def test_a_kind_of_error_that_would_never_be_counted_is_refused(kind: str, message: str):
    with pytest.raises(UsageError, match=message):
        parse_gate(f'requests.errors."{kind}" <= 0')


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "timeout",
            "HTTP 503",
            "HTTP 302",
            "not_sent",
            "gRPC NOT_FOUND",
            "wrong answer: no label",
        ),
        *("MyOwnError", "ValueError: no such label", "ReadTimeout"),
    ],
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
        one = re.sub(r"\.N\b", ".1", name.replace(".phases.NAME", ".phases.decide"))
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
