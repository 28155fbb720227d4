"""Failed requests of a step, and signs that the network failed them."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.load.quantiles import median, quantiles_of_blocks
from reports.analysis.seen.series import gauge_series
from reports.model.intervals import Window
from scalelag.record.blocks import blocks
from scalelag.record.error_kinds import (
    BACK_PRESSURE,
    CONNECTION_CLOSED,
    TIMEOUT,
    UNFINISHED,
    grpc_status,
    http_status,
    is_connection,
    is_not_sent,
)
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_dir import RecordedRun

_Chosen = tuple[RequestColumns, slice]

TIMED_OUT = (TIMEOUT, UNFINISHED)
SERVERS_TIMEOUT = http_status(408)
"""Serve's own time-out: `request_timeout_s` of its `http_options`."""
TOO_MANY = http_status(429)
"""Answer of an application, or of a proxy before Serve, that limits its load."""
GATEWAY = (http_status(502), http_status(503), http_status(504))
"""Answers of a proxy that had no replica, or lost it; an application may give them, too.

Serve's own proxy answers 503 for a full queue, which is BACK_PRESSURE. It also does so if a
deployment is not available (`get_http_response_status` in `ray/serve/_private/http_util.py`): it
failed to deploy, or is being deleted.
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
"""Kinds of failures that an overload leads to, whichever time-out comes first."""
_SLOWED = 2.0
_SLOWED_LOSSES = 0.1
_SILENCE_S = 1.0
_BIN_S = _SILENCE_S / 4
_LEAD_S = 1.0
_SOME = (256, 16)
_MIN_UNANSWERED = 3
_CALM, _CALM_S = 5, 1.0
_NORMAL = 0.5
_ARRIVED = 0.75


def sent(facts: StepFacts) -> int:
    """Number of requests that were sent, and may have been for its application."""
    rows, chosen = _rows(facts, facts.rows)
    return sum(
        int(np.count_nonzero(~rows.not_sent_in(block)))
        for block in blocks(chosen.stop, chosen.start)
    )


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
    """Requests that were sent, may have been for its application, and failed; None without any."""
    return _failed(_rows(facts, facts.rows), lambda _kind: True)


def all_failures(run: RecordedRun, hold: Window) -> FailedRequests | None:
    """Requests due in a hold that were sent and failed, for any application; None without any."""
    return _failed(_due_in(run.requests, run, hold), lambda _kind: True)


def connection_failures(facts: StepFacts) -> FailedRequests | None:
    """Those of `failures` that got no connection; None if there are none.

    An answer that a server breaks off, as when a replica dies, does not count.
    """
    return _failed(_rows(facts, facts.rows), is_connection, but_begun=CONNECTION_CLOSED)


def _failed(
    chosen_rows: _Chosen, wanted: Callable[[str], bool], but_begun: str | None = None
) -> FailedRequests | None:
    """Requests that failed in a wanted kind; for those in `but_begun`, only if no answer had begun."""
    rows, chosen = chosen_rows
    places = failed_places(rows, chosen, filter(wanted, rows.errors))
    if but_begun is not None:
        begun = rows.with_errors(but_begun, where=places) & (rows.status[places] > 0)
        places = places[~begun]
    if not places.size:
        return None
    counts = Counter(rows.errors[code] for code in rows.error[places].tolist())
    intended_s = rows.intended_s[places]
    return FailedRequests(
        kinds=dict(counts.most_common()),
        from_s=float(intended_s.min()),
        to_s=float((intended_s + rows.latency_s[places]).max()),
    )


def failed_places(rows: RequestColumns, chosen: slice, kinds: Iterable[str]) -> NDArray[np.uint32]:
    """Places of those of the chosen rows that were sent and failed in one of `kinds`, ascending."""
    wanted = [kind for kind in kinds if not is_not_sent(kind)]
    found = [np.empty(0, np.uint32)]
    for block in blocks(chosen.stop, chosen.start):
        places = block.start + np.flatnonzero(rows.with_errors(*wanted, where=block))
        found.append(places.astype(np.uint32))
    return np.concatenate(found)


def is_slowed(facts: StepFacts, window: Window) -> bool:
    """Return True if requests sent in `window` took at least twice as long as those before the step.

    It is also True if a tenth of them timed out; there may be none before the step.
    """
    rows = facts.rows
    low, high = map(int, np.searchsorted(rows.intended_s, window))
    before = int(np.searchsorted(rows.intended_s, facts.begun_s))
    lost = sum(
        np.count_nonzero(rows.with_errors(*_OVERLOAD, where=block)) for block in blocks(high, low)
    )
    if high > low and lost >= _SLOWED_LOSSES * (high - low):
        return True
    earlier_s = _median_service_s(rows, slice(0, before), but=_OVERLOAD)
    later_s = _median_service_s(rows, slice(low, high))
    return earlier_s is not None and later_s is not None and later_s >= _SLOWED * earlier_s


def _median_service_s(rows: RequestColumns, chosen: slice, but: Iterable[str] = ()) -> float | None:
    """Median service time of the chosen rows without the errors `but`; None without one."""

    def times_s() -> Iterator[NDArray[np.float32]]:
        for block in blocks(chosen.stop, chosen.start):
            service_s = rows.latency_s[block] - rows.send_lag_s[block]
            yield service_s[np.isfinite(service_s) & ~rows.with_errors(*but, where=block)]

    size = sum(one.size for one in times_s())
    return float(quantiles_of_blocks(times_s, size, (0.5,))[0]) if size else None


def before_calm(facts: StepFacts, from_s: float) -> tuple[int, int]:
    """Requests of the hold that an overload may have failed: those before it was calm, and all.

    It is calm from the first moment after `from_s` that begins a second without such failures: at
    least five requests were due in it, and all were sent.
    """
    rows, chosen = _rows(facts, facts.rows)
    places = failed_places(rows, chosen, _OVERLOAD)
    since = max(int(np.searchsorted(rows.intended_s, from_s)), chosen.start)
    unsent = [b.start + np.flatnonzero(rows.not_sent_in(b)) for b in blocks(chosen.stop, since)]
    later = np.sort(np.concatenate([places[places >= since], *unsent]).astype(np.int64))
    edges = np.concatenate(([since - 1], later, [chosen.stop]))
    due_s = np.concatenate(([from_s], rows.intended_s[later], [facts.by_s]))
    calm = np.flatnonzero((np.diff(edges) > _CALM) & (np.diff(due_s) >= _CALM_S))
    ended = edges[calm[0]] if calm.size else chosen.stop
    return int(np.count_nonzero(places <= ended)), places.size


def failed_in_hold_s(facts: StepFacts, kinds: Sequence[str]) -> NDArray[np.float64]:
    """Moments at which requests of the step had failed in one of `kinds`, ascending."""
    rows, chosen = _rows(facts, facts.rows)
    return _ended_s(rows, failed_places(rows, chosen, kinds))


def failed_s(facts: StepFacts, kinds: Sequence[str]) -> NDArray[np.float64]:
    """Moments at which requests of the run had failed in one of `kinds`, ascending."""
    rows = facts.rows
    return _ended_s(rows, failed_places(rows, slice(0, rows.count), kinds))


def _ended_s(rows: RequestColumns, places: NDArray[np.uint32]) -> NDArray[np.float64]:
    return np.sort(rows.intended_s[places] + rows.latency_s[places])


class Silence(msgspec.Struct, frozen=True):
    """A time in which no request was answered, though `unanswered` were under way.

    `abrupt`: requests answered just before had been answered in good time. `arrived`: by Serve's
    gauges, most of the requests open at the client were at one of its deployments.
    """

    from_s: float
    to_s: float
    unanswered: int
    abrupt: bool
    arrived: bool = False

    @property
    def may_be_network(self) -> bool:
        """True if the requests may not have reached Serve."""
        return self.abrupt and not self.arrived

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return self.to_s - self.from_s


def longest_silence(facts: StepFacts) -> Silence | None:
    """The longest time without any answer in which requests were sent that timed out.

    An answer of any application ends it, since all share the way to Serve.
    """
    rows, chosen = _rows(facts, facts.run.requests)
    timed_out = failed_places(rows, chosen, TIMED_OUT)
    within = Window(facts.begun_s, facts.by_s)
    if timed_out.size < _MIN_UNANSWERED or any(
        _always_answered(rows, slice(chosen.start, chosen.stop, each), within) for each in _SOME
    ):
        return None
    from_s, to_s = longest_gap(rows, chosen, within)
    if to_s - from_s < _SILENCE_S:
        return None
    sent_s = rows.intended_s[timed_out] + rows.send_lag_s[timed_out]
    took_s = rows.intended_s[timed_out] + rows.latency_s[timed_out] - sent_s
    under_way = (sent_s >= from_s - _LEAD_S) & (sent_s < to_s)
    if np.count_nonzero(under_way) < _MIN_UNANSWERED:
        return None
    before_s = _service_s(rows, chosen, Window(from_s - _LEAD_S, from_s))
    quick_s = median(before_s) if before_s.size else math.inf
    limit_s = _NORMAL * np.min(took_s[under_way])
    return Silence(
        from_s,
        to_s,
        int(np.count_nonzero(under_way)),
        abrupt=bool(quick_s < limit_s),
        arrived=_arrived(facts, Window(from_s, to_s), before_s.max(initial=0.0)),
    )


def longest_gap(rows: RequestColumns, chosen: slice, within: Window) -> Window:
    """The longest time within a window without an answer; those below `_SILENCE_S` may be missed.

    A gap that long covers at least one whole bin. So only answers beside empty bins are sorted.
    """
    begun_s, by_s = within
    bins = max(1, math.ceil((by_s - begun_s) / _BIN_S))
    counts, occupied = np.zeros(bins, np.int64), list[slice]()
    for _, places in _in_bins(rows, blocks(chosen.stop, chosen.start), within, bins):
        counts += np.bincount(places, minlength=bins)
        occupied.append(slice(places.min(initial=bins), places.max(initial=0) + 1))
    beside = np.convolve(counts == 0, np.ones(3, np.int64), "same") > 0
    if not beside.any():
        return Window(begun_s, begun_s)
    every = zip(blocks(chosen.stop, chosen.start), occupied, strict=True)
    some = (block for block, its_bins in every if beside[its_bins].any())
    marks_s = [done_s[beside[places]] for done_s, places in _in_bins(rows, some, within, bins)]
    marks = np.sort(np.concatenate(([begun_s], *marks_s, [by_s])))
    places = ((marks[1:-1] - begun_s) / _BIN_S).astype(np.int64)
    places = np.concatenate(([-1], np.minimum(places, bins - 1), [bins]))
    before = np.concatenate(([0], np.cumsum(counts)))
    between = before[places[1:]] - before[places[:-1] + 1]
    longest = int(np.argmax(np.where(between > 0, 0.0, np.diff(marks))))
    return Window(float(marks[longest]), float(marks[longest + 1]))


def _in_bins(
    rows: RequestColumns, some: Iterable[slice], within: Window, bins: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Yield the moments of a window at which rows of each block were answered, and their bins."""
    begun_s, by_s = within
    for _, _, done_s in _answered(rows, some):
        of_window = done_s[(done_s >= begun_s) & (done_s <= by_s)]
        places = ((of_window - begun_s) / _BIN_S).astype(np.int64)
        yield of_window, np.minimum(places, bins - 1)


