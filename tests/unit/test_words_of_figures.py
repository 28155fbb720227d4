"""Figures in words: they never say more than is known, and no two places contradict each other."""

import re
import xml.etree.ElementTree as ET

import msgspec
import pytest

from reports.model.causes import Evidence
from reports.model.elasticity import ElasticityReport
from reports.model.intervals import Span, longer_than
from reports.model.report import GateResult, Report
from reports.model.steps import NOT_OVER, Phase, StepReport
from reports.render.junit import render_junit
from reports.render.tables.answers import answer
from reports.render.tables.elasticity import following_texts
from reports.render.tables.lag import no_cause, share
from reports.render.text import gate_figure, seconds, verdict_words
from scalelag.console import say
from tests.support.built.traced import EXACT, FLOOR
from tests.unit.gate_cases import deployment
from tests.unit.recorded_runs import KEY, info, recorded, report_of


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Span(9.31, 9.16, 9.46), "9.31 ±0.15"),
        (Span(9.31, 9.31, 9.31), "9.31"),
        (Span(0.0, 0.0, 5.06), "0.00 +5.06"),
        (Span(5.78, 0.66, 8.31), "5.78 +2.53 -5.12"),
        (Span(4.0, 2.0, 4.0), "4.00 -2.00"),
        # Rounding moves a middle: the larger side holds the interval.
        (Span(5.89, 5.66, 6.1), "5.89 ±0.23"),
    ],
)
def test_what_polling_cannot_know_holds_the_whole_interval(span: Span, text: str):
    assert str(seconds(span)) == text


def gate(expr: str, value: float, verdict: str = "fail") -> GateResult:
    return GateResult(expr, verdict, value, value, value)


@pytest.mark.parametrize(
    ("expr", "value", "shown"),
    [
        ("requests.latency_p99_ms <= 3086.42", 3086.4236, "3,086.424"),
        ("requests.latency_p99_ms <= 3086.42363548", 3086.4236355, "3,086.424"),
        ("requests.latency_p99_ms < 3086.4", 3086.4236, "3,086.42"),
        ("requests.error_ratio <= 0.01", 0.010000001, "0.010000001"),
        ("requests.planned <= 12345", 12345.4, "12,345.4"),
        ("requests.latency_p99_ms <= 3086.4", 3086.4, "3086.4"),
        ("scale_up.total_s.max <= 20", 9.3123456, "9.3123"),
    ],
)
def test_a_value_beside_its_limit_has_as_many_digits_as_tell_them_apart(
    expr: str, value: float, shown: str
):
    assert gate_figure(gate(expr, value)) == shown


def test_the_inequality_of_a_failed_gate_is_true():
    report = judged(gate("requests.latency_p99_ms <= 3086.42", 3086.4236))

    value, limit = re.findall(r"[\d,.]+", verdict_words(report).partition("ms ")[2])
    assert float(value.replace(",", "")) > float(limit)


def judged(*gates: GateResult) -> Report:
    return msgspec.structs.replace(report_of(recorded(info())), verdict="fail", gates=gates)


def test_elasticity_has_its_bounds():
    spare = {"over_replica_s": Span(9.6, 0.0, 19.2), "replica_hours": Span(1.0, 1.0, 1.0)}
    known = ElasticityReport(demand="policy", watched_s=26.0, unwatched_s=0.0, **spare)

    texts = following_texts(msgspec.structs.replace(deployment(), elasticity=known))

    assert "9.6 [0.0, 19.2] replica-seconds to spare" in texts


def of_configuration(text: str) -> float:
    """Seconds that a sentence calls the configuration's."""
    found = re.search(r"([\d.]+) s (of it|is) your configuration", text)
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize("cause", ["resources", "configured_delay"])
def test_the_configurations_part_of_a_step_is_that_of_its_floor_whatever_the_cause(cause: str):
    found = tuple(msgspec.structs.replace(f, cause=cause, seconds=5.0) for f in EXACT.findings)
    step = msgspec.structs.replace(EXACT, cause=cause, findings=found)

    configured_s = pytest.approx(FLOOR.configured_s, abs=0.05)
    assert of_configuration(answer(step)) == configured_s
    assert of_configuration(share(step)) == configured_s


def test_a_step_that_was_not_over_says_what_hides_its_floor():
    step = msgspec.structs.replace(
        EXACT,
        total_s=longer_than(EXACT.hold_s),
        censored=True,
        floor=None,
        floor_s=None,
        excess_s=None,
        excess=None,
        floor_reason="a new version of it came at 13.1 s",
        cause=None,
        findings=(),
        evidence=(),
    )

    assert "; no cause found" in answer(step)
    assert answer(step).endswith(
        "; no floor to compare it with: a new version of it came at 13.1 s."
    )


LATE = msgspec.structs.replace(
    EXACT,
    cause=None,
    findings=(),
    evidence=(Evidence("4.0 s more than the configuration explains"),),
)


def junit_texts(step: StepReport) -> str:
    report = report_of(recorded(info()))
    changed = msgspec.structs.replace(report.deployments[KEY], steps=(step,))
    xml = ET.fromstring(render_junit(msgspec.structs.replace(report, deployments={KEY: changed})))
    return "\n".join(one.text or "" for one in xml.iter("system-out"))


def test_a_late_step_without_a_cause_says_where_its_time_went():
    phases = (
        Phase("decide", 3.0, 2.9, 3.1, "log"),
        Phase("detect", 2.5, 2.4, 2.6, "log", part_of="decide"),
        Phase("mark_running", 5.2, 5.1, 5.3, "log"),
        Phase("route", 9.0, 9.0, 9.0, "log", part_of="recovery"),
    )
    late = msgspec.structs.replace(LATE, phases=phases)

    assert answer(late).endswith("; no cause found, 5.2 s of it went to mark running.")
    assert "\nno cause found, 5.2 s of it went to mark running" in junit_texts(late)


def test_a_step_that_was_not_over_says_in_which_phase_it_still_was():
    open_ = msgspec.structs.replace(
        LATE,
        total_s=longer_than(20.0),
        censored=True,
        evidence=(),
        phases=(Phase("decide", 3.0, 2.9, 3.1, "log"), Phase("allocate", reason=NOT_OVER)),
    )

    assert answer(open_).endswith("; no cause found, at least 16.9 s of it went to allocate.")


def test_a_step_with_a_cause_names_no_other_phase():
    assert no_cause(EXACT) == ""


def test_no_sign_is_read_into_a_name(capsys: pytest.CaptureFixture[str]):
    say("default/od d:x: target_capacity 50 of app:bug: and m:b: it")

    told = capsys.readouterr().err
    assert told == "scalelag: default/od d:x: target_capacity 50 of app:bug: and m:b: it\n"


def warmed_up(warmup_s: float) -> StepReport:
    report = report_of(recorded(info(options={"warmup": warmup_s})))
    return report.deployments[KEY].steps[1]


def test_a_step_in_the_warm_up_says_that_nothing_counts_it():
    assert "it began in the warm-up of 25 s" in (warmed_up(25.0).reason or "")
    assert "warm-up" not in (warmed_up(5.0).reason or "")


def test_a_deployment_of_which_all_polls_lie_in_the_warm_up_was_seen():
    (said,) = (
        text
        for text in report_of(recorded(info(options={"warmup": 1000}))).warnings
        if text.startswith(KEY)
    )

    assert said == f"{KEY}: every poll that shows it lies in the warm-up of 1000 s"
