"""Watching of the replicas after the load, while they come down."""

from collections.abc import Callable, Iterator, Mapping

import gevent
import msgspec

from probes.replica_probe import ProbeState
from scalelag.record.clock import Clock
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import Scaling, scaling_of
from scalelag.record.rows import DeploymentKey, DeploymentPoll, Poll
from scalelag.wording import count

_POLL_S = 0.2
_CALM_POLLS = 5


class Drain:
    """Waits until each deployment has come down to what its settings keep, as they are by then.

    `say` then gets the setting that keeps more than one replica.
    """

    def __init__(self, clock: Clock, say: Callable[[str], None]) -> None:
        self._clock = clock
        self._say = say
        self._ended = False

    def end(self) -> None:
        """Have `watch` return soon."""
        self._ended = True

    def watch(
        self, state: Callable[[], ProbeState], at_most_s: float, going: Callable[[], bool]
    ) -> None:
        """Wait for `at_most_s` seconds at most, and only while `going`."""
        deadline_s = self._clock.now() + at_most_s
        calm = 0
        while self._clock.now() < deadline_s and calm < _CALM_POLLS and going() and not self._ended:
            seen = state()
            calm = calm + 1 if _is_seen_calm(seen) else 0
            gevent.sleep(_POLL_S)
        seen = state()
        if calm >= _CALM_POLLS and seen.latest is not None:
            for line in kept_by_settings(seen.deployed, seen.latest):
                self._say(line)


def _is_seen_calm(seen: ProbeState) -> bool:
    if seen.blind_reason or seen.latest is None:
        return False
    return is_calm(seen.deployed, seen.latest)


def is_calm(deployments: Mapping[DeploymentKey, DeploymentInfo], latest: Poll) -> bool:
    """Return True if all deployments are at their least, and no replica starts or stops."""
    for key, seen in latest.deployments.items():
        scaling = _scaling(deployments.get(key), seen)
        if scaling is not None and _comes_down(scaling) and seen.target != scaling.least:
            return False
        running = seen.counts.get("RUNNING", 0)
        if seen.target is not None and running != seen.target:
            return False
        if sum(seen.counts.values()) != running:
            return False
    return True


def kept_by_settings(
    deployments: Mapping[DeploymentKey, DeploymentInfo], latest: Poll
) -> Iterator[str]:
    """Yield a line for each deployment of which a setting keeps more than one replica."""
    for key, seen in latest.deployments.items():
        scaling = _scaling(deployments.get(key), seen)
        if scaling is not None and _comes_down(scaling) and scaling.least > 1:
            yield f"{key} stays at {count(scaling.least, 'replica')}: {scaling.least_name} keeps them"


def _scaling(info: DeploymentInfo | None, seen: DeploymentPoll) -> Scaling | None:
    """Settings in effect; a target below initial_replicas shows that these do not bind."""
    if info is None:
        return None
    return scaling_of(msgspec.structs.replace(info, target_replicas=seen.target))


def _comes_down(scaling: Scaling) -> bool:
    """Return True if Serve itself takes replicas away; an external scaler may never."""
    return scaling.autoscales and not scaling.external
