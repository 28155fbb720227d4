"""`requests.arrow`: written batch by batch, read as far as it goes."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.requests_file import SCHEMA, RequestColumns, RequestWriter, StreamColumns
from scalelag.record.requests_reader import read_requests
from tests.unit.request_rows import (
    ALL_ROWS,
    NAN,
    THREE_BATCHES,
    Row,
    columns,
    good,
    rows_of,
    same,
    write,
    write_table,
)


def test_what_was_written_is_read_again(tmp_path: Path):
    write(tmp_path / "requests.arrow", THREE_BATCHES)

    read, problem = read_requests(tmp_path / "requests.arrow")

    assert problem is None
    assert same(rows_of(read), ALL_ROWS)


def test_columns_are_read_with_their_types(tmp_path: Path):
    write(tmp_path / "requests.arrow", THREE_BATCHES)

    read, _ = read_requests(tmp_path / "requests.arrow")

    assert [
        getattr(read, name).dtype.name
        for name in ("intended_s", "send_lag_s", "latency_s", "status", "name", "error", "worker")
    ] == ["float64", "float32", "float32", "uint16", "int32", "int32", "uint16"]


def test_rows_are_read_in_the_order_of_their_intended_start(tmp_path: Path):
    write(
        tmp_path / "requests.arrow",
        [[good(5.0, "/a", 1), good(1.0, "/b", 1)], [good(3.0, "/c", 2), good(0.5, "/d", 2)]],
    )

    read, _ = read_requests(tmp_path / "requests.arrow")

    assert [(row[0], row[4], row[6]) for row in rows_of(read)] == [
        (0.5, "/d", 2),
        (1.0, "/b", 1),
        (3.0, "/c", 2),
        (5.0, "/a", 1),
    ]


def test_nan_is_stored_as_null_and_read_as_nan(tmp_path: Path):
    path = tmp_path / "requests.arrow"
    write(path, [[good(0.0), (1.0, NAN, NAN, 0, "/", NOT_SENT, 0)]])

    read, _ = read_requests(path)
    with path.open("rb") as file:
        stored = pa.ipc.open_stream(file).read_all()

    assert stored.column("send_lag_s").to_pylist() == [0.5, None]
    assert stored.column("latency_s").to_pylist() == [0.25, None]
    assert np.isnan(read.send_lag_s).tolist() == [False, True]
    assert np.isnan(read.latency_s).tolist() == [False, True]


def test_rows_that_were_not_sent_are_told_apart(tmp_path: Path):
    write(tmp_path / "requests.arrow", THREE_BATCHES)

    read, _ = read_requests(tmp_path / "requests.arrow")

    assert read.not_sent.tolist() == [False, False, False, False, True, False, False]


def test_no_row_is_not_sent_where_the_error_never_came_up(tmp_path: Path):
    write(tmp_path / "requests.arrow", THREE_BATCHES[:1])

    read, _ = read_requests(tmp_path / "requests.arrow")

    assert read.not_sent.tolist() == [False, False, False]


def test_the_file_opens_in_plain_pyarrow(tmp_path: Path):
    path = tmp_path / "requests.arrow"
    write(path, THREE_BATCHES)

    with path.open("rb") as file:
        table = pa.ipc.open_stream(file).read_all()

    assert table.schema == SCHEMA
    assert table.column("name").to_pylist() == ["/", "/", "/", "/chat", "/", "/chat", "/late"]
    assert table.column("error").to_pylist() == [
        None,
        None,
        "HTTP 500",
        None,
        NOT_SENT,
        "timeout",
        None,
    ]


def test_dictionaries_may_grow_in_every_batch(tmp_path: Path):
    batches = [
        [good(float(i), f"/{i}"), (i + 0.5, 0.0, 1.0, 500, "/0", f"e{i}", 0)] for i in range(200)
    ]
    write(tmp_path / "requests.arrow", batches)

    read, problem = read_requests(tmp_path / "requests.arrow")

    assert problem is None
    assert read.names == tuple(f"/{i}" for i in range(200))
    assert read.errors == tuple(f"e{i}" for i in range(200))
    assert same(rows_of(read), [row for batch in batches for row in batch])


def test_a_text_is_stored_once_however_many_batches_name_it(tmp_path: Path):
    batches = [[good(float(i), "/a-long-name"), good(i + 0.5, f"/{i}")] for i in range(20)]
    write(tmp_path / "requests.arrow", batches)

    data = (tmp_path / "requests.arrow").read_bytes()

    assert data.count(b"/a-long-name") == 1


def test_each_batch_is_in_the_file_when_append_returns(tmp_path: Path):
    sizes = write(tmp_path / "requests.arrow", THREE_BATCHES, close=False)

    read, _ = read_requests(tmp_path / "requests.arrow")

    assert sizes == sorted(set(sizes))
    assert same(rows_of(read), ALL_ROWS)


def test_a_closed_file_without_rows_is_read_as_no_rows(tmp_path: Path):
    write(tmp_path / "requests.arrow", [])

    read, problem = read_requests(tmp_path / "requests.arrow")

    assert (read.count, problem) == (0, None)
    assert read.not_sent.tolist() == []


def test_batches_without_rows_are_read_as_no_rows(tmp_path: Path):
    write(tmp_path / "requests.arrow", [[], [good(1.0)], []])

    read, problem = read_requests(tmp_path / "requests.arrow")

    assert problem is None
    assert same(rows_of(read), [good(1.0)])


def test_a_writer_that_had_nothing_to_append_yet_leaves_a_file_of_no_rows(tmp_path: Path):
    # A process killed while the plan's first stage is at 0 rps: its replicas.jsonl is of use.
    write(tmp_path / "requests.arrow", [], close=False)

    read, _ = read_requests(tmp_path / "requests.arrow")

    assert read.count == 0


def with_streams(rows: list[Row], streams: StreamColumns) -> RequestColumns:
    return msgspec.structs.replace(columns(rows, [], []), streams=streams)


TWO_STREAMS = StreamColumns(
    row=np.array([0, 2], np.uint32),
    first_token_s=np.array([0.125, NAN], np.float32),
    tokens=np.array([40, 0], np.uint32),
    token_gap_max_s=np.array([0.0625, NAN], np.float32),
)


def test_streams_are_null_in_the_rows_that_are_none(tmp_path: Path):
    writer = RequestWriter(tmp_path / "requests.arrow")
    writer.append(with_streams([good(0.0), good(1.0), good(2.0)], TWO_STREAMS))
    writer.close()

    with (tmp_path / "requests.arrow").open("rb") as file:
        table = pa.ipc.open_stream(file).read_all()

    assert table.column("first_token_s").to_pylist() == [0.125, None, None]
    assert table.column("tokens").to_pylist() == [40, None, 0]
    assert table.column("token_gap_max_s").to_pylist() == [0.0625, None, None]


def test_streams_follow_their_rows_into_the_order_of_intended_starts(tmp_path: Path):
    writer = RequestWriter(tmp_path / "requests.arrow")
    writer.append(with_streams([good(5.0), good(1.0), good(3.0)], TWO_STREAMS))
    writer.append(columns([good(2.0), good(0.0)], ["/"], []))
    writer.close()

    read, _ = read_requests(tmp_path / "requests.arrow")

    assert read.intended_s.tolist() == [0.0, 1.0, 2.0, 3.0, 5.0]
    assert read.streams.row.tolist() == [3, 4]
    assert read.streams.tokens.tolist() == [0, 40]
    assert repr(read.streams.first_token_s.tolist()) == "[nan, 0.125]"
    assert repr(read.streams.token_gap_max_s.tolist()) == "[nan, 0.0625]"


def test_a_record_from_before_streams_were_told_is_read(tmp_path: Path):
    write(tmp_path / "new.arrow", THREE_BATCHES)
    with (tmp_path / "new.arrow").open("rb") as file:
        table = pa.ipc.open_stream(file).read_all()
    old = ["intended_s", "send_lag_s", "latency_s", "status", "name", "error", "worker"]
    path = write_table(tmp_path / "old.arrow", table.select(old))

    read, problem = read_requests(path)

    assert problem is None
    assert same(rows_of(read), ALL_ROWS)
    assert read.streams.row.size == 0


def test_columns_of_streams_cost_nothing_where_there_are_none(tmp_path: Path):
    # The other columns of a row have 28 bytes.
    (size,) = write(tmp_path / "requests.arrow", [[good(i / 1000) for i in range(1000)]])

    assert size < 28 * 1000


FLOAT32 = st.one_of(st.just(NAN), st.floats(0, 1000, width=32))

ROWS = st.tuples(
    st.floats(0, 2e9),
    FLOAT32,
    FLOAT32,
    st.integers(0, 65_535),
    st.sampled_from(["/", "/a", "/b", "é ", "", "x" * 300]),
    st.one_of(st.none(), st.sampled_from([NOT_SENT, "boom", "HTTP 503", "ü"])),
    st.integers(0, 65_535),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.lists(ROWS, max_size=6), max_size=6))
def test_any_batches_survive_the_round_trip(tmp_path: Path, batches: list[list[Row]]):
    write(tmp_path / "requests.arrow", batches)

    read, problem = read_requests(tmp_path / "requests.arrow")

    written = [row for batch in batches for row in batch]
    assert problem is None
    assert same(rows_of(read), sorted(written, key=lambda row: row[0]))
