"""Size of a difference between two builds. Apart from the comparison: `--help` loads no numpy."""

from typing import Literal

import msgspec

MIN_EFFECT = 1.10
"""Smallest ratio that counts as a difference, unless `--min-effect` says otherwise."""


Bound = Literal["at least", "at most"]


class Effect(msgspec.Struct, frozen=True):
    """Ratio of the candidate's metric to the base's, `lo` to `hi` at 95 %.

    With censored values only a `bound` of it may be known, or nothing (None). `n` counts pairs, or
    the runs of the smaller side.
    """

    value: float | None
    bound: Bound | None
    lo: float
    hi: float
    p: float
    n: int
