"""Columns of a trace that could be read in two ways: a question, and never a guess."""

from pathlib import Path
from shlex import quote

import pytest

from scalelag.errors import UsageError
from scalelag.plan.trace import TraceSpec, read_trace
from scalelag.plan.trace_cut import Cut
from scalelag.plan.trace_dates import parse_moment
from tests.unit.trace_cases import Read, lines

SHEET = lines("time,rps", "45992.5,1", "45992.501,2", "45992.502,3")  # 2025-12-01T12:00Z


def test_days_of_a_spreadsheet_are_no_seconds(said, read: Read):
    assert said(SHEET) == (
        '--trace trace.csv: are the times in column "time" seconds or days? As seconds they '
        "last 2 ms with one every 1 ms, as days they last 2.88 min with one every 86.4 s. "
        "Set --trace-unit s or --trace-unit d."
    )
    assert read(SHEET, unit="d").times_s.tolist() == pytest.approx(
        [0, 86.4, 172.8, 259.2], abs=1e-4
    )


def test_days_of_a_spreadsheet_are_dates(read: Read):
    part = Cut(begin=parse_moment("2025-12-01T12:01:26.400Z"))

    trace = read(SHEET, unit="d", cut=part)

    assert trace.rates_rps is not None
    assert trace.rates_rps[-2:].tolist() == [2, 3]
    assert trace.times_s[-1] == pytest.approx(172.8, abs=0.01)


@pytest.mark.parametrize("name", ["arrival_s", "time (s)"])
def test_a_name_that_says_seconds_answers_the_question(read: Read, name: str):
    assert read(lines(name, 45992.5, 45992.75)).times_s.tolist() == [0, 0.25]


@pytest.mark.parametrize("values", [(40_000, 44_000.5), (100_000.5, 100_001.5), (0, 36_600.5)])
def test_seconds_that_cannot_be_days_are_no_question(read: Read, values: tuple[float, float]):
    text = lines("time_s", *values)

    assert read(text).times_s[-1] == values[1] - values[0]


@pytest.mark.parametrize("values", [(20261129100000, 20261129100001), (20261129, 20261130)])
def test_dates_without_separators_are_no_seconds(said, values: tuple[int, int]):
    assert "look like dates without separators" in said(lines("time", *values))


@pytest.mark.parametrize(
    ("dates", "which"),
    [
        (("2026-11-29T10:00:00+05:30", "2026-11-29T10:00:01"), "no zone, and those above do"),
        (("2026-11-29 10:00:00", "2026-11-29 10:00:01Z"), "a zone, and those above have none"),
    ],
)
def test_dates_with_and_without_a_zone_are_not_mixed(said, dates: tuple[str, str], which: str):
    assert said(lines("time", *dates)) == (
        f'--trace trace.csv line 3: time "{dates[1]}" has {which}: write all dates alike.'
    )


@pytest.mark.parametrize(
    "name",
    [
        "requests",
        "count",
        "Value",
        "num_requests",
        "request_count",
        "hits",
        "throughput",
        "sum(rate(http_requests_total[1m]))",
    ],
)
def test_a_row_that_may_stand_for_many_requests_is_a_question(said, read: Read, name: str):
    text = lines(f"time_s,{name}", "0,120", "60,60", "120,240")

    assert f'is each row one request, or does column "{name}" say how many?' in said(text)
    rates = read(text, column=name, kind="rates", cut=Cut(rate_scale=1 / 60))
    assert rates.rates_rps is not None
    assert rates.rates_rps.tolist() == pytest.approx([2, 1, 4])
    assert read(text, column="time_s", kind="arrivals").info.requests == 3


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("rpm", 1 / 60),
        ("requests_per_minute", 1 / 60),
        ("rate (1/min)", 1 / 60),
        ("rate_per_hour", 1 / 3600),
        ("calls per day", 1 / 86_400),
        ("rate_krps", 1000),
    ],
)
def test_rates_of_another_unit_are_not_taken_for_rps(said, name: str, factor: float):
    text = lines(f"time_s,{name}", "0,600", "60,1200")

    assert f"--trace-column {quote(name)} --trace-kind rates --rate-scale {factor:.6g}." in said(
        text
    )


@pytest.mark.parametrize("other", ["cost_per_hour", "rpm_limit", "rate_limit"])
def test_rates_per_second_beside_others_are_taken(read: Read, other: str):
    trace = read(lines(f"time_s,rps,{other}", "0,5,60", "1,6,60"))

    assert trace.info.column == "rps"


