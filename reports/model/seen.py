"""Requests at a deployment as Serve's own gauges show them."""

import msgspec

from scalelag.record.seen_rows import GaugeSource


class SeenPoint(msgspec.Struct, frozen=True):
    """Requests at one moment, `at_s` after the plan's start; None is not known.

    `total` was given to the autoscaling policy, which wanted `desired` replicas; Serve aims at
    `target`. `queued` and `running` are those at routers and replicas, `client` those of the client
    that were open then, of the requests that this deployment's application takes.
    """

    at_s: float
    total: float | None = None
    queued: float | None = None
    running: float | None = None
    desired: float | None = None
    target: float | None = None
    client: float | None = None

    @property
    def open(self) -> float | None:
        """Requests that wait for the deployment or are in it; None if either is not known."""
        return None if self.queued is None or self.running is None else self.queued + self.running


class SeenReport(msgspec.Struct, frozen=True):
    """Serve's gauges of one deployment during the load, and how far they can be trusted.

    `age_s` is the most by which a value is older than its time. `covered_ratio` is the part of the
    load in which what the policy was given is known. `blind_s` sums up the times in which that was
    less than half of the open requests for longer than the metrics take by their settings. `served`
    counts the requests that the deployment's replicas answered. `reason` says why something is None.
    """

    source: GaugeSource | None = None
    age_s: float | None = None
    ongoing: tuple[SeenPoint, ...] = ()
    covered_ratio: float | None = None
    blind_s: float | None = None
    served: float | None = None
    reason: str | None = None
