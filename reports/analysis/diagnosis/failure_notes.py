"""Notes on failed requests whose kind has a meaning of its own, such as a proxy's answer."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.diagnosis.failed_requests import GATEWAY, SERVERS_TIMEOUT
from reports.analysis.lag.changes import last_infos
from reports.analysis.lag.timeline import Timeline
from reports.model.intervals import Instant
from scalelag.record.error_kinds import BACK_PRESSURE, OPEN_FILES, is_wrong_answer
from scalelag.record.rows import DeploymentKey, Transition
from scalelag.record.run_dir import RecordedRun

_TIED_S = 2.0
_WHOSE = "a proxy's answer or the application's own, which a status does not tell apart"
_SHOWN = {None: "gone", "RUNNING": "RUNNING", "STOPPING": "stopped"}


class FailedRows(msgspec.Struct, frozen=True):
    """Failed requests of a run, by their `places` in its rows, and all timelines."""

    run: RecordedRun
    timelines: Mapping[DeploymentKey, Timeline]
    places: NDArray[np.uint32]

    @property
    def kinds(self) -> Counter[str]:
        """Their numbers by kind."""
        rows = self.run.requests
        return Counter(rows.errors[code] for code in rows.error[self.places].tolist())

    def ended_s(self, *kinds: str) -> NDArray[np.float64]:
        """Moments at which those of some kinds had failed, ascending."""
        rows = self.run.requests
        own = self.places[rows.with_errors(*kinds, where=self.places)]
        return np.sort(rows.intended_s[own] + rows.latency_s[own])

    def at(self, unix_s: float) -> float:
        """Seconds since the plan's start."""
        return unix_s - self.run.info.zero_s


def failure_notes(failed: FailedRows) -> Iterator[tuple[int, str]]:
    """Notes on kinds of failures with a meaning of their own, each with its number of requests.

    A note that adds to the one before it has no number of its own.
    """
    kinds = failed.kinds
    if too_long := kinds[SERVERS_TIMEOUT]:
        text = (
            f"{too_long:,} ended by Serve itself ({SERVERS_TIMEOUT}): request_timeout_s of its "
            "http_options was over before they were answered."
        )
        yield too_long, text
    yield from _gateway_notes(failed, kinds)
    if turned_away := kinds[BACK_PRESSURE]:
        yield turned_away, f"{turned_away:,} turned away: {_back_pressure(failed.run)}"
    if without_file := kinds[OPEN_FILES]:
        text = (
            f"{without_file:,} had no connection, since the load process had as many files open as it "
            "may: raise its limit (ulimit -n), or use more processes (--processes)."
        )
        yield without_file, text
    if wrong := sum(number for kind, number in kinds.items() if is_wrong_answer(kind)):
        text = (
            f"{wrong:,} answered wrongly: they arrived and an answer came back, so look at the "
            "application, or at what answers in its place."
        )
        yield wrong, text


def is_noted(kind: str) -> bool:
    """Return whether a kind of failure has a meaning of its own, which a note tells."""
    return kind in (SERVERS_TIMEOUT, BACK_PRESSURE, OPEN_FILES, *GATEWAY) or is_wrong_answer(kind)


class _Change(msgspec.Struct, frozen=True):
    """A replica that came, was RUNNING, was stopped or was gone, in words."""

    at: Instant
    what: str

    def surely_near(self, moments_s: NDArray[np.float64]) -> slice:
        """Return those of the ascending `moments_s` that are certainly within 2 s of the change."""
        return _between(moments_s, self.at.hi_s - _TIED_S, self.at.lo_s + _TIED_S)

    def maybe_near(self, moments_s: NDArray[np.float64]) -> slice:
        """Return those that may be within 2 s of the change."""
        return _between(moments_s, self.at.lo_s - _TIED_S, self.at.hi_s + _TIED_S)

    def away_s(self, moments_s: NDArray[np.float64]) -> float:
        """Return the least seconds between the change and the nearest of the ascending `moments_s`."""
        first = int(np.searchsorted(moments_s, self.at.lo_s))
        later = moments_s[first] - self.at.hi_s if first < moments_s.size else math.inf
        earlier = self.at.lo_s - moments_s[first - 1] if first else math.inf
        return max(0.0, float(min(later, earlier)))


def _between(moments_s: NDArray[np.float64], from_s: float, to_s: float) -> slice:
    low = int(np.searchsorted(moments_s, from_s))
    return slice(low, max(low, int(np.searchsorted(moments_s, to_s, side="right"))))


