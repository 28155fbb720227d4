"""Quantiles of times."""

import numpy as np
from numpy.typing import NDArray


def quantile_ms(values_s: NDArray[np.float32], q: float) -> float | None:
    """Quantile in milliseconds, linear between order statistics; None without values."""
    if not values_s.size:
        return None
    return float(np.quantile(values_s, q)) * 1000
