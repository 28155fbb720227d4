"""Failed requests of a step, and signs that the network failed them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.lag.changes import last_infos
from scalelag.record.error_kinds import (
    BACK_PRESSURE,
    CONNECTION_CLOSED,
    TIMEOUT,
    UNFINISHED,
    is_connection,
    is_wrong_answer,
)
from scalelag.record.requests_file import RequestColumns

_TIMEOUT = (TIMEOUT, UNFINISHED)
_SILENCE_S = 1.0
_LEAD_S = 1.0
_MIN_UNANSWERED = 3
_NORMAL = 0.5


def sent(facts: StepFacts) -> int:
    """Number of requests that were sent."""
    rows, chosen = _rows(facts)
    return int(np.count_nonzero(~rows.not_sent[chosen]))


class FailedRequests(msgspec.Struct, frozen=True):
    """Failed requests by kind: from when the first was sent until the last had failed, Unix seconds."""

    kinds: dict[str, int]
    from_s: float
    to_s: float

    @property
    def count(self) -> int:
        """Number of failed requests."""
        return sum(self.kinds.values())


def failures(facts: StepFacts) -> FailedRequests | None:
    """All requests that were sent and failed; None if there are none."""
    return _failed(facts, lambda _kind: True)


def connection_failures(facts: StepFacts) -> FailedRequests | None:
    """Requests that failed for want of a connection; None if there are none.

    An answer that a server breaks off, as when a replica dies, does not count.
    """
    rows, chosen = _rows(facts)
    begun = _is_any(rows, rows.error[chosen], [CONNECTION_CLOSED]) & (rows.status[chosen] > 0)
    return _failed(facts, is_connection, but=begun)


def _failed(
    facts: StepFacts, wanted: Callable[[str], bool], but: NDArray[np.bool_] | None = None
) -> FailedRequests | None:
    rows, chosen = _rows(facts)
    codes = rows.error[chosen]
    kinds = [kind for kind in rows.errors if wanted(kind)]
    failed = _is_any(rows, codes, kinds) & ~rows.not_sent[chosen]
    if but is not None:
        failed &= ~but
    if not failed.any():
        return None
    counts = Counter(rows.errors[code] for code in codes[failed].tolist())
    intended_s = rows.intended_s[chosen][failed]
    return FailedRequests(
        kinds=dict(counts.most_common()),
        from_s=float(intended_s.min()),
        to_s=float((intended_s + rows.latency_s[chosen][failed]).max()),
    )


def failure_notes(facts: StepFacts, kinds: Mapping[str, int]) -> tuple[str, ...]:
    """Notes on kinds of failures that have a meaning of their own."""
    turned_away = kinds.get(BACK_PRESSURE, 0)
    wrong = sum(number for kind, number in kinds.items() if is_wrong_answer(kind))
    notes: list[str] = []
    if turned_away:
        notes.append(f"{turned_away:,} turned away: {_back_pressure(facts)}")
    if wrong:
        notes.append(
            f"{wrong:,} answered wrongly: they arrived and an answer came back, so look at the "
            "application, or at what answers in its place."
        )
    return tuple(notes)


def _back_pressure(facts: StepFacts) -> str:
    limited = [
        f"{key} has max_queued_requests {most}"
        for key, info in last_infos(facts.run).items()
        if isinstance(most := info.config.get("max_queued_requests"), int) and most >= 0
    ]
    if not limited:
        return (
            "no deployment has max_queued_requests set, so it was the application, or what stands "
            "before Serve, that answered so."
        )
    return (
        f"a queue in Serve was full ({', '.join(limited)}). Capacity lagged behind: keep replicas in "
        "reserve (min_replicas, a lower target_ongoing_requests), or let more requests wait (a "
        "higher max_queued_requests) or run at once (max_ongoing_requests)."
    )


class Silence(msgspec.Struct, frozen=True):
    """A time in which no request was answered, though `unanswered` were under way.

    `abrupt`: those answered just before had been answered in good time.
    """

    from_s: float
    to_s: float
    unanswered: int
    abrupt: bool

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return self.to_s - self.from_s


def longest_silence(facts: StepFacts) -> Silence | None:
    """The longest time without any answer in which requests were sent that timed out."""
    rows, chosen = _rows(facts)
    sent_s = rows.intended_s[chosen] + rows.send_lag_s[chosen]
    done_s = rows.intended_s[chosen] + rows.latency_s[chosen]
    timed_out = _is_any(rows, rows.error[chosen], _TIMEOUT)
    answered = np.isfinite(done_s) & ~timed_out
    if np.count_nonzero(timed_out) < _MIN_UNANSWERED:
        return None
    marks = np.sort(np.concatenate(([facts.begun_s], done_s[answered], [facts.by_s])))
    marks = marks[(marks >= facts.begun_s) & (marks <= facts.by_s)]
    longest = int(np.argmax(np.diff(marks))) if marks.size > 1 else 0
    if marks.size < 2 or marks[longest + 1] - marks[longest] < _SILENCE_S:
        return None
    from_s, to_s = float(marks[longest]), float(marks[longest + 1])
    under_way = timed_out & (sent_s >= from_s - _LEAD_S) & (sent_s < to_s)
    if np.count_nonzero(under_way) < _MIN_UNANSWERED:
        return None
    before = answered & (done_s > from_s - _LEAD_S) & (done_s <= from_s)
    quick_s = np.median((done_s - sent_s)[before]) if before.any() else np.inf
    limit_s = _NORMAL * np.min((done_s - sent_s)[under_way])
    return Silence(from_s, to_s, int(np.count_nonzero(under_way)), abrupt=bool(quick_s < limit_s))


def _is_any(
    rows: RequestColumns, codes: NDArray[np.int32], kinds: Sequence[str]
) -> NDArray[np.bool_]:
    return np.isin(codes, [rows.errors.index(kind) for kind in kinds if kind in rows.errors])


def _rows(facts: StepFacts) -> tuple[RequestColumns, slice]:
    """All rows, and which of them were meant to start within what is looked at, after the warm-up."""
    rows = facts.run.requests
    begun_s = max(facts.begun_s, facts.run.info.counted_from_s)
    low, high = np.searchsorted(rows.intended_s, (begun_s, facts.by_s))
    return rows, slice(int(low), int(high))
