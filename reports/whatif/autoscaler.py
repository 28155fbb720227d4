"""The interface of Ray's autoscaler as a simulation sees it: reports in, targets out."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from scalelag.record.rows import DeploymentKey


class Series(NamedTuple):
    """Samples of a gauge: moments in Unix seconds, ascending, and the value at each of them."""

    at_s: Sequence[float]
    values: Sequence[float]


class HandleReport(NamedTuple):
    """Metrics that a handle of a deployment pushes to the controller at `at_s`.

    `queued` are the requests that wait in the handle, `running` those that it sent to each replica.
    """

    deployment: DeploymentKey
    handle: str
    at_s: float
    queued: Series
    running: Mapping[str, Series]


class Autoscaler(Protocol):
    """Ray's autoscaler of one application. Moments are Unix seconds, and never go back."""

    def report(self, report: HandleReport) -> None:
        """Take the metrics of one handle, as the controller does."""
        ...

    def set_running(self, deployment: DeploymentKey, replicas: Sequence[str]) -> None:
        """Set the replicas of a deployment that are RUNNING."""
        ...

    def decide(
        self, now_s: float, targets: Mapping[DeploymentKey, int]
    ) -> Mapping[DeploymentKey, int]:
        """Return the new target of each deployment, given the present ones, within its bounds.

        Raises UsageError if a policy of the user's own raises, or returns what Ray refuses.
        """
        ...