def _service_s(rows: RequestColumns, chosen: slice, ended: Window) -> NDArray[np.float64]:
    """Seconds from send to end of the requests that were answered within `ended`."""
    found = [np.empty(0, np.float64)]
    for block, answered, done_s in _answered(rows, blocks(chosen.stop, chosen.start)):
        sent_s = (rows.intended_s[block] + rows.send_lag_s[block])[answered]
        found.append((done_s - sent_s)[(done_s > ended.from_s) & (done_s <= ended.to_s)])
    return np.concatenate(found)


def _answered(
    rows: RequestColumns, some: Iterable[slice]
) -> Iterator[tuple[slice, NDArray[np.bool_], NDArray[np.float64]]]:
    """Yield blocks of rows, which of them were answered, and when."""
    for block in some:
        done_s = rows.intended_s[block] + rows.latency_s[block]
        answered = np.isfinite(done_s) & ~rows.with_errors(*TIMED_OUT, where=block)
        yield block, answered, done_s[answered]


def _always_answered(rows: RequestColumns, some: slice, within: Window) -> bool:
    """Return True if `some` of many requests were answered in each half of `_SILENCE_S`.

    Then there was no silence, and the others need not be read.
    """
    halves = max(1, math.ceil((within.to_s - within.from_s) / (_SILENCE_S / 2)))
    well = rows.error[some] < 0
    done_s = rows.intended_s[some][well] + rows.latency_s[some][well]
    done_s = done_s[(done_s >= within.from_s) & (done_s <= within.to_s)]
    seen = np.zeros(halves + 1, np.bool_)
    seen[((done_s - within.from_s) / (_SILENCE_S / 2)).astype(np.int64)] = True
    return bool(seen[:halves].all())


