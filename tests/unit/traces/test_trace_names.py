"""Names of a trace's columns, and what else may stand beside them."""

import json
import shlex

import pytest

from scalelag.plan.trace_names import has_time_word, kind_of, may_count, requests_per_s
from tests.unit.trace_cases import Read, lines

# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *(
            "arrival",
            "Arrival_Time",
            "arrivaltime",
            "arrival_timestamp",
            "arrived_at",
            "arrival_ms",
        ),
        *("time", "Timestamp", "timeStamp", "timestampMs", "time (ms)", "@timestamp", "# time_s"),
        *(
            "datetime",
            "created_at",
            "createdAt",
            "Date (UTC)",
            "epoch_ms",
            "unix",
            "t",
            "TS",
            "ts_us",
        ),
        *("time_local", "time_iso8601", "time_unix_nano", "intended_s", "times"),
    ],
)
def test_a_name_of_nothing_but_times_is_one(name: str):
    assert kind_of(name) == "arrivals"


@pytest.mark.parametrize(
    "name",
    [
        *("time_since_last", "arrival_delay", "time_in_queue", "time_per_request", "time_total"),
        *("time_response", "time_cpu", "timelag", "timeused", "arrival_id", "arrival_station"),
        *("timer", "timezone", "timeout", "time_to_first_token", "time_taken", "date_of_birth"),
        *(
            "request_time",
            "iat",
            "tat",
            "time2",
            "temp",
            "arrivals",
            "minute",
            "at",
            "utc",
            "",
            "#",
        ),
    ],
)
def test_a_name_with_any_other_word_is_no_time(name: str):
    assert kind_of(name) is None


@pytest.mark.parametrize(
    ("name", "per_s"),
    [
        *(
            (name, 1)
            for name in ("rps", "QPS", "rate", "rates", "avgRPS", "qps (avg)", "rate_per_s")
        ),
        *((name, 1) for name in ("Requests/s", "req/sec", "calls per second", "rate_s")),
        *((name, 1) for name in ("request_rate", "arrival_rate", "rate (1/s)", "total_rps")),
        *(
            (name, 1 / 60)
            for name in ("rpm", "rate_rpm", "requests/minute", "rate (1/min)", "rate/m")
        ),
        *((name, 1 / 300) for name in ("rate_per_5min", "requests per 5 minutes")),
        *((name, 1000) for name in ("rate_per_ms", "krps", "kqps_avg")),
        ("queries_per_hour", 1 / 3600),
        ("calls_per_day", 1 / 86_400),
    ],
)
def test_a_name_of_nothing_but_a_rate_tells_its_unit(name: str, per_s: float):
    assert requests_per_s(name) == pytest.approx(per_s)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "rps_failed",
            "rps_limit",
            "rps_p95",
            "rate_5xx",
            "rate_multiplier",
            "rate_bps",
            "rate5m",
        ),
        *("rate_tokens_per_s", "rate_usd", "rate_sampling", "rate_limit", "rate_of_errors", "mrps"),
        *(
            "rate[1m]",
            "hit_rate_pct",
            "cost_per_hour",
            "requests_per_user",
            "requests",
            "rpm_per_s",
        ),
        *("rate_per_0s", "rate_min", "per_second", "avg", "tps", "requests_s"),
    ],
)
def test_a_name_with_any_other_word_is_no_rate(name: str):
    assert requests_per_s(name) is None


def test_columns_that_may_count_requests_and_those_that_cannot():
    counts = ["requests", "n", "num_calls", "request_count", "rate_5xx", "requests_s", "count/min"]
    others = ["token_count", "status", "worker", "request_id", "arrival_s", "num_tool_calls", ""]

    assert [name for name in counts + others if may_count(name)] == counts


def test_names_with_a_word_of_time_and_those_without():
    times = ["offset_min", "hour_of_day", "start_time", "time_bin", "for_s", "day", "p95_ms"]
    others = ["replicas", "users", "timeout", "status", "phase", ""]

    assert [name for name in times + others if has_time_word(name)] == times


