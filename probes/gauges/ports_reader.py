"""Reads the gauges of a whole cluster from its metrics ports."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence

import msgspec

from probes.dashboard import DashboardError
from probes.gauges.combine import gauges_of, without_controller
from probes.gauges.exposition import GaugesError, Sample
from probes.gauges.freshness import CONTROLLER_IS_OLD, Freshness
from probes.gauges.metrics_port import MetricsPorts
from probes.gauges.port_list import PortList
from scalelag.errors import TargetError
from scalelag.record.seen_rows import SeenRow

_IDLE_S = 10.0
_MAX_BACKOFF_S = 60.0
_STAMP_SLACK_S = 5.0


class _Port(msgspec.Struct):
    """Knowledge of one port: when to ask it next, and what it said last."""

    next_s: float = 0.0
    failures: int = 0
    reason: str | None = None


class PortsReader:
    """Reads all ports one after the other; a port that does not answer is asked less and less often.

    A port without a gauge of Serve's, such as the dashboard's own, is asked every 10 s. `export_s` is
    the interval at which the cluster's processes export their metrics.
    """

    def __init__(
        self,
        ports: PortList,
        client: MetricsPorts,
        apps: Collection[str],
        now: Callable[[], float],
        export_s: float,
    ) -> None:
        self._list = ports
        self._client = client
        self._apps = apps
        self._now = now
        self._export_s = export_s
        self._ports: dict[str, _Port] = {}
        self._fresh = Freshness(export_s)
        self.cost_s = 0.0

    def read(self, stopped: Callable[[], bool]) -> Sequence[SeenRow]:
        """Read once, broken off when `stopped`. `cost_s` is then the longest answer of a port.

        A row always comes back: without deployments, and with the reason, if nothing can be read.
        """
        sent_s = self._now()
        self.cost_s = 0.0
        try:
            addresses = self._list.addresses()
        except TargetError as error:
            reason = error.reason if isinstance(error, DashboardError) else str(error)
            return [self._row(sent_s, reason=f"the list of metrics ports: {reason}")]
        self._ports = {one: self._ports.get(one, _Port()) for one in addresses}
        samples: list[Sample] = []
        for address, port in self._ports.items():
            if stopped():
                return []
            samples += self._samples(address, port)
        return [self._combined(samples, sent_s)]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _samples(self, address: str, port: _Port) -> list[Sample]:
        asked_s = self._now()
        if asked_s < port.next_s:
            return []
        try:
            samples = self._client.read(address)
        except GaugesError as error:
            port.failures += 1
            port.reason = str(error)
            port.next_s = self._now() + min(2.0**port.failures, _MAX_BACKOFF_S)
            return []
        port.failures, port.reason = 0, None
        port.next_s = 0.0 if samples else self._now() + _IDLE_S
        self.cost_s = max(self.cost_s, self._now() - asked_s)
        oldest_s = asked_s - self._export_s - _STAMP_SLACK_S
        return [one for one in samples if one.at_s is None or one.at_s >= oldest_s]

    def _combined(self, samples: list[Sample], sent_s: float) -> SeenRow:
        since_s = self._fresh.note(samples, sent_s)
        failed = [port.reason for port in self._ports.values() if port.reason is not None]
        reasons = [_failures(failed, len(self._ports))] if failed else []
        live = self._fresh.live_workers(sent_s)
        if self._fresh.is_old(since_s):
            reasons.append(CONTROLLER_IS_OLD)
            samples = without_controller(samples)
        found = gauges_of(samples, self._apps, live, is_whole=not failed)
        if not found and not reasons:
            reasons.append("the ports show no gauge of the tested applications")
        return SeenRow(
            sent_s=sent_s,
            received_s=self._now(),
            source="ports",
            age_s=since_s + self._export_s,
            deployments=found,
            reason="; ".join(reasons) or None,
        )

    def _row(self, sent_s: float, reason: str) -> SeenRow:
        return SeenRow(sent_s, self._now(), "ports", self._export_s, reason=reason)


def _failures(reasons: Sequence[str], ports: int) -> str:
    """Sentence on the ports that did not answer, with the commonest reason."""
    commonest = Counter(reasons).most_common(1)[0][0]
    return f"{len(reasons)} of {ports} metrics ports: {commonest}"
