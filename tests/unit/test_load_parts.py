"""Figures of streamed answers, and of requests by name."""

import math
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis.load import groups, named
from reports.analysis.load.latency import load_report
from reports.model.load import LoadReport
from scalelag.plan.stages import parse_plan
from scalelag.record import blocks
from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.requests_file import NO_STREAMS, RequestColumns, StreamColumns

ZERO_S = 1_795_371_900.0
NAN = float("nan")

Told = tuple[float, int, float] | None
"""First token, tokens, longest gap; None: no stream."""
Row = tuple[float, float, str, str | None, Told]
"""Intended start, latency, name, error, stream."""


def columns(rows: list[Row]) -> RequestColumns:
    names = list(dict.fromkeys(row[2] for row in rows))
    errors = list(dict.fromkeys(row[3] for row in rows if row[3] is not None))
    told = [(number, *row[4]) for number, row in enumerate(rows) if row[4] is not None]
    streams = StreamColumns(
        row=np.array([t[0] for t in told], np.uint32),
        first_token_s=np.array([t[1] for t in told], np.float32),
        tokens=np.array([t[2] for t in told], np.uint32),
        token_gap_max_s=np.array([t[3] for t in told], np.float32),
    )
    return RequestColumns(
        intended_s=np.array([ZERO_S + row[0] for row in rows], np.float64),
        send_lag_s=np.zeros(len(rows), np.float32),
        latency_s=np.array([row[1] for row in rows], np.float32),
        status=np.full(len(rows), 200, np.uint16),
        name=np.array([names.index(row[2]) for row in rows], np.int32),
        error=np.array([-1 if row[3] is None else errors.index(row[3]) for row in rows], np.int32),
        worker=np.zeros(len(rows), np.uint16),
        names=tuple(names),
        errors=tuple(errors),
        streams=streams if told else NO_STREAMS,
    )


def report_of(rows: list[Row], steps: str) -> LoadReport:
    plan = parse_plan(steps)
    return load_report(columns(rows), None, plan.steps(plan.duration_s), plan.unit, ZERO_S)


# --- streamed answers ------------------------------------------------------------------------

# Two steps of 10 s and one of 5 s. The mean time between tokens: 0.02, 0.1, -, -, 0.05 s.
MIXED: list[Row] = [
    (0.0, 1.0, "/", None, (0.2, 41, 0.25)),
    (1.0, 0.5, "/", None, None),
    (5.0, 0.7, "/", None, (0.3, 5, 0.11)),
    (12.0, 2.0, "/", "timeout", (0.4, 3, 1.5)),
    (13.0, 0.1, "/", "HTTP 503", None),
    (14.0, 3.0, "/", "connection closed", (NAN, 0, NAN)),
    (19.0, 0.9, "/", None, (0.8, 3, 0.06)),
    (21.0, 0.3, "/", None, None),
]
STEPS = "1rps:10s,2rps:10s,1rps:5s"


def test_streams_of_a_step_are_those_whose_requests_belong_to_it():
    report = report_of(MIXED, STEPS)

    first, second, third = report.steps
    assert first.stream is not None
    assert second.stream is not None
    assert (first.stream.answers, first.stream.tokens) == (2, 46)
    assert (second.stream.answers, second.stream.tokens) == (3, 6)
    assert third.stream is None


def test_the_first_token_counts_from_the_intended_start_in_all_answers_that_have_one():
    stream = report_of(MIXED, STEPS).stream

    assert stream is not None
    # Of 0.2, 0.3, 0.4 and 0.8 s; linear between order statistics.
    assert stream.first_token_p50_ms == pytest.approx(350, abs=0.01)
    assert stream.first_token_p95_ms == pytest.approx(740, abs=0.01)
    assert stream.first_token_p99_ms == pytest.approx(788, abs=0.01)
    assert stream.first_token_max_ms == pytest.approx(800, abs=0.01)


def test_the_time_between_tokens_is_the_mean_of_each_answer_that_came_whole():
    stream = report_of(MIXED, STEPS).stream

    assert stream is not None
    # Of 0.02, 0.1 and 0.05 s: the one that timed out waited for a token that never came.
    assert stream.time_between_tokens_p50_ms == pytest.approx(50, abs=0.01)
    assert stream.time_between_tokens_p99_ms == pytest.approx(99, abs=0.01)


def test_the_longest_gap_is_that_of_any_answer():
    stream = report_of(MIXED, STEPS).stream

    assert stream is not None
    assert stream.token_gap_max_ms == pytest.approx(1500)


def test_tokens_per_second_are_those_over_the_hold_and_over_the_whole_load():
    report = report_of(MIXED, STEPS)

    assert [step.stream and step.stream.tokens_per_s for step in report.steps] == [4.6, 0.6, None]
    assert report.stream is not None
    assert report.stream.tokens_per_s == 52 / 25


def test_answers_without_a_token_have_no_times():
    stream = report_of([(0.0, 1.0, "/", "timeout", (NAN, 0, NAN))], "1rps:2s").stream

    assert stream is not None
    assert (stream.answers, stream.tokens, stream.tokens_per_s) == (1, 0, 0.0)
    assert (stream.first_token_p50_ms, stream.first_token_max_ms) == (None, None)
    assert (stream.time_between_tokens_p50_ms, stream.token_gap_max_ms) == (None, None)


