"""Traces that other load generators wrote: Locust's history, and k6's samples."""

from array import array
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.plan.trace_dates import AUTO, DATE, PER_SECOND
from scalelag.plan.trace_names import TraceKind
from scalelag.plan.trace_rows import Cell, Rows, is_time, number_in
from scalelag.plan.trace_times import unit_of

MAX_ROWS = 10_000_000
"""Maximum number of rows of a trace: up to 160 MB in memory."""

LOCUST, K6 = "Locust's stats_history", "k6"
LOCUST_SUMMARY = "Locust's stats"
BURST_GPT, AZURE, MOONCAKE = "BurstGPT", "Azure's LLM trace", "Mooncake's format"

_SIGNS: dict[str, frozenset[str]] = {
    LOCUST: frozenset({"timestamp", "user count", "requests/s", "name"}),
    LOCUST_SUMMARY: frozenset({"type", "name", "request count", "requests/s"}),
    K6: frozenset({"metric_name", "timestamp", "metric_value"}),
    BURST_GPT: frozenset({"timestamp", "request tokens", "response tokens"}),
    AZURE: frozenset({"timestamp", "contexttokens", "generatedtokens"}),
    MOONCAKE: frozenset({"timestamp", "input_length", "output_length"}),
}
# Timestamps of BurstGPT are seconds of the first day; those of Mooncake whole milliseconds.
_UNITS = {BURST_GPT: "s", K6: None, LOCUST: None}
_REQUESTS = ("http_reqs", "grpc_req_duration", "ws_sessions", "iterations")
_ALL = "aggregated"
_BEGUN_LONG_BEFORE = 10


class CountedRequests(msgspec.Struct, frozen=True):
    """Content of a file of another load generator: ascending arrivals, or rates between edges.

    `rows` of it were used, `left` were not.
    """

    kind: TraceKind
    column: str
    times_s: NDArray[np.float64]
    rates_rps: NDArray[np.float64] | None
    begun_s: float | None
    unit: str
    rows: int
    left: int


def format_of(header: Sequence[str]) -> str | None:
    """Return the program or data set that writes files with these columns, if it is known."""
    names = {name.lower() for name in header}
    return next((name for name, signs in _SIGNS.items() if signs <= names), None)


def known_unit(known: str | None, values: NDArray[np.float64]) -> str | None:
    """Return the unit of times in a format that fixes it; None if name and values must tell."""
    if known == MOONCAKE:
        # Alibaba's traces have the same fields, and seconds with a fraction.
        return "ms" if bool((values == np.floor(values)).all()) else "s"
    return _UNITS.get(known or "")


def locust_history(rows: Rows, unit: str) -> CountedRequests:
    """Rates of all requests together, from Locust's running count of them.

    Locust's own `Requests/s` is a mean of ten seconds, so steps in it are ramps; it is used if there is
    no count.
    """
    name, stamp = _place(rows, "name"), _place(rows, "timestamp")
    total = rows.position("total request count")
    at = _place(rows, "requests/s") if total is None else total
    moments, values = array("d"), array("d")
    left, first = 0, rows.first
    for row in rows.rows():
        if str(rows.cell(row, name)).strip().lower() != _ALL:
            left += 1
            continue
        first = first if moments else row
        moment = _moment(rows, row, stamp, first)
        if moments and moment < moments[-1]:
            raise rows.bad(f"{rows.header[stamp]} {moment!r} is before that of the row above")
        if moments and moment == moments[-1]:
            # The later of two in one second has counted more.
            values[-1] = rows.number(row, at)
            left += 1
            continue
        moments.append(moment)
        values.append(rows.number(row, at))
        _bound(rows, moments)
    if len(moments) < 2:
        raise rows.wrong("it has fewer than two rows for all requests (Aggregated)")
    times, unit = _seconds(rows, stamp, first, np.array(moments), unit)
    rates = _of_counts(times, np.array(values)) if total is not None else np.array(values)
    edges_s = np.concatenate(([2 * times[0] - times[1]], times))
    used = len(moments)
    return CountedRequests(
        "rates", rows.header[at], edges_s - edges_s[0], rates, edges_s[0], unit, used, left
    )


def _of_counts(times_s: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rates up to each moment, from a running count; a count that falls began again from 0."""
    grown = np.diff(counts)
    grown = np.where(grown < 0, counts[1:], grown)
    before = counts[0] if counts[0] <= _BEGUN_LONG_BEFORE * max(1.0, grown.max()) else 0.0
    spans_s = np.diff(times_s)
    return np.concatenate(([before], grown)) / np.concatenate((spans_s[:1], spans_s))


def k6_samples(rows: Rows, unit: str) -> CountedRequests:
    """Requests that k6 counted, each at its end. Times in whole seconds become rates."""
    metric, stamp = _place(rows, "metric_name"), _place(rows, "timestamp")
    found = {name: array("d") for name in _REQUESTS}
    count, first = 0, rows.first
    for row in rows.rows():
        count += 1
        name = str(rows.cell(row, metric))
        if name in found:
            first = first if any(found.values()) else row
            found[name].append(_moment(rows, row, stamp, first))
            _bound(rows, found[name])
    name = next((name for name in _REQUESTS if found[name]), None)
    if name is None:
        raise rows.wrong(f"it has no rows of a metric that counts requests: {', '.join(_REQUESTS)}")
    raw = np.sort(np.array(found[name]))
    times, unit = _seconds(rows, stamp, first, raw, unit)
    column, left = f"metric_name = {name}", count - raw.size
    if not bool((times == np.floor(times)).all()):
        shifted = times - times[0]
        return CountedRequests("arrivals", column, shifted, None, times[0], unit, raw.size, left)
    seconds = int(times[-1] - times[0]) + 1
    if seconds > MAX_ROWS:
        raise rows.wrong(f"it lasts {seconds:,} s: more than {MAX_ROWS:,} are not taken")
    rates = np.bincount((times - times[0]).astype(np.int64), minlength=seconds).astype(np.float64)
    edges_s = np.arange(seconds + 1, dtype=np.float64)
    return CountedRequests("rates", column, edges_s, rates, times[0], unit, raw.size, left)


def _place(rows: Rows, name: str) -> int:
    at = rows.position(name)
    assert at is not None  # one of the signs of the format
    return at


def _moment(rows: Rows, row: Sequence[Cell], at: int, first: Sequence[Cell]) -> float:
    """Moment of a row; a date if that of the `first` row of requests is one."""
    cell = rows.cell(first, at)
    is_date = number_in(cell) is None and is_time(cell)
    return rows.date(row, at) if is_date else rows.number(row, at)


def _seconds(
    rows: Rows, at: int, first: Sequence[Cell], values: NDArray[np.float64], unit: str
) -> tuple[NDArray[np.float64], str]:
    """Return times in Unix seconds, and the unit that they had in the file."""
    if number_in(rows.cell(first, at)) is None:
        return values, DATE
    found = unit_of(rows.header[at], values, are_rows=True) if unit == AUTO else unit
    return values / PER_SECOND[found], found


def _bound(rows: Rows, values: Sequence[float]) -> None:
    if len(values) > MAX_ROWS:
        raise rows.bad(f"more than {MAX_ROWS:,} rows are not taken")