def _arrived(facts: StepFacts, silence: Window, takes_s: float) -> bool:
    """Return True if a gauge of some deployment shows most of the requests open at the client.

    A reading from before the silence counts only if it is higher than all that was open then.
    Requests that arrived before the silence have been served `takes_s` after its beginning.
    """
    rows, without_s = facts.run.requests, silence.from_s + takes_s
    opened_before = _all_open_at(rows, silence.from_s)
    for key in facts.run.info.target.watched:
        for one in gauge_series(facts.run.seen, key, lambda gauges: gauges.open).readings:
            earliest_s, latest_s = one.from_s - one.blur_s, one.from_s + one.blur_s
            within_s = (max(earliest_s, without_s), min(latest_s, silence.to_s))
            of_before = earliest_s < without_s and one.value <= opened_before
            if within_s[0] >= within_s[1] or of_before:
                continue
            opened = max(_all_open_at(rows, at_s) for at_s in within_s)
            if opened and one.value >= _ARRIVED * opened:
                return True
    return False


def _all_open_at(rows: RequestColumns, at_s: float) -> int:
    return sum(_open_at(rows, block, at_s) for block in blocks(rows.count))


def _open_at(rows: RequestColumns, block: slice, at_s: float) -> int:
    """Number of requests of a block that were open at a moment; those without an end always are."""
    latency_s, due_s = rows.latency_s[block], rows.intended_s[block]
    ended_s = due_s + np.where(np.isfinite(latency_s), latency_s, np.inf)
    is_open = (due_s + rows.send_lag_s[block] <= at_s) & (ended_s > at_s)
    return int(np.count_nonzero(is_open & ~rows.not_sent_in(block)))


def _rows(facts: StepFacts, rows: RequestColumns) -> _Chosen:
    """The rows, and which of them were due in the time that counts, after the warm-up."""
    return _due_in(rows, facts.run, Window(facts.begun_s, facts.by_s))


def _due_in(rows: RequestColumns, run: RecordedRun, hold: Window) -> _Chosen:
    begun_s = max(hold.from_s, run.info.counted_from_s)
    low, high = np.searchsorted(rows.intended_s, (begun_s, hold.to_s))
    return rows, slice(int(low), int(high))
