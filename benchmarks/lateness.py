"""Lateness of arrivals: by nothing but the times at which they came, and by our record."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalelag.record.run_dir import RecordedRun


class Lateness(NamedTuple):
    """Milliseconds after the due time."""

    median_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


def fitted_lateness_s(
    came_s: NDArray[np.float64], rate_rps: float, skip: int = 0
) -> NDArray[np.float64]:
    """Seconds that each arrival from number `skip` on came after it was due.

    The k-th to come is taken as the k-th that was due: who swaps two of them sums up to the same.
    Arrival k was due at zero + k / rate. Zero is not known to the server; it is taken from the
    most punctual arrival, which so becomes 0 s late. What all arrivals have in common, such as the way
    to the server, is therefore not in these figures, for no tool.
    """
    late_s = np.sort(came_s) - np.arange(came_s.size) / rate_rps
    late_s = late_s[skip:]
    return late_s - late_s.min()


def lateness_of(late_s: NDArray[np.float64]) -> Lateness:
    """The figures of a table, from seconds."""
    return Lateness(*(np.quantile(late_s, (0.5, 0.99, 0.999, 1.0)) * 1000).tolist())


def sent_late_ms(run: RecordedRun, warm_up_s: float) -> NDArray[np.float64]:
    """Milliseconds from due to sent of each request that was sent, without those of the warm-up."""
    rows = run.requests
    sent = ~rows.not_sent & (rows.intended_s >= run.info.zero_s + warm_up_s)
    return 1000 * rows.send_lag_s[sent].astype(np.float64)
