"""Parts of traces, scaled numbers and times, and files that are no trace."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalelag.errors import UsageError
from scalelag.plan.trace_cut import Cut
from scalelag.plan.trace_dates import parse_moment
from scalelag.plan.trace_plan import trace_schedule
from tests.unit.trace_cases import Read, history, iso, lines

# --- parts and scales --------------------------------------------------------------------------


def test_a_part_is_taken_by_seconds_by_spans_and_by_dates(read: Read):
    text = lines("timestamp", *(f"{iso(1000 * n)}Z" for n in range(600)))
    wanted = list(range(60))

    for begin, end in (("120", "180"), ("2m", "3m"), (iso(120_000) + "Z", iso(180_000) + "Z")):
        trace = read(text, cut=Cut(parse_moment(begin), parse_moment(end)))
        assert trace.times_s.tolist() == wanted
        assert (trace.info.rows, trace.info.rows_left) == (60, 540)
        assert "540 rows left out" in trace.info.line


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=60),
    st.sampled_from([0.1, 0.25, 0.5, 1.0, 2.0, 3.5]),
    st.sampled_from([0.01, 0.5, 1.0, 4.0]),
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
def test_scales_change_numbers_and_times_and_nothing_else(
    read: Read, all_ms: list[int], rate: float, time: float
):
    times_s = np.sort(np.array(all_ms)) / 1000
    text = lines("arrival_s", *map(repr, times_s.tolist()))

    trace = read(text, cut=Cut(rate_scale=rate, time_scale=time))

    whole_s = (times_s - times_s[0]) * time
    assert trace.times_s.size == max(1, round(times_s.size * rate))
    assert np.all(np.diff(trace.times_s) >= 0)
    assert trace.times_s[0] == 0
    assert trace.times_s[-1] <= whole_s[-1] + 1e-9
    if rate <= 1:
        assert all(np.abs(whole_s - one).min() < 1e-9 for one in trace.times_s)


def test_rates_are_cut_in_the_midst_of_a_row_and_scaled(read: Read):
    text = lines("time_s,rps", "0,10", "60,20", "120,30")

    trace = read(text, cut=Cut(parse_moment("30"), parse_moment("90"), 0.5, 0.1))

    assert trace.rates_rps is not None
    assert trace.times_s.tolist() == pytest.approx([0, 3, 6])
    assert trace.rates_rps.tolist() == pytest.approx([50, 100])
    # Half of 30 s of 10 rps and of 30 s of 20 rps.
    assert trace_schedule(trace).count() == 450


@pytest.mark.parametrize(
    ("text", "cut", "expected"),
    [
        (
            lines("arrival_s", 0, 5),
            Cut(parse_moment("10")),
            "--from and --to leave nothing of it: it lasts 5 s.",
        ),
        (
            lines("arrival_s", 0, 5),
            Cut(parse_moment("3"), parse_moment("2")),
            "--from is not before --to.",
        ),
        (
            lines("arrival_s", 0, 5),
            Cut(parse_moment("2023-01-01")),
            "--from 2023-01-01: its times are no dates. Give seconds after its beginning.",
        ),
        (
            lines("arrival_s", 0, 5e6),
            Cut(),
            (
                "it lasts 57.9 days: a run of more than 31 days is not begun. Take a part with --from "
                "and --to, or make it faster with --time-scale 0.01."
            ),
        ),
        (
            lines("time,x", *["2023-01-01T10:00:00Z,1"] * 2000),
            Cut(),
            (
                "all 2,000 times are the same: they are too coarse to be replayed. Choose another "
                "column with --trace-column."
            ),
        ),
        (
            lines("time_s,rps", "0,1000000", "1000,1"),
            Cut(),
            (
                "1,000,001,000 requests are more than a run sends. Take a part with --from and --to, "
                "or fewer with --rate-scale 0.1."
            ),
        ),
        (lines("rps", 5), Cut(rate_scale=1e6), "its highest rate is 5e+06 rps: over 1,000,000."),
    ],
)
def test_a_part_that_is_none_and_a_load_that_nobody_sends_are_refused(said, text, cut, expected):
    assert said(text, cut=cut) == f"--trace trace.csv: {expected}"


@pytest.mark.parametrize("text", ["", "x", "-5", "5 weeks", "2023-13-01", "nan"])
def test_what_is_no_place_in_a_trace_is_refused(text: str):
    with pytest.raises(UsageError, match="is no place in a trace"):
        parse_moment(text)


# --- malformed ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[{"timestamp": 0}]',
            "trace.csv: it is a JSON array: give JSON Lines, one object a line.",
        ),
        ('{"time_s": 0}\n[1]\n', "trace.csv line 2: it is no JSON object: "),
        ('{"time_s": 0}\n{"time_s": \n', "trace.csv line 2: it is no JSON object: "),
        ('{"time_s": 0}\n{"x": 1}\n', 'trace.csv line 2: time_s "" is not a number.'),
        ('{"time_s": 0}\n{"time_s": true}\n', 'trace.csv line 2: time_s "True" is not a number.'),
        ('{"time_s": 0}\n' + '{"x":' * 5000 + "1", "trace.csv line 2: it is no JSON object: "),
        (
            lines("time", f"{iso(0)}Z", "yesterday"),
            'trace.csv line 3: time "yesterday" is not a date such as 2026-11-29T10:00:00.25Z.',
        ),
        (
            lines("time", f"{iso(9)}Z", f"{iso(0)}Z"),
            "trace.csv line 3: time 1700158623.0 is before ",
        ),
        (
            lines("time_s,ContextTokens", "0,5", "1,many"),
            'trace.csv line 3: ContextTokens "many" is not a number.',
        ),
        (
            lines("time_s,input_length", "0,3000000000"),
            "trace.csv line 2: input_length 3000000000.0 is no number of tokens: a whole number up to",
        ),
        (
            '{"time_s": 0, "hash_ids": 5}\n',
            "trace.csv line 1: hash_ids is no list of whole numbers.",
        ),
        (
            history([0]),
            "trace.csv: it has fewer than two rows for all requests (Aggregated).",
        ),
        (
            lines("metric_name,timestamp,metric_value", "vus,1595325560,1"),
            "trace.csv: it has no rows of a metric that counts requests: http_reqs, grpc_req_duration",
        ),
        (
            lines("metric_name,metric_value,timestamp", "http_reqs"),
            "trace.csv line 2: it has 1 cell, and timestamp would be number 3",
        ),
    ],
)
def test_a_file_that_is_no_good_says_where(said, text, expected):
    assert said(text).startswith(f"--trace {expected}")


WORDS = ["time", "rps", "timestamp", "Name", "Requests/s", "User Count", "metric_name", "hash_ids"]
CELLS = ["0", "1", "1e400", "-1", "", "Aggregated", "http_reqs", "2023-01-01", "nan", '"', "x,y"]


@given(
    st.lists(st.sampled_from([*WORDS, "metric_value", "input_length"]), min_size=1, max_size=5),
    st.lists(st.lists(st.sampled_from(CELLS), max_size=5), max_size=4),
    st.booleans(),
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
def test_any_file_is_a_trace_or_refused_by_name(
    read: Read, header: list[str], rows: list[list[str]], as_json: bool
):
    text = lines(",".join(header), *(",".join(row) for row in rows))
    if as_json:
        text = lines(*(json.dumps(dict(zip(header, row, strict=False))) for row in rows))
    try:
        trace = read(text)
    except UsageError as error:
        assert str(error).startswith("--trace ")  # noqa: PT017  both outcomes are right
    else:
        assert trace.info.requests >= 0
