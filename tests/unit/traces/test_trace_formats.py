"""Traces in the forms that people have, against the arrivals that they mean."""

import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalelag.plan.trace_cut import Cut
from scalelag.plan.trace_dates import date_s
from scalelag.plan.trace_plan import trace_schedule
from tests.unit.trace_cases import Read, history, iso, lines
from tests.unit.traces.forms import FORMS

ALL_MS = st.lists(st.integers(0, 5_000_000), min_size=1, max_size=30)


@pytest.mark.parametrize("form", FORMS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8, deadline=None
)
@given(ALL_MS, st.integers(1, 999))
def test_every_form_means_the_same_arrivals(read: Read, form: str, all_ms: list[int], odd_ms: int):
    # No trace of whole seconds: k6 would count those.
    chosen = sorted([*all_ms, 1000 * (max(all_ms) // 1000) + 1000 + odd_ms])

    trace = read(FORMS[form](chosen))

    assert trace.rates_rps is None
    assert np.allclose(trace.times_s, (np.array(chosen) - chosen[0]) / 1000, rtol=0, atol=2e-6)
    assert trace.info.requests == len(chosen)


def test_they_are_sent_as_they_were_read(read: Read):
    trace = read(FORMS["Azure 2023"]([0, 5, 5, 1250, 60_000]))

    assert np.concatenate(list(trace_schedule(trace).blocks())).tolist() == trace.times_s.tolist()


def test_a_minute_of_dates_lasts_a_minute(read: Read):
    rows = [f"{iso(1000 * n + n % 2)}Z,{n % 4}" for n in range(61)]

    trace = read(lines("timestamp,worker", *rows))

    assert (trace.times_s.size, trace.times_s[-1]) == (61, 60)
    assert trace.info.column == "timestamp"
    assert trace.info.unused == ("worker",)


def test_rates_may_begin_at_dates(read: Read):
    rows = [f"{iso(ms)}Z,{rps}" for ms, rps in ((0, 3), (60_000, 5), (90_000, 1))]

    trace = read(lines("time,rps", *rows))

    assert trace.times_s.tolist() == [0, 60, 90, 120]
    assert trace.info.time_column == "time"


@given(st.lists(st.integers(0, 50), min_size=2, max_size=20), st.booleans())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
def test_locusts_history_is_replayed_with_as_many_requests(read: Read, sent: list[int], full: bool):
    if not any(sent):
        sent[-1] = 1
    # A count that was high from the beginning is one of before.
    sent[0] = min(sent[0], 5)

    trace = read(history(np.cumsum(sent).tolist(), full=full))

    assert trace.rates_rps is not None
    assert trace.rates_rps.tolist() == sent
    assert trace.times_s.tolist() == list(range(len(sent) + 1))
    assert trace.info.rows_left == (len(sent) if full else 0)
    assert trace_schedule(trace).count() == sum(sent)


def test_locusts_history_of_a_steady_load_is_not_one_request_a_row(read: Read):
    trace = read(history([20 * n for n in range(1, 31)]))

    assert set(trace.rates_rps.tolist() if trace.rates_rps is not None else []) == {20.0}
    assert (trace.info.requests, trace.info.span_s) == (600, 30)
    assert trace.info.line == (
        'trace.csv (Locust\'s stats_history): 30 rates from column "Total Request Count", times '
        'from "Timestamp" in s; 600 requests in 30 s, 20 rps on average and 20 at most'
    )


def test_a_short_row_of_another_metric_says_nothing_of_those_that_are_counted(read: Read):
    rows = ("http_reqs,2026-11-29T10:00:00.5Z", "http_reqs,2026-11-29T10:00:02Z")

    trace = read(lines("metric_name,timestamp,metric_value", "vus", *rows))

    assert (trace.info.unit, trace.info.requests, trace.info.rows_left) == ("date", 2, 1)


def test_k6s_seconds_are_counted(read: Read):
    metrics = ("http_reqs", "http_req_duration", "http_req_blocked", "iterations")
    seconds = [0] * 3 + [1] * 5 + [4] * 2

    trace = read(
        lines(
            "metric_name,timestamp,metric_value,check",
            *(f"{m},{1_595_325_560 + s},1.0," for s in reversed(seconds) for m in metrics),
        )
    )

    assert trace.rates_rps is not None
    assert trace.rates_rps.tolist() == [3, 5, 0, 0, 2]
    assert (trace.info.rows, trace.info.rows_left) == (10, 30)


# --- lengths -----------------------------------------------------------------------------------


def test_lengths_come_with_their_arrivals(read: Read):
    trace = read(
        lines(
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type",
            "5,ChatGPT,472,18,490,Conversation log",
            "45,ChatGPT,1087,230,1317,Conversation log",
            "118,GPT-4,417,0,417,API log",
        )
    )

    assert trace.lengths is not None
    assert trace.lengths.prompt_tokens.tolist() == [472, 1087, 417]
    assert trace.lengths.answer_tokens.tolist() == [18, 230, 0]
    assert trace.times_s.tolist() == [0, 40, 113]
    assert (trace.info.format, trace.info.unit) == ("BurstGPT", "s")
    assert trace.info.lengths == ("Request tokens", "Response tokens")
    assert "Model" in trace.info.unused


def test_shared_blocks_come_with_their_arrivals(read: Read):
    rows = [
        {"timestamp": 0, "input_length": 1000, "output_length": 5, "hash_ids": [7, 8]},
        {"timestamp": 3000, "input_length": 600, "output_length": 6, "hash_ids": [7, 9]},
        {"timestamp": 3000, "input_length": 500, "output_length": 7, "hash_ids": []},
        {"timestamp": 9000, "input_length": 511, "output_length": 8, "hash_ids": [7]},
    ]
    trace = read(lines(*map(json.dumps, rows)), cut=Cut(rate_scale=0.5))

    assert trace.lengths is not None
    assert (trace.lengths.block_tokens, trace.info.unit) == (512, "ms")
    assert trace.times_s.tolist() == [0, 3]
    assert trace.lengths.answer_tokens.tolist() == [5, 7]
    assert (trace.lengths.blocks.tolist(), trace.lengths.ends.tolist()) == ([7, 8], [2, 2])


def test_blocks_of_sixteen_and_seconds_are_told_by_the_values(read: Read):
    rows = [
        {"timestamp": 61.114, "input_length": 33, "output_length": 5, "hash_ids": [1, 2, 3]},
        {"timestamp": 62.5, "input_length": 16, "output_length": 5, "hash_ids": [1]},
    ]
    trace = read(lines(*map(json.dumps, rows)))

    assert trace.lengths is not None
    assert (trace.lengths.block_tokens, trace.info.unit) == (16, "s")
    assert trace.times_s.tolist() == pytest.approx([0, 1.386])


# --- units -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [40, 1000])
def test_whole_numbers_that_could_be_either_are_a_question(said, read: Read, step: int):
    text = lines("timestamp", *range(0, 100 * step, step))

    question = said(text)

    assert re.fullmatch(
        r'--trace trace.csv: are the times in column "timestamp" seconds or milliseconds\? As seconds '
        r"they last .*, as milliseconds they last .*\. Set --trace-unit s or --trace-unit ms\.",
        question,
    )
    assert read(text, unit="ms").times_s[-1] == 99 * step / 1000
    assert read(text, unit="s").times_s[-1] == 99 * step


def test_whole_seconds_that_can_be_nothing_else_are_none(read: Read):
    assert read(lines("time", 0, 1, 1, 2, 5)).times_s.tolist() == [0, 1, 1, 2, 5]
    assert read(lines("time,rps", "0,1", "60,2", "3600,1")).times_s.tolist() == [0, 60, 3600, 7140]


def test_a_name_that_says_seconds_over_unix_milliseconds_is_a_question(said):
    assert said(lines("time_s", 1_700_000_000_000, 1_700_000_060_000)) == (
        '--trace trace.csv: the name of column "time_s" says seconds, and its values look like Unix '
        "times in ms. Set --trace-unit s or --trace-unit ms."
    )


@given(st.floats(0, 7e9), st.sampled_from(["", "Z", "+05:30"]))
def test_dates_are_read_as_python_reads_them(unix_s: float, zone: str):
    text = f"{datetime.fromtimestamp(unix_s, UTC).replace(tzinfo=None).isoformat()}{zone}"
    wanted = datetime.fromisoformat(text if zone else f"{text}+00:00")

    assert date_s(text) == pytest.approx(wanted.timestamp(), abs=2e-6)