# --- rates, and what may be their times ------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("start_time,end_time,rps", ("0,60,10", "60,120,20")),
        ("start,rps", ("0,10", "60,20", "120,10")),
        ("x,rps", ("120,10", "60,20", "0,10")),
        ("hour_of_day,rps", ("0,10", "1,20")),
        ("rps,duration_s", ("10,60", "20,60")),
        ("rps,Dauer", ("10,60s", "20,1m")),
        ("hour,rps", ("00:00,10", "01:00,20")),
        ("Datum,rps", ("01.05.2024 00:00,10", "01.05.2024 00:01,20")),
        ("day,rps", ("Mon,10", "Tue,20")),
        ("Beginn,rps", ("2026-11-29,10", "2026-11-30,20")),
        ("end_time,rps", (",10", "60,20")),
    ],
)
def test_a_row_is_no_second_where_another_column_may_tell_its_time(said, header: str, rows):
    name = next(name for name in header.split(",") if name != "rps")

    assert f'does column "{name}" hold the times of the rates?' in said(lines(header, *rows))


def test_the_question_for_times_can_be_answered(read: Read):
    text = lines("start_time,end_time,rps", "0,60,10", "60,120,20")

    assert read(text, time_column="start_time").info.requests == 1800
    assert read(text.replace("start_time", "time_s")).info.requests == 1800
    assert read(text, time_column="none").info.requests == 30


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("index,rps", ("0,10", "1,20", "2,10")),
        (",rps", ("1,10", "2,20", "3,10")),
        ("phase,rps", ("warm,10", "hot,20", "2026,10")),
        ("replicas,rps", ("?,10", "1,20", "2,10")),
    ],
)
def test_a_row_is_a_second_where_no_other_column_can_tell(read: Read, header: str, rows):
    assert read(lines(header, *rows)).times_s.tolist() == [0, 1, 2, 3]


# --- times, and what may count requests --------------------------------------------------------------


def test_numbers_with_a_unit_beside_evenly_spaced_times_are_a_question(said):
    assert "is each row one request" in said(lines("time,A", "0,1.2 K", "1,600", "2,700"))


@pytest.mark.parametrize("name", ["Value #A", '"{job=""x""}"', "users", "y", "Anfragen", "load1"])
def test_numbers_beside_evenly_spaced_times_are_a_question(said, name: str):
    rows = [f"{1_714_521_600 + 60 * n},{n % 3}" for n in range(20) if n != 7]

    assert "is each row one request, or does column" in said(lines(f"time,{name}", *rows))
    assert "--rate-scale 0.0166667 where it counts those of 60 s." in said(
        lines(f"time,{name}", *rows)
    )


def test_the_answer_that_a_question_proposes_can_be_pasted_into_a_shell(said):
    name = "rate(hits{a='b'}[1m])"
    question = said(lines(f"time,{name}", "0,5", "1,6"))

    assert name in shlex.split(question[question.index("Give ") :])


def test_a_metric_by_the_second_needs_no_scale(said):
    assert said(lines("time,y", "0,5", "1,6", "2,7")).endswith("--trace-kind rates for the other.")


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("arrival_s,size", ("0,5", "1,6", "2,7")),
        ("intended_s,sent_s", ("0,0.1", "1,1.1", "2,2.1")),
        ("time,path", ("0,/a", "1,/b", "2,/c")),
        ("time,input_tokens,output_tokens", ("0,5,6", "1,6,7", "2,8,9")),
        (
            "Timestamp,Request tokens,Response tokens,Total tokens",
            ("0,5,6,1", "1,6,7,1", "2,8,9,1"),
        ),
        ("time,size", ("0,5", "1,6", "2.25,7")),
        ("time,size", ("0,5", "1,6", "1,7", "2,8")),
        ("time,size", ("0,5", "1,6")),
        ("time", ("0", "1", "2")),
    ],
)
def test_what_cannot_be_a_metric_is_no_question(read: Read, header: str, rows):
    trace = read(lines(header, *rows))

    assert (trace.info.kind, trace.info.requests) == ("arrivals", len(rows))


@pytest.mark.parametrize("cell", ["600 r", "", "N/A", '"1,200"'])
def test_a_count_that_is_no_number_is_a_question_too(said, cell: str):
    text = lines("time,requests", f"2024-05-01T00:00:00Z,{cell}", "2024-05-01T00:01:00Z,7")

    assert 'or does column "requests" say how many?' in said(text)


