"""How many requests were open at once, from the rows of requests."""

import numpy as np
from numpy.typing import NDArray

from scalelag.record.requests_file import RequestColumns


class Concurrency:
    """Open requests over time: sent and not yet answered. Times in Unix seconds."""

    def __init__(self, rows: RequestColumns) -> None:
        sent = ~rows.not_sent & np.isfinite(rows.latency_s)
        intended_s = rows.intended_s[sent]
        self._begun_s: NDArray[np.float64] = intended_s + rows.send_lag_s[sent]
        self._ended_s: NDArray[np.float64] = intended_s + rows.latency_s[sent]

    def mean(self, from_s: float, to_s: float) -> float | None:
        """Mean number of open requests between two moments; None where there is no time between."""
        if to_s <= from_s:
            return None
        overlap_s = np.minimum(self._ended_s, to_s) - np.maximum(self._begun_s, from_s)
        return float(np.clip(overlap_s, 0.0, None).sum()) / (to_s - from_s)
