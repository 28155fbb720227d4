"""The load processes in a report."""

import numpy as np

from reports.analysis.load.load_workers import worker_reports, worker_warnings
from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_info import LoadWorkerInfo


def rows(*sent: tuple[int, bool]) -> RequestColumns:
    """One row for each `(worker, was it sent)`."""
    n = len(sent)
    return RequestColumns(
        intended_s=np.arange(n, dtype=np.float64),
        send_lag_s=np.zeros(n, np.float32),
        latency_s=np.zeros(n, np.float32),
        status=np.zeros(n, np.uint16),
        name=np.zeros(n, np.int32),
        error=np.array([-1 if was_sent else 0 for _, was_sent in sent], np.int32),
        worker=np.array([worker for worker, _ in sent], np.uint16),
        names=("/",),
        errors=(NOT_SENT,),
    )


def warnings_of(*workers: LoadWorkerInfo, unit="rps") -> list[str]:
    return list(worker_warnings(worker_reports(workers, rows((0, True))), unit))


def test_rows_are_counted_for_each_process():
    workers = [LoadWorkerInfo(index, f"{host}_1", host) for index, host in enumerate("abc")]

    reports = worker_reports(workers, rows((0, True), (2, True), (2, False), (2, False), (0, True)))

    assert [(one.host, one.sent, one.not_sent) for one in reports] == [
        ("a", 2, 0),
        ("b", 0, 0),
        ("c", 1, 2),
    ]


def test_a_record_without_processes_has_none():
    assert worker_reports((), rows((0, True))) == ()


def test_processes_that_stayed_and_whose_clocks_are_known_are_no_warning():
    assert warnings_of(LoadWorkerInfo(0, "a_1", "a", 30.0, 0.004, 0.0009, lost_arrivals=0)) == []


def test_a_lost_process_is_named_with_what_it_cost():
    worker = LoadWorkerInfo(
        1, "b_1", "b", lost_at_s=12.34, lost_reason="it ended", lost_arrivals=1234
    )

    (warning,) = warnings_of(worker)

    assert warning.startswith(
        "load process 1 on b was lost from 12.3 s on (it ended): 1,234 planned"
    )
    assert "the others took over" in warnings_of(worker, unit="users")[0]


def test_a_process_that_came_back_says_until_when_it_was_lost():
    worker = LoadWorkerInfo(
        1, "b_1", "b", lost_at_s=2.0, lost_reason="no heartbeat", back_at_s=7.5, lost_arrivals=0
    )

    assert "was lost from 2.0 s on until 7.5 s (no heartbeat)" in warnings_of(worker)[0]


def test_times_that_are_not_known_to_5_ms_are_a_warning():
    worker = LoadWorkerInfo(2, "c_1", "c", offset_s=-3.0, error_s=0.002, drift_s=0.011)

    (warning,) = warnings_of(worker)

    assert warning == (
        "times of load process 2 on c are known to ±13 ms only, of which 11 ms is drift "
        "(its clock against the leader's)"
    )
