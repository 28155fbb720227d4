"""The longest time without an answer, against a look at all answers."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.diagnosis.failed_requests import longest_gap
from reports.model.intervals import Window
from scalelag.record.error_kinds import TIMEOUT
from scalelag.record.requests_file import RequestColumns

FROM_S, TO_S = 1_795_371_900.0, 1_795_371_909.5
LONG_S = 1.0


def rows_of(requests: list[tuple[float, float, bool]]) -> RequestColumns:
    """Rows of requests: due after the start of the window, latency, and if they timed out."""
    size = len(requests)
    return RequestColumns(
        intended_s=np.array([FROM_S + due for due, _, _ in requests], np.float64),
        send_lag_s=np.zeros(size, np.float32),
        latency_s=np.array([latency for _, latency, _ in requests], np.float32),
        status=np.zeros(size, np.uint16),
        name=np.zeros(size, np.int32),
        error=np.array([0 if lost else -1 for _, _, lost in requests], np.int32),
        worker=np.zeros(size, np.uint16),
        names=("/",),
        errors=(TIMEOUT,),
    )


REQUESTS = st.tuples(
    st.integers(-10, 100).map(lambda tenths: tenths / 10),
    st.one_of(st.integers(0, 40).map(lambda tenths: tenths / 10), st.just(float("nan"))),
    st.booleans(),
)


@given(st.lists(REQUESTS, max_size=40).map(sorted), st.integers(0, 5))
def test_a_long_gap_between_answers_is_found_and_a_shorter_one_is_never_taken_for_one(
    requests, first
):
    rows = rows_of(requests)
    ends_s = rows.intended_s + rows.latency_s
    answered = np.isfinite(ends_s) & (rows.error < 0) & (np.arange(rows.count) >= first)
    inside = [end_s for end_s in ends_s[answered].tolist() if FROM_S <= end_s <= TO_S]
    marks = sorted([FROM_S, *inside, TO_S])
    expected = max(pairwise(marks), key=lambda gap: gap[1] - gap[0])

    found = longest_gap(rows, slice(first, rows.count), Window(FROM_S, TO_S))

    if expected[1] - expected[0] >= LONG_S:
        assert found == Window(*expected)
    else:
        assert found.to_s - found.from_s < LONG_S
