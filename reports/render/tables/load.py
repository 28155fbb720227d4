"""Tables of the load: steps, streams, goodput, load processes, errors."""

from collections.abc import Iterator

import msgspec

from reports.model.load import (
    GoodputReport,
    LoadReport,
    LoadStepReport,
    NameReport,
    StreamReport,
)
from reports.render.tables.table import Cell, Column, Table, rest_of
from reports.render.text import (
    NOT_MEASURED,
    load_change,
    milliseconds,
    rate,
    shortened,
    shortened_name,
)
from scalelag.record.error_kinds import NOT_SENT
from scalelag.wording import count

MOST_STEPS = 250
MOST_ERRORS = 50
_STEP = Column("step", "words", key=True)
_AT = Column("at s", key=True)
COUNTS = (Column("failed"), Column("not sent"))
_SATURATED = Column("saturated s")


def quantiles(names: tuple[str, ...], group: str, *wide: str, part: int = 1) -> tuple[Column, ...]:
    """Columns of milliseconds under one header; those that are `wide` are dropped first."""
    head = group.removesuffix(" ms")
    return tuple(
        Column(
            name,
            group=group,
            alone=f"{head} {name} ms",
            part=part,
            room="wide" if name in wide else "always",
        )
        for name in names
    )


def load_table(load: LoadReport) -> Table:
    """Requests and their latency: each step, and the whole run."""
    unit = load.steps[0].unit if load.steps else ""
    columns = (
        _STEP,
        _AT,
        Column(f"load {unit}".rstrip(), room="wide"),
        Column("offered", group="requests/s", alone="offered rps"),
        Column("completed", group="requests/s", alone="completed rps"),
        *COUNTS,
        *((_SATURATED,) if load.saturated_s else ()),
        *quantiles(("p50", "p95", "p99", "max"), "latency ms"),
        *quantiles(("p50", "p99"), "service ms"),
    )
    rows = [
        (*_load_cells(step), *_missed(step, load), *times(step)) for step in load.steps[:MOST_STEPS]
    ]
    rows.append(("all", "", "", "", "", *_missed(load, load), *times(load)))
    caption = "Load by step; latency counts from the intended start, service from the send"
    return Table(caption, columns, tuple(rows), rest_of(len(load.steps), MOST_STEPS))


def _load_cells(step: LoadStepReport) -> tuple[str, ...]:
    return (
        str(step.index),
        f"{step.at_s:.1f}",
        load_change(step.from_level, step.to_level),
        rate(step.offered_rps),
        rate(step.completed_rps),
    )


def _missed(part: LoadReport | LoadStepReport, load: LoadReport) -> tuple[str, ...]:
    """Counts, and in a run with any the seconds in which the target was saturated."""
    return *counts(part), *((f"{part.saturated_s:.1f}",) if load.saturated_s else ())


def counts(part: LoadReport | LoadStepReport | NameReport) -> tuple[str, str]:
    """Cells of `COUNTS`."""
    return f"{part.failed:,}", f"{part.not_sent:,}"


def times(part: LoadReport | LoadStepReport | NameReport) -> tuple[str, ...]:
    """Cells of latency p50, p95, p99 and max, and of service time p50 and p99."""
    times_ms = (
        part.latency_p50_ms,
        part.latency_p95_ms,
        part.latency_p99_ms,
        part.latency_max_ms,
        part.service_p50_ms,
        part.service_p99_ms,
    )
    return tuple(map(milliseconds, times_ms))


def stream_table(load: LoadReport) -> Table | None:
    """Streamed answers of each step that has any, and of the whole run; None without any."""
    if load.stream is None:
        return None
    columns = (
        _STEP,
        _AT,
        Column("answers"),
        Column("tokens"),
        Column("tokens/s"),
        *quantiles(("p50", "p95", "p99", "max"), "first token ms"),
        *quantiles(("p50", "p99"), "between tokens ms", part=2),
        Column("longest gap ms", part=2),
    )
    rows = [
        (str(step.index), f"{step.at_s:.1f}", *_stream_cells(step.stream))
        for step in load.steps[:MOST_STEPS]
        if step.stream
    ]
    rows.append(("all", "", *_stream_cells(load.stream)))
    caption = "Streams; first token from the intended start, between tokens the mean of an answer"
    return Table(caption, columns, tuple(rows), rest_of(len(load.steps), MOST_STEPS))


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


