"""How often to look, and how far the cluster's clock is off: pure arithmetic over round trips."""

from collections import deque

_WINDOW = 20
_MAX_INTERVAL_S = 10.0
_MAX_BACKOFF_S = 5.0
# The first polls, whose cost is not known yet, and the last one come on top of the interval.
_HEADROOM = 0.9


class Pacing:
    """Chooses the interval between polls; the controller spends at most a share of its time.

    What a poll costs the controller cannot be seen from outside; its round trip, less that of a
    page that the dashboard answers without the controller (`baseline_s`), bounds it from above
    (measured on Ray 2.60: bound 5.9 ms, truth 3.1 ms; docs/decisions/0002-observer-budget.md).
    The lower quartile of the last 20 counts: waiting for a busy machine is no work of its.
    """

    def __init__(self, rate_per_s: float, budget_ratio: float, baseline_s: float = 0.0) -> None:
        self._shortest_s = 1.0 / rate_per_s
        self._budget_ratio = budget_ratio
        self._baseline_s = baseline_s
        self._round_trips_s: deque[float] = deque(maxlen=_WINDOW)
        self._failures = 0
        self.busy_s = 0.0

    @property
    def cost_s(self) -> float:
        """What one poll costs the controller at most, as estimated now."""
        if not self._round_trips_s:
            return 0.0
        ordered = sorted(self._round_trips_s)
        return max(0.0, ordered[(len(ordered) - 1) // 4] - self._baseline_s)

    def answered(self, round_trip_s: float) -> None:
        """Note a good answer."""
        self._failures = 0
        self._round_trips_s.append(round_trip_s)
        self.busy_s += self.cost_s

    def failed(self) -> None:
        """Note a poll without a usable answer: the next ones come later and later."""
        self._failures += 1

    @property
    def interval_s(self) -> float:
        """Seconds from the start of one poll to the start of the next."""
        affordable_s = self.cost_s / (self._budget_ratio * _HEADROOM)
        budgeted = min(max(self._shortest_s, affordable_s), _MAX_INTERVAL_S)
        if not self._failures:
            return budgeted
        return max(budgeted, min(0.25 * 2 ** min(self._failures, 10), _MAX_BACKOFF_S))
