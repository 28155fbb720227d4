"""Files of requests that broke off, are not ours, or meet a full disk; and rows for other tools."""

import math
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scalelag.errors import RecordError
from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.parquet import write_parquet
from scalelag.record.requests_file import SCHEMA, RequestWriter
from scalelag.record.requests_reader import read_requests
from tests.support.disk import at_most
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

Read = tuple[list[Row], str | None] | None


class Cuts(NamedTuple):
    """Sizes of a file after each append, and what is read of it, cut at some offsets."""

    sizes: list[int]
    read: dict[int, Read]


@pytest.fixture(
    scope="module",
    params=[7, pytest.param(1, marks=pytest.mark.long)],
    ids=["every seventh byte", "every byte"],
)
def cuts(request, tmp_path_factory) -> Cuts:
    """Cut at every so many bytes, and at each byte around the end of a batch.

    Arrow's pieces are aligned at 8 bytes: every seventh byte has all places within one.
    """
    folder: Path = tmp_path_factory.mktemp("cuts")
    sizes = write(folder / "whole.arrow", THREE_BATCHES)
    data = (folder / "whole.arrow").read_bytes()
    around = {size + by for size in sizes for by in range(-16, 17) if size + by < len(data)}
    read: dict[int, Read] = {}
    for offset in sorted(around | set(range(0, len(data), request.param))):
        (folder / "cut.arrow").write_bytes(data[:offset])
        read[offset] = read_or_refuse(folder / "cut.arrow")
    return Cuts(sizes, read)


def read_or_refuse(path: Path) -> Read:
    """Rows and problem; None if RecordError names the file. Any other exception is a failure."""
    try:
        read, problem = read_requests(path)
    except RecordError as error:
        assert str(path) in str(error)  # noqa: PT017  both outcomes are right
        return None
    return rows_of(read), problem


def test_a_file_cut_anywhere_yields_the_batches_before_the_cut_or_a_record_error(cuts: Cuts):
    wrong = []
    for offset, found in cuts.read.items():
        whole_batches = sum(size <= offset for size in cuts.sizes)
        expected = [row for batch in THREE_BATCHES[:whole_batches] for row in batch]
        if found is None:
            if whole_batches:
                wrong.append((offset, "refused though a batch was whole"))
        elif not same(found[0], expected):
            wrong.append((offset, found[0]))

    assert wrong == []


def test_a_file_cut_within_a_batch_says_so(cuts: Cuts):
    # A cut right after a batch looks like a process that had written no more.
    silent = [
        offset
        for offset, found in cuts.read.items()
        if found is not None and found[1] is None and offset not in cuts.sizes
    ]

    assert silent == []


def test_a_problem_names_the_file(tmp_path: Path):
    write(tmp_path / "requests.arrow", THREE_BATCHES)
    data = (tmp_path / "requests.arrow").read_bytes()
    (tmp_path / "requests.arrow").write_bytes(data[:-20])

    _, problem = read_requests(tmp_path / "requests.arrow")

    assert problem is not None
    assert "requests.arrow ends in the middle of a batch" in problem


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
    with pytest.raises(RecordError) as caught:
        write_parquet(tmp_path / "none.arrow", tmp_path / "rows.parquet")

    assert list(tmp_path.iterdir()) == []
    assert str(caught.value) == (
        f"Cannot read {tmp_path}/none.arrow: No such file or directory. Copy the run directory again, "
        "or name another."
    )


@pytest.mark.parametrize("size", [0, 100])
def test_a_record_without_its_head_is_said_to_be_damaged(tmp_path: Path, size: int):
    path = tmp_path / "requests.arrow"
    write(path, OTHERS)
    with path.open("rb+") as file:
        file.truncate(size)

    with pytest.raises(RecordError, match=r"damaged, or not whole .*Copy the run directory again"):
        write_parquet(path, tmp_path / "rows.parquet")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    write(tmp_path / "requests.arrow", OTHERS)

    with pytest.raises(RecordError, match=r"Cannot write .*rows\.parquet: "):
        write_parquet(tmp_path / "requests.arrow", tmp_path / "none" / "rows.parquet")
