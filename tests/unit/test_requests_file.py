"""`requests.arrow`: written batch by batch, read as far as it goes."""

import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalelag.errors import RecordError
from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.requests_file import SCHEMA, RequestColumns, RequestWriter, StreamColumns
from scalelag.record.requests_reader import read_requests, write_parquet

NAN = float("nan")

Row = tuple[float, float, float, int, str, str | None, int]
"""intended, send lag, latency, status, name, error, worker."""


def code_of(text: str, texts: list[str]) -> int:
    if text not in texts:
        texts.append(text)
    return texts.index(text)


def columns(rows: list[Row], names: list[str], errors: list[str]) -> RequestColumns:
    """`rows` as a batch; `names` and `errors` grow by the texts that are new."""
    name_codes = [code_of(row[4], names) for row in rows]
    error_codes = [-1 if row[5] is None else code_of(row[5], errors) for row in rows]
    return RequestColumns(
        intended_s=np.array([row[0] for row in rows], np.float64),
        send_lag_s=np.array([row[1] for row in rows], np.float32),
        latency_s=np.array([row[2] for row in rows], np.float32),
        status=np.array([row[3] for row in rows], np.uint16),
        name=np.array(name_codes, np.int32),
        error=np.array(error_codes, np.int32),
        worker=np.array([row[6] for row in rows], np.uint16),
        names=tuple(names),
        errors=tuple(errors),
    )


def write(path: Path, batches: list[list[Row]], *, close: bool = True) -> list[int]:
    """Write `batches`; returns the size of the file after each."""
    writer = RequestWriter(path)
    names: list[str] = []
    errors: list[str] = []
    sizes: list[int] = []
    for batch in batches:
        writer.append(columns(batch, names, errors))
        sizes.append(path.stat().st_size)
    if close:
        writer.close()
    return sizes


def rows_of(read: RequestColumns) -> list[Row]:
    """Rows with the texts spelled out, floats rounded to what float32 holds."""
    return [
        (
            float(read.intended_s[i]),
            float(read.send_lag_s[i]),
            float(read.latency_s[i]),
            int(read.status[i]),
            read.names[read.name[i]],
            None if read.error[i] < 0 else read.errors[read.error[i]],
            int(read.worker[i]),
        )
        for i in range(read.count)
    ]


def same(a: list[Row], b: list[Row]) -> bool:
    """Return whether rows are equal; NaN equals NaN."""
    return repr(a) == repr(b)


def good(at_s: float, name: str = "/", worker: int = 0) -> Row:
    return (at_s, 0.5, 0.25, 200, name, None, worker)


THREE_BATCHES: list[list[Row]] = [
    [good(0.0), good(1.0), (2.0, 0.5, 1.5, 500, "/", "HTTP 500", 1)],
    [good(3.0, "/chat"), (4.0, NAN, NAN, 0, "/", NOT_SENT, 1)],
    [(5.0, 0.0, 8.0, 0, "/chat", "timeout", 0), good(6.0, "/late")],
]
ALL_ROWS = [row for batch in THREE_BATCHES for row in batch]


# --- round trips -----------------------------------------------------------------------------


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


# --- streamed answers ------------------------------------------------------------------------


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


# --- files that broke off --------------------------------------------------------------------


def cut_files(tmp_path: Path) -> tuple[list[int], Iterator[tuple[int, Path]]]:
    """Sizes after each append, and the file cut at every offset."""
    sizes = write(tmp_path / "whole.arrow", THREE_BATCHES)
    data = (tmp_path / "whole.arrow").read_bytes()

    def cuts() -> Iterator[tuple[int, Path]]:
        for offset in range(len(data)):
            (tmp_path / "cut.arrow").write_bytes(data[:offset])
            yield offset, tmp_path / "cut.arrow"

    return sizes, cuts()


def read_or_refuse(path: Path) -> tuple[list[Row], str | None] | None:
    """Rows and problem; None if RecordError names the file. Any other exception is a failure."""
    try:
        read, problem = read_requests(path)
    except RecordError as error:
        assert str(path) in str(error)  # noqa: PT017  both outcomes are right
        return None
    return rows_of(read), problem


def test_a_file_cut_anywhere_yields_the_batches_before_the_cut_or_a_record_error(tmp_path: Path):
    sizes, cuts = cut_files(tmp_path)

    wrong = []
    for offset, path in cuts:
        whole_batches = sum(size <= offset for size in sizes)
        expected = [row for batch in THREE_BATCHES[:whole_batches] for row in batch]
        found = read_or_refuse(path)
        if found is None:
            if whole_batches:
                wrong.append((offset, "refused though a batch was whole"))
        elif not same(found[0], expected):
            wrong.append((offset, found[0]))

    assert wrong == []


def test_a_file_cut_within_a_batch_says_so(tmp_path: Path):
    sizes, cuts = cut_files(tmp_path)

    silent = []
    for offset, path in cuts:
        found = read_or_refuse(path)
        # A cut right after a batch looks like a process that had written no more.
        if found is not None and found[1] is None and offset not in sizes:
            silent.append(offset)

    assert silent == []


def test_a_problem_names_the_file(tmp_path: Path):
    write(tmp_path / "requests.arrow", THREE_BATCHES)
    data = (tmp_path / "requests.arrow").read_bytes()
    (tmp_path / "requests.arrow").write_bytes(data[:-20])

    _, problem = read_requests(tmp_path / "requests.arrow")

    assert problem is not None
    assert "requests.arrow ends in the middle of a batch" in problem


# --- files of others -------------------------------------------------------------------------


def write_table(path: Path, table: pa.Table) -> Path:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    return path


