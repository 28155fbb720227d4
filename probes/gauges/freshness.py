"""Age of the controller's gauges, by a counter that it raises ten times a second."""

from collections.abc import Collection, Iterable

from probes.gauges.combine import worker_of
from probes.gauges.exposition import Sample

_SLACK_S = 1.0
CONTROLLER_IS_OLD = "the controller exports nothing new"


class Freshness:
    """Follows the count of the controller's turns through successive readings.

    The ports' text has no times. But while the count rises, what the controller exports is new.
    """

    def __init__(self, export_s: float) -> None:
        self._export_s = export_s
        self._risen: dict[str, tuple[float, float]] = {}

    def note(self, samples: Iterable[Sample], at_s: float) -> float:
        """Note a reading at `at_s`; return the seconds since the count last rose, at most.

        0 if it rose since the reading before, at the first reading, and if there is no count.
        """
        known = self._risen
        self._risen = {}
        for one in samples:
            if one.quantity != "loops":
                continue
            worker = worker_of(one) or one.labels.get("actor_id", "")
            before = known.get(worker)
            same = before is not None and before[0] == one.value
            self._risen[worker] = (one.value, before[1] if before and same else at_s)
        return at_s - max((risen_s for _, risen_s in self._risen.values()), default=at_s)

    def is_old(self, since_s: float) -> bool:
        """Return True if a count that last rose `since_s` ago is older than an export explains."""
        return since_s > self._export_s + _SLACK_S

    def live_workers(self, at_s: float) -> Collection[str]:
        """Processes whose count rose in the reading at `at_s`."""
        return {worker for worker, (_, risen_s) in self._risen.items() if risen_s == at_s}
