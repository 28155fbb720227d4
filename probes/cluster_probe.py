"""Watches the nodes of the cluster, and the demands that wait for resources.

The dashboard and Ray's GCS answer these polls, so they cost the Serve controller nothing.
"""

import threading
from collections.abc import Callable, Sequence

import msgspec

from probes.cluster_status import ClusterStatus, parse_cluster_status
from probes.dashboard import CLUSTER_STATUS_PATH, Dashboard, DashboardError, Reply
from scalelag.errors import RetryAdvice, TargetError
from scalelag.record.evidence_rows import ClusterSnapshot
from scalelag.record.secrets import hide_url_secrets


class ClusterProbe:
    """Polls the cluster status every `interval_s` seconds and passes changes to `sink`.

    The first poll makes a row, and so does each later one in which more than the usage has changed.
    `dashboard` must not be shared, since it handles one request at a time. If nothing can be seen
    there are no rows, and `reason` says why.
    """

    def __init__(
        self,
        dashboard: Dashboard,
        sink: Callable[[Sequence[ClusterSnapshot]], None],
        now: Callable[[], float],
        interval_s: float = 2.0,
    ) -> None:
        self._dashboard = dashboard
        self._sink = sink
        self._now = now
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._latest: ClusterSnapshot | None = None
        self.reason: str | None = None

    def run(self) -> None:
        """Poll until `stop()`, or until the dashboard refuses access for good."""
        while not self._stop.is_set():
            started_s = self._now()
            if not self.poll_once():
                return
            self._stop.wait(max(0.0, started_s + self._interval_s - self._now()))

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()

    @property
    def blind_reason(self) -> str | None:
        """Reason why no poll ever succeeded; None if one did."""
        return self.reason if self._latest is None else None

    def poll_once(self) -> bool:
        """Poll once; return False if another poll would be useless. The first failure is kept."""
        try:
            reply = self._dashboard.get(CLUSTER_STATUS_PATH)
            snapshot = _snapshot(parse_cluster_status(reply.body), reply)
        except TargetError as error:
            if self.reason is None:
                self.reason = error.reason if isinstance(error, DashboardError) else str(error)
            return error.retry is not RetryAdvice.NEVER
        if self._latest is None or _without_usage(snapshot) != _without_usage(self._latest):
            self._sink([snapshot])
        self._latest = snapshot
        return True


def _snapshot(status: ClusterStatus, reply: Reply) -> ClusterSnapshot:
    """Row for `status`; idle nodes count as active, since they are there."""
    types = status.active.keys() | status.idle.keys()
    return ClusterSnapshot(
        sent_s=reply.sent_s,
        received_s=reply.received_s,
        demands=status.demands,
        active={
            name: status.active.get(name, 0) + status.idle.get(name, 0) for name in sorted(types)
        },
        pending=tuple(map(hide_url_secrets, status.pending)),
        failed=tuple(map(hide_url_secrets, status.failed)),
        free=status.free,
    )


def _without_usage(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    return msgspec.structs.replace(snapshot, sent_s=0.0, received_s=0.0, free={})
