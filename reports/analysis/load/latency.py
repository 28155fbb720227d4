"""Latency from the intended start, service time, errors of requests (docs/metrics.md#latency)."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.goodput import Goodput, Limits, goodput_of
from reports.analysis.load.groups import Grouping, all_together, in_slices, parts_of
from reports.analysis.load.named import Labels, NamedReports, by_application, by_name
from reports.analysis.load.part import Part, counts_of, number_of
from reports.analysis.load.prompts import prompt_report
from reports.analysis.load.recovery import Recovery
from reports.analysis.load.saturation import saturated_windows
from reports.analysis.load.streams import Streams, stream_report, streams_of
from reports.model.intervals import Window, covered_s, seconds_in
from reports.model.load import (
    LoadReport,
    LoadStepReport,
    LoadWorkerReport,
    NameReport,
    NotSentReport,
    SaturationReport,
    TaskExceptionReport,
    WindowReport,
)
from scalelag.plan.stages import LoadStep, Unit
from scalelag.prompts.info import PromptInfo
from scalelag.record.blocks import blocks
from scalelag.record.error_kinds import (
    IN_FLIGHT_LIMIT,
    NOT_SENT,
    is_not_sent,
)
from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_info import TaskException

_WINDOW_S = 10
_MOST_WINDOWS = 360
_OF_SERVICE: Final = ("p50", "p99")
_OF_ALL: Final[Mapping[str, Sequence[str]]] = {
    "latency": ("p50", "p95", "p99", "p999", "max"),
    "service": _OF_SERVICE,
    "send_lag": ("p50", "p99"),
}
_OF_STEPS: Final[Mapping[str, Sequence[str]]] = {
    "latency": ("p50", "p95", "p99", "max"),
    "service": _OF_SERVICE,
}
_OF_WINDOWS: Final[Mapping[str, Sequence[str]]] = {"latency": ("p50", "p99", "max")}


class Circumstances(msgspec.Struct, frozen=True):
    """Facts on a load that its rows do not tell.

    `recovered` goes by a step's index, `apps` by a name's code. The first `warmup_s` do not count.
    """

    recovered: Mapping[int, Recovery] = {}
    workers: tuple[LoadWorkerReport, ...] = ()
    exceptions: Sequence[TaskException] | None = None
    warmup_s: float = 0.0
    limits: Limits = Limits()
    prompts: PromptInfo | None = None
    apps: Sequence[str | None] = ()


_NOTHING_ELSE = Circumstances()


class _Figures(msgspec.Struct, frozen=True):
    """Figures of parts of the load; those by label in steps are of one step after the other."""

    whole: Part
    steps: Sequence[Part]
    windows: Sequence[Part]
    names: Sequence[Part]
    applications: Sequence[Part]
    names_in_steps: Sequence[Part]
    applications_in_steps: Sequence[Part]


class _Load(msgspec.Struct, frozen=True):
    """Facts that all steps of a run share; the first `warmup_s` do not count."""

    rows: RequestColumns
    steps: Sequence[LoadStep]
    streams: Streams
    names: Labels
    applications: Labels
    saturated: tuple[Window, ...]
    unit: Unit
    zero_s: float
    warmup_s: float
    goodput: Goodput | None = None

    def rows_of(self, step: LoadStep) -> tuple[int, int]:
        """Places of the step's rows: the first, and the one after the last."""
        edges_s = [self.zero_s + step.at_s, self.zero_s + step.hold_until_s]
        low, high = np.searchsorted(self.rows.intended_s, edges_s, side="left")
        return int(low), int(high)

    @property
    def in_steps(self) -> tuple[Labels, Labels]:
        """Names and applications that are reported in each step."""
        steps = len(self.steps)
        return self.names.most_frequent(steps), self.applications.most_frequent(steps)

    def windows_s(self) -> tuple[NDArray[np.float64], int]:
        """Edges of windows of 10 s, or of as many seconds as make no more than 360 of them.

        They go up to the end of the load steps, stretches without load among them. Also the seconds.
        """
        ends_s = [step.at_s + step.hold_s for step in self.steps if self.has_load(step)]
        until_s = max(ends_s, default=0.0)
        seconds = max(_WINDOW_S, math.ceil(until_s / _MOST_WINDOWS))
        return np.append(np.arange(0.0, until_s, seconds), until_s), seconds

    def has_load(self, step: LoadStep) -> bool:
        """Return True if a step has load; the end of the plan, a step to nothing, has none."""
        low, high = self.rows_of(step)
        return step.to_level > 0 or high > low

    def figures(self) -> _Figures:
        """Return the figures of all parts."""
        rows, steps = self.rows, len(self.steps)
        windows = np.searchsorted(rows.intended_s, self.zero_s + self.windows_s()[0]).tolist()
        step_of = in_slices([self.rows_of(step) for step in self.steps])
        names, applications = self.in_steps
        groupings = [
            Grouping(1, all_together, _OF_ALL),
            Grouping(steps, step_of, _OF_STEPS),
            Grouping(len(windows) - 1, in_slices([*pairwise(windows)]), _OF_WINDOWS),
            self.names.grouping(),
            self.applications.grouping(),
            names.in_steps(rows, steps, step_of),
            applications.in_steps(rows, steps, step_of),
        ]
        (whole,), *others = parts_of(rows, groupings)
        return _Figures(whole, *others)

    def named(self, figures: _Figures, seconds: float) -> NamedReports:
        """Reports by name and by application, over `seconds` of load."""
        streams, answers = self.streams, slice(0, self.streams.told.row.size)
        return {
            "names": self.names.reports(figures.names, streams, answers, seconds),
            "applications": self.applications.reports(
                figures.applications, streams, answers, seconds
            ),
        }

    def named_in(
        self, figures: _Figures, number: int, answers: slice, seconds: float
    ) -> NamedReports:
        """Reports by name and by application of a step, the first of which has `number` 0."""

        def reports(labels: Labels, parts: Sequence[Part]) -> dict[str, NameReport]:
            each = len(labels.labels)
            own = parts[number * each : (number + 1) * each]
            return labels.reports(own, self.streams, answers, seconds)

        names, applications = self.in_steps
        return {
            "names": reports(names, figures.names_in_steps),
            "applications": reports(applications, figures.applications_in_steps),
        }

    def counted_s(self, from_s: float, to_s: float) -> float:
        """Seconds between two moments of the plan that count."""
        return max(0.0, to_s - max(from_s, self.warmup_s))

    def seconds(self, parts: Sequence[LoadStepReport]) -> float:
        """Seconds of load that count."""
        return sum(self.counted_s(part.at_s, part.at_s + part.hold_s) for part in parts)

    def counted(self, step: LoadStep) -> Window:
        """Time of a step that counts, in seconds after the plan's start."""
        return Window(max(step.at_s, self.warmup_s), max(step.hold_until_s, self.warmup_s))

    def whole(self, steps: Sequence[LoadStep]) -> Window:
        """Time of the load that counts, in seconds after the plan's start."""
        with_load = [self.counted(step) for step in steps if step.to_level > 0]
        if not with_load:
            return Window(self.warmup_s, self.warmup_s)
        return Window(with_load[0].from_s, with_load[-1].to_s)


