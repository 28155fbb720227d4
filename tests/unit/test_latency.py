"""Figures of requests: what users saw, what was never sent, and how steps add up to the run."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis.load.latency import Circumstances, load_report
from reports.model.load import LoadReport
from scalelag.plan.stages import LoadPlan, parse_plan
from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.requests_file import RequestColumns

ZERO_S = 1_795_371_900.0
NAN = float("nan")


def columns(
    intended_s: np.ndarray | list[float],
    latency_s: np.ndarray | list[float],
    send_lag_s: np.ndarray | list[float] | float = 0.0,
    errors: list[str | None] | None = None,
) -> RequestColumns:
    """Rows at `intended_s` seconds after the plan's start, which ascend."""
    n = len(intended_s)
    texts = [text for text in dict.fromkeys(errors or []) if text is not None]
    codes = [-1 if text is None else texts.index(text) for text in errors or [None] * n]
    return RequestColumns(
        intended_s=ZERO_S + np.asarray(intended_s, np.float64),
        send_lag_s=np.broadcast_to(np.asarray(send_lag_s, np.float32), n).copy(),
        latency_s=np.asarray(latency_s, np.float32),
        status=np.full(n, 200, np.uint16),
        name=np.zeros(n, np.int32),
        error=np.array(codes, np.int32),
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=tuple(texts),
    )


def report_of(
    rows: RequestColumns, plan: LoadPlan, planned: int | None = None, watched_until_s: float = 0.0
) -> LoadReport:
    return load_report(rows, planned, plan.steps(watched_until_s), plan.unit, ZERO_S)


def test_rates_count_the_time_after_the_warm_up_only():
    """Of the first step nothing is left, of the second 10 of its 20 s."""
    plan = parse_plan("5rps:10s,10rps:20s")
    rows = columns([20 + k / 10 for k in range(100)], [0.1] * 100)
    steps = plan.steps(0.0)
    found = load_report(rows, None, steps, plan.unit, ZERO_S, Circumstances(warmup_s=20.0))

    rates = {step.at_s: (step.offered_rps, step.completed_rps) for step in found.steps}
    assert rates[0.0] == (0.0, 0.0)
    assert rates[10.0] == pytest.approx((10.0, 10.0))


# --- the stalled server ----------------------------------------------------------------------


def stalled_server() -> tuple[np.ndarray, np.ndarray]:
    """Arrivals and latencies of docs/metrics.md#latency, in seconds.

    One server, 10 ms service, 50 rps for 30 s, first come first served; from 10 s to 15 s the
    server starts nothing.
    """
    arrivals = np.array([k / 50 for k in range(1500)])
    done = np.empty_like(arrivals)
    free_s = 0.0
    for i, arrival_s in enumerate(arrivals):
        begun_s = max(arrival_s, free_s)
        if 10.0 <= begun_s < 15.0:
            begun_s = 15.0
        free_s = done[i] = begun_s + 0.010
    return arrivals, done - arrivals


@pytest.fixture(scope="module")
def stalled() -> LoadReport:
    arrivals, latencies = stalled_server()
    return report_of(columns(arrivals, latencies), parse_plan("50rps:30s"))


def test_the_simulated_server_is_that_of_the_metrics():
    _, latencies = stalled_server()

    assert 1000 * np.quantile(latencies, 0.5) == pytest.approx(10, abs=0.05)
    assert 1000 * np.quantile(latencies, 0.9) == pytest.approx(3511.0, abs=0.05)
    assert 1000 * np.quantile(latencies, 0.99) == pytest.approx(4860.1, abs=0.05)
    assert 1000 * np.mean(latencies) == pytest.approx(845.0, abs=0.05)


def test_a_stall_shows_in_the_latency_from_the_intended_start(stalled: LoadReport):
    assert stalled.latency_p50_ms == pytest.approx(10, abs=0.05)
    assert stalled.latency_p99_ms == pytest.approx(4860.1, abs=0.05)
    assert stalled.latency_max_ms == pytest.approx(5010, abs=0.05)


def test_a_stall_fails_no_request(stalled: LoadReport):
    assert (stalled.planned, stalled.sent, stalled.completed) == (1500, 1500, 1500)
    assert (stalled.failed, stalled.not_sent, stalled.error_ratio) == (0, 0, 0.0)


