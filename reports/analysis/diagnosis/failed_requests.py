"""Failed requests of a step, and signs that the network failed them."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.seen.series import gauge_series
from reports.model.intervals import Window
from scalelag.record.error_kinds import (
    BACK_PRESSURE,
    CONNECTION_CLOSED,
    TIMEOUT,
    UNFINISHED,
    grpc_status,
    http_status,
    is_connection,
)
from scalelag.record.requests_file import RequestColumns

TIMED_OUT = (TIMEOUT, UNFINISHED)
SERVERS_TIMEOUT = http_status(408)
"""Serve's own time-out: `request_timeout_s` of its `http_options`."""
TOO_MANY = http_status(429)
"""Answer of an application, or of what stands before Serve, that limits itself."""
GATEWAY = (http_status(502), http_status(503), http_status(504))
"""Answers of a proxy that had no replica, or lost it; an application may give them itself, too.

Serve's own proxy answers 503 for a full queue, which is BACK_PRESSURE, and where a deployment is not
available (`get_http_response_status` in `ray/serve/_private/http_util.py`): it failed to deploy, or
goes away.
"""
_OVERLOAD = (
    BACK_PRESSURE,
    TIMEOUT,
    UNFINISHED,
    SERVERS_TIMEOUT,
    TOO_MANY,
    *GATEWAY,
    grpc_status("UNAVAILABLE"),
)
OVERLOAD = frozenset(_OVERLOAD)
"""Kinds of failures that an overload ends in, whoever's time-out comes first."""
_SLOWED = 2.0
_SLOWED_LOSSES = 0.1
_SILENCE_S = 1.0
_LEAD_S = 1.0
_SOME = 16
_MIN_UNANSWERED = 3
_NORMAL = 0.5
_ARRIVED = 0.5


def sent(facts: StepFacts) -> int:
    """Number of requests that were sent."""
    rows, chosen = _rows(facts)
    return int(np.count_nonzero(~rows.not_sent_in(chosen)))


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
    failed = _is_any(rows, codes, kinds) & ~rows.not_sent_in(chosen)
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


def is_slowed(facts: StepFacts, window: Window) -> bool:
    """Return True if requests sent in `window` took twice as long as those before the step, or more.

    Or if a tenth of them timed out; those before the step may be missing.
    """
    rows = facts.run.requests
    service_s = rows.latency_s - rows.send_lag_s
    low, high = np.searchsorted(rows.intended_s, window)
    before = int(np.searchsorted(rows.intended_s, facts.begun_s))
    lost = _is_any(rows, rows.error, _OVERLOAD)
    if high > low and np.count_nonzero(lost[low:high]) >= _SLOWED_LOSSES * (high - low):
        return True
    earlier_s = service_s[:before][~lost[:before] & np.isfinite(service_s[:before])]
    later_s = service_s[low:high][np.isfinite(service_s[low:high])]
    if not earlier_s.size or not later_s.size:
        return False
    return bool(np.median(later_s) >= _SLOWED * np.median(earlier_s))


def failed_in_hold_s(facts: StepFacts, kinds: Sequence[str]) -> NDArray[np.float64]:
    """Moments at which requests of the step had failed in one of `kinds`, ascending."""
    rows, chosen = _rows(facts)
    failed = _is_any(rows, rows.error[chosen], kinds) & ~rows.not_sent_in(chosen)
    return np.sort((rows.intended_s + rows.latency_s)[chosen][failed])


def failed_s(facts: StepFacts, kinds: Sequence[str]) -> NDArray[np.float64]:
    """Moments at which requests of the run had failed in one of `kinds`, ascending."""
    rows = facts.run.requests
    failed = _is_any(rows, rows.error, kinds) & ~rows.not_sent
    return np.sort(rows.intended_s[failed] + rows.latency_s[failed])


class Silence(msgspec.Struct, frozen=True):
    """A time in which no request was answered, though `unanswered` were under way.

    `abrupt`: those answered just before had been answered in good time. `arrived`: Serve's gauges had
    half of those open at the client, or more, at one of its deployments meanwhile.
    """

    from_s: float
    to_s: float
    unanswered: int
    abrupt: bool
    arrived: bool = False

    @property
    def may_be_network(self) -> bool:
        """True if the requests may have found no way to Serve."""
        return self.abrupt and not self.arrived

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return self.to_s - self.from_s


def longest_silence(facts: StepFacts) -> Silence | None:
    """The longest time without any answer in which requests were sent that timed out."""
    rows, chosen = _rows(facts)
    timed_out = _is_any(rows, rows.error[chosen], TIMED_OUT)
    if np.count_nonzero(timed_out) < _MIN_UNANSWERED:
        return None
    if _always_answered(rows, chosen, Window(facts.begun_s, facts.by_s)):
        return None
    sent_s = rows.intended_s[chosen] + rows.send_lag_s[chosen]
    done_s = rows.intended_s[chosen] + rows.latency_s[chosen]
    answered = np.isfinite(done_s) & ~timed_out
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
    return Silence(
        from_s,
        to_s,
        int(np.count_nonzero(under_way)),
        abrupt=bool(quick_s < limit_s),
        arrived=_arrived(facts, Window(from_s, to_s)),
    )


def _always_answered(rows: RequestColumns, chosen: slice, within: Window) -> bool:
    """Return True if some of many requests were answered in each half of `_SILENCE_S`.

    Then there was no silence, and not all of them have to be looked at.
    """
    halves = max(1, math.ceil((within.to_s - within.from_s) / (_SILENCE_S / 2)))
    some = slice(chosen.start, chosen.stop, _SOME)
    well = rows.error[some] < 0
    done_s = rows.intended_s[some][well] + rows.latency_s[some][well]
    done_s = done_s[(done_s >= within.from_s) & (done_s <= within.to_s)]
    seen = np.zeros(halves + 1, np.bool_)
    seen[((done_s - within.from_s) / (_SILENCE_S / 2)).astype(np.int64)] = True
    return bool(seen[:halves].all())


def _arrived(facts: StepFacts, within: Window) -> bool:
    """Return True if a gauge of some deployment shows half of what was open at the client then."""
    rows = facts.run.requests
    sent_s = rows.intended_s + rows.send_lag_s
    ended_s = rows.intended_s + np.where(np.isfinite(rows.latency_s), rows.latency_s, np.inf)
    for key in facts.run.info.target.watched:
        shown = gauge_series(facts.run.seen, key, lambda gauges: gauges.open)
        for one in shown.readings:
            if one.from_s - shown.blur_s >= within.to_s or one.to_s <= within.from_s:
                continue
            at_s = min(max(one.from_s, within.from_s), within.to_s)
            opened = np.count_nonzero((sent_s <= at_s) & (ended_s > at_s) & ~rows.not_sent)
            if opened and one.value >= _ARRIVED * opened:
                return True
    return False


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
