"""Size of a difference between two builds. Apart from the comparison: `--help` loads no numpy."""

import msgspec

MIN_EFFECT = 1.10
"""Smallest ratio that counts as a difference, unless `--min-effect` says otherwise."""


class Effect(msgspec.Struct, frozen=True):
    """Ratio of the candidate's metric to the base's, `lo` to `hi` at 95 %.

    `n` counts pairs, or the runs of the smaller side.
    """

    value: float
    lo: float
    hi: float
    p: float
    n: int
