"""Comparisons of runs: metrics, effects and curves."""

from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.model.charts import Band
from reports.model.effect import Effect
from reports.model.elasticity import DemandKind
from reports.model.intervals import Span

ELASTIC_FIGURES: Final = ("theta_u_pct", "theta_o_pct", "tau_u_pct", "tau_o_pct")
"""Figures of which an elastic speedup is made."""


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


ComparedVerdict = Literal[
    "regression",
    "improvement",
    "no difference shown",
    "slower",
    "faster",
    "cannot be told",
    "not comparable",
]
"""Main figures are a regression or an improvement; figures that explain are slower or faster."""


Form = Literal["steps of two runs", "runs"]


class ComparedFigure(msgspec.Struct, frozen=True):
    """One metric of both sides: their medians, and the ratio of the candidate's to the base's.

    Only a `main` figure makes the verdict; its `p_adjusted` is `p`, or the one-sided p among all
    main figures (Westfall and Young) where that is larger. A median that is censored is None and
    above `.._above`. `.._censored` of its values were not over within their hold. `least_p` is the
    smallest `p_adjusted` that this number of runs or steps can give for a slower candidate.
    """

    figure: str
    verdict: ComparedVerdict
    main: bool = False
    base: float | None = None
    candidate: float | None = None
    base_above: float | None = None
    candidate_above: float | None = None
    base_censored: int = 0
    candidate_censored: int = 0
    effect: Effect | None = None
    p_adjusted: float | None = None
    least_p: float | None = None
    reason: str | None = None


class Comparison(msgspec.Struct, frozen=True):
    """Base against candidate. `differences` are those that they were compared in spite of.

    `warnings` are reasons to doubt it. `base_label` and `candidate_label` say what makes the sides
    two. `elastic_speedup` is shown beside the figures, and not judged.
    """

    form: Form
    base: tuple[str, ...]
    candidate: tuple[str, ...]
    min_effect: float
    verdict: ComparedVerdict
    figures: tuple[ComparedFigure, ...]
    differences: tuple[str, ...] = ()
    evidence: str = ""
    reason: str | None = None
    base_label: str = "base"
    candidate_label: str = "candidate"
    elastic_speedup: tuple[ElasticSpeedup, ...] = ()
    warnings: tuple[str, ...] = ()


class TrendPoint(msgspec.Struct, frozen=True):
    """The metric in one run; `span` is None for `reason`. `started_s` is None if unknown."""

    run: str
    started_s: float | None = None
    span: Span | None = None
    reason: str | None = None
