"""Requests of which a given number are open at each time."""

import numpy as np

from scalelag.record.requests_file import RequestColumns


def open_at(begun_s: float, *levels: tuple[float, float, int]) -> RequestColumns:
    """Rows of so many requests that are open from and until seconds after `begun_s`, Unix seconds."""
    spans = [(begun_s + a, b - a) for a, b, number in levels for _ in range(number)]
    n = len(spans)
    return RequestColumns(
        intended_s=np.array([at_s for at_s, _ in spans], np.float64),
        send_lag_s=np.zeros(n, np.float32),
        latency_s=np.array([open_s for _, open_s in spans], np.float32),
        status=np.full(n, 200, np.uint16),
        name=np.zeros(n, np.int32),
        error=np.full(n, -1, np.int32),
        worker=np.zeros(n, np.uint16),
        names=("GET /",),
        errors=(),
    )