def load_report(
    rows: RequestColumns,
    planned: int | None,
    steps: Sequence[LoadStep],
    unit: Unit,
    zero_s: float,
    known: Circumstances = _NOTHING_ELSE,
) -> LoadReport:
    """Report of the whole run and of each step.

    `planned` requests without a row count as not sent. `rows` tell why (`saturation.with_reasons`),
    and have none of the first `warmup_s`.
    """
    exceptions = known.exceptions
    lost = max(0, (planned or 0) - rows.count)
    load = _loaded(rows, steps, unit, zero_s, known)
    figures = load.figures()
    whole = _with_lost(figures.whole, lost, known.workers)
    parts = tuple(_step_reports(load, figures, known.recovered))
    return LoadReport(
        **whole.counts(),
        **whole.rates(load_s := load.seconds(parts)),
        **whole.punctuality(),
        **whole.times_ms,
        errors=_errors(rows, lost),
        steps=parts,
        workers=known.workers,
        stream=stream_report(load.streams, slice(None), load_s),
        **load.named(figures, load_s),
        windows=tuple(_windows(load, figures.windows)),
        not_sent_by=whole.not_sent_by,
        task_exceptions=None if exceptions is None else sum(one.count for one in exceptions),
        task_exception_kinds=tuple(_exception_kinds(exceptions or ())),
        saturated_s=seconds_in(load.saturated),
        saturated=tuple(_saturations(rows, load.saturated, zero_s)),
        goodput=load.goodput and load.goodput.of_all(load.whole(steps), lost),
        limits=tuple(limit.text for limit in known.limits.slos),
        prompts=prompt_report(rows, known.prompts),
    )


