"""Replicas that the load calls for (docs/metrics.md#elasticity): by the policy, or by capacity."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.elasticity.staircase import Staircase
from reports.analysis.lag.policy import Policy, whole_replicas
from reports.analysis.load.open_requests import OpenRequests
from reports.model.elasticity import SAMPLE_S, DemandKind
from reports.model.intervals import Window
from scalelag.plan.stages import LoadPlan, LoadStep

_LEAST_SEEN = 0.8
"""Part of the samples in which the open requests must be known."""
_FIXED = "its number of replicas is fixed"
_NO_OFFER = "a users plan offers no rate of its own, to be divided by --capacity-rps"
_NO_STEP = "the run ended before the first load step"


PolicyFrom = tuple[float, Policy | None]
"""A policy, and the moment in Unix seconds from which on it was in force."""


class Demand(msgspec.Struct, frozen=True):
    """Replicas that the load calls for: the curve of its samples, and the number without any load.

    `capacity_rps` is the capacity of one replica that a demand by capacity was computed with.
    """

    kind: DemandKind
    curve: Staircase
    at_rest: int
    capacity_rps: float | None = None

    def settled(self, hold: Window) -> int:
        """Median of the demand over the last quarter of `hold`."""
        quarter = Window(hold.to_s - (hold.to_s - hold.from_s) / 4, hold.to_s)
        median = self.curve.median(quarter)
        return self.at_rest if median is None else median


def demand_of(
    plan: LoadPlan,
    steps: Sequence[LoadStep],
    zero_s: float,
    policy: Policy | None,
    requests: OpenRequests | str,
    capacity_rps: float | None,
    later: Sequence[PolicyFrom] = (),
    fixed: str = _FIXED,
) -> Demand | str:
    """Demand over all of `steps`, by capacity if that is given; or the reason why there is none.

    `requests` are the open ones that the policy was given, or the reason why they are not known.
    `later` policies took the place of `policy` during the run. `fixed` is why one is None.
    """
    if isinstance(requests, str):
        return requests
    if not steps:
        return _NO_STEP
    edges_s = sample_edges(steps)
    if capacity_rps is not None:
        return _by_capacity(plan, edges_s, zero_s, capacity_rps)
    holds = [Window(zero_s + step.at_s, zero_s + step.hold_until_s) for step in steps]
    means = _filled(_of_holds(requests, zero_s + edges_s, holds))
    return _by_policy([(-math.inf, policy), *later], means, zero_s + edges_s, fixed)


def _by_capacity(
    plan: LoadPlan, edges_s: NDArray[np.float64], zero_s: float, capacity_rps: float
) -> Demand | str:
    if plan.unit != "rps":
        return _NO_OFFER
    wanted = capacity_demand(offered_rps(plan, edges_s), capacity_rps)
    return Demand("capacity", _curve(zero_s + edges_s, wanted), 0, capacity_rps)


def _by_policy(
    policies: Sequence[PolicyFrom],
    means: NDArray[np.float64] | str,
    edges_s: NDArray[np.float64],
    fixed: str,
) -> Demand | str:
    """Demand of each sample by the policy in force at its beginning."""
    if isinstance(means, str):
        return means
    wanted = np.zeros(means.size, dtype=np.int64)
    at_rest: int | None = None
    for from_s, policy in policies:
        if policy is None:
            return f"{fixed}: no policy has a demand (see --capacity-rps)"
        if policy.whose is not None:
            return policy.whose
        since = edges_s[:-1] >= from_s
        wanted[since] = policy.bounded_demand(means[since])
        if at_rest is None:
            at_rest = int(policy.bounded_demand(np.zeros(1))[0])
    return Demand("policy", _curve(edges_s, wanted), at_rest=at_rest or 0)


def _of_holds(
    requests: OpenRequests, edges_s: NDArray[np.float64], holds: Sequence[Window]
) -> list[NDArray[np.float64]]:
    """Means of the samples of each hold, from values that belong to it alone."""
    places = [np.searchsorted(edges_s, hold) for hold in holds]
    return [
        requests.within(hold).means(edges_s[first : last + 1])
        for hold, (first, last) in zip(holds, places, strict=True)
    ]


def _filled(of_holds: Sequence[NDArray[np.float64]]) -> NDArray[np.float64] | str:
    """Samples; an unseen one is as another of its hold, else as the last of a hold before."""
    known = np.concatenate([~np.isnan(means) for means in of_holds])
    if known.sum() < _LEAST_SEEN * known.size or not known.any():
        return f"its open requests are known in {100 * known.mean():.0f} % of the time only"
    means = np.concatenate([_by_neighbours(means) for means in of_holds])
    return _by_neighbours(means)


def _by_neighbours(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Samples; an unseen one is as the last before it, the first ones are as the next."""
    known = np.flatnonzero(~np.isnan(means))
    if not known.size:
        return means
    before = np.searchsorted(known, np.arange(means.size), side="right") - 1
    return means[known[np.maximum(before, 0)]]


def sample_edges(steps: Sequence[LoadStep]) -> NDArray[np.float64]:
    """Edges of the samples, in seconds after the plan's start.

    No sample crosses a load step, so that values before and after it are not mixed.
    """
    holds = [
        np.linspace(
            step.at_s,
            step.hold_until_s,
            max(1, round((step.hold_until_s - step.at_s) / SAMPLE_S)) + 1,
        )
        for step in steps
    ]
    return np.unique(np.concatenate(holds))


def capacity_demand(offered: NDArray[np.float64], capacity_rps: float) -> NDArray[np.int64]:
    """`ceil(offered_rps / capacity_rps)` of each rate, without bounds."""
    return whole_replicas(offered / capacity_rps)


def offered_rps(plan: LoadPlan, edges_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean rate of an open-loop plan between each two of `edges_s`, seconds after its start.

    It comes from the plan, since the number of requests in a short time is not the rate.
    """
    at_s = np.array([stage.at_s for stage in plan.stages])
    span_s = np.array([stage.duration_s for stage in plan.stages])
    start = np.array([stage.start_level for stage in plan.stages])
    slope = (np.array([stage.end_level for stage in plan.stages]) - start) / span_s
    until = np.cumsum(start * span_s + slope * span_s**2 / 2)
    stage = np.clip(np.searchsorted(at_s, edges_s, side="right") - 1, 0, None)
    into_s = np.clip(edges_s - at_s[stage], 0.0, span_s[stage])
    before = np.concatenate([[0.0], until])[stage]
    requests = before + start[stage] * into_s + slope[stage] * into_s**2 / 2
    return np.diff(requests) / np.diff(edges_s)


def capacity_asked(options: Mapping[str, Any]) -> float | None:
    """`capacity_rps` of a run's options; None if it was not given."""
    value = options.get("capacity_rps")
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _curve(edges_s: NDArray[np.float64], wanted: NDArray[np.int64]) -> Staircase:
    return Staircase(edges_s[1:-1], wanted)