def test_a_text_counts_nothing(read: Read):
    assert read(lines("time_s,requests", "0,GET /", "1,GET /")).info.requests == 2


# --- numbers that are days, clocks or ticks -----------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        ("0.5", "0.500011574", "0.500023148"),
        ("2460440.5", "2460440.50001", "2460440.50002"),
        ("739000.5", "739001.5"),
        ("45422", "45423", "45424"),
    ],
)
def test_numbers_that_may_be_days_are_a_question(said, read: Read, values: tuple[str, ...]):
    text = lines("time", *values)
    days = float(values[-1]) - float(values[0])

    assert 'are the times in column "time" seconds or days?' in said(text)
    assert read(text, unit="d").times_s[-1] == pytest.approx(86_400 * days, abs=1e-4)


@pytest.mark.parametrize("values", [(0, 0.25, 0.5), (0.001, 0.002), (7, 7.5), (0.5, 1.600011)])
def test_short_times_to_the_millisecond_are_seconds(read: Read, values: tuple[float, ...]):
    assert read(lines("time", *values)).info.unit == "s"


@pytest.mark.parametrize(
    "rows", [("100000,5", "100059,6", "100100,7"), ("0,5", "59,5", "235959,7")]
)
def test_digits_of_a_clock_are_no_seconds(said, rows: tuple[str, ...]):
    assert "look like times of day without separators" in said(lines("time,rps", *rows))


@pytest.mark.parametrize(
    "rows", [("36000,5", "36060,6"), ("0,5", "60,6", "7200,7"), ("0,5", "59,6")]
)
def test_seconds_that_no_clock_shows_are_seconds(read: Read, rows: tuple[str, ...]):
    assert read(lines("time,rps", *rows)).info.unit == "s"


@pytest.mark.parametrize("first", [638_500_000_000_000_000, 240_510_000_000])
def test_large_numbers_that_are_no_unix_times_are_refused(said, read: Read, first: int):
    text = lines("time", first, first + 50_000_000)

    assert f"({first}) are too large for seconds, and no Unix times" in said(text)
    assert read(text, unit="us").times_s[-1] == 50


# --- files whose columns are not where they seem ------------------------------------------------------


def test_locusts_summary_is_refused_and_its_history_named(said):
    text = lines(
        "Type,Name,Request Count,Failure Count,Median Response Time,Requests/s",
        "GET,/,100,0,5,10.5",
        ",Aggregated,100,0,5,10.5",
    )

    assert "it is Locust's summary, one row a name" in said(text)
    assert "_stats_history.csv" in said(text)


@pytest.mark.parametrize("first", ["# made by x", "sep=;", "Report of May"])
def test_a_first_line_that_names_no_columns_is_told(said, first: str):
    assert said(lines(first, "arrival_s;x", "0;1", "1;2")) == (
        "--trace trace.csv: its first line does not name the columns, and the next one does: take the "
        "first one out."
    )


@pytest.mark.parametrize("name", ["output_length", "rps", "requests", "hash_ids"])
def test_a_key_that_the_first_line_lacks_is_told(said, name: str):
    rows = [{"timestamp": 0, "input_length": 5}, {"timestamp": 500, "input_length": 5, name: 5}]

    assert said(lines(*map(json.dumps, rows))) == (
        f'--trace trace.csv: line 2 has "{name}", and the first line does not: give it in all lines, '
        "or in none."
    )


def test_other_keys_may_come_and_go(read: Read):
    rows = [{"time_s": 0}, {"time_s": 5, "note": "x", "status": 200}]

    assert read(lines(*map(json.dumps, rows))).times_s.tolist() == [0, 5]


def test_rows_over_several_lines_are_counted(read: Read):
    trace = read(lines("time_s,rps,note", '0,10,"x', "60,20,y", '120,10,z"', "180,5,w"))

    assert trace.info.rows_over_lines == 1
    assert "2 rates from column" in trace.info.line
    assert "; 1 row goes over several lines; " in trace.info.line
