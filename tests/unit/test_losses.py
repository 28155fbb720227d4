"""Arrivals of a process that have no row."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.options.run_options import run_options
from scalelag.plugin.leader.workers.collector import RowCollector
from scalelag.plugin.leader.workers.losses import missing, write_lost
from scalelag.plugin.leader.workers.state import EXACT, ClockMeter, RunWorker
from scalelag.plugin.worker.recorder import RequestRecorder
from scalelag.record.clock import Clock
from scalelag.record.requests_file import RequestWriter
from scalelag.record.requests_reader import due_by, read_requests

ZERO_S = 1_795_371_900.123
NOBODY_S = float("inf")


@given(
    due=st.lists(st.integers(0, 9), max_size=30).map(sorted),
    rows=st.lists(st.integers(0, 9), max_size=30),
)
def test_what_is_missing_is_the_difference_of_multisets(due, rows):
    found = missing(np.array(due, np.float64), np.array(rows, np.float64))

    assert Counter(found.tolist()) == Counter(due) - Counter(rows)


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "requests.arrow"
    return path, RowCollector(RequestWriter(path))


def rows_sent(*due_s: float):
    recorder = RequestRecorder(Clock())
    for at_s in due_s:
        recorder.add(
            intended_s=at_s, send_lag_s=0.0, latency_s=0.01, status=200, name="/", error=None
        )
    return recorder.take()


def lost(path: Path, collector: RowCollector, *, until_s: float = NOBODY_S) -> list[int | None]:
    """Two processes share 20 arrivals; how many each has lost."""
    workers = [RunWorker(index, f"host_{index}", ClockMeter(EXACT)) for index in (0, 1)]
    options = run_options({"steps": "10rps:2s", "path": "/chat"})
    write_lost(workers, 2, options, ZERO_S, until_s, path, collector)
    return [worker.lost_arrivals for worker in workers]


def due(*numbers: int) -> list[float]:
    return [k / 10 + ZERO_S for k in numbers]


def test_each_arrival_without_a_row_gets_one_of_its_own(record):
    path, collector = record
    collector.collect(rows_sent(*due(*range(0, 20, 2))), 0)
    collector.collect(rows_sent(*due(1, 5)), 1)

    counts = lost(path, collector)

    assert counts == [0, 8]
    rows, _ = read_requests(path)
    assert rows.intended_s.tolist() == due(*range(20))
    assert rows.intended_s[rows.not_sent].tolist() == due(3, *range(7, 20, 2))
    assert set(rows.worker[rows.not_sent].tolist()) == {1}
    assert set(np.array(rows.names)[rows.name[rows.not_sent]]) == {"/chat"}
    assert np.isnan(rows.latency_s[rows.not_sent]).all()


def test_a_second_time_nothing_is_missing(record):
    path, collector = record
    lost(path, collector)

    assert lost(path, collector) == [0, 0]
    assert read_requests(path)[0].count == 20


def test_what_was_due_after_the_load_was_stopped_is_not_missing(record):
    path, collector = record

    assert lost(path, collector, until_s=ZERO_S + 0.75) == [4, 4]


def test_the_rows_of_one_process_are_read_from_a_record_that_is_open(record):
    path, collector = record
    collector.collect(rows_sent(*due(3, 1)), 1)
    collector.collect(rows_sent(*due(2)), 0)
    collector.collect(rows_sent(*due(5)), 1)

    assert due_by(path, 1).tolist() == due(3, 1, 5)
    assert due_by(path, 4).tolist() == []
