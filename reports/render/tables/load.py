"""The tables of a page: steps, load, names, streams, load processes, errors."""

from collections.abc import Iterator, Sequence

from reports.model.load import LoadReport, LoadStepReport, NameReport, StreamReport
from reports.model.steps import DOWN_PHASES, UP_PHASES, DeploymentReport, PhaseName, StepReport
from reports.render.tables.table import Column, Table
from reports.render.text import (
    NOT_MEASURED,
    Measured,
    count,
    load_change,
    milliseconds,
    rate,
    recovered,
    replica_change,
    sanitized,
    seconds,
    shortened,
    step_name,
)

_MOST_STEPS = 250
_MOST_NAMES = 100
_MOST_ERRORS = 50
_SEE = "report.json has the rest"
_LATENCY = tuple(Column(name, "latency ms") for name in ("p50", "p95", "p99", "max"))
_SERVICE = tuple(Column(name, "service ms") for name in ("p50", "p99"))


def lag_tables(deployment: DeploymentReport, of_deployments: int) -> Iterator[Table]:
    """The lag of each measured step, on the way up and down; of very many the first."""
    most = max(5, _MOST_STEPS // of_deployments)
    kinds = (
        ("up", "up: from the load step until the last replica it needed is RUNNING", UP_PHASES),
        ("down", "down: from the load step until the last replica to leave is gone", DOWN_PHASES),
    )
    for direction, caption, phases in kinds:
        steps = [s for s in deployment.steps if s.total_s and s.direction == direction]
        if steps:
            names = _measured_names(steps, phases)
            rows = tuple(_lag_row(step, names) for step in steps[:most])
            columns = _lag_columns(steps[0], names)
            yield Table(f"Scale {caption}, in seconds", columns, rows, _rest(len(steps), most))


def _measured_names(
    steps: Sequence[StepReport], always: Sequence[PhaseName]
) -> tuple[PhaseName, ...]:
    """The phases that have a column: those of polling, and any other that was measured."""
    found = list(always)
    for phase in (phase for step in steps for phase in step.phases):
        if phase.value is not None and phase.name not in found and phase.part_of != "decide":
            found.append(phase.name)
    return tuple(found)


def _lag_columns(first: StepReport, names: Sequence[PhaseName]) -> tuple[Column, ...]:
    return (
        Column("step", words=True),
        Column("at s"),
        Column(f"load {first.unit}"),
        Column("replicas"),
        Column("total"),
        *(Column(name, "phases") for name in names),
        Column("recovered"),
        Column("floor"),
        Column("excess"),
        Column("critical replica", words=True, outside=True),
    )


def _lag_row(step: StepReport, names: Sequence[PhaseName]) -> tuple[str, ...]:
    by_name = {phase.name: phase for phase in step.phases}
    return (
        step_name(step),
        f"{step.at_s:.1f}",
        _arrow(load_change(step.from_level, step.to_level)),
        _arrow(replica_change(step)),
        str(seconds(step.total_s)),
        *(str(seconds(by_name.get(name))) for name in names),
        recovered(step),
        str(_figure(step.floor_s)),
        str(_figure(step.excess_s)),
        sanitized(step.critical_replica or NOT_MEASURED),
    )


def _figure(value_s: float | None) -> Measured:
    return Measured(NOT_MEASURED if value_s is None else f"{value_s:.2f}")


def _arrow(change: str) -> str:
    """`5 → 40`: a page need not do with ASCII."""
    return " \u2192 ".join(part.strip() for part in change.split("->"))


def load_table(load: LoadReport) -> Table:
    """What was sent, what came back, and how fast: each step, and the whole run."""
    unit = load.steps[0].unit if load.steps else ""
    columns = (
        Column("step", words=True),
        Column("at s"),
        Column(f"load {unit}".rstrip()),
        Column("offered", "requests/s"),
        Column("completed", "requests/s"),
        Column("failed"),
        Column("not sent"),
        *_LATENCY,
        *_SERVICE,
    )
    rows = [_load_row(step) for step in load.steps[:_MOST_STEPS]]
    rows.append(("all", "", "", "", "", *_counts(load), *_times(load)))
    caption = "Load by step; latency counts from the intended start, service from the send"
    return Table(caption, columns, tuple(rows), _rest(len(load.steps), _MOST_STEPS))


def _load_row(step: LoadStepReport) -> tuple[str, ...]:
    return (
        str(step.index),
        f"{step.at_s:.1f}",
        _arrow(load_change(step.from_level, step.to_level)),
        rate(step.offered_rps),
        rate(step.completed_rps),
        *_counts(step),
        *_times(step),
    )


def _counts(part: LoadReport | LoadStepReport | NameReport) -> tuple[str, str]:
    return f"{part.failed:,}", f"{part.not_sent:,}"


def _times(part: LoadReport | LoadStepReport | NameReport) -> tuple[str, ...]:
    figures = (
        part.latency_p50_ms,
        part.latency_p95_ms,
        part.latency_p99_ms,
        part.latency_max_ms,
        part.service_p50_ms,
        part.service_p99_ms,
    )
    return tuple(map(milliseconds, figures))


def stream_table(load: LoadReport) -> Table | None:
    """Streamed answers of each step that has any, and of the whole run; None without any."""
    if load.stream is None:
        return None
    columns = (
        Column("step", words=True),
        Column("at s"),
        Column("answers"),
        Column("tokens"),
        Column("tokens/s"),
        *(Column(name, "first token ms") for name in ("p50", "p95", "p99", "max")),
        *(Column(name, "between tokens ms") for name in ("p50", "p99")),
        Column("longest gap ms"),
    )
    rows = [
        (str(step.index), f"{step.at_s:.1f}", *_stream_cells(step.stream))
        for step in load.steps[:_MOST_STEPS]
        if step.stream
    ]
    rows.append(("all", "", *_stream_cells(load.stream)))
    caption = "Streams; the first token counts from the intended start"
    return Table(caption, columns, tuple(rows), _rest(len(load.steps), _MOST_STEPS))


def _stream_cells(stream: StreamReport) -> tuple[str, ...]:
    per_s = stream.tokens_per_s
    return (
        f"{stream.answers:,}",
        f"{stream.tokens:,}",
        NOT_MEASURED if per_s is None else rate(per_s),
        milliseconds(stream.first_token_p50_ms),
        milliseconds(stream.first_token_p95_ms),
        milliseconds(stream.first_token_p99_ms),
        milliseconds(stream.first_token_max_ms),
        milliseconds(stream.time_between_tokens_p50_ms),
        milliseconds(stream.time_between_tokens_p99_ms),
        milliseconds(stream.token_gap_max_ms),
    )


def name_table(load: LoadReport) -> Table | None:
    """Requests by name, those of most requests; None where all have one name."""
    if len(load.names) <= 1:
        return None
    columns = (
        Column("name", words=True, outside=True),
        Column("requests"),
        Column("failed"),
        Column("not sent"),
        *_LATENCY,
        *_SERVICE,
    )
    rows = tuple(
        (shortened(name, 120), f"{part.planned:,}", *_counts(part), *_times(part))
        for name, part in list(load.names.items())[:_MOST_NAMES]
    )
    return Table("Requests by name", columns, rows, _rest(len(load.names), _MOST_NAMES))


def worker_table(load: LoadReport) -> Table | None:
    """The processes that sent the load; None for one alone."""
    if len(load.workers) <= 1:
        return None
    columns = (
        Column("process", words=True),
        Column("machine", words=True, outside=True),
        Column("sent"),
        Column("not sent"),
        Column("clock known to ms"),
        Column("lost at s"),
        Column("why", words=True, outside=True),
    )
    rows = tuple(
        (
            str(worker.index),
            shortened(worker.host, 60),
            f"{worker.sent:,}",
            f"{worker.not_sent:,}",
            f"\u00b1{1000 * (worker.error_s + worker.drift_s):.1f}",
            NOT_MEASURED if worker.lost_at_s is None else f"{worker.lost_at_s:.1f}",
            shortened(worker.lost_reason or ""),
        )
        for worker in load.workers[:_MOST_STEPS]
    )
    return Table("Load processes", columns, rows, _rest(len(load.workers), _MOST_STEPS))


def error_table(load: LoadReport) -> Table | None:
    """Errors by kind, the most frequent first; None without any."""
    if not load.errors:
        return None
    columns = (Column("kind", words=True, outside=True), Column("requests"))
    kinds = list(load.errors.items())
    rows = tuple((shortened(kind, 300), f"{times:,}") for kind, times in kinds[:_MOST_ERRORS])
    rest = kinds[_MOST_ERRORS:]
    requests = count(sum(times for _, times in rest), "request")
    note = f"and {count(len(rest), 'other kind')} ({requests}): {_SEE}" if rest else ""
    return Table("Errors, by kind", columns, rows, note)


def _rest(number: int, most: int) -> str:
    return f"The first {most:,} of {number:,}; {_SEE}." if number > most else ""
