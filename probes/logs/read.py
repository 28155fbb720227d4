"""Reads the cluster's logs of a run over the dashboard, once, at its end.

Nothing here raises: a log that cannot be read becomes a `NoLog` row, and the polls remain.
"""

from collections.abc import Callable, Sequence

from probes.dashboard import Dashboard
from probes.logs.controller_logs import controller_log, proxy_logs, read_back, read_controller
from probes.logs.log_events import LogsRead, ReplicaLog, evidence_rows
from probes.logs.log_files import Limits, LogReader, SpentError
from probes.logs.log_lines import LogLine
from probes.logs.node_clocks import Bound, agree
from probes.logs.node_pings import ping_numbers, try_ping
from probes.logs.replica_heads import by_weight, new_replicas, try_head
from probes.serve_state import ServePayload
from scalelag.record.clock import ClockOffset
from scalelag.record.evidence_rows import EvidenceRow, NoLog
from scalelag.record.rows import Transition

_OF_PROXIES = (b"queue length", b"HAProxy reload")
"""Texts of the lines of a proxy that are read."""


def read_evidence(
    dashboard: Dashboard,
    transitions: Sequence[Transition],
    payload: ServePayload | None,
    window: tuple[float, float],
    clock: ClockOffset | None,
    now: Callable[[], float],
    limits: Limits | None = None,
    ray: str | None = None,
) -> list[EvidenceRow]:
    """Rows for clocks of nodes, for events by time, and for missing logs with the reason.

    `transitions` are those of the run, by time; only their deployments count. `payload` is Serve's
    state at the end, None if it is not known. `window` is the run's start and end in Unix seconds.
    `clock` is the controller's clock relative to ours, `ray` the version of Ray.
    """
    limits = limits or Limits()
    reader = _EvidenceReader(LogReader(dashboard, limits, now, ray), now, limits)
    try:
        reader.controllers(payload, window[0])
        reader.starts(transitions)
        reader.proxy_warnings(payload, window[0])
    except SpentError as error:
        reader.missing.append(NoLog(f"{error}; logs that were not read by then are left out"))
    return evidence_rows(reader.read(), transitions, window, clock, limits.margin_s)


class _EvidenceReader:
    """Reads one log after another, and keeps what it has if a limit ends the reading."""

    def __init__(self, reader: LogReader, now: Callable[[], float], limits: Limits) -> None:
        self._reader = reader
        self._now = now
        self._limits = limits
        self._numbers = ping_numbers()
        self._pings: dict[str, tuple[Bound, ...]] = {}
        self._controller_node: str | None = None
        self._controller: tuple[LogLine, ...] = ()
        self._replicas: list[ReplicaLog] = []
        self._proxies: list[tuple[str, LogLine]] = []
        self.missing: list[NoLog] = []

    def controllers(self, payload: ServePayload | None, since_s: float) -> None:
        """Read the controller's lines since `since_s`."""
        log = controller_log(payload)
        if log is None:
            self.missing.append(NoLog("the dashboard does not name the controller's log"))
            return
        self._controller_node = log.node
        part = read_controller(self._reader, log, self._local_s(log.node, since_s), self._limits)
        self._controller = part.lines
        self.missing += part.missing

    def starts(self, transitions: Sequence[Transition]) -> None:
        """Read the heads of the logs of new replicas, of too many those that tell the most."""
        nodes = {line.replica: line.on_node for line in self._controller if line.on_node}
        found = new_replicas(transitions)
        for new in by_weight(found)[: self._limits.replicas]:
            node = new.node or nodes.get(new.replica)
            lines, missing = try_head(self._reader, new, node, self._limits)
            if missing:
                self.missing.append(missing)
            if node is not None and lines:
                self._replicas.append(ReplicaLog(new, node, tuple(lines)))
                self._ping(node)
        left_out = len(found) - self._limits.replicas
        if left_out > 0:
            self.missing.append(
                NoLog(
                    f"too many new replicas: {left_out} logs were not read; read first were those of "
                    "replicas that ended a rise, then of the newest of each deployment"
                )
            )

    def proxy_warnings(self, payload: ServePayload | None, since_s: float) -> None:
        """Read the proxies' lines on slow queue lengths and reloads of HAProxy since `since_s`."""
        logs = proxy_logs(payload)
        for log in logs[: self._limits.proxies]:
            since_local_s = self._local_s(log.node, since_s)
            part = read_back(
                self._reader, log, "proxy", since_local_s, self._limits.proxy_bytes, _OF_PROXIES
            )
            self._proxies += [(log.node, line) for line in part.lines]
            self.missing += part.missing
        left_out = len(logs) - self._limits.proxies
        if left_out > 0:
            self.missing.append(NoLog(f"too many proxies: {left_out} logs were not read"))

    def read(self) -> LogsRead:
        """Return everything that was read so far."""
        return LogsRead(
            self._controller_node,
            self._controller,
            tuple(self._replicas),
            tuple(self._proxies),
            self._pings,
            tuple(self.missing),
        )

    def _ping(self, node: str) -> tuple[Bound, ...]:
        if node not in self._pings:
            self._pings[node] = ()
            pings = try_ping(self._reader, node, self._now, self._numbers)
            self._pings[node] = tuple(ping.bound for ping in pings)
        return self._pings[node]

    def _local_s(self, node: str, at_s: float) -> float | None:
        """Convert our time to the node's clock, minus a margin; None if the clock is unknown."""
        agreed = agree(self._ping(node))
        return None if agreed is None else at_s + agreed.bound.lo_s - self._limits.margin_s
