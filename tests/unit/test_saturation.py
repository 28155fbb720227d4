"""Requests that were not sent: through a saturated target, a late load generator, a lost process."""

import msgspec
import numpy as np
import pytest

from reports.analysis.analyse import analyse
from reports.analysis.load.latency import load_report
from reports.analysis.load.saturation import saturated_windows, with_reasons
from reports.model.load import NotSentReport
from scalelag.plan.stages import LoadStep
from scalelag.record.error_kinds import IN_FLIGHT_LIMIT, LATE, NOT_SENT, WORKER_LOST
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_info import LoadWorkerInfo, RunInfo
from tests.unit.recorded_runs import info, recorded, requests

NAN = float("nan")
STEPS = (LoadStep(0, 0.0, 20.0, 0.0, 1.0),)


def rows_of(*rows: tuple[float, float, str | None], worker: int = 0) -> RequestColumns:
    """Rows of (intended start, latency, error); those without a latency were not sent."""
    kinds = (NOT_SENT, IN_FLIGHT_LIMIT, LATE, WORKER_LOST, "timeout")
    n = len(rows)
    latency = np.array([latency for _, latency, _ in rows], np.float32)
    return RequestColumns(
        intended_s=np.array([at_s for at_s, _, _ in rows]),
        send_lag_s=np.where(np.isnan(latency), np.nan, 0).astype(np.float32),
        latency_s=latency,
        status=np.zeros(n, np.uint16),
        name=np.zeros(n, np.int32),
        error=np.array([-1 if e is None else kinds.index(e) for *_, e in rows], np.int32),
        worker=np.full(n, worker, np.uint16),
        names=("/",),
        errors=kinds,
    )


def kinds_of(rows: RequestColumns) -> list[str | None]:
    return [None if code < 0 else rows.errors[code] for code in rows.error.tolist()]


def of_two(**changed: object) -> RunInfo:
    """A run whose processes may have two open requests each."""
    return info(options={"max_in_flight": 2}, **changed)


def test_an_old_row_was_refused_by_a_full_process_or_late():
    # Open from 0 to 10 and from 1 to 5: no room at 2, room for one at 6.
    rows = rows_of((0, 10, None), (1, 4, None), (2, NAN, NOT_SENT), (6, NAN, NOT_SENT))

    told = with_reasons(rows, of_two())

    assert kinds_of(told) == [None, None, IN_FLIGHT_LIMIT, LATE]
    assert told.not_sent.tolist() == rows.not_sent.tolist() == [False, False, True, True]


def test_an_old_row_of_a_lost_process_is_that_of_the_loss():
    lost = LoadWorkerInfo(0, "id", "host", lost_at_s=1.0)
    rows = rows_of((0, 1, None), (2, NAN, NOT_SENT))

    told = with_reasons(rows, of_two(load_workers=(lost,)))

    assert kinds_of(told) == [None, WORKER_LOST]


def test_rows_that_tell_why_stay_as_they_are():
    rows = rows_of((0, NAN, LATE), (2, NAN, IN_FLIGHT_LIMIT))

    assert with_reasons(rows, of_two()) is rows


def test_saturation_lasts_from_the_first_arrival_without_room_to_the_next_with_room():
    rows = rows_of(
        (0, 1, None),
        (1, NAN, IN_FLIGHT_LIMIT),
        (2, NAN, IN_FLIGHT_LIMIT),
        (3, 1, None),
        (9, 1, None),
    )

    assert saturated_windows(rows) == ((1, 3),)


def test_short_room_does_not_end_a_saturation_and_longer_room_does():
    full = (NAN, IN_FLIGHT_LIMIT)
    rows = rows_of((0, *full), (1, 1, None), (2, *full), (3, 1, None), (5, *full), (6, *full))

    assert saturated_windows(rows) == ((0, 3), (5, 6))


def test_the_report_counts_each_reason_beside_the_total():
    rows = rows_of(
        (0, 1, None),
        (1, NAN, IN_FLIGHT_LIMIT),
        (2, NAN, IN_FLIGHT_LIMIT),
        (3, 1, None),
        (10, NAN, LATE),
        (11, NAN, WORKER_LOST),
    )

    load = load_report(rows, None, STEPS, "rps", 0.0)

    assert (load.planned, load.not_sent, load.errors) == (6, 4, {NOT_SENT: 4})
    assert load.not_sent_by == NotSentReport(in_flight_limit=2, late=1, worker_lost=1)
    # Of four for which there was room, two were not sent in time.
    assert load.late_ratio == 0.5
    assert load.saturated_s == 2
    assert [(one.at_s, one.until_s, one.not_sent) for one in load.saturated] == [(1, 3, 2)]
    (step,) = load.steps
    assert (step.not_sent_by, step.saturated_s) == (load.not_sent_by, 2)


@pytest.mark.parametrize(("kind", "verdict"), [(IN_FLIGHT_LIMIT, "pass"), (LATE, "invalid")])
def test_only_the_generators_own_lateness_makes_a_run_invalid(kind: str, verdict: str):
    columns = msgspec.structs.replace(requests(not_sent=180), errors=(kind,))

    report = analyse(recorded(columns=columns)).report

    assert report.verdict == verdict
    assert report.load.on_time_ratio == pytest.approx(0.9)


def test_a_saturated_run_says_when_and_what_that_means():
    columns = msgspec.structs.replace(requests(not_sent=180), errors=(IN_FLIGHT_LIMIT,))

    (warning,) = analyse(recorded(columns=columns)).report.warnings

    assert "the target was saturated" in warning
    assert "--max-in-flight" in warning
    assert "180 planned requests were not sent" in warning


@pytest.mark.parametrize(
    ("lag_s", "service_s", "late"),
    [(0.11, 0.1, 100), (0.3, 29.7, 0), (0.45, 8.0, 100), (0.6, 29.0, 100)],
)
def test_a_lag_is_late_beyond_100_ms_and_5_percent_of_the_latency_and_always_beyond_half_a_second(
    lag_s: float, service_s: float, late: int
):
    n = 1000
    send_lag = np.zeros(n, np.float32)
    send_lag[:100] = lag_s
    rows = msgspec.structs.replace(
        rows_of(*((k / 100, 1.0, None) for k in range(n))),
        send_lag_s=send_lag,
        latency_s=send_lag + np.float32(service_s),
    )

    assert load_report(rows, None, STEPS, "rps", 0.0).late_ratio == late / n


def test_names_without_a_request_are_not_in_the_report():
    columns = msgspec.structs.replace(requests(), names=("/", "/of-the-test-before"))

    assert list(analyse(recorded(columns=columns)).report.load.names) == ["/"]