def test_a_single_token_has_a_first_and_no_time_between():
    stream = report_of([(0.0, 1.0, "/", None, (0.5, 1, NAN))], "1rps:2s").stream

    assert stream is not None
    assert (stream.first_token_p99_ms, stream.time_between_tokens_p99_ms) == (500.0, None)


def test_many_tokens_in_one_chunk_have_no_time_between():
    """As the server counts them: 40 in the one chunk of the first answer."""
    report = report_of([(0, 1.0, "/", None, (0.3, 40, NAN))], "10rps:10s").stream

    assert report is not None
    assert (report.tokens, report.first_token_p50_ms) == (40, pytest.approx(300))
    assert report.time_between_tokens_p50_ms is None


def test_a_run_without_streams_reports_none():
    report = report_of([(0.0, 1.0, "/", None, None)], "1rps:2s")

    assert (report.stream, report.steps[0].stream, report.names["/"].stream) == (None, None, None)


# --- names -----------------------------------------------------------------------------------

NAMED: list[Row] = [
    (0.0, 0.1, "a", None, None),
    (0.1, 0.2, "b", None, (0.05, 4, 0.05)),
    (0.2, 0.4, "b", "HTTP 500", None),
    (0.3, NAN, "b", NOT_SENT, None),
    (0.4, 0.6, "b", None, (0.15, 10, 0.05)),
    (0.5, 0.3, "a", None, None),
]


def test_each_name_has_its_own_figures():
    names = report_of(NAMED, "6rps:1s").names

    assert {name: (n.planned, n.sent, n.failed, n.not_sent) for name, n in names.items()} == {
        "a": (2, 2, 0, 0),
        "b": (4, 3, 1, 1),
    }
    assert names["a"].latency_p50_ms == pytest.approx(200, abs=0.01)
    assert names["a"].latency_max_ms == pytest.approx(300, abs=0.01)
    assert names["b"].latency_p50_ms == pytest.approx(400, abs=0.01)
    assert names["b"].service_p99_ms == pytest.approx(596, abs=0.01)


def test_each_name_has_its_own_streams():
    names = report_of(NAMED, "6rps:1s").names

    assert names["a"].stream is None
    stream = names["b"].stream
    assert stream is not None
    assert (stream.answers, stream.tokens, stream.tokens_per_s) == (2, 14, 14.0)
    assert stream.first_token_p50_ms == pytest.approx(100, abs=0.01)


def test_the_name_of_most_requests_comes_first():
    assert list(report_of(NAMED, "6rps:1s").names) == ["b", "a"]


def test_a_run_without_requests_has_no_names():
    assert report_of([], "6rps:1s").names == {}


TOLD = st.one_of(
    st.none(),
    st.just((NAN, 0, NAN)),
    st.tuples(st.floats(0, 1, width=32), st.integers(1, 500), st.floats(0, 1, width=32)),
)
ROWS = st.lists(
    st.tuples(
        st.floats(0, 9),
        st.floats(1, 5, width=32),
        st.sampled_from("abc"),
        st.sampled_from([None, None, "timeout", NOT_SENT]),
        TOLD,
    ),
    max_size=40,
)


@settings(max_examples=80)
@given(ROWS)
def test_names_add_up_to_the_run_and_so_do_their_streams(rows: list[Row]):
    rows = sorted(rows, key=lambda row: row[0])

    report = report_of(rows, "5rps:10s")

    for figure in ("planned", "sent", "failed", "not_sent"):
        assert sum(getattr(n, figure) for n in report.names.values()) == getattr(report, figure)
    streams = [n.stream for n in report.names.values() if n.stream]
    assert sum(s.answers for s in streams) == sum(row[4] is not None for row in rows)
    assert sum(s.tokens for s in streams) == sum(row[4][1] for row in rows if row[4])
    assert sum(s.tokens_per_s or 0.0 for s in streams) == pytest.approx(
        report.stream.tokens_per_s if report.stream else 0.0
    )


@settings(max_examples=60)
@given(ROWS, st.integers(1, 9))
def test_times_counted_by_name_are_those_counted_for_each_group(rows: list[Row], size):
    rows = sorted(rows, key=lambda row: row[0])
    steps = "5rps:3s,2rps:4s,0rps:1s,5rps:2s"

    # In each block, the fewer rows it has the more often one that lies in a single step.
    with patch.object(blocks, "BLOCK", size):
        found = report_of(rows, steps)
        with patch.object(groups, "MOST_COUNTED", 0), patch.object(named, "MOST_COUNTED", 0):
            expected = report_of(rows, steps)

    assert found == expected


@settings(max_examples=80)
@given(ROWS)
def test_quantiles_of_streams_ascend_and_occur(rows: list[Row]):
    report = report_of(sorted(rows, key=lambda row: row[0]), "5rps:10s")

    came = [1000 * row[4][0] for row in rows if row[4] and math.isfinite(row[4][0])]
    stream = report.stream
    if stream is None or not came:
        assert stream is None or stream.first_token_max_ms is None
        return
    found = (
        stream.first_token_p50_ms,
        stream.first_token_p95_ms,
        stream.first_token_p99_ms,
        stream.first_token_max_ms,
    )
    assert all(figure is not None for figure in found)
    assert list(found) == sorted(found)
    assert found[-1] == pytest.approx(max(came))