def test_the_same_stall_in_a_closed_loop_hides_in_the_service_time():
    # One user who waits for each answer: its requests are late, but each takes 10 ms, save one.
    arrivals, latencies = stalled_server()
    service = np.full(arrivals.size, 0.010)
    service[500] = 5.010
    rows = columns(arrivals, latencies, send_lag_s=latencies - service)

    report = report_of(rows, parse_plan("50rps:30s"))

    assert report.service_p99_ms == pytest.approx(10, abs=0.05)
    assert report.latency_p99_ms == pytest.approx(4860, abs=1)


# --- times -----------------------------------------------------------------------------------


def test_service_time_counts_from_the_actual_send():
    rows = columns([0, 1, 2], [0.5, 0.5, 0.5], send_lag_s=[0.1, 0.2, 0.4])

    report = report_of(rows, parse_plan("1rps:3s"))

    assert report.latency_p50_ms == pytest.approx(500, abs=0.01)
    assert report.service_p50_ms == pytest.approx(300, abs=0.01)
    assert report.send_lag_p50_ms == pytest.approx(200, abs=0.01)


def test_failed_requests_have_a_latency_too():
    rows = columns([0, 1], [0.1, 9.0], errors=[None, "timeout"])

    assert report_of(rows, parse_plan("1rps:2s")).latency_max_ms == pytest.approx(9000)


@settings(max_examples=100)
@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=60))
def test_quantiles_ascend_and_occur(latencies: list[float]):
    report = report_of(columns(np.arange(len(latencies)), latencies), parse_plan("1rps:60s"))

    found = [
        report.latency_p50_ms,
        report.latency_p95_ms,
        report.latency_p99_ms,
        report.latency_p999_ms,
        report.latency_max_ms,
    ]
    assert all(a <= b + 1e-6 for a, b in itertools.pairwise(found))
    assert found[-1] == pytest.approx(1000 * max(latencies))
    assert min(latencies) * 1000 <= found[0] + 1e-6


# --- what was not sent -----------------------------------------------------------------------


def test_requests_that_were_not_sent_are_failures_without_a_latency():
    rows = columns(
        [0, 1, 2, 3],
        [0.1, NAN, 0.3, NAN],
        send_lag_s=[0.0, NAN, 0.0, NAN],
        errors=[None, NOT_SENT, "HTTP 500", NOT_SENT],
    )

    report = report_of(rows, parse_plan("1rps:4s"))

    assert (report.planned, report.sent, report.not_sent) == (4, 2, 2)
    assert (report.completed, report.failed) == (1, 1)
    assert report.error_ratio == 0.75
    assert report.errors == {NOT_SENT: 2, "HTTP 500": 1}
    assert report.latency_max_ms == pytest.approx(300, abs=0.01)


def test_planned_requests_without_a_row_count_as_not_sent():
    rows = columns([0, 1, 2], [0.1, 0.1, NAN], send_lag_s=[0, 0, NAN], errors=[None, "x", NOT_SENT])

    report = report_of(rows, parse_plan("1rps:10s"), planned=10)

    assert (report.planned, report.sent, report.not_sent) == (10, 2, 8)
    assert report.errors == {NOT_SENT: 8, "x": 1}
    assert report.error_ratio == pytest.approx(0.9)


def test_more_rows_than_planned_are_all_counted():
    report = report_of(columns([0, 1, 2], [0.1] * 3), parse_plan("1rps:2s"), planned=2)

    assert (report.planned, report.not_sent) == (3, 0)


def test_errors_are_listed_with_the_most_frequent_first():
    rows = columns(range(6), [0.1] * 6, errors=["a", "b", "c", "b", None, "c"])

    assert list(report_of(rows, parse_plan("1rps:6s")).errors.items()) == [
        ("b", 2),
        ("c", 2),
        ("a", 1),
    ]


def test_requests_on_time_were_sent_within_100_ms_of_their_intended_start():
    rows = columns(range(5), [0.5] * 5, send_lag_s=[0.0, 0.1, 0.1001, 3.0, 0.099])

    assert report_of(rows, parse_plan("1rps:5s")).on_time_ratio == 0.6


def test_requests_that_were_not_sent_are_not_on_time():
    rows = columns([0, 1], [0.1, NAN], send_lag_s=[0.0, NAN], errors=[None, NOT_SENT])

    assert report_of(rows, parse_plan("1rps:4s"), planned=4).on_time_ratio == 0.25


