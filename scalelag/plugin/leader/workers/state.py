"""State of one worker as the leader knows it: its clock, and its loss."""

from scalelag.record.clock import ClockOffset, clock_offset
from scalelag.record.run_info import LoadWorkerInfo

EXACT = ClockOffset(0.0, 0.0)
"""The leader's own clock."""


class ClockMeter:
    """Clock offset from pings: in each window the one with the shortest round trip counts.

    The first window gives the `offset`, which then stays; the ones after it show the drift.
    """

    def __init__(self, offset: ClockOffset | None = None) -> None:
        self.offset = offset
        self.answers = 0
        self.drift_s = 0.0
        self._best: ClockOffset | None = None

    def add(self, sent_s: float, received_s: float, at_s: float) -> None:
        """Note a ping sent and answered on the leader's clock, at `at_s` on the process's own."""
        self.answers += 1
        seen = clock_offset(sent_s, received_s, at_s)
        if self._best is None or seen.error_s < self._best.error_s:
            self._best = seen

    def close_window(self) -> None:
        """End a window of pings; one without pings changes nothing."""
        best, self._best = self._best, None
        if best is None:
            return
        if self.offset is None:
            self.offset = best
            return
        moved_s = abs(best.offset_s - self.offset.offset_s)
        unexplained_s = moved_s - best.error_s - self.offset.error_s
        self.drift_s = max(self.drift_s, unexplained_s)


class RunWorker:
    """One worker of a run; `lost_arrivals` is None until they are counted."""

    def __init__(self, index: int, client_id: str, meter: ClockMeter) -> None:
        self.index = index
        self.id = client_id
        self.meter = meter
        self.heard_s = 0.0
        self.gone = False
        self.lost_at_s: float | None = None
        self.lost_reason: str | None = None
        self.back_at_s: float | None = None
        self.lost_arrivals: int | None = None

    @property
    def host(self) -> str:
        """Name of its machine: Locust's ids are `HOST_UUID`."""
        return self.id.rpartition("_")[0] or self.id

    @property
    def ahead_s(self) -> float:
        """Its clock minus the leader's."""
        return (self.meter.offset or EXACT).offset_s

    def info(self) -> LoadWorkerInfo:
        """Its row for the record."""
        return LoadWorkerInfo(
            index=self.index,
            id=self.id,
            host=self.host,
            offset_s=self.ahead_s,
            error_s=(self.meter.offset or EXACT).error_s,
            drift_s=self.meter.drift_s,
            lost_at_s=self.lost_at_s,
            lost_reason=self.lost_reason,
            back_at_s=self.back_at_s,
            lost_arrivals=self.lost_arrivals,
        )
