"""Comparisons of runs: metrics, effects and curves."""

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.model.charts import Band
from reports.model.effect import Effect
from reports.model.elasticity import DemandKind
from reports.model.intervals import Span


class ElasticFigures(msgspec.Struct, frozen=True):
    """Medians of one side over the `runs` in which they were measured, against `demand`."""

    runs: int
    demand: DemandKind | None
    capacity_rps: float | None
    theta_u_pct: Span
    theta_o_pct: Span
    tau_u_pct: Span
    tau_o_pct: Span


class ElasticSpeedup(msgspec.Struct, frozen=True):
    """Elastic speedup: above 1 the candidate followed the demand for a deployment more closely.

    `value` is null for `reason`.
    """

    deployment: str
    value: float | None = None
    base: ElasticFigures | None = None
    candidate: ElasticFigures | None = None
    reason: str | None = None


LoadName = Literal["offered_rps", "completed_rps", "latency_p95_ms"]


ReplicasName = Literal["running", "target"]


class Line(msgspec.Struct, frozen=True):
    """Values from each of `times_s` until the next, the last until `end_s`; None is not known."""

    times_s: tuple[float, ...]
    values: tuple[float | None, ...]
    end_s: float

    def at(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at those moments, NaN where there is none."""
        values = np.array([np.nan, *self.values, np.nan], np.float64)
        return values[np.searchsorted([*self.times_s, self.end_s], times_s, side="right")]


class Lines(msgspec.Struct, frozen=True):
    """A quantity of one side: the median of all its runs, and if there are several, some of them."""

    median: Line
    runs: tuple[Line, ...] = ()


class SideLines(msgspec.Struct, frozen=True):
    """Lines of one side; a deployment that it has not is left out."""

    load: dict[LoadName, Lines]
    replicas: dict[str, dict[ReplicasName, Lines]]


class ComparedLines(msgspec.Struct, frozen=True):
    """Lines of both sides. `thinned` says in sentences what was left out."""

    end_s: float
    base: SideLines
    candidate: SideLines
    deployments: tuple[str, ...]
    unseen: tuple[Band, ...] = ()
    restarts: tuple[Band, ...] = ()
    thinned: tuple[str, ...] = ()


ComparedVerdict = Literal["regression", "improvement", "no difference shown", "not comparable"]


Form = Literal["steps of two runs", "runs"]


class ComparedFigure(msgspec.Struct, frozen=True):
    """One metric of both sides: their medians, and the ratio of the candidate's to the base's.

    `p_adjusted` is `p`, or of several runs Holm's one-sided p over all figures where that is larger.
    `verdict` is a regression only where it is below 0.05, the whole interval above 1, and the effect
    at least the smallest that counts.
    """

    figure: str
    verdict: ComparedVerdict
    base: float | None = None
    candidate: float | None = None
    effect: Effect | None = None
    p_adjusted: float | None = None
    reason: str | None = None


class Comparison(msgspec.Struct, frozen=True):
    """Base against candidate. `differences` are those that they were compared in spite of.

    `elastic_speedup` is shown beside the figures, and not judged.
    """

    form: Form
    base: tuple[str, ...]
    candidate: tuple[str, ...]
    min_effect: float
    verdict: ComparedVerdict
    figures: tuple[ComparedFigure, ...]
    differences: tuple[str, ...] = ()
    evidence: str = ""
    elastic_speedup: tuple[ElasticSpeedup, ...] = ()
