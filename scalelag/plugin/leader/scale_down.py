"""Watching of the replicas after the load, while they come down."""

from collections.abc import Callable, Mapping

import gevent

from probes.replica_probe import ReplicaProbe
from probes.serve_state import DeploymentPayload
from scalelag.record.clock import Clock
from scalelag.record.rows import DeploymentKey, Poll

_POLL_S = 0.2
_CALM_POLLS = 5


class Drain:
    """Waits until each of `deployments` has come down to its minimum."""

    def __init__(
        self, deployments: Mapping[DeploymentKey, DeploymentPayload], clock: Clock
    ) -> None:
        self._deployments = deployments
        self._clock = clock
        self._ended = False

    def end(self) -> None:
        """Have `watch` return soon."""
        self._ended = True

    def watch(self, probe: ReplicaProbe, at_most_s: float, going: Callable[[], bool]) -> None:
        """Wait for `at_most_s` seconds at most, and only while `going`."""
        deadline_s = self._clock.now() + at_most_s
        calm = 0
        while self._clock.now() < deadline_s and calm < _CALM_POLLS and going() and not self._ended:
            seen = None if probe.blind_reason else probe.latest
            calm = calm + 1 if seen is not None and self._is_calm(seen) else 0
            gevent.sleep(_POLL_S)

    def _is_calm(self, latest: Poll) -> bool:
        for key, seen in latest.deployments.items():
            described = self._deployments.get(key)
            autoscaling = described.info().autoscaling if described else None
            lowest = autoscaling.get("min_replicas") if autoscaling else None
            if autoscaling is not None and seen.target != lowest:
                return False
            if seen.target is not None and seen.counts.get("RUNNING", 0) != seen.target:
                return False
            if sum(seen.counts.values()) != seen.counts.get("RUNNING", 0):
                return False
        return True
