"""Elasticity after the SPEC Research Group (docs/metrics.md#elasticity; Herbst et al., BUNGEE 2015)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypedDict

import msgspec
import numpy as np

from reports.analysis.elasticity.demand import Demand
from reports.analysis.elasticity.staircase import Staircase, pieces
from reports.analysis.elasticity.supply import Supply
from reports.model.elasticity import ElasticityReport
from reports.model.intervals import Span, Window, around, seconds_in

_S_PER_HOUR = 3600.0
_UNSEEN_DURING_LOAD = "the probe saw nothing of it during the load"


class Integrals(msgspec.Struct, frozen=True):
    """Integrals over time of demanded `d` and supplied `s` replicas.

    `under_s` and `over_s` are seconds with too few and too many; `relative_*_s` weigh each by the
    replicas it is out by, divided by `max(d, 1)`. `*_changes` are sums of changes, in replicas.
    """

    time_s: float
    under_s: float
    over_s: float
    under_replica_s: float
    over_replica_s: float
    relative_under_s: float
    relative_over_s: float
    replica_s: float
    demand_changes: int
    supply_changes: int

    @property
    def theta_u_pct(self) -> float:
        """Mean shortage in percent of the demand."""
        return 100 * self.relative_under_s / self.time_s

    @property
    def theta_o_pct(self) -> float:
        """Mean surplus in percent of the demand; it has no upper bound."""
        return 100 * self.relative_over_s / self.time_s

    @property
    def under_replicas(self) -> float:
        """Replicas short, on average over all of the time."""
        return self.under_replica_s / self.time_s

    @property
    def over_replicas(self) -> float:
        """Replicas too many, on average over all of the time."""
        return self.over_replica_s / self.time_s

    @property
    def tau_u_pct(self) -> float:
        """Share of the time with too few."""
        return 100 * self.under_s / self.time_s

    @property
    def tau_o_pct(self) -> float:
        """Share of the time with too many."""
        return 100 * self.over_s / self.time_s

    @property
    def jitter_per_min(self) -> float:
        """Changes of the supply beyond those of the demand; below 0 it follows too little."""
        return 60 * (self.supply_changes - self.demand_changes) / self.time_s

    @property
    def replica_hours(self) -> float:
        """All replicas that ran."""
        return self.replica_s / _S_PER_HOUR

    @property
    def replica_hours_over(self) -> float:
        """The part of them beyond the demand."""
        return self.over_replica_s / _S_PER_HOUR


class _Against(TypedDict, total=False):
    """Figures that need a demand, as fields of the report."""

    theta_u_pct: Span
    theta_o_pct: Span
    under_replicas: Span
    over_replicas: Span
    tau_u_pct: Span
    tau_o_pct: Span
    jitter_per_min: float
    under_replica_s: Span
    over_replica_s: Span
    replica_hours_over: Span


class _Unseen(TypedDict, total=False):
    """Bounds of the time that nobody saw, as fields of the report."""

    unseen_s: float
    unseen_over_replica_s: Span | None
    unseen_replica_hours: Span


class _Spans(NamedTuple):
    """Integrals with the supply as it most likely was, and with the fewest and the most replicas."""

    middle: Integrals
    fewest: Integrals
    most: Integrals

    def grows(self, of: Callable[[Integrals], float]) -> Span:
        """Return a metric that grows with the supply."""
        return around(of(self.middle), of(self.fewest), of(self.most))

    def shrinks(self, of: Callable[[Integrals], float]) -> Span:
        """Return a metric that shrinks as the supply grows."""
        return around(of(self.middle), of(self.most), of(self.fewest))


def integrals(demand: Staircase, supply: Staircase, windows: Sequence[Window]) -> Integrals:
    """Exact integrals over `windows`, which do not overlap."""
    span_s, (wanted, running) = pieces((demand, supply), windows)
    short = np.maximum(wanted - running, 0)
    ample = np.maximum(running - wanted, 0)
    divisor = np.maximum(wanted, 1)
    return Integrals(
        time_s=seconds_in(windows),
        under_s=float(span_s[short > 0].sum()),
        over_s=float(span_s[ample > 0].sum()),
        under_replica_s=float((short * span_s).sum()),
        over_replica_s=float((ample * span_s).sum()),
        relative_under_s=float((short / divisor * span_s).sum()),
        relative_over_s=float((ample / divisor * span_s).sum()),
        replica_s=float((running * span_s).sum()),
        demand_changes=demand.variation(windows),
        supply_changes=supply.variation(windows),
    )


def _spans(demand: Staircase, supply: Supply, windows: Sequence[Window]) -> _Spans:
    runnings = (supply.middle(), supply.fewest(), supply.most())
    return _Spans(*(integrals(demand, running, windows) for running in runnings))


def _hours(supply: Supply, window: Window) -> Span:
    """Replica-hours of a supply within `window`; they do not depend on a demand."""
    none = Staircase(np.empty(0), np.zeros(1, np.int64))
    return _spans(none, supply, supply.watched(window)).grows(lambda i: i.replica_hours)


def elasticity(
    demand: Demand | str,
    supply: Supply,
    window: Window,
    everything: Supply | None = None,
    most: int | None = None,
) -> ElasticityReport:
    """Metrics over the watched parts of `window`; `demand` is a reason if there is none.

    `replica_hours` are those that were paid for. If `supply` is only the autoscaler's part, they
    are of `everything` that ran. Each metric is an interval. Its middle has every change in the
    middle of its own interval; its bounds have the fewest and the most replicas that may have been
    RUNNING at each moment. While nobody saw, up to `most` may have been RUNNING; None if that has
    no limit.
    """
    whole = everything or supply
    windows = supply.watched(window)
    watched_s = seconds_in(windows)
    wanted = demand if isinstance(demand, Demand) else None
    return ElasticityReport(
        demand=wanted.kind if wanted else None,
        demand_reason=demand if isinstance(demand, str) else None,
        capacity_rps=wanted.capacity_rps if wanted else None,
        watched_s=watched_s,
        unwatched_s=window.to_s - window.from_s - watched_s,
        replica_hours=_hours(whole, window) if watched_s else None,
        **(_against(wanted, supply, windows) if wanted and watched_s else _Against()),
        **(_Unseen() if most is None else _unseen(wanted, whole, window, most)),
        reason=None if watched_s else _UNSEEN_DURING_LOAD,
    )


def _against(demand: Demand, supply: Supply, windows: Sequence[Window]) -> _Against:
    spans = _spans(demand.curve, supply, windows)
    return _Against(
        theta_u_pct=spans.shrinks(lambda i: i.theta_u_pct),
        theta_o_pct=spans.grows(lambda i: i.theta_o_pct),
        under_replicas=spans.shrinks(lambda i: i.under_replicas),
        over_replicas=spans.grows(lambda i: i.over_replicas),
        tau_u_pct=spans.shrinks(lambda i: i.tau_u_pct),
        tau_o_pct=spans.grows(lambda i: i.tau_o_pct),
        jitter_per_min=spans.middle.jitter_per_min,
        under_replica_s=spans.shrinks(lambda i: i.under_replica_s),
        over_replica_s=spans.grows(lambda i: i.over_replica_s),
        replica_hours_over=spans.grows(lambda i: i.replica_hours_over),
    )


def _unseen(demand: Demand | None, supply: Supply, window: Window, most: int) -> _Unseen:
    """Bounds of surplus and total replica-hours in unseen times; empty without such times.

    The values assume a single change between the polls before and after.
    """
    windows = supply.blind_in(window)
    unseen_s = seconds_in(windows)
    if not unseen_s:
        return _Unseen()
    bounds = tuple(Staircase(np.empty(0), np.full(1, n, np.int64)) for n in (0, most))
    curve = demand.curve if demand else Staircase(np.empty(0), np.zeros(1, np.int64))
    spans = _Spans(*(integrals(curve, one, windows) for one in (supply.middle(), *bounds)))
    return _Unseen(
        unseen_s=unseen_s,
        unseen_over_replica_s=spans.grows(lambda i: i.over_replica_s) if demand else None,
        unseen_replica_hours=spans.grows(lambda i: i.replica_hours),
    )