def goodput_table(load: LoadReport) -> Table | None:
    """Goodput of each step and of the whole run; None without limits."""
    if load.goodput is None:
        return None
    columns = (
        _STEP,
        _AT,
        Column("good"),
        Column("of"),
        Column("share"),
        Column("good/s"),
        Column("scaling s"),
        Column("share", group="while scaling", alone="share while scaling"),
        Column("good/s", group="while scaling", alone="good/s while scaling"),
        Column("share", group="otherwise", alone="share otherwise"),
    )
    rows = [
        (str(step.index), f"{step.at_s:.1f}", *_goodput_cells(step.goodput))
        for step in load.steps[:MOST_STEPS]
        if step.goodput
    ]
    rows.append(("all", "", *_goodput_cells(load.goodput)))
    limits = ", ".join(load.limits)
    caption = f"Goodput: requests within {limits}, of all that were planned"
    note = load.goodput.reason or rest_of(len(load.steps), MOST_STEPS)
    return Table(caption, columns, tuple(rows), note)


def _goodput_cells(found: GoodputReport) -> tuple[str, ...]:
    if found.reason is not None:
        return (NOT_MEASURED,) * 8
    return (
        f"{found.good:,}",
        f"{found.planned:,}",
        _share(found.ratio),
        NOT_MEASURED if found.rps is None else rate(found.rps),
        f"{found.scaling_s:.1f}",
        _share(found.while_scaling_ratio),
        NOT_MEASURED if found.while_scaling_rps is None else rate(found.while_scaling_rps),
        _share(found.otherwise_ratio),
    )


def _share(ratio: float | None) -> str:
    return NOT_MEASURED if ratio is None else f"{100 * ratio:.1f} %"


def worker_table(load: LoadReport) -> Table | None:
    """Processes that sent the load; None for a single one."""
    if len(load.workers) <= 1:
        return None
    columns = (
        Column("process", "words"),
        Column("machine", "foreign"),
        Column("sent"),
        Column("not sent"),
        Column("clock known to ms"),
        Column("lost at s"),
        Column("why", "foreign"),
    )
    rows = tuple(
        (
            str(worker.index),
            shortened_name(worker.host, 60),
            f"{worker.sent:,}",
            f"{worker.not_sent:,}",
            f"\u00b1{1000 * (worker.error_s + worker.drift_s):.1f}",
            NOT_MEASURED if worker.lost_at_s is None else f"{worker.lost_at_s:.1f}",
            shortened(worker.lost_reason or ""),
        )
        for worker in load.workers[:MOST_STEPS]
    )
    return Table("Load processes", columns, rows, rest_of(len(load.workers), MOST_STEPS))


def error_kinds(load: LoadReport) -> Iterator[tuple[str, int]]:
    """Kinds of errors, requests that were not sent by their reasons."""
    reasons: dict[str, int] = msgspec.structs.asdict(load.not_sent_by)
    for kind, times in load.errors.items():
        if kind == NOT_SENT and sum(reasons.values()) == times:
            yield from ((f"{kind}: {why}", part) for why, part in reasons.items() if part)
        else:
            yield kind, times


def exception_table(load: LoadReport, most: int = MOST_ERRORS) -> Table | None:
    """Exceptions in tasks by kind, the most frequent first; None without any."""
    if not load.task_exception_kinds:
        return None
    columns = (Column("times"), Column("exception", "foreign"), Column("raised in", "foreign"))
    kinds = load.task_exception_kinds
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (f"{kind.count:,}", shortened(kind.text, 300), shortened(kind.where or NOT_MEASURED))
        for kind in kinds[:most]
    )
    return Table("Exceptions in tasks", columns, rows, rest_of(len(kinds), most))


def error_table(load: LoadReport, most: int = MOST_ERRORS) -> Table | None:
    """Errors by kind, the most frequent first; None without any."""
    if not load.errors:
        return None
    columns = (Column("requests"), Column("kind", "foreign"))
    kinds = list(error_kinds(load))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (f"{times:,}", shortened(kind, 300)) for kind, times in kinds[:most]
    )
    left = kinds[most:]
    requests = count(sum(times for _, times in left), "request")
    note = f"and {count(len(left), 'other kind')} ({requests}): see report.json" if left else ""
    return Table("Errors, by kind", columns, rows, note)
