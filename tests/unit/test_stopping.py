"""Requests while replicas were stopping, the windows of a load, and its warm-up."""

import msgspec
import numpy as np
import pytest

from reports.analysis.lag.stopping import stopping_report
from reports.analysis.lag.timeline import ReplicaLife, Timeline
from reports.analysis.load.latency import load_report
from reports.model.intervals import point
from scalelag.plan.stages import LoadStep
from scalelag.record.requests_file import RequestColumns, StreamColumns, rows_from


def rows_of(*rows: tuple[float, float, bool], not_sent: tuple[float, ...] = ()) -> RequestColumns:
    """Requests as (intended, latency, failed), and those that were never sent."""
    nan = float("nan")
    everything = [*((at, latency, 0 if bad else -1) for at, latency, bad in rows)]
    everything += [(at, nan, 1) for at in not_sent]
    everything.sort()
    size = len(everything)
    return RequestColumns(
        intended_s=np.array([row[0] for row in everything], np.float64),
        send_lag_s=np.array([0.0 if row[2] < 1 else nan for row in everything], np.float32),
        latency_s=np.array([row[1] for row in everything], np.float32),
        status=np.zeros(size, np.uint16),
        name=np.zeros(size, np.int32),
        error=np.array([row[2] for row in everything], np.int32),
        worker=np.zeros(size, np.uint16),
        names=("/",),
        errors=("timeout", "not_sent"),
    )


def life(name: str, stopping_s: float | None, gone_s: float | None) -> ReplicaLife:
    return ReplicaLife(
        replica=name,
        listed=point(0.0),
        stopping=None if stopping_s is None else point(stopping_s),
        gone=None if gone_s is None else point(gone_s),
    )


def timeline(*lives: ReplicaLife) -> Timeline:
    return Timeline(polls=(), decisions=(), replicas=lives)


# --- while replicas were stopping -----------------------------------------------------------


def test_requests_that_were_open_while_a_replica_stopped_are_counted():
    usual = [(float(at), 0.1, False) for at in range(100)]
    rows = rows_of(*usual, (49.5, 1.0, False), (51.0, 0.2, True), (80.5, 5.0, False))

    found = stopping_report(rows, timeline(life("a", 50.0, 52.0), life("b", None, None)), 100.0)

    # Open in [50, 52]: at 49.5 for 1 s, 50, 51 twice; at 52 it was over.
    assert (found.stopping_s, found.requests, found.failed) == (2.0, 4, 1)
    # The slowest 1 % of 103 are those of 1.0 and 5.0 s; only one of them was open then.
    assert found.slowest_1pct == 1


def test_stretches_that_overlap_count_once_and_one_without_an_end_lasts():
    lives = (life("a", 10.0, 20.0), life("b", 15.0, 25.0), life("c", 90.0, None))

    found = stopping_report(rows_of((0.0, 0.1, False)), timeline(*lives), 100.0)

    assert found.stopping_s == 25.0
    assert found.requests == 0


def test_what_was_before_the_end_of_the_warm_up_does_not_count():
    rows = rows_of((9.0, 2.0, True), (10.5, 1.0, True), (12.5, 0.1, False))

    found = stopping_report(rows, timeline(life("a", 8.0, 13.0)), 20.0, from_s=10.0)

    assert (found.stopping_s, found.requests, found.failed) == (3.0, 2, 1)


def test_requests_that_were_never_sent_are_none_of_them():
    rows = rows_of((10.0, 0.5, False), not_sent=(10.1, 10.2))

    assert stopping_report(rows, timeline(life("a", 9.0, 12.0)), 20.0).requests == 1


def test_nothing_stopped_is_nothing_counted():
    found = stopping_report(rows_of((0.0, 0.1, True)), timeline(life("a", None, None)), 10.0)

    assert (found.stopping_s, found.requests, found.failed) == (0.0, 0, 0)


# --- windows --------------------------------------------------------------------------------


def report(rows: RequestColumns, hold_s: float):
    return load_report(rows, None, [LoadStep(0, 0.0, hold_s, 0.0, 1.0)], "rps", 0.0)


def test_a_window_shows_the_stall_that_a_p99_hides():
    rows = rows_of(*((at / 10, 0.05, False) for at in range(1000)), (42.05, 40.0, False))

    found = report(rows, 100.0)

    assert found.latency_p99_ms == pytest.approx(50)
    assert [window.at_s for window in found.windows] == [10.0 * i for i in range(10)]
    assert sum(window.planned for window in found.windows) == 1001
    slow = [window.index for window in found.windows if (window.latency_max_ms or 0) > 1000]
    assert slow == [4]


def test_windows_go_on_over_stretches_without_load():
    rows = rows_of(*((10.0 + at, 0.05, False) for at in range(20)))
    steps = [LoadStep(0, 0.0, 10.0, 0.0, 0.0), LoadStep(1, 10.0, 30.0, 0.0, 1.0)]

    found = load_report(rows, None, steps, "rps", 0.0)

    assert [window.planned for window in found.windows] == [0, 10, 10]


def test_windows_of_a_long_run_are_longer_and_add_up():
    rows = rows_of(*((float(at), 0.05, at % 50 == 0) for at in range(7200)))

    found = report(rows, 7200.0)

    assert len(found.windows) == 360
    assert {window.seconds for window in found.windows} == {20.0}
    assert sum(window.planned for window in found.windows) == found.planned
    assert sum(window.failed for window in found.windows) == found.failed


# --- warm-up --------------------------------------------------------------------------------


def test_rows_from_a_moment_on_keep_their_streams():
    rows = rows_of(*((float(at), 0.1, False) for at in range(10)))
    told = StreamColumns(
        row=np.array([1, 4, 7], np.uint32),
        first_token_s=np.array([0.01, 0.04, 0.07], np.float32),
        tokens=np.array([1, 4, 7], np.uint32),
        token_gap_max_s=np.array([0.1, 0.4, 0.7], np.float32),
    )
    kept = rows_from(msgspec.structs.replace(rows, streams=told), 4.0)

    assert kept.intended_s.tolist() == [4, 5, 6, 7, 8, 9]
    assert kept.streams.row.tolist() == [0, 3]
    assert kept.streams.tokens.tolist() == [4, 7]


def test_rows_from_before_the_first_are_all_of_them():
    rows = rows_of((1.0, 0.1, False), (2.0, 0.1, False))

    assert rows_from(rows, 0.0).count == 2
    assert rows_from(rows, 3.0).count == 0