@pytest.mark.parametrize("cell", ["", "N/A", "5 rps", '"1,000"'])
def test_rates_that_cannot_be_read_do_not_make_arrivals_of_their_times(said, cell: str):
    assert 'column "rps" holds no number in its first row' in said(
        lines("time_s,rps", f"0,{cell}", "1,6")
    )


@pytest.mark.parametrize(("name", "row_s"), [("minute", 60), ("hour", 3600), ("day", 86_400)])
def test_rows_of_a_named_unit_are_as_long_as_it(read: Read, name: str, row_s: int):
    assert read(lines(f"{name},rps", "0,4", "1,6")).times_s.tolist() == [0, row_s, 2 * row_s]


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("rows", [('0,"a', "1,b", "2,c"), ("0,a", '1,"b', "2,c")])
def test_a_quote_that_is_never_closed_is_told_with_its_line(said, rows: tuple[str, ...], end: str):
    line = 2 + next(i for i, row in enumerate(rows) if '"' in row)

    assert said("\n".join(("arrival_s,text", *rows)) + end) == (
        f"--trace trace.csv line {line}: a quote that begins in this row is never closed, so that it "
        "takes in all rows below it."
    )


@pytest.mark.parametrize("last", ['2,"c\nd"', '2,"c\nd"\n', "2,c", '2,"c"'])
def test_quotes_that_are_closed_may_hold_lines(read: Read, last: str):
    text = 'arrival_s,text\n0,"a\n\nb"\n1,"say ""hi"""\n' + last

    assert read(text).times_s.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "name", ["time_taken", "timeTaken_s", "arrival_interval", "time_diff_ms", "arrival_rate_limit"]
)
def test_durations_and_gaps_by_name_are_no_arrivals(said, read: Read, name: str):
    text = lines(name, "0.5", "0.75")

    assert f'does column "{name}" hold arrival times or rates?' in said(text)
    assert read(text, kind="arrivals", unit="s").times_s.tolist() == [0, 0.25]


def test_a_duration_beside_arrival_times_is_not_read(read: Read):
    assert read(lines("time_s,time_taken_s", "0,3", "1,4")).info.column == "time_s"


def test_rates_beside_what_may_be_their_times_are_a_question(said, read: Read):
    text = lines("time_interval,rps", "0,4", "60,6")

    assert 'does column "time_interval" hold the times of the rates?' in said(text)
    assert read(text, time_column="time_interval").times_s.tolist() == [0, 60, 120]


@pytest.mark.parametrize("name", ["Requests/s", "req/sec", "requests per second", "calls_per_s"])
def test_requests_per_second_in_any_spelling_are_rates(read: Read, name: str):
    assert read(lines(f"Time,{name}", "0,4", "1,6")).info.kind == "rates"


def test_dates_to_the_nanosecond_have_a_time_of_day(read: Read):
    day = "2026-11-29T00:00:00.00000000"

    assert read(lines("time", f"{day}1Z", f"{day}2Z")).times_s.tolist() == [0, 0]


@pytest.mark.parametrize("blocks", ["[-1]", "[2.5]", '["a"]', "[1, true]", "3"])
def test_blocks_that_are_no_whole_numbers_are_refused(said, blocks: str):
    text = f'{{"timestamp": 1, "input_length": 5, "output_length": 3, "hash_ids": {blocks}}}'

    assert "hash_ids is no list of whole numbers" in said(text)


def test_rates_that_come_to_no_request_are_refused(said):
    assert said(SHEET, unit="s") == (
        "--trace trace.csv: its rates come to less than one request in 3 ms: are its times in another "
        "unit (--trace-unit)?"
    )


def test_two_columns_of_lengths_of_one_name_are_refused(said):
    text = lines("arrival_s,input_tokens,Input Tokens", "0,3,4")

    assert 'two columns are named like "input_tokens"' in said(text)


@pytest.mark.parametrize(
    ("begins", "what"),
    [
        (b"\x1f\x8b\x08\x00", "a compressed file: unpack it"),
        (b"PK\x03\x04\xff", "a spreadsheet or another zip file"),
        (b"PAR1\xff", "Parquet: convert it to CSV"),
        ("time".encode("utf-16"), "UTF-16: save it as UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, begins: bytes, what: str):
    (tmp_path / "t.csv").write_bytes(begins)

    with pytest.raises(UsageError, match=what):
        read_trace(TraceSpec(str(tmp_path / "t.csv")))


def test_lines_before_the_header_may_be_empty(read: Read):
    assert read(lines("", "", "arrival_s;x", "0;a", "2;b")).times_s.tolist() == [0, 2]
