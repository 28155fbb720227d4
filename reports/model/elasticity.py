"""Elasticity, the response to a step, and flapping, as reported."""

from typing import Final, Literal

import msgspec

from reports.model.intervals import Span

DemandKind = Literal["policy", "capacity"]

SAMPLE_S: Final = 5.0
"""About how long a sample of the demand is: each hold is cut into equal parts as near as they go."""


class ElasticityReport(msgspec.Struct, frozen=True):
    """RUNNING replicas against the demand, over `watched_s` seconds of the load.

    `demand` is what they were measured against, None for `demand_reason`; then only `replica_hours`
    are known. `theta` is the mean shortage (`u`) or surplus (`o`) in percent of the demand, `tau`
    the share of time with any. Where nothing is known of the replicas either, `reason` says why.
    `unseen_s` of the load nobody saw: what was to spare in it, or ran, is no part of the other figures,
    and lies between 0 and all that `max_replicas` allow.
    """

    demand: DemandKind | None = None
    demand_reason: str | None = None
    capacity_rps: float | None = None
    watched_s: float | None = None
    unwatched_s: float | None = None
    theta_u_pct: Span | None = None
    theta_o_pct: Span | None = None
    under_replicas: Span | None = None
    over_replicas: Span | None = None
    tau_u_pct: Span | None = None
    tau_o_pct: Span | None = None
    jitter_per_min: float | None = None
    under_replica_s: Span | None = None
    over_replica_s: Span | None = None
    replica_hours: Span | None = None
    replica_hours_over: Span | None = None
    unseen_s: float | None = None
    unseen_over_replica_s: Span | None = None
    unseen_replica_hours: Span | None = None
    reason: str | None = None


class ResponseReport(msgspec.Struct, frozen=True):
    """Response of RUNNING replicas to the step from `demand_before` to `demand_after`.

    `dead_time_s` is until the first change towards it, `rise_s` from there until it is reached,
    `settling_s` until they stay within max(0.5 replica, 5 % of the step) of it. What is longer than
    the hold is censored. `iae_replica_s` is `under_replica_s` plus `over_replica_s`. What is null
    has a `reason`.
    """

    demand_before: int | None = None
    demand_after: int | None = None
    dead_time_s: Span | None = None
    rise_s: Span | None = None
    overshoot_pct: float | None = None
    settling_s: Span | None = None
    iae_replica_s: Span | None = None
    under_replica_s: Span | None = None
    over_replica_s: Span | None = None
    mean_lag_per_replica_s: Span | None = None
    excess_variation: int | None = None
    direction_reversals: int | None = None
    unwatched_s: float | None = None
    reason: str | None = None


class FlappingReport(msgspec.Struct, frozen=True):
    """Target or RUNNING replicas that turn back within the hold of one step, over all of the load.

    In each hold the one of the two counts that turned more often. `running_reversals` are those of
    RUNNING replicas alone. `excess_variation` is what they changed by beyond what they changed in
    all, in replicas. `period_s` and `size_replicas` are those of the oscillation, None if none was
    whole.
    """

    direction_reversals: int | None = None
    most_in_one_step: int | None = None
    reversals_per_min: float | None = None
    running_reversals: int | None = None
    excess_variation: int | None = None
    period_s: float | None = None
    size_replicas: float | None = None
    reason: str | None = None
