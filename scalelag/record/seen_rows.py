"""Rows of `seen.jsonl`: Serve's own gauges, as the cluster's metrics ports or Prometheus show them.

Times are Unix seconds on the load generator's clock.
"""

from typing import Literal

import msgspec

from scalelag.record.rows import DeploymentKey

GaugeSource = Literal["ports", "prometheus"]


class DeploymentGauges(msgspec.Struct, frozen=True, omit_defaults=True):
    """Gauges of one deployment; a gauge that was not seen is None.

    `total` is the number of requests that the autoscaler's policy was given, `desired` its answer
    before the bounds, `target` the number of replicas that Serve aims at. `queued` requests wait at
    its routers, `running` are at its replicas, by the routers, or by the replicas themselves where
    the routers do not tell. `served` counts the requests that its replicas have answered so far.
    """

    total: float | None = None
    desired: float | None = None
    target: float | None = None
    queued: float | None = None
    running: float | None = None
    served: float | None = None

    @property
    def open(self) -> float | None:
        """Requests at the deployment: those that wait and those at replicas; None if unknown."""
        return None if self.queued is None or self.running is None else self.queued + self.running


class SeenRow(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="seen",
    omit_defaults=True,
    rename={"sent_s": "sent", "received_s": "received"},
):
    """One reading of the gauges; values are at most `age_s` older than `sent_s`.

    `reason` says what could not be read; without any deployment, why nothing was. Then what was read
    before is no longer known.
    """

    sent_s: float
    received_s: float
    source: GaugeSource
    age_s: float
    deployments: dict[DeploymentKey, DeploymentGauges] = {}
    reason: str | None = None
