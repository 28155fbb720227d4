"""Result of `scalelag matrix`: several versions of Ray, each compared with the one before."""

from typing import Literal

import msgspec

from reports.model.comparison import Comparison

MATRIX_SCHEMA_VERSION = 1
MatrixVerdict = Literal["regression", "no difference shown", "cannot be told"]


class MatrixLags(msgspec.Struct, frozen=True):
    """Lags of one deployment in one entry, in seconds: medians over its runs of each run's median.

    None is not measured, or mostly not over within the hold: then `total_above_s` is a bound of the
    total. `floor_s` is the floor of scale-ups with the settings in effect.
    """

    deployment: str
    total_s: float | None = None
    total_above_s: float | None = None
    decide_s: float | None = None
    create_s: float | None = None
    allocate_s: float | None = None
    initialize_s: float | None = None
    mark_running_s: float | None = None
    floor_s: float | None = None
    down_s: float | None = None


class MatrixEntry(msgspec.Struct, frozen=True):
    """One version of Ray, and arguments of the application if `label` has any.

    `runs` are the directories of its runs that count; `reason` says why some, or all, are missing.
    `passed` of them passed their gates. Latency (ms) and the error ratio are medians over the runs.
    """

    label: str
    ray: str
    runs: tuple[str, ...]
    reason: str | None = None
    passed: int = 0
    latency_p99_ms: float | None = None
    error_ratio: float | None = None
    lags: tuple[MatrixLags, ...] = ()


class MatrixReport(msgspec.Struct, frozen=True):
    """Entries in the order asked for; `comparisons` are of each with the last one before that ran.

    `verdict` is the gravest of the comparisons.
    """

    schema_version: int
    plan: str
    times: int
    folder: str
    min_effect: float
    verdict: MatrixVerdict
    entries: tuple[MatrixEntry, ...]
    comparisons: tuple[Comparison, ...] = ()
