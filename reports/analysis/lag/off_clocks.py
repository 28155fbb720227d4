"""Clocks of logs that polling contradicts more often than it bears them out."""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from reports.analysis.lag.log_times import agrees
from reports.model.intervals import Instant


class Compared(NamedTuple):
    """A moment as polling saw it, and as a log tells it; `what` names it."""

    what: str
    seen: Instant
    told: Instant

    @property
    def is_denied(self) -> bool:
        """True if both contradict each other by more than their errors."""
        return not agrees(self.seen, self.told)


def off_clocks(moments: Iterable[Compared]) -> AbstractSet[str]:
    """Clocks of which most moments contradict polling.

    The other moments of such a clock agree by chance, or have nothing to be compared with.
    """
    denied: Counter[str] = Counter()
    for moment in moments:
        denied[moment.told.clock] += 1 if moment.is_denied else -1
    return {clock for clock, votes in denied.items() if votes > 0}
