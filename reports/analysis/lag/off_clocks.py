"""Clocks of logs that polling contradicts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate
from typing import NamedTuple

from reports.analysis.lag.log_times import ORDER_TOLERANCE_S, agrees
from reports.model.intervals import Instant

_LATE_SHARE = 0.05
"""Share of moments that a busy process may note late.

A clock that is off by some share of the time between two polls contradicts about that share of
them.
"""


class ComparedMoment(NamedTuple):
    """A moment as polling saw it, and as a log tells it; `what` names it.

    `of_replica`: the log is the replica's, not the controller's.
    """

    what: str
    seen: Instant
    told: Instant
    of_replica: bool = False

    @property
    def is_denied(self) -> bool:
        """True if both contradict each other by more than their errors."""
        return not agrees(self.seen, self.told)

    @property
    def shifts(self) -> tuple[float, float]:
        """The least and the most by which the clock can be moved so that both agree."""
        slack_s = self.told.skew_s + ORDER_TOLERANCE_S
        return (
            self.seen.lo_s - slack_s - self.told.lo_s,
            self.seen.hi_s + slack_s - self.told.hi_s,
        )


def off_clocks(moments: Iterable[ComparedMoment]) -> AbstractSet[str]:
    """Clocks of which most moments contradict polling, or of which more would agree if it was moved.

    The other moments of such a clock agree by chance, or have nothing to be compared with. Polls
    cannot show an error that is smaller than the time between them. A busy process may contradict
    them in one line of twenty.
    """
    by_clock: defaultdict[str, list[ComparedMoment]] = defaultdict(list)
    for moment in moments:
        by_clock[moment.told.clock].append(moment)
    return {clock for clock, told in by_clock.items() if _is_off(told)}


def off_clocks_of_replicas(
    moments: Sequence[ComparedMoment], off: AbstractSet[str]
) -> AbstractSet[str]:
    """Clocks of replica logs that are not believed, given those of the controller's in `off`.

    The clocks of nodes are set by the controller's log: if its clock is off, so are all others.
    """
    own = [moment for moment in moments if moment.of_replica]
    by_log = {one.told.clock for one in moments if not one.of_replica}
    if not off.isdisjoint(by_log):
        return {moment.told.clock for moment in own}
    return off_clocks(own)


def _is_off(told: Sequence[ComparedMoment]) -> bool:
    denied = sum(moment.is_denied for moment in told)
    agreed = len(told) - denied
    if denied <= _LATE_SHARE * len(told):
        return False
    return denied > agreed or _most_at_one_shift(told) > agreed


def _most_at_one_shift(told: Sequence[ComparedMoment]) -> int:
    """The most moments that agree with polling after the clock is moved by one shift."""
    edges = [
        edge
        for lo, hi in (moment.shifts for moment in told)
        if lo <= hi
        for edge in ((lo, False), (hi, True))
    ]
    return max(accumulate(-1 if ends else 1 for _, ends in sorted(edges)), default=0)