def _gateway_notes(failed: FailedRows, kinds: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """Note on answers of a proxy or of the application, and on changes of replicas at that time."""
    answered = {kind: kinds[kind] for kind in GATEWAY if kinds.get(kind)}
    if not answered:
        return
    failed_s = failed.ended_s(*answered)
    names = ", ".join(f"{number:,} x {kind}" for kind, number in answered.items())
    tie = _tie(failed, failed_s, list(_replica_changes(failed)))
    yield sum(answered.values()), f"{names}: {_WHOSE}{tie}."
    yield from ((0, note) for note in _reload_notes(failed, failed_s))


def _tie(failed: FailedRows, failed_s: NDArray[np.float64], changes: Sequence[_Change]) -> str:
    """Text on the change of replicas nearest to the failures, in the hold or not."""
    sure = np.zeros(failed_s.size, np.bool_)
    for change in changes:
        sure[change.surely_near(failed_s)] = True
    if sure.any():
        busiest = max(changes, key=lambda one: _size(one.surely_near(failed_s)))
        when = f"{busiest.what} at {failed.at(busiest.at.mid_s):.1f} s"
        return (
            f"; {int(sure.sum()):,} of them within {_TIED_S:g} s of a change of replicas ({when}). "
            "If it is the application's own, look for the cause there"
        )
    possible = max(changes, key=lambda one: _size(one.maybe_near(failed_s)), default=None)
    if possible is not None and _size(possible.maybe_near(failed_s)):
        between = f"{failed.at(possible.at.lo_s):.1f} and {failed.at(possible.at.hi_s):.1f} s"
        return f"; {possible.what} between {between}, perhaps within {_TIED_S:g} s of them"
    unseen = any(
        gap.from_s <= failed_s[-1] + _TIED_S and gap.to_s >= failed_s[0] - _TIED_S
        for gap in failed.run.gaps
    )
    seen = ", as far as the probe saw" if unseen else ""
    return (
        f"; no replica came or went within {_TIED_S:g} s of them{seen}{_nearest(failed_s, changes)}"
    )


def _nearest(failed_s: NDArray[np.float64], changes: Sequence[_Change]) -> str:
    if not changes:
        return ""
    nearest = min(changes, key=lambda one: one.away_s(failed_s))
    return f" (the nearest: {nearest.what}, {nearest.away_s(failed_s):.1f} s away)"


def _size(part: slice) -> int:
    return part.stop - part.start


def _reload_notes(failed: FailedRows, failed_s: NDArray[np.float64]) -> list[str]:
    """Note on failures while HAProxy was reloaded for other replicas; none if it was not."""
    reloads = np.array([e.at_s for e in failed.run.events if e.kind == "proxy_reloaded"])
    if not reloads.size or not failed_s.size:
        return []
    near = np.abs(failed_s[:, None] - reloads[None, :]) <= _TIED_S
    number = int(near.any(axis=1).sum())
    if not number:
        return []
    busiest = failed.at(float(reloads[int(near.sum(axis=0).argmax())]))
    near_one = f"within {_TIED_S:g} s of a reload of HAProxy (at {busiest:.1f} s)"
    return [f"{number:,} of them {near_one}, which follows a change of an ingress's replicas."]


def _replica_changes(failed: FailedRows) -> Iterator[_Change]:
    """Changes of all replicas of the run that were seen, of any deployment.

    They are not only those of the hold: a request's reason may show in a later row.
    """
    alone = len(failed.timelines) == 1
    for key, timeline in failed.timelines.items():
        for life in timeline.replicas:
            name = f"replica {life.replica}" if alone else f"replica {life.replica} of {key}"
            moments = {
                "listed": life.listed,
                "RUNNING": life.running,
                "stopped": life.stopping,
                "gone": life.gone,
            }
            for word, at in moments.items():
                if at is not None and math.isfinite(at.lo_s):
                    yield _Change(at, f"{name} {word}")
    for row in failed.run.transitions:
        if row.deployment in failed.timelines or row.lo_s is None:
            continue
        if word := _word(row):
            what = f"replica {row.replica} of {row.deployment} {word}"
            yield _Change(Instant(row.lo_s, row.hi_s), what)


def _word(row: Transition) -> str | None:
    """Return what a row shows of a replica; None if it is neither its beginning nor its end."""
    if row.from_state == row.to_state:
        return None
    return "listed" if row.from_state is None else _SHOWN.get(row.to_state)


def _back_pressure(run: RecordedRun) -> str:
    limited = [
        f"{key} has max_queued_requests {most}"
        for key, info in last_infos(run).items()
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
