"""Replicas for days of traffic, by hour of day."""

import msgspec

from reports.model.whatif import Change


class FleetHour(msgspec.Struct, frozen=True):
    """One hour of the day over all days.

    `short_replica_hours` are those that the traffic called for beyond the RUNNING ones, `short_s` the
    time in which it did, and `waiting_most` the most requests that waited.
    """

    hour: int
    mean_rps: float
    peak_rps: float
    mean_replicas: float
    peak_replicas: int
    replica_hours: float
    short_replica_hours: float
    short_s: float
    waiting_most: float


class FleetReport(msgspec.Struct, frozen=True):
    """Answer of `scalelag whatif --capacity`: `turn_s` is how long one step of the simulation is.

    `steady_replica_hours` are those of a fixed number of replicas that is enough at the peak.
    """

    schema_version: int
    trace: str
    days: float
    capacity_rps: float
    service_s: float
    start_s: float
    turn_s: float
    ray_simulated: str
    settings: dict[str, float | int | str]
    changes: tuple[Change, ...]
    hours: tuple[FleetHour, ...]
    replica_hours: float
    steady_replica_hours: float
    short_replica_hours: float
    short_s: float
    reversals: int
    notes: tuple[str, ...] = ()
