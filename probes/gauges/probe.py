"""The third probe: reads Serve's gauges on an interval of its own."""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from probes.pacing import Pacing
from scalelag.record.seen_rows import SeenRow


class GaugeReader(Protocol):
    """Reads the gauges once; `cost_s` is the longest time that one process was asked for."""

    cost_s: float

    def read(self, stopped: Callable[[], bool]) -> Sequence[SeenRow]:
        """Return rows; never raises for what the other side does."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class GaugeProbe:
    """Reads with `reader` until `stop()`, and passes rows to `sink`.

    The controller takes no part in it: the dashboard lists the ports, and the agent of each node
    answers. `pacing` keeps the time of each of them within the observer's budget. A reading that
    fails for the same reason as the one before makes no row.
    """

    def __init__(
        self,
        reader: GaugeReader,
        sink: Callable[[Sequence[SeenRow]], None],
        pacing: Pacing,
        now: Callable[[], float],
    ) -> None:
        self._reader = reader
        self._sink = sink
        self._pacing = pacing
        self._now = now
        self._stop = threading.Event()
        self._last_failure: str | None = None

    def run(self) -> None:
        """Read until `stop()`."""
        while not self._stop.is_set():
            started_s = self._now()
            self.read_once()
            self._stop.wait(max(0.0, started_s + self._pacing.interval_s - self._now()))
        self._reader.close()

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()

    def read_once(self) -> None:
        """Read once, and pass on what is new."""
        rows = [row for row in self._reader.read(self._stop.is_set) if self._is_news(row)]
        if rows:
            self._sink(rows)

    def _is_news(self, row: SeenRow) -> bool:
        if row.deployments:
            self._last_failure = None
            self._pacing.answered(self._reader.cost_s)
            return True
        self._pacing.failed()
        is_new = row.reason != self._last_failure
        self._last_failure = row.reason
        return is_new
