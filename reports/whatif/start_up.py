"""Times of starts and stops of replicas, as a record has them."""

from collections.abc import Sequence

import msgspec
import numpy as np

from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.timeline import ReplicaLife, Timeline

PACE_SIGMA = 0.45
"""Standard deviation of the logarithm of start-ups of one run over those of another, with the same
application on the same machine: measured (docs/whatif.md#start-ups-differ-between-runs)."""
_ROUTE_S = 0.02
_STOP_S = 0.1


class StartUps(msgspec.Struct, frozen=True):
    """Seconds from a decision to RUNNING of each replica that the record saw start.

    `route_s` is from RUNNING until the router sends to it, `stop_s` from a decision to STOPPING, and
    `end_s` from the end of the drain to gone.
    """

    starts_s: tuple[float, ...]
    route_s: float
    stop_s: float
    end_s: float

    def at_pace(self, pace: float) -> "StartUps":
        """The same with starts that take `pace` times as long."""
        return msgspec.structs.replace(self, starts_s=tuple(pace * one for one in self.starts_s))


def start_ups(timeline: Timeline, wait_loop_s: float) -> StartUps:
    """Times of all replicas that a decision of the record started or stopped; no starts if none."""
    ups = [one for one in timeline.decisions if one.after > one.before]
    downs = [one for one in timeline.decisions if one.after < one.before]
    starts = [
        life.running.mid_s - decision.at.mid_s
        for life in timeline.replicas
        if life.running is not None and (decision := _before(ups, life)) is not None
    ]
    stops = [
        life.stopping.mid_s - at_s
        for life in timeline.replicas
        if life.stopping is not None and (at_s := _last(downs, life.stopping.mid_s)) is not None
    ]
    ends = [
        (life.gone.mid_s - life.stopping.mid_s) % max(wait_loop_s, 1e-3)
        for life in timeline.replicas
        if life.stopping is not None and life.gone is not None and life.running is not None
    ]
    routes = [
        life.first_request.mid_s - life.running.mid_s
        for life in timeline.replicas
        if life.first_request is not None and life.running is not None
    ]
    return StartUps(
        tuple(max(0.0, one) for one in starts),
        route_s=max(0.0, min(routes, default=_ROUTE_S)),
        stop_s=max(0.0, float(np.median(stops))) if stops else _STOP_S,
        end_s=float(np.median(ends)) if ends else _STOP_S,
    )


def _before(decisions: Sequence[Decision], life: ReplicaLife) -> Decision | None:
    """The decision that a replica was started by: the last one before it began, or None."""
    begun_s = life.begun.hi_s + life.begun.skew_s + 0.01
    earlier = [one for one in decisions if one.at.lo_s <= begun_s]
    return earlier[-1] if earlier else None


def _last(decisions: Sequence[Decision], at_s: float) -> float | None:
    return max((d.at.mid_s for d in decisions if d.at.mid_s <= at_s + 0.01), default=None)
