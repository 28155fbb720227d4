"""Traces: reading a file, and the messages about a bad one."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.errors import UsageError
from scalelag.plan import trace as trace_module
from scalelag.plan.trace import Trace, TraceSpec, read_trace

TWINS = 'several columns are named "{}": rename all but one.'


def csv(header: str, *rows: object) -> str:
    return "\n".join([header, *(str(row) for row in rows)]) + "\n"


def taken(trace: Trace) -> tuple[str, str, str | None]:
    return trace.info.kind, trace.info.column, trace.info.time_column


# --- arrival times ---------------------------------------------------------------------------


def test_arrival_times_begin_at_the_first(read):
    trace = read(csv("arrival_s", 3.5, 4, 4, 10.25), name="mine.csv")

    assert trace.times_s.tolist() == [0, 0.5, 0.5, 6.75]
    assert trace.rates_rps is None
    assert (trace.info.file, trace.info.rows) == ("mine.csv", 4)
    assert taken(trace) == ("arrivals", "arrival_s", None)


def test_unix_times_are_arrival_times_as_any_other(read):
    trace = read(csv("timestamp", "1700000000.125", "1700000000.25", "1700000007.5"))

    assert trace.times_s.tolist() == [0, 0.125, 7.375]


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=50))
def test_what_was_written_is_read(tmp_path_factory, micros: list[int]):
    path = tmp_path_factory.mktemp("trace") / "trace.csv"
    times = [micro / 1e6 for micro in sorted(micros)]
    path.write_text(csv("arrival_s", *map(repr, times)))

    read = read_trace(TraceSpec(str(path))).times_s

    assert read.tolist() == [time - times[0] for time in times]


def test_quotes_blanks_blank_lines_a_mark_of_order_and_windows_ends_do_not_matter(read):
    text = '\ufeff "arrival_s" , model\r\n\r\n"1.5", "a, b"\r\n 2.5 ,c\r\n\r\n3,\r\n'

    assert read(text).times_s.tolist() == [0, 1, 1.5]


# --- rates -----------------------------------------------------------------------------------


def test_rates_hold_for_a_second_each_without_times(read):
    trace = read(csv("rps", 3, 0, 2.5))

    assert trace.times_s.tolist() == [0, 1, 2, 3]
    assert trace.rates_rps is not None
    assert trace.rates_rps.tolist() == [3, 0, 2.5]
    assert taken(trace) == ("rates", "rps", None)


def test_rates_hold_until_the_next_time_and_the_last_as_long_as_the_one_before(read):
    trace = read(csv("time_s,rps", "100,3", "110,5", "130,1"))

    assert trace.times_s.tolist() == [0, 10, 30, 50]
    assert taken(trace) == ("rates", "rps", "time_s")


def test_a_single_rate_with_a_time_holds_for_a_second(read):
    assert read(csv("time_s,rps", "100,3")).times_s.tolist() == [0, 1]


# --- which column ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "row", "options", "expected"),
    [
        ("arrival", "1", {}, ("arrivals", "arrival", None)),
        ("Arrival_Time", "1", {}, ("arrivals", "Arrival_Time", None)),
        ("time", "1", {}, ("arrivals", "time", None)),
        ("TIMESTAMP", "1", {}, ("arrivals", "TIMESTAMP", None)),
        ("intended_s", "1", {}, ("arrivals", "intended_s", None)),
        ("qps", "1", {}, ("rates", "qps", None)),
        ("rate_per_s", "1", {}, ("rates", "rate_per_s", None)),
        ("requests_per_second", "1", {}, ("rates", "requests_per_second", None)),
        ("size,arrival_s,tokens", "1,2,3", {}, ("arrivals", "arrival_s", None)),
        ("timestamp,rps", "1,2", {}, ("rates", "rps", "timestamp")),
        ("timestamp,rps", "2024-05-01,2", {}, ("rates", "rps", "timestamp")),
        ("timestamp,model", "2024-05-01,2", {}, ("arrivals", "timestamp", None)),
        ("model,id,rps", "m,1,2", {}, ("rates", "rps", None)),
        ("p95_ms,rps", "1,2", {"time_column": "none"}, ("rates", "rps", None)),
        ("none,rps", "1,2", {"time_column": "none"}, ("rates", "rps", "none")),
        ("timestamp,arrival_s", "2024-05-01,2", {}, ("arrivals", "arrival_s", None)),
        ("model,x", "a,1", {"kind": "arrivals"}, ("arrivals", "x", None)),
        ("model,x", "a,1", {"kind": "rates"}, ("rates", "x", None)),
        ("time_s,x", "0,1", {"kind": "rates"}, ("rates", "x", "time_s")),
        ("time_s,rps", "0,1", {"kind": "arrivals"}, ("arrivals", "time_s", None)),
        ("time_s,rps,x", "0,1,2", {"column": "x", "kind": "rates"}, ("rates", "x", "time_s")),
        ("a,b", "0,1", {"column": "b", "kind": "arrivals"}, ("arrivals", "b", None)),
        ("a,rps", "0,1", {"time_column": "a"}, ("rates", "rps", "a")),
        ("time_s,time_m,rps", "0,0,1", {"time_column": "time_s"}, ("rates", "rps", "time_s")),
        ("timeout,rps", "x,1", {}, ("rates", "rps", None)),
        ("t", "2024-05-01T00:00:00Z", {}, ("arrivals", "t", None)),
        ("@timestamp,bytes", "2024-05-01,9", {}, ("arrivals", "@timestamp", None)),
        ("when,model", "2024-05-01,m", {}, ("arrivals", "when", None)),
        ("date,latency", "2024-05-01,9", {}, ("arrivals", "date", None)),
        ("ts,tokens,rps", "1,9,2", {}, ("rates", "rps", "ts")),
        ("time;rps", "0;5", {}, ("rates", "rps", "time")),
        ("time\trps", "0\t5", {}, ("rates", "rps", "time")),
    ],
)
def test_the_column_is_told_by_its_name_or_by_being_the_only_one(
    read, header, row, options, expected
):
    assert taken(read(csv(header, row), **options)) == expected


@pytest.mark.parametrize(
    ("header", "row", "options", "expected"),
    [
        (
            "a,b",
            "1,2",
            {},
            (
                "no column is named arrival_s or rps, and 2 hold numbers: choose one with "
                "--trace-column. Columns: a, b."
            ),
        ),
        (
            "a,b",
            "x,y",
            {},
            (
                "no column is named arrival_s or rps, and 0 hold numbers: choose one with "
                "--trace-column. Columns: a, b."
            ),
        ),
        (
            "arrival_s,time",
            "1,2",
            {},
            "choose one with --trace-column. Columns: arrival_s, time.",
        ),
        (
            "time_ms,time_s,rps",
            "1,2,3",
            {},
            "choose one with --trace-time-column. Columns: time_ms, time_s.",
        ),
        ("a", "1", {}, 'does column "a" hold arrival times or rates? Set --trace-kind to tell.'),
        (
            "a,b",
            "1,2",
            {"column": "b"},
            'does column "b" hold arrival times or rates? Set --trace-kind to tell.',
        ),
        ("a,b", "1,2", {"column": "c"}, 'there is no column "c". Columns: a, b.'),
        ("rps", "1", {"time_column": "t"}, 'there is no column "t". Columns: rps.'),
        *(
            (f"{name},x,{name}", "1,2,3", options, TWINS.format(name))
            for name in ("rps", "arrival_s")
            for options in ({}, {"column": name})
        ),
        ("time_s,rps,time_s", "1,2,3", {}, TWINS.format("time_s")),
        (
            "time_s,rps",
            "1,2",
            {"column": "time_s", "time_column": "rps"},
            "--trace-time-column goes with rates; arrival times are the --trace-column itself.",
        ),
        (
            "time,model",
            "29/Nov/2026:10:00:00 +0000,x",
            {},
            (
                'column "time" holds neither numbers nor dates in its first row: numbers such as '
                "1000.5 are read, and dates such as 2026-11-29T10:00:00Z. Convert "
                "it, or choose another with --trace-column. Columns: time, model."
            ),
        ),
    ],
)
def test_a_column_that_cannot_be_told_is_asked_for(said, header, row, options, expected):
    assert said(csv(header, row), **options) == f"--trace trace.csv: {expected}"


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "trace.csv: it is empty. The first line names the columns, such as arrival_s."),
        ("\n\n", "trace.csv: it is empty. The first line names the columns, such as arrival_s."),
        ("arrival_s\n", "trace.csv: it has a header and no rows."),
        ("1.5\n2.5\n", 'trace.csv line 1: "1.5" is no name: the first line names the columns.'),
        (
            csv("2026-11-29T10:00:00Z,7", "2026-11-29T10:00:01Z,8"),
            'trace.csv line 1: "2026-11-29T10:00:00Z" is no name: the first line names the columns.',
        ),
        (
            csv("date,at", "2026-11-29,10:00:01", "2026-11-29,10:00:02", "2026-11-30,10:00:00"),
            (
                'trace.csv: column "date" holds days without a time of day, so that all requests of a '
                "day would be sent at once. Join date and time in one column, such as "
                "2026-11-29T10:00:00Z."
            ),
        ),
        (
            csv("time,rps", "0,5,20"),
            "trace.csv line 2: it has 3 cells, and the header names 2.",
        ),
        (b"arrival_s\n\xff\xfe\n", "trace.csv: it is no UTF-8 text."),
        (csv("arrival_s", 1, "abc"), 'trace.csv line 3: arrival_s "abc" is not a number.'),
        (csv("arrival_s,m", "1,a", "", ",b"), 'trace.csv line 4: arrival_s "" is not a number.'),
        (csv("arrival_s", 1, "nan"), 'trace.csv line 3: arrival_s "nan" is not a number of 0 or more.'),
        (csv("arrival_s", 1, "inf"), 'trace.csv line 3: arrival_s "inf" is not a number of 0 or more.'),
        (csv("arrival_s", "-1"), 'trace.csv line 2: arrival_s "-1" is not a number of 0 or more.'),
        (
            csv("arrival_s", 1, 3.5, 3.25),
            "trace.csv line 4: arrival_s 3.25 is before the 3.5 of the row above: sort the rows.",
        ),
        (
            csv("m,arrival_s", "a,1", "b"),
            "trace.csv line 3: it has 1 cell, and arrival_s would be number 2.",
        ),
        (csv("rps", 1, "-2"), 'trace.csv line 3: rps "-2" is not a number of 0 or more.'),
        (csv("rps", 1, 2e6), "trace.csv line 3: rps 2000000.0 is over 1,000,000."),
        (csv("rps", 0, 0), "trace.csv: it never sends a request: every rate is 0."),
        (
            csv("time_s,rps", "0,1", "5,2", "5,3"),
            "trace.csv line 4: time_s 5.0 is not after the 5.0 of the row above.",
        ),
        (csv("time_s,rps", "0,1", "x,2"), 'trace.csv line 3: time_s "x" is not a number.'),
    ],
)  # fmt: skip
def test_a_file_that_is_no_good_is_refused_by_its_line(said, text, expected):
    assert said(text) == f"--trace {expected}"


def test_a_long_cell_is_cut_in_the_message(said):
    assert said(csv("arrival_s", 1, "x" * 5000)).count("x") == 40


def test_a_line_that_is_no_csv_is_named(said):
    assert said("arrival_s,m\n1,a\x00\n2,\r b").startswith("--trace trace.csv line ")


def test_a_field_may_be_as_long_as_a_prompt(read):
    assert read(csv("arrival_s,prompt", "1," + "x" * 2_000_000, "2,y")).times_s.tolist() == [0, 1]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"--trace .*/none.csv: No such file or directory\."):
        read_trace(TraceSpec(str(tmp_path / "none.csv")))


def test_a_pipe_or_a_device_is_no_trace_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(UsageError, match=r"--trace .*: it is no file"):
            read_trace(TraceSpec(str(path)))


def test_a_folder_is_no_trace(tmp_path):
    with pytest.raises(UsageError, match=r"--trace .*: Is a directory\."):
        read_trace(TraceSpec(str(tmp_path)))


def test_too_many_rows_are_refused(said, monkeypatch):
    monkeypatch.setattr(trace_module, "MAX_ROWS", 3)

    assert (
        said(csv("rps", 1, 2, 3, 4)) == "--trace trace.csv line 5: more than 3 rows are not taken."
    )


# --- what is told of it ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            csv("arrival_s", *range(1234)),
            (
                't.csv: 1,234 arrival times from column "arrival_s" in s; 1,234 requests in 20.6 min, '
                "1 rps on average and 1 at most"
            ),
        ),
        (
            csv("rps", 1, 2),
            (
                't.csv: 2 rates from column "rps", a row a second; 3 requests in 2 s, 1.5 rps on '
                "average and 2 at most"
            ),
        ),
        (
            csv("n,rps", "0,1"),
            (
                't.csv: 1 rate from column "rps", a row a second; 1 request in 1 s, 1 rps on average '
                'and 1 at most; not read: "n"'
            ),
        ),
        (
            csv("time,rps", "0,1"),
            (
                't.csv: 1 rate from column "rps", times from "time" in s; 1 request in 1 s, 1 rps on '
                "average and 1 at most"
            ),
        ),
    ],
)
def test_it_is_told_what_was_taken(read, text, expected):
    assert read(text, name="t.csv").info.line == expected


def test_numbers_are_read_to_the_last_digit(read):
    trace = read(csv("arrival_s", "0", "0.1", "0.30000000000000004"))

    assert np.array_equal(trace.times_s, np.array([0, 0.1, 0.1 + 0.2]))
