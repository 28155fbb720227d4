"""Values of each metric in a run, step by step or as medians of runs; censored ones are kept."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from reports.analysis.metrics import quoted
from reports.model.events import EventReport
from reports.model.intervals import Span, median
from reports.model.load import LoadReport
from reports.model.report import Report
from reports.model.steps import JOINED, Phase, PhaseName, StepReport

LATENCY = "load.latency_p99_ms"
WHOLE = "the whole run"
_MOST_NAMES = 20
_PHASES: dict[str, tuple[PhaseName, ...]] = {
    "up": ("decide", "create", "restart", "allocate", "initialize", "mark_running", "route"),
    "down": ("decide", "stop", "drain"),
}
_BY_POLLS = " by polls"
_OTHER_MOMENTS = "without logs on one side: polls see other moments of a start-up, node and RUNNING"


class Sample(msgspec.Struct, frozen=True):
    """Values of one metric on one side, by the step or the run that they were measured in.

    `censored` of the `steps` behind them were not over within their hold. `unlike` says why they are
    not the other side's figure, whatever its name; None if they are.
    """

    values: dict[str, Span]
    steps: int
    censored: int
    unlike: str | None = None


Samples = Mapping[str, Sample]


def samples_of_steps(report: Report) -> Samples:
    """Metrics of each step, by its number and direction."""
    found = figures_of(report)
    if latencies := dict(_latencies(report)):
        found[LATENCY] = latencies
    return {name: _sample(values, [values]) for name, values in found.items()}


def samples_of_runs(
    reports: Mapping[str, Report], left_out: Mapping[str, Collection[str]] | None = None
) -> Samples:
    """Median of each metric over the steps of each run: steps of one run are not independent.

    Latency is that of the whole run, whose slow requests may all be in one step. Of some figures there
    are steps `left_out`.
    """
    left_out = left_out or {}
    found: dict[str, dict[str, dict[str, Span]]] = {}
    for run, report in reports.items():
        for name, values in figures_of(report).items():
            kept = {step: v for step, v in values.items() if step not in left_out.get(name, ())}
            if kept:
                found.setdefault(name, {})[run] = kept
        if report.load.latency_p99_ms is not None:
            found.setdefault(LATENCY, {})[run] = {WHOLE: _point(report.load.latency_p99_ms)}
    return {
        name: _sample(
            {run: median(list(values.values())) for run, values in runs.items()}, runs.values()
        )
        for name, runs in found.items()
    }


def comparable(base: Samples, candidate: Samples) -> tuple[Samples, Samples]:
    """The samples, in which a figure means the same on both sides, or is said to be `unlike`.

    Without its log a replica's start-up has other moments: a node, RUNNING. Such values are left out
    where both sides have those of logs.
    """
    return _alike(base, candidate), _alike(candidate, base)


def _alike(side: Samples, other: Samples) -> Samples:
    found = {name: sample for name, sample in side.items() if not name.endswith(_BY_POLLS)}
    for name in side.keys() - found.keys():
        plain = name.removesuffix(_BY_POLLS)
        unlike = _OTHER_MOMENTS if plain in other else None
        found.setdefault(plain, msgspec.structs.replace(side[name], unlike=unlike))
    return found


def middle_of(side: Sample | None) -> tuple[float | None, float | None]:
    """Return the median of the values, or None and what it is above if it is censored."""
    if side is None or not side.values:
        return None, None
    middle = median(list(side.values.values()))
    return (None, middle.lo) if middle.value is None else (middle.value, None)


def main_figures(*sides: Samples) -> frozenset[str]:
    """The metrics that make the verdict: one a deployment, that is scale-up where it has any.

    Else scale-down; without any deployment that scales, latency.
    """
    names = {name for side in sides for name in side}
    totals = {name for name in names if name.endswith(":scale_up.total_s")}
    scaling = {_deployment(name) for name in totals}
    totals |= {
        name
        for name in names
        if name.endswith(":scale_down.total_s") and _deployment(name) not in scaling
    }
    return frozenset(totals or names & {LATENCY})


def _deployment(name: str) -> str:
    return name.rpartition(":")[0]


def _sample(values: dict[str, Span], of_steps: Iterable[Mapping[str, Span]]) -> Sample:
    spans = [span for steps in of_steps for span in steps.values()]
    return Sample(values, len(spans), sum(span.value is None for span in spans))


def figures_of(report: Report) -> dict[str, dict[str, Span]]:
    """Return the values of each figure by the step, or whatever else they were measured in."""
    found: dict[str, dict[str, Span]] = {}
    for name, step, span in _step_figures(report):
        found.setdefault(name, {})[step] = span
    return found


def _step_figures(report: Report) -> Iterator[tuple[str, str, Span]]:
    """Name, step and value: lag and phases of every deployment by direction, latency by name.

    Steps of the warm-up are left out.
    """
    warmup_s = report.run.warmup_s
    for key, deployment in report.deployments.items():
        yield from _lags(key, [step for step in deployment.steps if step.at_s >= warmup_s])
    yield from _by_name(report.load)
    for event in report.events:
        yield from _of_event(event)


def _latencies(report: Report) -> Iterator[tuple[str, Span]]:
    """Latency of each step that began after the warm-up."""
    for step in report.load.steps:
        if step.latency_p99_ms is not None and step.at_s >= report.run.warmup_s:
            yield f"{step.index}", _point(step.latency_p99_ms)


def _of_event(event: EventReport) -> Iterator[tuple[str, str, Span]]:
    """Figures of an event, by what was done: the same one is found again in another run."""
    head, at = f"event.{quoted(event.what)}", f"event {event.index}"
    for name in ("detect_s", "healed_s", "updated_s"):
        span: Span | None = getattr(event, name)
        if span is not None:
            yield f"{head}.{name}", at, span
    if event.error is None:
        yield f"{head}.failed", at, _point(event.failed)


def _by_name(load: LoadReport) -> Iterator[tuple[str, str, Span]]:
    """Latency of the most frequent names over the whole run, if there are several names."""
    if len(load.names) <= 1:
        return
    for name, part in list(load.names.items())[:_MOST_NAMES]:
        for figure in ("latency_p50_ms", "latency_p99_ms"):
            value: float | None = getattr(part, figure)
            if value is not None:
                yield f"load.names.{quoted(name)}.{figure}", WHOLE, _point(value)


def _lags(key: str, steps: Iterable[StepReport]) -> Iterator[tuple[str, str, Span]]:
    for step in steps:
        head, at = f"{key}:scale_{step.direction}", f"{step.index} {step.direction}"
        for name, span in _figures(step):
            yield f"{head}.{name}", at, span


def _figures(step: StepReport) -> Iterator[tuple[str, Span]]:
    for name, span in (("total_s", step.total_s), ("settled_s", step.settled_s)):
        if span is not None and math.isfinite(span.lo):
            yield name, span
    if step.total_s is not None:
        yield "reversals", _point(step.reversals)
    for name in _PHASES[step.direction]:
        phase = step.phase(name)
        if phase is not None and phase.value is not None:
            lo, hi = (phase.value if end is None else end for end in (phase.lo, phase.hi))
            yield f"{name}_s{_BY_POLLS * _is_by_polls(step, phase)}", Span(phase.value, lo, hi)
    decide = next((one for one in step.bounded_phases if one.name == "decide"), None)
    if decide is not None and decide.value is None and decide.lo is not None:
        yield "decide_s", decide.span


def _is_by_polls(step: StepReport, phase: Phase) -> bool:
    """Return whether a phase lasts between other moments than those that a replica's log tells."""
    if phase.name == "initialize":
        return any(one.reason == JOINED for one in step.phases)
    return phase.name == "allocate" and phase.source == "poll"


def _point(value: float) -> Span:
    return Span(value, value, value)
