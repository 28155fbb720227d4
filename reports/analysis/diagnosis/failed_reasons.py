"""One reason for each failed request of a step, the most specific one, so that the numbers add up.

A deleted deployment comes first, then the event in which the request was open, then the meaning of
the kind of failure.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.diagnosis.failed_requests import failed_places
from reports.analysis.diagnosis.failure_notes import FailedRows, failure_notes, is_noted
from reports.analysis.diagnosis.failures_of_run import StepFailures
from reports.analysis.lag.changes import Absence, Changes
from reports.analysis.lag.timeline import Timeline
from reports.analysis.seen.routing import may_be_for
from reports.model.causes import FailureReport
from reports.model.events import EventReport
from reports.model.intervals import Window, overlap_s
from scalelag.plan.stages import LoadStep
from scalelag.record.application_info import application_name
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun
from scalelag.wording import count

_Mask = NDArray[np.bool_]


class ReasonSources(msgspec.Struct, frozen=True):
    """A run, and the sources of reasons: its timelines, changes, events and their times."""

    run: RecordedRun
    timelines: Mapping[DeploymentKey, Timeline]
    changes: Mapping[DeploymentKey, Changes]
    events: Sequence[EventReport] = ()
    windows: Mapping[int, Window] = {}


def reasoned(
    failures: Sequence[StepFailures], steps: Sequence[LoadStep], told: ReasonSources
) -> tuple[FailureReport, ...]:
    """Failed requests of each step, with notes that count each request under one reason.

    Findings are left out in two cases: most of the requests were open during an event, or the
    findings explain less than half of those without another reason. Requests without a reason are
    counted as such.
    """
    by_index = {step.index: step for step in steps}
    return tuple(_reasoned(one, by_index[one.report.index], told) for one in failures)


def _reasoned(failures: StepFailures, step: LoadStep, told: ReasonSources) -> FailureReport:
    run, failure = told.run, failures.report
    begun_s = max(run.info.zero_s + step.at_s, run.info.counted_from_s)
    hold = Window(begun_s, run.info.zero_s + step.hold_until_s)
    low, high = map(int, np.searchsorted(run.requests.intended_s, hold))
    places = failed_places(run.requests, slice(low, high), run.requests.errors)
    left = np.ones(places.size, np.bool_)
    named = [
        *_gone(told, hold, places, left),
        *_in_events(told, places, left),
        *_open_as_it_went(told, hold, places, left),
    ]
    # A request that was open during an event belongs to the event, whatever other reason it has.
    most = 2 * int(np.count_nonzero(_open_in_events(told, places))) > failure.count
    of_kinds = list(failure_notes(FailedRows(run, told.timelines, places[left])))
    explained = failures.explained(run, places[left])
    few = 2 * int(np.count_nonzero(explained)) < explained.size
    findings = () if most or few else failure.findings
    others = _others(run, places[left], explained, of_findings=not most)
    is_rest = others > 0 and bool(named or of_kinds or explained.any())
    return msgspec.structs.replace(
        failure,
        cause=failure.cause if findings else None,
        findings=findings,
        notes=(
            *named,
            *(note for _, note in of_kinds),
            *failure.notes,
            *(_perhaps(failures, explained) if few and not most else ()),
            *((_rest(others),) if is_rest and (findings or not failure.notes) else ()),
        ),
    )


def _others(
    run: RecordedRun, places: NDArray[np.uint32], explained: _Mask, *, of_findings: bool
) -> int:
    """Number of failed requests that neither their kind nor a finding explains."""
    rows = run.requests
    noted = rows.with_errors(*filter(is_noted, rows.errors), where=places)
    return int(np.count_nonzero(~(noted | explained) if of_findings else ~noted))


def _rest(others: int) -> str:
    return f"{count(others, 'other')}: no cause found"


def _perhaps(failures: StepFailures, explained: _Mask) -> Iterator[str]:
    """Note on the few requests that findings explain, while most of the step have no reason."""
    number = int(np.count_nonzero(explained))
    if number:
        told = {
            key: next(shown.text for f in one.findings for shown in f.evidence)
            for key, one in failures.found.items()
        }
        yield f"{number:,} perhaps for this: " + "; ".join(f"{k}: {t}" for k, t in told.items())


def _gone(
    told: ReasonSources, hold: Window, places: NDArray[np.uint32], left: _Mask
) -> Iterator[str]:
    """Notes on requests that may have been for a deployment that was gone; `left` are the others."""
    due_s = told.run.requests.intended_s[places]

    def within(absence: Absence) -> _Mask:
        return (due_s >= absence.window.from_s) & (due_s < absence.window.to_s)

    for number, why in _for_gone(told, hold, places, left, within):
        yield f"{number:,} failed because {why}: nothing was there to answer them"


def _open_as_it_went(
    told: ReasonSources, hold: Window, places: NDArray[np.uint32], left: _Mask
) -> Iterator[str]:
    """Notes on requests that were under way when a deployment they may have been for was deleted."""
    rows = told.run.requests
    due_s = rows.intended_s[places]
    done_s = due_s + np.nan_to_num(rows.latency_s[places])

    def within(absence: Absence) -> _Mask:
        from_s = absence.window.from_s
        return (due_s < from_s) & (done_s >= from_s) & (not absence.from_start)

    for number, why in _for_gone(told, hold, places, left, within):
        yield f"{number:,} {'was' if number == 1 else 'were'} open when {why}"


def _for_gone(
    told: ReasonSources,
    hold: Window,
    places: NDArray[np.uint32],
    left: _Mask,
    within: Callable[[Absence], _Mask],
) -> Iterator[tuple[int, str]]:
    """Numbers of requests that may have been for a deployment that was gone, with words on that.

    `within` chooses the requests that an absence concerns; `left` are the others.
    """
    groups: dict[tuple[str, str], tuple[list[DeploymentKey], list[Absence]]] = {}
    info = told.run.info
    for key, changes in told.changes.items():
        app = application_name(key, info.target.applications)
        for absence in changes.absences:
            if overlap_s(absence.window, hold):
                keys, absences = groups.setdefault((app, absence.what(info.zero_s)), ([], []))
                keys.append(key)
                absences.append(absence)
    names = told.run.requests.name[places]
    for (app, what), (keys, absences) in groups.items():
        able = np.isin(names, may_be_for(told.run.requests.names, info, app))
        concerned = np.zeros(places.size, np.bool_)
        for absence in absences:
            concerned |= within(absence)
        new = left & able & concerned
        left &= ~new
        if number := int(np.count_nonzero(new)):
            yield number, _which(keys, what) + _deleted_by(told, keys[0], absences[0])


def _which(keys: Sequence[DeploymentKey], what: str) -> str:
    if len(keys) == 1:
        return f"{keys[0]} {what}"
    return f"{', '.join(keys[:-1])} and {keys[-1]} {what.replace('was ', 'were ', 1)}"


def _deleted_by(told: ReasonSources, key: DeploymentKey, absence: Absence) -> str:
    """The event that caused a deletion, in brackets; empty if none did."""
    if absence.from_start:
        return ""
    for one in told.events:
        window = told.windows[one.index]
        if (
            one.kind in ("delete", "deploy")
            and key in one.deployments
            and absence.gone.hi_s >= window.from_s
            and absence.gone.lo_s <= window.to_s
        ):
            return f" (event {one.index}: {one.what})"
    return ""


def _in_events(told: ReasonSources, places: NDArray[np.uint32], left: _Mask) -> Iterator[str]:
    """Notes on requests that were open during an event; `left` are the others."""
    for one in told.events:
        new = left & _open_in(told, one, places)
        left &= ~new
        if number := int(np.count_nonzero(new)):
            yield f"{number:,} of them during event {one.index} ({one.what})"


def _open_in_events(told: ReasonSources, places: NDArray[np.uint32]) -> _Mask:
    found = np.zeros(places.size, np.bool_)
    for one in told.events:
        found |= _open_in(told, one, places)
    return found


def _open_in(told: ReasonSources, event: EventReport, places: NDArray[np.uint32]) -> _Mask:
    rows, window = told.run.requests, told.windows[event.index]
    due_s = rows.intended_s[places]
    done_s = due_s + np.nan_to_num(rows.latency_s[places])
    return (done_s >= window.from_s) & (due_s <= window.to_s)
