"""Totals of a run's requests: how many by status, and their latencies in buckets."""

from collections import Counter

import numpy as np

from scalelag.record.requests_file import RequestColumns

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets of latency, the last of which has none."""
NO_ANSWER = "none"
NOT_SENT = "not_sent"


class Totals:
    """Running totals. Latency counts from the intended start, in seconds, of all that were sent."""

    def __init__(self) -> None:
        self.by_status: Counter[str] = Counter()
        self.failed = 0
        self.buckets = np.zeros(len(BOUNDS_S) + 1, np.int64)
        self.latency_sum_s = 0.0

    def add(self, rows: RequestColumns) -> None:
        """Count requests that were answered, failed or could not be sent."""
        sent = ~rows.not_sent
        self.by_status[NOT_SENT] += int(np.count_nonzero(~sent))
        for status, count in zip(*np.unique(rows.status[sent], return_counts=True), strict=True):
            self.by_status[str(status) if status else NO_ANSWER] += int(count)
        self.failed += int(np.count_nonzero(rows.error[sent] >= 0))
        latency_s = rows.latency_s[sent].astype(np.float64)
        places = np.searchsorted(BOUNDS_S, latency_s, side="left")
        self.buckets += np.bincount(places, minlength=self.buckets.size)
        self.latency_sum_s += float(latency_s.sum())
