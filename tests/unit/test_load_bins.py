"""The load in bins: counted by hand, and added up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis.charts.load_bins import MOST_BINS, bin_width_s, load_bins
from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.requests_file import RequestColumns

ZERO_S = 1_795_000_000.0


def rows(*requests):
    """Rows of (intended, latency or None for one never sent, error or None), by time."""
    errors = tuple(dict.fromkeys(error for _, _, error in requests if error))
    count = len(requests)
    return RequestColumns(
        intended_s=np.array([ZERO_S + at_s for at_s, _, _ in requests], np.float64),
        send_lag_s=np.zeros(count, np.float32),
        latency_s=np.array([np.nan if s is None else s for _, s, _ in requests], np.float32),
        status=np.zeros(count, np.uint16),
        name=np.zeros(count, np.int32),
        error=np.array([errors.index(e) if e else -1 for _, _, e in requests], np.int32),
        worker=np.zeros(count, np.uint16),
        names=("/",),
        errors=errors,
    )


def test_offered_and_failed_count_when_due_and_completed_when_answered():
    load = load_bins(
        rows(
            (0.0, 0.1, None),
            (0.5, 2.0, None),
            (1.0, 0.2, "HTTP 503"),
            (1.5, None, NOT_SENT),
            (2.9, 0.05, None),
        ),
        ZERO_S,
        4.0,
    )

    assert load.from_s == (0.0, 1.0, 2.0, 3.0)
    assert load.offered_rps == (2.0, 2.0, 1.0, 0.0)
    assert load.completed_rps == (1.0, 0.0, 2.0, 0.0)
    assert load.failed_rps == (0.0, 2.0, 0.0, 0.0)


def test_latency_is_that_of_what_was_sent_and_null_where_nothing_was():
    load = load_bins(
        rows((0.0, 0.1, None), (0.2, 0.3, "timeout"), (0.4, None, NOT_SENT), (1.5, None, NOT_SENT)),
        ZERO_S,
        2.0,
    )

    assert load.latency_p50_ms == (pytest.approx(200.0, rel=1e-5), None)
    assert load.latency_p95_ms == (pytest.approx(290.0, rel=1e-5), None)
    assert load.latency_max_ms == (pytest.approx(300.0, rel=1e-5), None)


def test_an_answer_after_the_end_is_drawn_nowhere():
    load = load_bins(rows((0.5, 9.0, None)), ZERO_S, 2.0)

    assert load.offered_rps == (1.0, 0.0)
    assert load.completed_rps == (0.0, 0.0)


def test_a_run_without_requests_has_bins_of_nothing():
    load = load_bins(rows(), ZERO_S, 3.4)

    assert load.from_s == (0.0, 1.0, 2.0, 3.0)
    assert load.offered_rps == (0.0,) * 4
    assert load.latency_p99_ms == (None,) * 4


@pytest.mark.parametrize(
    ("end_s", "width_s"),
    [(1, 1), (600, 1), (600.5, 2), (1200, 2), (3600, 10), (86_400, 300), (10_000_000, 86_400)],
)
def test_bins_are_the_narrowest_round_ones_that_are_few_enough(end_s, width_s):
    assert bin_width_s(end_s) == width_s


@settings(deadline=None)  # a busy machine is slow now and then
@given(
    st.lists(
        st.tuples(st.floats(0, 1999), st.one_of(st.none(), st.floats(0.001, 5.0))), max_size=60
    )
)
def test_bins_add_up_to_what_was_planned(requests):
    load = load_bins(
        rows(
            *(
                (at_s, s, None if s else NOT_SENT)
                for at_s, s in sorted(requests, key=lambda r: r[0])
            )
        ),
        ZERO_S,
        2010.0,
    )

    assert len(load.from_s) <= MOST_BINS
    assert sum(load.offered_rps) * load.bin_s == pytest.approx(len(requests))
    assert sum(load.completed_rps) * load.bin_s == pytest.approx(sum(bool(s) for _, s in requests))
    assert (sum(load.completed_rps) + sum(load.failed_rps)) * load.bin_s == pytest.approx(
        len(requests)
    )