def _loaded(
    rows: RequestColumns, steps: Sequence[LoadStep], unit: Unit, zero_s: float, known: Circumstances
) -> _Load:
    """Return the facts that all steps share."""
    streams = streams_of(rows)
    return _Load(
        rows,
        steps,
        streams,
        by_name(rows, streams),
        by_application(rows, known.apps, streams),
        saturated_windows(rows),
        unit,
        zero_s,
        known.warmup_s,
        goodput_of(rows, known.limits, zero_s, streams.between_tokens),
    )


def _exception_kinds(exceptions: Sequence[TaskException]) -> Iterator[TaskExceptionReport]:
    for index, kind in enumerate(sorted(exceptions, key=lambda kind: -kind.count)):
        yield TaskExceptionReport(index, kind.text, kind.where, kind.count)


def _with_lost(part: Part, lost: int, workers: Sequence[LoadWorkerReport]) -> Part:
    """Return `part` with `lost` requests that have no row at all, as requests not sent."""
    by = part.not_sent_by
    of_worker = any(worker.lost_at_s is not None for worker in workers)
    return msgspec.structs.replace(
        part,
        planned=part.planned + lost,
        not_sent=part.not_sent + lost,
        not_sent_by=NotSentReport(
            in_flight_limit=by.in_flight_limit,
            late=by.late + (0 if of_worker else lost),
            worker_lost=by.worker_lost + (lost if of_worker else 0),
            turn=by.turn,
        ),
    )


def _saturations(
    rows: RequestColumns, windows: Sequence[Window], zero_s: float
) -> Iterator[SaturationReport]:
    if not windows:
        return
    refused_s = np.concatenate(
        [
            rows.intended_s[block][rows.with_errors(IN_FLIGHT_LIMIT, where=block)]
            for block in blocks(rows.count)
        ]
    )
    for index, (from_s, to_s) in enumerate(windows):
        within = (refused_s >= from_s) & (refused_s <= to_s)
        yield SaturationReport(index, from_s - zero_s, to_s - zero_s, number_of(within))


def _step_reports(
    load: _Load, figures: _Figures, recovered: Mapping[int, Recovery]
) -> Iterator[LoadStepReport]:
    """Reports of steps with load."""
    for number, step in enumerate(load.steps):
        if load.has_load(step):
            answers = load.streams.of_rows(*load.rows_of(step))
            counted_s = load.counted_s(step.at_s, step.hold_until_s)
            named = load.named_in(figures, number, answers, counted_s)
            how = recovered.get(step.index, Recovery())
            yield _step_report(load, step, figures.steps[number], answers, named, how)


def _step_report(
    load: _Load,
    step: LoadStep,
    part: Part,
    answers: slice,
    named: NamedReports,
    recovered: Recovery,
) -> LoadStepReport:
    counted_s = load.counted_s(step.at_s, step.hold_until_s)
    hold = (load.zero_s + step.at_s, load.zero_s + step.hold_until_s)
    return LoadStepReport(
        index=step.index,
        at_s=step.at_s,
        hold_s=step.hold_s,
        from_level=step.from_level,
        to_level=step.to_level,
        unit=load.unit,
        **part.counts(),
        offered_rps=part.planned / counted_s if counted_s else 0.0,
        completed_rps=(part.sent - part.failed) / counted_s if counted_s else 0.0,
        **part.times_ms,
        stream=stream_report(load.streams, answers, counted_s),
        recovered_s=recovered.recovered_s,
        recovered_reason=recovered.reason,
        not_sent_by=part.not_sent_by,
        saturated_s=covered_s(hold, load.saturated),
        goodput=load.goodput and load.goodput.of_step(step.index, load.counted(step)),
        **named,
    )


def _windows(load: _Load, parts: Sequence[Part]) -> Iterator[WindowReport]:
    """Reports of windows."""
    edges_s, seconds = load.windows_s()
    until_s = float(edges_s[-1])
    for index, (part, at_s) in enumerate(zip(parts, edges_s[:-1].tolist(), strict=True)):
        yield WindowReport(
            index=index,
            at_s=at_s,
            seconds=min(seconds, until_s - at_s),
            planned=part.planned,
            failed=part.failed,
            not_sent=part.not_sent,
            **part.times_ms,
        )


def _errors(rows: RequestColumns, lost: int) -> dict[str, int]:
    """Count of each kind of error, the most frequent first; all that was not sent is one kind."""
    counts = counts_of(rows.error, len(rows.errors))[:-1]
    errors = Counter({NOT_SENT: lost} if lost else {})
    for kind, times in zip(rows.errors, counts.tolist(), strict=True):
        if times:
            errors[NOT_SENT if is_not_sent(kind) else kind] += times
    return dict(sorted(errors.items(), key=lambda item: (-item[1], item[0])))
