"""Settings that a search found for a recorded run, and what each of them buys."""

from typing import Any, Final, Literal

import msgspec

from reports.model.intervals import Span
from reports.model.whatif import Estimate, Validation

TUNE_FILE: Final = "tune.json"

TuneFigure = Literal["lag_s", "beyond_slo_s", "reversals", "replica_hours"]
TUNE_FIGURES: tuple[TuneFigure, ...] = ("lag_s", "beyond_slo_s", "reversals", "replica_hours")


class TunedSetting(msgspec.Struct, frozen=True):
    """A setting with another value than in the run.

    `buys` are the figures with it, minus those with the run's own value in its place and all other
    changes kept. Below 0 it makes a figure smaller.
    """

    setting: str
    before: Any
    after: Any
    buys: dict[TuneFigure, float]


class Candidate(msgspec.Struct, frozen=True):
    """Settings on the Pareto front, with their figures, and the whole `autoscaling_config`."""

    settings: tuple[TunedSetting, ...]
    figures: dict[TuneFigure, Estimate]
    autoscaling_config: dict[str, Any]


class TriedPoint(msgspec.Struct, frozen=True):
    """Figures of one candidate of the search, from few repetitions."""

    lag_s: float
    beyond_slo_s: float
    reversals: float
    replica_hours: float


class Confirmation(msgspec.Struct, frozen=True):
    """A real run with the first choice, and its figures; None for one that could not be measured."""

    run: str
    measured: dict[TuneFigure, Span | None]


class TuneReport(msgspec.Struct, frozen=True):
    """Answer of `scalelag tune`: `found` are the settings on the Pareto front, the first choice first.

    `own` are the figures of the run's own settings, simulated as the others. `tried` are all different
    settings that the search simulated. `own_is_first` tells that none of `found` is a better choice
    than the run's own settings. Where the validation has not passed, nothing was searched.
    `application` is None in older answers.
    """

    schema_version: int
    run: str
    deployment: str
    ray_recorded: str | None
    ray_simulated: str
    slo: str
    keep: tuple[str, ...]
    min_savings_pct: float | None
    candidates: int
    seed: int
    repetitions: int
    validation: Validation
    own: dict[TuneFigure, Estimate]
    found: tuple[Candidate, ...] = ()
    tried: tuple[TriedPoint, ...] = ()
    own_is_first: bool = False
    notes: tuple[str, ...] = ()
    confirmed: Confirmation | None = None
    application: str | None = None