def test_a_run_without_requests_has_null_figures():
    report = report_of(columns([], []), parse_plan("1rps:4s"))

    assert (report.planned, report.sent, report.completed, report.failed) == (0, 0, 0, 0)
    assert (report.error_ratio, report.on_time_ratio, report.errors) == (None, None, {})
    assert (report.latency_p50_ms, report.latency_max_ms, report.service_p99_ms) == (None,) * 3
    assert [(s.planned, s.offered_rps, s.latency_p99_ms) for s in report.steps] == [(0, 0.0, None)]


def test_a_run_in_which_nothing_was_sent_has_no_latency():
    rows = columns([0, 1], [NAN, NAN], send_lag_s=NAN, errors=[NOT_SENT, NOT_SENT])

    report = report_of(rows, parse_plan("1rps:2s"))

    assert (report.error_ratio, report.on_time_ratio) == (1.0, 0.0)
    assert (report.latency_p50_ms, report.send_lag_p99_ms) == (None, None)


# --- steps -----------------------------------------------------------------------------------


def test_requests_belong_to_the_step_in_which_they_were_intended_to_start():
    # The last request of the first step is answered during the second.
    rows = columns([0.0, 1.0, 1.999, 2.0, 3.0], [0.1, 0.1, 5.0, 0.2, 0.2])

    report = report_of(rows, parse_plan("1rps:2s,5rps:2s"))

    first, second = report.steps
    assert (first.planned, second.planned) == (3, 2)
    assert first.latency_max_ms == pytest.approx(5000)
    assert second.latency_max_ms == pytest.approx(200, abs=0.01)


def test_a_step_offers_what_was_planned_and_completes_what_was_answered():
    rows = columns(
        [0, 1, 2, 3],
        [0.1, 0.1, NAN, 0.1],
        send_lag_s=[0, 0, NAN, 0],
        errors=[None, "x", NOT_SENT, None],
    )

    (step,) = report_of(rows, parse_plan("1rps:8s")).steps

    assert (step.planned, step.sent, step.completed, step.failed, step.not_sent) == (4, 3, 2, 1, 1)
    assert (step.offered_rps, step.completed_rps, step.error_ratio) == (0.5, 0.25, 0.5)


def test_a_step_is_described_by_its_levels_and_hold():
    report = report_of(columns([], []), parse_plan("1rps:2s,1..5rps:3s,5rps:4s"))

    assert [
        (s.index, s.at_s, s.hold_s, s.from_level, s.to_level, s.unit) for s in report.steps
    ] == [
        (0, 0, 2, 0, 1, "rps"),
        (1, 2, 7, 1, 5, "rps"),
    ]


def test_the_step_to_0_at_the_end_offers_nothing_and_is_left_out():
    report = report_of(columns([0], [0.1]), parse_plan("1rps:2s"), watched_until_s=60.0)

    assert [step.to_level for step in report.steps] == [1.0]


def test_the_requests_of_a_ramp_down_to_0_belong_to_a_step():
    rows = columns([0.0, 1.0, 2.0, 2.5, 3.3], [0.1, 0.1, 0.1, 0.1, 7.0])

    report = report_of(rows, parse_plan("1rps:2s,2..0rps:4s"))

    assert sum(step.planned for step in report.steps) == report.planned == 5


KINDS = st.sampled_from(["ok", "ok", "ok", "failed", "not_sent"])


@settings(max_examples=80)
@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=5),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), KINDS), max_size=80),
)
def test_steps_add_up_to_the_run(levels: list[int], requests: list[tuple[float, str]]):
    plan = parse_plan(",".join(f"{level}rps:2s" for level in levels))
    shares = sorted(requests)
    sent = np.array([kind != "not_sent" for _, kind in shares], dtype=bool)
    rows = columns(
        [share * plan.duration_s * 0.999999 for share, _ in shares],
        np.where(sent, 0.1, NAN),
        send_lag_s=np.where(sent, 0.0, NAN),
        errors=[{"ok": None, "failed": "x", "not_sent": NOT_SENT}[kind] for _, kind in shares],
    )

    report = report_of(rows, plan)

    for name in ("planned", "sent", "completed", "failed", "not_sent"):
        assert sum(getattr(s, name) for s in report.steps) == getattr(report, name), name
    assert report.planned == report.sent + report.not_sent == len(requests)
    assert report.sent == report.completed + report.failed
    kinds = [kind for _, kind in requests]
    assert (report.failed, report.not_sent) == (kinds.count("failed"), kinds.count("not_sent"))
