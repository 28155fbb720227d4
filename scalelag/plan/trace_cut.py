"""Part of a trace, and its scale: `--from`, `--to`, `--rate-scale`, `--time-scale`."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.errors import UsageError
from scalelag.plan.trace_dates import Moment, duration
from scalelag.plan.trace_lengths import Lengths

LONGEST_S = 31 * 86_400.0
"""Maximum length of a trace. Data sets of months are cut, or replayed faster."""


class Cut(msgspec.Struct, frozen=True):
    """Part of a trace to take, and factors on its rate and on its length."""

    begin: Moment | None = None
    end: Moment | None = None
    rate_scale: float = 1.0
    time_scale: float = 1.0


class Timeline(msgspec.Struct, frozen=True):
    """Times of a trace in seconds after its beginning, which was at `begun_s` in Unix seconds.

    `begun_s` is None if its times are no dates. `rows` were read for it.
    """

    times_s: NDArray[np.float64]
    rates_rps: NDArray[np.float64] | None
    begun_s: float | None
    rows: int
    lengths: Lengths | None = None


def cut(trace: Timeline, how: Cut) -> Timeline:
    """Return the part of a trace, scaled. Raises UsageError if nothing is left, or far too much."""
    begin_s = _place(trace, how.begin, "--from", 0.0)
    end_s = _place(trace, how.end, "--to", float("inf"))
    if end_s <= begin_s:
        raise UsageError("--from is not before --to.")
    part = _arrivals if trace.rates_rps is None else _rates
    taken = part(trace, begin_s, end_s, how)
    length_s = float(taken.times_s[-1])
    if length_s > LONGEST_S:
        raise UsageError(
            f"it lasts {duration(length_s)}: a run of more than {duration(LONGEST_S)} is not begun. "
            "Take a part with --from and --to, or make it faster with --time-scale 0.01."
        )
    return taken


def _place(trace: Timeline, moment: Moment | None, flag: str, default_s: float) -> float:
    if moment is None:
        return default_s
    if not moment.is_date:
        return moment.seconds
    if trace.begun_s is None:
        raise UsageError(
            f"{flag} {moment.text}: its times are no dates. Give seconds after its beginning."
        )
    return moment.seconds - trace.begun_s


def _nothing_left(trace: Timeline) -> UsageError:
    return UsageError(
        f"--from and --to leave nothing of it: it lasts {duration(float(trace.times_s[-1]))}."
    )


def _arrivals(trace: Timeline, begin_s: float, end_s: float, how: Cut) -> Timeline:
    low, high = np.searchsorted(trace.times_s, (begin_s, end_s), side="left")
    if low == high:
        raise _nothing_left(trace)
    times_s, lengths = trace.times_s[low:high], trace.lengths
    rows = np.arange(low, high, dtype=np.intp)
    if how.rate_scale != 1:
        chosen, part = _scaled(rows.size, how.rate_scale)
        following_s = np.append(times_s[1:], times_s[-1])
        # Between two arrivals more are put in; fewer are some of those that there were.
        put_in_s = times_s[chosen] + part * (following_s - times_s)[chosen]
        times_s = put_in_s if how.rate_scale > 1 else times_s[chosen]
        rows = rows[chosen]
    if lengths is not None and rows.size != trace.times_s.size:
        lengths = lengths.of_rows(rows)
    begun_s = None if trace.begun_s is None else trace.begun_s + float(times_s[0])
    shifted_s = times_s - times_s[0] if times_s[0] else times_s
    scaled_s = shifted_s if how.time_scale == 1 else shifted_s * how.time_scale
    return Timeline(scaled_s, None, begun_s, int(high - low), lengths)


def _scaled(count: int, scale: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return which of `count` arrivals are taken, evenly, and how far each is towards the next."""
    wanted = np.arange(max(1, round(count * scale)), dtype=np.float64) / scale
    chosen = np.minimum(np.floor(wanted + 1e-9), count - 1).astype(np.intp)
    return chosen, np.clip(wanted - chosen, 0.0, 1.0)


def _rates(trace: Timeline, begin_s: float, end_s: float, how: Cut) -> Timeline:
    assert trace.rates_rps is not None
    edges_s, rates_rps = trace.times_s, trace.rates_rps
    inside = (edges_s[1:] > begin_s) & (edges_s[:-1] < end_s)
    if not inside.any():
        raise _nothing_left(trace)
    first, last = np.flatnonzero(inside)[[0, -1]]
    edges_s = np.clip(edges_s[first : last + 2], begin_s, end_s)
    rates_rps = rates_rps[first : last + 1] * (how.rate_scale / how.time_scale)
    begun_s = None if trace.begun_s is None else trace.begun_s + float(edges_s[0])
    edges_s = (edges_s - edges_s[0]) * how.time_scale
    return Timeline(edges_s, rates_rps, begun_s, int(last - first + 1))
