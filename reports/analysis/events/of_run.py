"""The events of a run as rows of the report."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from reports.analysis.events.effect import effect_of
from reports.analysis.events.ends import taken_by_others, taken_over
from reports.analysis.events.subject import Subject, moment_of
from reports.analysis.lag.changes import Changes
from reports.analysis.lag.timeline import Timeline
from reports.analysis.lag.updates import DELETED
from reports.analysis.load.recovery import Recovery, recovery
from reports.analysis.load.slo import recorded_slos
from reports.model.events import EventEffect, EventReport
from reports.model.intervals import Instant, Span, Window, between, longer_than
from reports.model.steps import Phase
from scalelag.plan.stages import LoadStep
from scalelag.record.blocks import blocks
from scalelag.record.event_rows import EventRow
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

_HEALTHY = "HEALTHY"
_NEVER_SHOWN = "Serve's state never showed the proxy other than HEALTHY"


class _Outcome(msgspec.Struct, frozen=True):
    """Figures of `EventReport` on the effects of an event."""

    detect_s: Span | None = None
    phases: tuple[Phase, ...] = ()
    healed_s: Span | None = None
    updated_s: Span | None = None
    censored: bool = False
    taken_over_s: float | None = None
    deployments: dict[str, EventEffect] = {}
    reason: str | None = None


class _Requests(NamedTuple):
    """Figures of `EventReport` on the requests that were open during an event."""

    failed: int = 0
    open_requests: int = 0
    slowest_ms: float | None = None


def event_reports(
    run: RecordedRun,
    steps: Sequence[LoadStep],
    timelines: Mapping[DeploymentKey, Timeline],
    changes: Mapping[DeploymentKey, Changes],
) -> tuple[EventReport, ...]:
    """Report of each event that was begun, by its number.

    `timelines` are whole ones, which include the effects of the events.
    """
    return tuple(_report(run, steps, row, timelines, changes) for row in run.run_events)


def event_windows(run: RecordedRun, reports: Sequence[EventReport]) -> dict[int, Window]:
    """Time of each event by its number, until it or the watch was over; Unix seconds."""
    rows = {row.index: row for row in run.run_events}
    last_s = run.polls[-1].received_s if run.polls else 0.0
    found: dict[int, Window] = {}
    for report in reports:
        begun = moment_of(rows[report.index])
        end = report.end_s
        until_s = begun.lo_s if report.error is not None else last_s
        if end is not None and end.hi is not None:
            until_s = begun.lo_s + end.hi
        elif report.taken_over_s is not None:
            until_s = begun.lo_s + report.taken_over_s
        found[report.index] = Window(begun.lo_s, until_s)
    return found


def _report(
    run: RecordedRun,
    steps: Sequence[LoadStep],
    row: EventRow,
    timelines: Mapping[DeploymentKey, Timeline],
    changes: Mapping[DeploymentKey, Changes],
) -> EventReport:
    subjects: list[Subject] = []
    if row.error is None:
        subjects = [_subject(run, row, key, line, changes[key]) for key, line in timelines.items()]
    outcome = _outcome(run, row, subjects)
    requests, recovered = _Requests(), Recovery()
    if row.error is None:
        requests = _requests(run, moment_of(row), outcome)
        recovered = _recovered(run, steps, row)
    zero_s = run.info.zero_s
    return EventReport(
        index=row.index,
        at_s=row.begun_s - zero_s,
        kind=row.kind,
        what=row.text,
        ended_s=None if row.ended_s is None else row.ended_s - zero_s,
        error=row.error,
        note=row.note,
        recovered_s=recovered.recovered_s,
        recovered_reason=recovered.reason,
        **msgspec.structs.asdict(outcome),
        **requests._asdict(),
    )


def _outcome(run: RecordedRun, row: EventRow, subjects: Sequence[Subject]) -> _Outcome:
    """Effect of the event on all `subjects`; the reason if it was not carried out."""
    if row.error is not None:
        return _Outcome(reason=row.error)
    if row.kind == "kill_proxy":
        return _of_proxy(run, row)
    effects = {one.key: effect for one in subjects if (effect := effect_of(one)) is not None}
    begun_s = moment_of(row).lo_s
    taken = {
        one.key: one.taken_over.at.hi_s - begun_s for one in subjects if one.taken_over is not None
    }
    return _together(effects, taken)


def _subject(
    run: RecordedRun, row: EventRow, key: DeploymentKey, timeline: Timeline, changes: Changes
) -> Subject:
    """The event with one deployment, and the first thing that takes over there."""
    bare = Subject(run, row, key, timeline, changes)
    if row.kind in ("kill_proxy", "delete"):
        # Nothing takes over: a deletion ends when all is gone, and a proxy needs no deployment.
        return bare
    later = [
        msgspec.structs.replace(bare, row=other)
        for other in run.run_events
        if other.begun_s > row.begun_s and other.error is None
    ]
    if row.kind == "kill_controller":
        # A controller needs no deployment either, but a deleted one is not whole again.
        later = [subject for subject in later if subject.row.kind == "delete"]
    found = [one for subject in later if (one := taken_over(subject)) is not None]
    others = [
        one for one in taken_by_others(bare) if one.what == DELETED or row.kind != "kill_controller"
    ]
    first = min([*found, *others], key=lambda one: one.at.lo_s, default=None)
    return msgspec.structs.replace(bare, taken_over=first)


def _together(
    effects: Mapping[DeploymentKey, EventEffect], taken: Mapping[DeploymentKey, float]
) -> _Outcome:
    """Figures of all deployments: the first to notice, the last to be whole.

    In `taken` deployments a later event took over, with the seconds until then. They count only if
    there are no others.
    """
    if not effects:
        return _Outcome(reason="no watched deployment showed it")
    seen = [one.detect_s for one in effects.values() if one.detect_s is not None]
    cut = {key for key, one in effects.items() if key in taken and one.censored}
    told = [one for key, one in effects.items() if key not in cut] or list(effects.values())
    last = max(told, key=lambda one: one.end_s.upper if one.end_s else -1.0)
    return _Outcome(
        detect_s=first_of(seen),
        phases=last.phases,
        healed_s=_last([one.healed_s for one in told]),
        updated_s=_last([one.updated_s for one in told]),
        censored=any(one.censored for one in told),
        taken_over_s=max(taken[key] for key in cut) if len(cut) == len(effects) else None,
        reason="; ".join(_reasons(effects)) or None,
        deployments=dict(effects),
    )


def _reasons(effects: Mapping[DeploymentKey, EventEffect]) -> Iterator[str]:
    """The reasons of all deployments that have one, with names if there are several."""
    for key, one in effects.items():
        if one.reason:
            yield one.reason if len(effects) == 1 else f"{key}: {one.reason}"


def first_of(spans: Sequence[Span]) -> Span | None:
    """The shortest duration: each bound is that of the first deployment."""
    if not spans:
        return None
    known = [span.value for span in spans if span.value is not None]
    upper = min(span.upper for span in spans)
    return Span(min(known, default=None), min(span.lo for span in spans), upper)


def _last(spans: Sequence[Span | None]) -> Span | None:
    """The longest duration: each bound is that of the last deployment."""
    found = [span for span in spans if span is not None]
    if not found:
        return None
    lo = max(span.lo for span in found)
    if any(span.hi is None or span.value is None for span in found):
        return longer_than(lo)
    return Span(max(span.value or 0.0 for span in found), lo, max(span.upper for span in found))


def _of_proxy(run: RecordedRun, row: EventRow) -> _Outcome:
    """A killed proxy: from its event to the poll that shows it HEALTHY again."""
    begun = moment_of(row)
    changes = [one for one in run.proxies if one.node == row.node and one.hi_s > begun.lo_s]
    away = next((one for one in changes if one.to_state != _HEALTHY), None)
    if away is None:
        return _Outcome(reason=_NEVER_SHOWN)
    back = next((o for o in changes if o.hi_s > away.hi_s and o.to_state == _HEALTHY), None)
    lo_s = begun.lo_s if away.lo_s is None else max(begun.lo_s, away.lo_s)
    detected = between(begun, Instant(lo_s, away.hi_s))
    if back is None:
        last_s = run.polls[-1].received_s if run.polls else begun.hi_s
        healed = longer_than(max(0.0, last_s - begun.hi_s))
        reason = "the proxy was not HEALTHY again when watching ended"
        return _Outcome(detect_s=detected, healed_s=healed, censored=True, reason=reason)
    healed = between(begun, Instant(back.lo_s or away.hi_s, back.hi_s))
    return _Outcome(detect_s=detected, healed_s=healed)


def _requests(run: RecordedRun, begun: Instant, outcome: _Outcome) -> _Requests:
    """Requests that were open between the event and its end."""
    rows, end = run.requests, outcome.updated_s or outcome.healed_s
    load_ended_s = run.info.load_ended_s or (run.polls[-1].received_s if run.polls else 0.0)
    until_s = load_ended_s
    if end is not None and end.hi is not None:
        until_s = begun.lo_s + end.hi
    elif outcome.taken_over_s is not None:
        until_s = min(load_ended_s, begun.lo_s + outcome.taken_over_s)
    failed, opened, slowest_s = 0, 0, -math.inf
    for block in blocks(int(np.searchsorted(rows.intended_s, until_s, side="right"))):
        latency_s = rows.latency_s[block]
        inside = rows.intended_s[block] + np.nan_to_num(latency_s) >= begun.lo_s
        failed += int(np.count_nonzero(rows.error[block][inside] >= 0))
        opened += int(np.count_nonzero(inside))
        known = inside & np.isfinite(latency_s)
        slowest_s = max(slowest_s, float(latency_s.max(initial=-np.inf, where=known)))
    return _Requests(failed, opened, slowest_s * 1000 if slowest_s > -math.inf else None)


def _recovered(run: RecordedRun, steps: Sequence[LoadStep], row: EventRow) -> Recovery:
    """Recovery of latency after an event, before the next step or event."""
    zero_s = run.info.zero_s
    at_s = row.begun_s - zero_s
    step = next((one for one in steps if one.at_s <= at_s < one.hold_until_s), None)
    if step is None or step.to_level <= 0:
        return Recovery(reason="there is no load")
    later = [o.begun_s - zero_s for o in run.run_events if o.begun_s > row.begun_s and not o.error]
    load_s = (run.info.load_ended_s or float("inf")) - zero_s
    until_s = min([step.hold_until_s, load_s, *later])
    held = LoadStep(step.index, at_s, until_s, step.to_level, step.to_level)
    return recovery(run.requests, held, zero_s, recorded_slos(run.info.options.get("slo")))
