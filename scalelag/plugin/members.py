"""One process of those that send a run's load."""

from scalelag.plugin.worker_clocks import EXACT, ClockMeter
from scalelag.record.run_info import LoadWorkerInfo


class Member:
    """One process that sends load; `lost_arrivals` is None until they were counted."""

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
        """What of it goes on record."""
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
