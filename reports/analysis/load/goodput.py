"""Goodput: requests that kept all limits of `--slo` (docs/metrics.md#goodput)."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.slo import Slo, recorded_slos
from reports.model.intervals import Window, seconds_in, union
from reports.model.load import GoodputReport
from reports.model.steps import DeploymentReport
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_info import RunInfo

# Times in the record have 24 bits.
_ROUNDING_S = 1e-5
_NO_STREAMS = "no answer was streamed, so that there are no times of tokens"


class Limits(msgspec.Struct, frozen=True):
    """Limits of a run, and the windows in which replicas followed each step, by its index.

    Windows are seconds after the plan's start.
    """

    slos: tuple[Slo, ...] = ()
    scaling: Mapping[int, Sequence[Window]] = {}


class Goodput(msgspec.Struct, frozen=True):
    """Requests of a run, in the order of their intended starts, and which of them were good.

    `reason` says why that cannot be told. `scaling` are the windows, in seconds after the plan's start,
    in which replicas followed a step, by its index.
    """

    intended_s: NDArray[np.float64]
    good: NDArray[np.bool_]
    zero_s: float
    scaling: Mapping[int, Sequence[Window]]
    reason: str | None = None

    def report(
        self, window: tuple[float, float], scaling: Sequence[Window], lost: int = 0
    ) -> GoodputReport:
        """Return the goodput of requests meant to start in `window`, and in `scaling` within it.

        Windows are seconds after the plan's start. `lost` requests have no row.
        """
        if self.reason is not None:
            return GoodputReport(reason=self.reason)
        scaling = union((max(a, window[0]), min(b, window[1])) for a, b in scaling)
        good, planned = self._count([Window(*window)])
        good_while, planned_while = self._count(scaling)
        scaling_s, seconds = seconds_in(scaling), window[1] - window[0]
        others = planned - planned_while + lost
        return GoodputReport(
            good=good,
            planned=planned + lost,
            ratio=_ratio(good, planned + lost),
            rps=good / seconds if seconds > 0 else None,
            scaling_s=scaling_s,
            while_scaling_ratio=_ratio(good_while, planned_while),
            while_scaling_rps=good_while / scaling_s if scaling_s > 0 else None,
            otherwise_ratio=_ratio(good - good_while, others),
        )

    def of_step(self, index: int, window: tuple[float, float]) -> GoodputReport:
        """Return the goodput of one load step."""
        return self.report(window, self.scaling.get(index, ()))

    def of_all(self, window: tuple[float, float], lost: int) -> GoodputReport:
        """Return the goodput of the whole run."""
        every = union(one for windows in self.scaling.values() for one in windows)
        return self.report(window, every, lost)

    def _count(self, windows: Iterable[Window]) -> tuple[int, int]:
        """Return how many requests of the windows were good, and how many there were."""
        good = planned = 0
        for window in windows:
            edges_s = [self.zero_s + window.from_s, self.zero_s + window.to_s]
            low, high = np.searchsorted(self.intended_s, edges_s, side="left")
            good += int(np.count_nonzero(self.good[low:high]))
            planned += int(high - low)
        return good, planned


def goodput_of(
    rows: RequestColumns, limits: Limits, zero_s: float, between_s: NDArray[np.float32]
) -> Goodput | None:
    """Return the goodput of `rows` within `limits`, None without any.

    A good request was answered without an error and kept every limit. Limits on tokens hold for
    streamed answers, in which a first token must have come; `between_s` are their mean times between
    tokens, NaN of an answer of one token, which keeps any such limit.
    """
    if not limits.slos:
        return None
    on_tokens = any(limit.measured != "latency" for limit in limits.slos)
    good = (rows.error < 0) & np.isfinite(rows.latency_s)
    streams = rows.streams
    for limit in limits.slos:
        if limit.measured == "latency":
            with np.errstate(invalid="ignore"):
                good &= rows.latency_s <= limit.limit_s + _ROUNDING_S
            continue
        values = {
            "ttft": np.nan_to_num(streams.first_token_s, nan=np.inf),
            "itl": np.nan_to_num(between_s, nan=0.0),
            "gap": np.nan_to_num(streams.token_gap_max_s, nan=0.0),
        }[limit.measured]
        good[streams.row] &= values <= limit.limit_s + _ROUNDING_S
    reason = _NO_STREAMS if on_tokens and not streams.row.size else None
    return Goodput(rows.intended_s, good, zero_s, limits.scaling, reason)


def recorded_limits(info: RunInfo, deployments: Iterable[DeploymentReport]) -> Limits:
    """Return the limits that a run was given, with the windows of its deployments."""
    return Limits(recorded_slos(info.options.get("slo")), scaling_windows(deployments))


def scaling_windows(deployments: Iterable[DeploymentReport]) -> dict[int, tuple[Window, ...]]:
    """Return the windows in which replicas followed each step, in seconds after the plan's start.

    From the step until the last target of its hold was reached, else to the end of the hold.
    """
    found: dict[int, list[Window]] = {}
    for deployment in deployments:
        for step in deployment.steps:
            if step.total_s is None:
                continue
            last = step.settled_s or step.total_s
            lasted_s = step.hold_s if last.hi is None else min(last.hi, step.hold_s)
            found.setdefault(step.index, []).append(Window(step.at_s, step.at_s + lasted_s))
    return {index: union(windows) for index, windows in found.items()}


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
