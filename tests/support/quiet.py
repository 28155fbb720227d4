"""Times that were measured on a machine that may be busy."""

import numpy as np
from numpy.typing import ArrayLike

STRETCH = 10
"""Neighbouring measurements that are looked at together."""


def quietest(values: ArrayLike) -> float:
    """Median of the stretch of neighbouring values in which it is least.

    Other work delays some measurements, and now and then most of them. What the code itself adds is
    in every stretch of them.
    """
    measured = np.asarray(values, dtype=float)
    stretches = np.array_split(measured, max(1, measured.size // STRETCH))
    return min(float(np.median(stretch)) for stretch in stretches)
