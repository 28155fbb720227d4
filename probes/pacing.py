"""Interval between polls, from their round trips and a budget of the controller's time. Pure."""

from collections import deque

_WINDOW = 20
_MAX_INTERVAL_S = 10.0
_MAX_BACKOFF_S = 5.0
# The first polls, whose cost is not known yet, and the last one come on top.
_HEADROOM = 0.9


class Pacing:
    """Chooses the interval between polls so that they cost at most a share of the controller's time.

    The cost of a poll cannot be seen from outside. Its upper bound is the round trip minus
    `baseline_s`, the round trip of a page that the dashboard answers without the controller (measured
    on Ray 2.60: bound 5.9 ms, truth 3.1 ms; docs/decisions/0002-observer-budget.md). The lower
    quartile of the last 20 polls counts, since waiting for a busy machine is not the controller's work.
    """

    def __init__(
        self,
        rate_per_s: float,
        budget_ratio: float,
        baseline_s: float = 0.0,
        longest_s: float = _MAX_INTERVAL_S,
    ) -> None:
        self._shortest_s = 1.0 / rate_per_s
        self._budget_ratio = budget_ratio
        self.baseline_s = baseline_s
        self._longest_s = longest_s
        self._round_trips_s: deque[float] = deque(maxlen=_WINDOW)
        self._failures = 0
        self.busy_s = 0.0

    @property
    def cost_s(self) -> float:
        """Estimated upper bound of the controller's time for one poll."""
        if not self._round_trips_s:
            return 0.0
        ordered = sorted(self._round_trips_s)
        return max(0.0, ordered[(len(ordered) - 1) // 4] - self.baseline_s)

    def answered(self, round_trip_s: float) -> None:
        """Count a good answer."""
        self._failures = 0
        self._round_trips_s.append(round_trip_s)
        self.busy_s += self.cost_s

    def failed(self) -> None:
        """Count a poll without a usable answer; each one in a row lengthens the interval."""
        self._failures += 1

    @property
    def interval_s(self) -> float:
        """Seconds from the start of one poll to the start of the next."""
        affordable_s = self.cost_s / (self._budget_ratio * _HEADROOM)
        budgeted = min(max(self._shortest_s, affordable_s), self._longest_s)
        if not self._failures:
            return budgeted
        return max(budgeted, min(0.25 * 2 ** min(self._failures, 10), _MAX_BACKOFF_S))
