"""Columns gathered from batches: their order, their texts, and blocks of any size."""

import tempfile
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalelag.errors import RecordError
from scalelag.record import blocks, gathered
from scalelag.record.gathered import RowGatherer
from scalelag.record.requests_file import SCHEMA

Row = tuple[float, str, str | None, str | None, int | None]
"""intended, name, method, error, tokens; the worker is the row's number."""


def batch_of(rows: list[Row], first: int) -> pa.RecordBatch:
    columns = dict.fromkeys(SCHEMA.names, [None] * len(rows))
    columns["intended_s"] = [row[0] for row in rows]
    for place, name in enumerate(("name", "method", "error", "tokens"), start=1):
        columns[name] = [row[place] for row in rows]
    columns["worker"] = [first + number for number in range(len(rows))]
    columns["status"] = [200] * len(rows)
    arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def gather(batches: list[list[Row]]):
    """Rows of the batches, two of which are added at a time."""
    gathered_rows, made, first = RowGatherer(), [], 0
    for rows in batches:
        made.append(batch_of(rows, first))
        first += len(rows)
    for at in range(0, len(made), 2):
        gathered_rows.add(made[at : at + 2])
    return gathered_rows.columns()


ROWS = st.tuples(
    st.sampled_from([float(number) for number in range(12)]),
    st.sampled_from("abc"),
    st.sampled_from(["GET", None]),
    st.sampled_from([None, "timeout", "HTTP 500"]),
    st.sampled_from([None, 3, 4]),
)


@settings(max_examples=60)
@given(st.lists(st.lists(ROWS, max_size=9), max_size=6), st.sampled_from([4, 96]))
def test_rows_are_sorted_by_intended_start_and_equal_ones_stay_in_order(batches, in_memory):
    rows = [row for batch in batches for row in batch]
    order = sorted(range(len(rows)), key=lambda number: rows[number][0])

    sizes = {"_FIRST_ROOM": 4, "_MOST_LATE": 12, "_IN_MEMORY": in_memory}
    with patch.object(blocks, "BLOCK", 4), patch.multiple(gathered, **sizes):
        found = gather(batches)

    assert found.worker.tolist() == order
    assert found.intended_s.tolist() == [rows[number][0] for number in order]
    assert [found.names[code] for code in found.name] == [rows[number][1] for number in order]
    errors = [None if code < 0 else found.errors[code] for code in found.error]
    assert errors == [rows[number][3] for number in order]
    tokens = [(place, rows[number][4]) for place, number in enumerate(order) if rows[number][4]]
    assert (
        list(zip(found.streams.row.tolist(), found.streams.tokens.tolist(), strict=True)) == tokens
    )


@given(
    st.lists(st.integers(0, 40), min_size=1),
    st.sampled_from([[], [0.0], [-1.0], [float("nan")], [float("inf")]]),
)
def test_moments_near_to_each_other_are_ordered_as_those_far_apart(ticks, far):
    at = np.array([1_795_371_900.0 + tick * 2**-22 for tick in ticks] + far)

    order = gathered._order(at)

    assert order.tolist() == np.argsort(at, kind="stable").tolist()


def test_a_name_that_several_methods_requested_is_one_for_each():
    found = gather(
        [
            [(0.0, "/a", "GET", None, None), (1.0, "/b", "GET", None, None)],
            [(2.0, "/a", "POST", None, None), (3.0, "/a", None, "not_sent", None)],
        ]
    )

    assert [found.names[code] for code in found.name] == ["GET /a", "/b", "POST /a", "/a"]


def test_nothing_gathered_is_no_rows():
    found = RowGatherer().columns()

    assert (found.count, found.names, found.errors) == (0, (), ())


@pytest.mark.parametrize("late", [0, 39])
def test_one_late_row_among_many_comes_to_its_place(late):
    at = [float(number) for number in range(40)]
    moved = [at[late], *at[:late], *at[late + 1 :]][:: 1 if late else -1]

    with patch.object(blocks, "BLOCK", 4), patch.object(gathered, "_MOST_LATE", 8):
        found = gather([[(at_s, "/", "GET", None, None) for at_s in moved]])

    assert found.intended_s.tolist() == at


def test_without_room_for_very_many_rows_it_says_where_and_how_much_is_needed(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    rows: list[Row] = [(float(number), "/", "GET", None, None) for number in range(40)]

    with (
        patch.multiple(gathered, _FIRST_ROOM=4, _IN_MEMORY=4),
        pytest.raises(RecordError, match=r"in /nowhere: No such file.* TMPDIR .*28 bytes"),
    ):
        gather([rows[:20], [], rows[20:]])
