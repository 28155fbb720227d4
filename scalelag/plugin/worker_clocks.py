"""How far a load process's clock is off from the leader's: pure arithmetic over pings."""

from probes.pacing import ClockOffset, clock_offset

EXACT = ClockOffset(0.0, 0.0)
"""The leader's own clock."""


class ClockMeter:
    """Gathers pings; of those in a window the one with the shortest round trip counts.

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
        """Settle what the pings since the last call have shown; without any, nothing."""
        best, self._best = self._best, None
        if best is None:
            return
        if self.offset is None:
            self.offset = best
            return
        moved_s = abs(best.offset_s - self.offset.offset_s)
        unexplained_s = moved_s - best.error_s - self.offset.error_s
        self.drift_s = max(self.drift_s, unexplained_s)