def test_a_missing_file_is_a_record_error(tmp_path: Path):
    with pytest.raises(RecordError, match=r"none\.arrow"):
        read_requests(tmp_path / "none.arrow")


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"PK\x03\x04" * 100, b"\xff" * 64, b"\xff\xff\xff\xff" + b"\0" * 60]
)
def test_a_file_that_is_no_arrow_stream_is_a_record_error(tmp_path: Path, data: bytes):
    (tmp_path / "requests.arrow").write_bytes(data)

    with pytest.raises(RecordError, match=r"requests\.arrow"):
        read_requests(tmp_path / "requests.arrow")


def test_a_stream_without_our_columns_is_a_record_error_that_names_them(tmp_path: Path):
    table = pa.table({"intended_s": [1.0], "status": [200], "name": ["/"], "error": [""]})
    path = write_table(tmp_path / "other.arrow", table)

    with pytest.raises(RecordError, match="send_lag_s, latency_s, status, name, error, worker"):
        read_requests(path)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_stream_with_our_columns_of_other_types_is_a_record_error(tmp_path: Path, rows: int):
    table = pa.table({name: pa.array([1] * rows, pa.int64()) for name in SCHEMA.names})
    path = write_table(tmp_path / "other.arrow", table)

    with pytest.raises(RecordError, match=r"other\.arrow"):
        read_requests(path)


def test_a_stream_with_a_column_more_is_read_or_a_record_error(tmp_path: Path):
    # The schema may grow; what does not fit must be no other exception.
    write(tmp_path / "ours.arrow", THREE_BATCHES)
    with (tmp_path / "ours.arrow").open("rb") as file:
        table = pa.ipc.open_stream(file).read_all()
    path = write_table(
        tmp_path / "other.arrow", table.append_column("extra", pa.array([1] * len(ALL_ROWS)))
    )

    found = read_or_refuse(path)

    assert found is None or same(found[0], ALL_ROWS)


# --- disks that take no more -----------------------------------------------------------------


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Files of this process cannot grow beyond `size` bytes, as on a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def append_and_close(path: Path) -> None:
    writer = RequestWriter(path)
    writer.append(columns([good(0.0)], [], []))
    writer.close()


def test_a_full_disk_is_a_record_error():
    with pytest.raises(RecordError, match=r"/dev/full.*No space left"):
        append_and_close(Path("/dev/full"))


def test_a_folder_that_does_not_exist_is_a_record_error(tmp_path: Path):
    with pytest.raises(RecordError, match="none"):
        RequestWriter(tmp_path / "none" / "requests.arrow")


def test_opening_on_a_full_disk_is_a_record_error():
    with pytest.raises(RecordError, match="/dev/full"):
        RequestWriter(Path("/dev/full"))


def test_a_disk_that_fills_up_anywhere_in_a_batch_is_a_record_error(tmp_path: Path):
    first, second, _ = write(tmp_path / "whole.arrow", THREE_BATCHES)

    silent = []
    for limit in range(first, second, 8):
        path = tmp_path / f"{limit}.arrow"
        writer = RequestWriter(path)
        names, errors = [], []
        writer.append(columns(THREE_BATCHES[0], names, errors))
        batch = columns(THREE_BATCHES[1], names, errors)
        try:
            with at_most(limit):
                writer.append(batch)
        except RecordError:
            continue
        silent.append((limit, path.stat().st_size))

    assert silent == []


def test_float32_holds_lags_to_a_microsecond(tmp_path: Path):
    write(tmp_path / "requests.arrow", [[(0.0, 0.123456, 9.876543, 200, "/", None, 0)]])

    read, _ = read_requests(tmp_path / "requests.arrow")

    assert math.isclose(read.send_lag_s[0], 0.123456, abs_tol=1e-6)
    assert math.isclose(read.latency_s[0], 9.876543, abs_tol=1e-6)


# --- for other tools -------------------------------------------------------------------------

OTHERS: list[list[Row]] = [
    [(5.0, 0.001, 0.02, 200, "/", None, 0), (4.0, NAN, NAN, 0, "/b", NOT_SENT, 1)],
    [(6.0, 0.0, 0.5, 503, "/c", "HTTP 503", 0)],
]


def test_rows_as_parquet_are_those_of_the_record_in_their_order(tmp_path: Path):
    write(tmp_path / "requests.arrow", OTHERS)

    rows, problem = write_parquet(tmp_path / "requests.arrow", tmp_path / "rows.parquet")

    table = pq.read_table(tmp_path / "rows.parquet")
    assert (rows, problem) == (3, None)
    assert table.column_names == SCHEMA.names
    assert table.column("intended_s").to_pylist() == [5.0, 4.0, 6.0]
    assert table.column("error").to_pylist() == [None, NOT_SENT, "HTTP 503"]
    assert table.column("name").to_pylist() == ["/", "/b", "/c"]
    assert table.column("latency_s").to_pylist()[1:] == [None, 0.5]


def test_what_can_be_read_of_a_record_that_breaks_off_is_written_and_the_rest_named(tmp_path: Path):
    path = tmp_path / "requests.arrow"
    whole, _ = write(path, OTHERS)
    with path.open("rb+") as file:
        file.truncate(whole + 20)

    rows, problem = write_parquet(path, tmp_path / "rows.parquet")

    assert rows == 2
    assert problem is not None
    assert "ends in the middle" in problem
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 2


def test_no_file_is_left_where_the_record_cannot_be_read(tmp_path: Path):
    with pytest.raises(RecordError, match="Cannot read"):
        write_parquet(tmp_path / "none.arrow", tmp_path / "rows.parquet")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    write(tmp_path / "requests.arrow", OTHERS)

    with pytest.raises(RecordError, match=r"Cannot write .*rows\.parquet: "):
        write_parquet(tmp_path / "requests.arrow", tmp_path / "none" / "rows.parquet")
